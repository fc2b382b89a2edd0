"""What becomes of the output changes neither the work nor its exit code; arguments in any locale."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, HOST, LOGS, Agent


def into(agent: Agent, *arguments: str, out: int | None = None, err: int | None = None) -> int:
    """The exit code of the command line with these descriptors as standard output and error."""
    argv = agent.argv(*arguments)
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=agent.environment(), timeout=90, check=False
    ).returncode


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_leaves_stops_no_run(agent: Agent, options: list[str]) -> None:
    """A run whose output nobody reads any more stores every source, ends with 0, and says so in the ledger."""
    reading, writing = os.pipe()
    os.close(reading)
    before = len(agent.refs())
    assert into(agent, "run", *options, "--jobs", "1", out=writing, err=writing) == 0
    os.close(writing)
    assert len(agent.refs()) == before + 2
    assert agent.ledger()[-1] | {"ok": True, "exit_code": 0, "event": "run"} == agent.ledger()[-1]


def test_a_full_disk_below_the_output_stops_no_run(agent: Agent) -> None:
    """A log on a full disk changes no exit code; a result that could not be written whole is a failure, told."""
    full = os.open("/dev/full", os.O_WRONLY)
    before = len(agent.refs())
    assert into(agent, "run", err=full, out=subprocess.DEVNULL) == 0
    assert into(agent, "run", f"{HOST}/absent", err=full, out=subprocess.DEVNULL) == 2
    assert into(agent, "run", out=full, err=subprocess.DEVNULL) == 1
    assert len(agent.refs()) == before + 4
    done = subprocess.run(agent.argv("list"), stdout=full, stderr=subprocess.PIPE, env=agent.environment(), check=False)
    assert done.returncode == 1
    assert b"error: the output: No space left on device\nhint: " in done.stderr
    os.close(full)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_reason_in_any_locale(agent: Agent, locale: str) -> None:
    """A reason is kept as it was typed, even where the locale has no such letters, and bytes that are no text."""
    settings = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ref = agent.latest(AGAMA)
    argv: list[str | bytes] = [*agent.argv("pin", ref, "--reason"), "größe ".encode() + b"\xff"]
    subprocess.run(argv, env=agent.environment(settings), check=True, timeout=60)
    assert "größe \\xff" in agent.call("show", ref, env={"LC_ALL": "C.UTF-8"}).succeeded().out
    agent.call("unpin", ref).succeeded()
    agent.call("unpin", ref).failed(2, "not pinned", "pullagent list")


def test_errors_and_warnings_of_a_run_with_json(agent: Agent) -> None:
    """One object on standard output with its documented fields alone; what went wrong stands on standard error too."""
    agent.edit('databases = ["agama"]', 'databases = ["absent"]')
    done = agent.call("run", "--json").failed(3, f"{AGAMA}: there is no database", "databases")
    assert list(done.json) == ["format", "id", "started", "ended", "exit_code", "sources", "pruned"]
    assert [s["outcome"] for s in done.json["sources"]] == ["failed", "stored"]


def test_a_store_that_is_a_file(agent: Agent, tmp_path: Path) -> None:
    """Every verb says that a directory is needed there, and how to look."""
    place = tmp_path / "file"
    place.touch()
    agent.edit(f'path = "{agent.store}"', f'path = "{place}"')
    for verb in (["run"], ["list"], ["history"], ["prune"], ["verify"], ["show", f"{LOGS}@latest"]):
        agent.call(*verb).failed(1, "Not a directory", f"ls -ld {place}")


def test_verifying_nothing_is_told(agent: Agent, tmp_path: Path) -> None:
    """A store that is not there, as when its disk is not mounted, verifies as nothing, with a warning."""
    agent.edit(f'path = "{agent.store}"', f'path = "{tmp_path / "absent"}"')
    done = agent.call("verify", "--json").succeeded()
    assert done.json == {"format": 1, "checked": 0, "bytes": 0, "problems": []}
    assert f"warning: nothing was looked at: there is no such snapshot in {tmp_path / 'absent'}" in done.err


def test_a_fingerprint_of_another_kind(agent: Agent) -> None:
    """What is no SHA-256 fingerprint is a mistake of the command line, and no key is asked for."""
    agent.call("trust", HOST, "--fingerprint", "MD5:00:11").failed(
        2, "not a SHA-256 fingerprint", "--fingerprint SHA256:"
    )


def test_a_narrow_terminal_cuts_no_reference(agent: Agent) -> None:
    """In 40 columns `history` folds them, and `show` leaves them for the terminal to wrap, to be copied whole."""
    ref = agent.latest(AGAMA)
    screen = agent.type("history", answers=[], columns=40).screen
    assert "…" not in screen
    assert ref in "".join(screen.split())
    lines = agent.type("show", ref, answers=[], columns=40).screen.splitlines()
    assert any(line.split() == ["snapshot:", ref] for line in lines)
