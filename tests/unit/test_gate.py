"""What the gate renders and decides: which commands pass, when it is out of date, what sudo may do."""

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullagent import gate
from pullagent.errors import CommandFailed, ConfigError, PullAgentError, SourceError, UsageError
from pullagent.sources.base import Source
from tests.contract.kinds import EXAMPLES, build
from tests.lab.processes import plain_environment
from tests.unit.toml import changed, loaded
from tests.vectors import commands as golden

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIADg4JcXEcmvNd4GJOA7d/bCFDlyLENkreIpaQMnVfPs pull"
AGAMA = build("mysql", {"databases": ["agama"]})
LOGS = build("influxdb", {"databases": ["logs"]})
BOTH = {"agama": AGAMA, "logs": LOGS}


@dataclass(frozen=True)
class Sending:
    """A source that sends these commands."""

    sent: tuple[str, ...]

    def commands(self) -> tuple[str, ...]:
        """As told."""
        return self.sent

    def streams(self) -> tuple[str, ...]:
        """None."""
        return ()

    def grants(self, user: str) -> str:
        """None."""
        return ""

    def as_root(self) -> tuple[tuple[str, ...], ...]:
        """None."""
        return ()


def rendered(sources: Mapping[str, Source], **more: Any) -> gate.Gate:
    """The gate of a host `pavroto-2`."""
    return gate.render("pavroto-2", "pullagent", sources, KEY, **more)


def ask(
    directory: Path, wrapper: str, command: str | bytes | None, shell: str = "sh"
) -> "subprocess.CompletedProcess[bytes]":
    """Run the wrapper as sshd does."""
    path = directory / "pullagent-gate"
    path.write_text(wrapper)
    session: dict[str, Any] = plain_environment(directory) | {"USER": "pullagent", "SSH_CLIENT": "192.0.2.1 1 22"}
    if command is not None:
        session["SSH_ORIGINAL_COMMAND"] = command
    return subprocess.run(
        [shell, str(path)], env=session, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30
    )


def test_a_gateway_leads_to_its_hosts_alone() -> None:
    """The key may be forwarded to what is reached through the host, and listen nowhere of use."""
    line = rendered(BOTH, leads_to=("db:22", "[::1]:2222")).files["authorized_keys"]
    assert line.startswith(
        'restrict,command="/usr/local/lib/pullagent-gate",port-forwarding,permitopen="db:22",permitopen="[::1]:2222",'
        'permitlisten="localhost:1" ssh-'
    )


def test_the_commands_of_the_example_are_those_reviewed() -> None:
    """Every command of the example hosts.toml: when one changes, every host needs a new gate.

    `python -m tests.vectors.commands` takes the change over.
    """
    assert golden.text() == golden.GOLDEN.read_text()


@settings(max_examples=20, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40), min_size=1, max_size=4),
    tail=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5),
)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_command_passes_whole_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, shell: str, texts: list[str], tail: str
) -> None:
    """Whatever characters it holds: it runs as it stands in the list, and with anything more or less it does not."""
    directory = tmp_path_factory.mktemp("gate")
    commands = [f"# {text.splitlines()[0] if text.strip() else ''}\nprintf %s {shlex.quote(text)}" for text in texts]
    wrapper = rendered({"any": cast(Source, Sending(tuple(commands)))}).files["pullagent-gate"]
    for text, command in zip(texts, commands, strict=True):
        done = ask(directory, wrapper, command, shell)
        assert (done.returncode, done.stdout) == (0, text.encode()), done.stderr
        for other in (command + tail, tail + command, command[:-1], command[1:], command.swapcase()):
            if other not in commands:
                done = ask(directory, wrapper, other, shell)
                assert (done.returncode, done.stdout, done.stderr) == (126, b"", b"pullagent-gate: refused\n")


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_bytes_that_shells_use_inside_pass(tmp_path: Path, shell: str) -> None:
    """dash marks quotes in memory with the bytes 0x81 to 0x88, which UTF-8 names hold too."""
    text = "".join(chr(c) for c in range(0xC1, 0xC9)) + "\x7f *?[a-z]~${x}\\"
    wrapper = rendered({"any": cast(Source, Sending((f"printf %s {shlex.quote(text)}",)))}).files["pullagent-gate"]
    done = ask(tmp_path, wrapper, f"printf %s {shlex.quote(text)}", shell)
    assert (done.returncode, done.stdout) == (0, text.encode())


