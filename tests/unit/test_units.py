"""The units, the manual and the installer, as far as they can be looked at without booting anything."""

import configparser
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pullagent.cli.app import whole

ROOT = Path(__file__).parents[2]
UNITS = sorted(path for path in (ROOT / "systemd").iterdir() if path.suffix in (".service", ".timer", ".socket"))
SERVICES = [path for path in UNITS if path.suffix == ".service"]
NETWORKED = ("pullagent.service", "pullagent-mirror.service", "pullagent-status.service")
HARDENED = [(path, 15 if path.name in NETWORKED else 10) for path in SERVICES]

analyzed = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def called(*argv: str | Path, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """A program run to its end, its two outputs together."""
    merged = None if env is None else {"PATH": os.environ["PATH"], **env}
    return subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False, env=merged
    )


def settings(path: Path) -> dict[str, dict[str, str]]:
    """A unit's sections; the last line counts where a setting stands twice."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    return {name: dict(parser[name]) for name in parser.sections()}


@analyzed
@pytest.mark.parametrize(("unit", "tenths"), HARDENED, ids=lambda part: getattr(part, "name", ""))
def test_a_service_is_exposed_little(unit: Path, tenths: int) -> None:
    """`systemd-analyze security` rates what has network and store at 1.5 at most; the others below 1."""
    done = called("systemd-analyze", "security", "--offline=true", f"--threshold={tenths}", unit)
    assert done.returncode == 0, done.stdout.splitlines()[-1:]


@analyzed
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_no_fault_with_a_unit(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` is silent once the programs are where the unit says."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in UNITS:
        text = path.read_text()
        for named in ("/usr/local/bin/pullagent", "/usr/local/lib/pullagent/report-failure"):
            text = text.replace(named, str(program))
        (tmp_path / path.name).write_text(text)
    done = called("systemd-analyze", "verify", tmp_path / unit.name)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_a_service_calls_a_verb_that_exists(unit: Path) -> None:
    """With options that it has."""
    program, *words = shlex.split(settings(unit)["Service"]["ExecStart"])
    if not program.endswith("/pullagent"):
        assert (ROOT / "systemd" / Path(program).name).stat().st_mode & 0o111
        return
    command = whole()
    command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known


def test_every_failure_is_told() -> None:
    """Each service but the one that tells has it as OnFailure; none calls a bad exit code a success, but the one that
    looks: its 1 says that another unit has failed.
    """
    for unit in SERVICES:
        found = settings(unit)
        assert found["Service"].get("SuccessExitStatus") == ("1" if unit.name == "pullagent-status.service" else None)
        if "@" not in unit.name:
            assert found["Unit"]["OnFailure"] == "pullagent-failure@%n.service"


def test_a_refused_system_call_is_an_error_and_not_death() -> None:
    """A filter that kills would kill age."""
    for unit in SERVICES:
        assert settings(unit)["Service"]["SystemCallErrorNumber"] == "EPERM"


def test_the_night_is_in_utc_and_made_up_for() -> None:
    """01:00 UTC whatever the server's time zone, and a night that the server slept through is not lost."""
    timer = settings(ROOT / "systemd/pullagent.timer")["Timer"]
    assert (timer["OnCalendar"], timer["Persistent"]) == ("*-*-* 01:00:00 UTC", "true")


@pytest.fixture
def manual() -> str:
    """pullagent(1) in roff."""
    spec = importlib.util.spec_from_file_location("manpage", ROOT / "tools/manpage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.page())


def test_the_manual_names_every_verb_and_option(manual: str) -> None:
    """It is made from the command line, groups of verbs included, and lists the exit codes."""
    text = manual.replace("\\-", "-")
    command = whole()
    pairs = [(name, inner) for name, inner in command.commands.items()]
    for name, inner in pairs:
        for path, verb in getattr(inner, "commands", {"": inner}).items():
            assert f'.SS "pullagent {f"{name} {path}".strip()}' in text
            for parameter in verb.params:
                assert all(option in text for option in parameter.opts if option.startswith("-"))
    assert "\\fB13\\fR" in text


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_manual_is_right_roff(manual: str, tmp_path: Path) -> None:
    """groff has nothing to say about it."""
    page = tmp_path / "pullagent.1"
    page.write_text(manual)
    done = called("groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z", page)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("variables", "error"),
    [
        ({"DESTDIR": "stage"}, "DESTDIR=stage is not an absolute path"),
        ({"PREFIX": "usr"}, "not plain absolute paths"),
        ({"PREFIX": "/usr/lo cal", "DESTDIR": "/nowhere"}, "not plain absolute paths"),
        ({"PYTHON": "/bin/false", "DESTDIR": "/nowhere"}, "/bin/false is not Python 3.11"),
        ({"EXTRAS": "bells", "DESTDIR": "/nowhere"}, "there is no such extra"),
    ],
    ids=["relative", "prefix", "blank", "python", "extra"],
)
def test_the_installer_refuses_what_cannot_be(variables: dict[str, str], error: str) -> None:
    """Before it touches anything, with what to type instead."""
    done = called("sh", ROOT / "tools/install", env=variables)
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("hint: ")
    assert not Path("/nowhere").exists()


@pytest.mark.parametrize(("file", "package"), [("build", "hatchling"), ("notify", "apprise"), ("notify", "fabric")])
def test_what_is_installed_is_what_tests_use(file: str, package: str) -> None:
    """The pinned packages to build with, and of the extra, have the hashes of requirements-dev.txt."""
    tested = (ROOT / "requirements-dev.txt").read_text()
    pinned = (ROOT / f"requirements-{file}.txt").read_text()
    assert f"\n{package}==" in f"\n{pinned}"
    assert all(line.removesuffix(" \\") in tested for line in pinned.splitlines())


@pytest.mark.skipif(os.getuid() == 0, reason="root may install")
def test_the_installer_asks_for_root() -> None:
    """Without DESTDIR."""
    done = called("sh", ROOT / "tools/install", env={"PYTHON": sys.executable})
    assert done.stdout.startswith("error: only root can do this\nhint: sudo make install")