def test_a_wrapper_without_syslog_refuses_as_well(tmp_path: Path) -> None:
    """No logger, no timeout, no head: what is refused stays refused; one that hangs is ended after 5 seconds."""
    wrapper = rendered(BOTH).files["pullagent-gate"]
    path = tmp_path / "pullagent-gate"
    path.write_text(wrapper)
    (tmp_path / "bin").mkdir()
    (tmp_path / "empty").mkdir()
    hanging = tmp_path / "bin" / "logger"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    for programs in (f"{tmp_path}/empty", f"{tmp_path}/bin:/usr/bin:/bin"):
        session = {"PATH": programs, "HOME": "/", "USER": "u", "SSH_ORIGINAL_COMMAND": "id"}
        done = subprocess.run(["/bin/sh", str(path)], env=session, capture_output=True, check=False, timeout=15)
        assert (done.returncode, done.stdout, done.stderr) == (126, b"", b"pullagent-gate: refused\n")


def test_the_session_brings_no_variables_along(tmp_path: Path) -> None:
    """An allowed command sees none but those that name account, home and programs."""
    wrapper = rendered({"any": cast(Source, Sending(("env",)))}).files["pullagent-gate"]
    path = tmp_path / "pullagent-gate"
    path.write_text(wrapper)
    tricks = dict.fromkeys(("TAR_OPTIONS", "MYSQL_HOST", "LIBMYSQL_PLUGINS", "IFS", "ENV", "BASH_ENV", "PS4"), "x")
    session = plain_environment(tmp_path) | tricks | {"USER": "u", "SSH_ORIGINAL_COMMAND": "env", "SSH_CLIENT": "x"}
    done = subprocess.run(["/bin/sh", str(path)], env=session, capture_output=True, check=False, text=True, timeout=15)
    names = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert names - {"PWD", "_", "SHLVL"} == {"HOME", "USER", "LOGNAME", "PATH"}


def test_the_gate_tells_its_digest(tmp_path: Path) -> None:
    """The answer is that of these sources, and of no others; white space around it does not matter."""
    made = rendered(BOTH)
    answer = ask(tmp_path, made.files["pullagent-gate"], gate.DIGEST_COMMAND).stdout
    assert answer.decode().strip() == made.digest == gate.digest_of(AGAMA.commands() + LOGS.commands())
    assert gate.stale("pavroto-2", AGAMA.commands() + LOGS.commands(), answer) is None
    warning = gate.stale("pavroto-2", AGAMA.commands(), answer)
    assert warning is not None
    assert "pullagent gate pavroto-2 -o DIR" in warning
    assert "/usr/local/lib/pullagent-gate" in warning
    assert gate.stale("pavroto-2", AGAMA.commands() + LOGS.commands(), b"\xff\x1b[2J") is not None


def failed(status: int, stderr: str) -> PullAgentError:
    """What a source makes of a command that failed."""
    try:
        try:
            raise CommandFailed("pavroto-2: status", status=status, stderr=stderr)
        except CommandFailed as error:
            raise SourceError("as the source says it", "its hint") from error
    except SourceError as error:
        return error


def test_a_refusal_is_told_as_an_old_gate() -> None:
    """Whatever the source made of it; an error of any other cause stays as it is."""
    told = gate.explained(failed(126, "Warning: x\npullagent-gate: refused\n"), "pavroto-2")
    assert "does not know this command" in told.message
    assert "pullagent gate pavroto-2 -o DIR" in told.hint
    for other in (
        failed(126, "sh: mysqldump: Permission denied"),
        failed(1, "pullagent-gate: refused"),
        SourceError("x"),
    ):
        assert gate.explained(other, "pavroto-2") is other


def test_an_error_that_is_its_own_cause_ends() -> None:
    """An error raised from itself, as a source does that has nothing to add, is looked at once."""
    error = CommandFailed("status 2 from tar", status=2, stderr="no such file")
    error.__cause__ = error
    assert gate.explained(error, "h") is error


def test_only_what_a_source_needs_is_rendered() -> None:
    """No accounts to save: no command that reads them, no right to. Nothing for root to read: no sudoers."""
    assert set(rendered({"logs": LOGS}).files) == {"pullagent-gate", "authorized_keys", "README"}
    with_accounts = rendered({"agama": AGAMA}).files
    without = rendered({"agama": build("mysql", {"databases": ["agama"], "accounts": False})}).files
    assert "SHOW CREATE USER" in with_accounts["pullagent-gate"]
    assert "SHOW CREATE USER" not in without["pullagent-gate"]
    assert "ON `mysql`.* TO" in with_accounts["grants.sql"]
    assert "ON `mysql`.* TO" not in without["grants.sql"]
    assert "mysql <grants.sql" in without["README"]
    assert "mysql <" not in rendered({"logs": LOGS}).files["README"]


def test_an_account_with_a_password_is_made_locked() -> None:
    """Until somebody has set the password that the option file holds, nobody may log in without one."""
    made = rendered({"agama": build("mysql", {"databases": ["agama"], "option_file": "/etc/pull.cnf"})})
    created = [line for line in made.files["grants.sql"].splitlines() if "CREATE USER" in line]
    assert created
    assert all("ACCOUNT LOCK" in line for line in created)


def with_sudo(*paths: str) -> Source:
    """An InfluxDB source whose configuration only root may read."""
    return build("influxdb", {"databases": ["logs"], "config_files": list(paths), "sudo": True})


def test_sudo_may_run_one_line_and_no_other(tmp_path: Path) -> None:
    """The sudoers file parses, and names the very command that the pull sends."""
    source = with_sudo("/etc/influxdb/influxdb.conf", "/etc/default/influx+db@1")
    text = rendered({"logs": source}).files["sudoers"]
    line = text.splitlines()[-1]
    command = line.partition("NOPASSWD: ")[2]
    assert line.startswith('"pullagent" ALL=(root:root) NOPASSWD: /')
    assert not set(command) & set("*?[]!\\,:=\"'")
    assert any(f"sudo -n {command} " in sent for sent in source.commands())
    file = tmp_path / "sudoers"
    file.write_text(text)
    subprocess.run(["visudo", "-c", "-q", "-f", str(file)], check=True, env=plain_environment(tmp_path))


@pytest.mark.parametrize(
    "path", ["/etc/a b", "/etc/*", "/etc/a,b", "/etc/a:b", "/etc/a=b", "/etc/[a]", "/etc/ä", "/e'"]
)
def test_sudo_takes_plain_paths_alone(tmp_path: Path, path: str) -> None:
    """What would need an escape in a sudoers file, or be a pattern there, is refused where it is written."""
    table = {"kind": "influxdb", "databases": ["logs"], "config_files": [path], "sudo": True}
    with pytest.raises(ConfigError, match="with sudo a path has"):
        loaded(tmp_path, changed("hosts pavroto-2 sources logs", table))
    assert build("influxdb", EXAMPLES["influxdb"].most | {"config_files": [path]}).commands()


def test_sudo_without_files_is_refused(tmp_path: Path) -> None:
    """It would allow nothing, and seem to."""
    table = {"kind": "influxdb", "databases": ["logs"], "sudo": True}
    with pytest.raises(ConfigError, match="no config_files"):
        loaded(tmp_path, changed("hosts pavroto-2 sources logs", table))


def test_the_key_is_held_to_the_wrapper() -> None:
    """One line: restrict, the command, the addresses if given, the key."""
    line = rendered(BOTH, from_addresses=("192.0.2.7", "2001:db8::/64")).files["authorized_keys"]
    options = 'restrict,command="/usr/local/lib/pullagent-gate",from="192.0.2.7,2001:db8::/64"'
    assert line == f"{options} {KEY}\n"
    for bad in ('1.2.3.4",command="sh', "a b", "192.0.2.7\n"):
        with pytest.raises(UsageError):
            rendered(BOTH, from_addresses=(bad,))
    with pytest.raises(UsageError):
        gate.render("h", "u", BOTH, "-----BEGIN OPENSSH PRIVATE KEY-----")
