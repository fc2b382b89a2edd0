"""What the service manager gives and takes: priorities of journal lines, the status line, the pull key."""

import inspect
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import pytest

from pullagent.cli import service, tables, ui
from pullagent.cli.progress import Status, progress
from pullagent.cli.service import Priority, credential, mark, tell_status
from pullagent.config import with_pull_key
from pullagent.errors import PullAgentError
from pullagent.model import Observer, Outcome, SnapshotRef, SourceName
from tests.unit.toml import RIGHT, changed, document, loaded

AGAMA, LOGS = SourceName("pavroto-2", "agama"), SourceName("pavroto-2", "logs")
ROOT = Path(__file__).parents[2]


def journalled(stdout: Path, stderr: Path, journal: Path, *arguments: str) -> None:
    """Run the program with its streams in files, and `journal`'s file as what JOURNAL_STREAM names."""
    with stdout.open("w") as out, stderr.open("a" if stdout == stderr else "w") as err:
        named = journal.stat()
        env = {"PATH": os.environ["PATH"], "JOURNAL_STREAM": f"{named.st_dev}:{named.st_ino}"}
        argv = [sys.executable, "-m", "pullagent", *arguments]
        subprocess.run(argv, stdout=out, stderr=err, env=env, cwd=ROOT, timeout=60, check=False)


def test_errors_and_hints_in_the_journal_carry_their_priority(tmp_path: Path) -> None:
    """`error:` lines are errors, hints notices, and what was asked for is information."""
    out, err = tmp_path / "out", tmp_path / "err"
    err.touch()
    journalled(out, err, err, "--config", "/nowhere", "list")
    lines = err.read_text().splitlines()
    assert lines[0].startswith("<3>error: /nowhere: ")
    assert lines[1].startswith("<5>hint: ")
    out.touch()
    journalled(out, err, out, "--version")
    assert out.read_text().startswith("<6>pullagent ")


def test_only_the_journal_gets_priorities(tmp_path: Path) -> None:
    """A stream that was sent elsewhere stays plain, though JOURNAL_STREAM was inherited."""
    out, err = tmp_path / "out", tmp_path / "err"
    out.touch()
    journalled(out, err, out, "--config", "/nowhere", "list")
    assert err.read_text().startswith("error: /nowhere: ")


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stream is the journal's."""
    for module in (ui, tables):
        monkeypatch.setattr(module, "mark", lambda _, priority: f"<{priority}>")


@pytest.mark.usefixtures("journal")
def test_a_line_is_as_urgent_as_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings are warnings, whoever says them; what is told a priority has that one."""
    ui.tell("warning: pavroto-2/agama: shrunk")
    ui.tell("pinned: x")
    ui.say("pavroto-2/agama: failed", Priority.WARNING)
    ui.fail(PullAgentError("first\nsecond", "one\ntwo"))
    ui.table(("Source",), [("agama",)])
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "<4>warning: pavroto-2/agama: shrunk",
        "<6>pinned: x",
        "<3>error: first",
        "<3>       second",
        "<5>hint: one",
        "<5>hint: two",
    ]
    assert said.out.splitlines() == ["<4>pavroto-2/agama: failed", "<6>Source", "<6>agama"]


@pytest.mark.usefixtures("journal")
def test_no_text_can_claim_a_priority(capsys: pytest.CaptureFixture[str]) -> None:
    """What a host says cannot call itself an emergency, at the beginning or after a line end."""
    ui.say("<0>fire\n<0>more fire")
    assert capsys.readouterr().out.splitlines() == ["<6><0>fire", "<6><0>more fire"]


def test_a_stream_without_a_file_is_not_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed and imagined streams get no marks, and raise nothing."""
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    with Path(os.devnull).open("w") as stream:
        assert mark(stream, Priority.ERROR) == ""
    assert mark(stream, Priority.ERROR) == ""


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(0.05)

    def heard(self) -> list[str]:
        """All messages so far."""
        found = []
        try:
            while True:
                found.append(self._socket.recv(4096).decode())
        except TimeoutError:
            return found

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """A service manager that listens, at both kinds of address."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@pullagent-test-{os.getpid()}"
    listening = Manager(address)
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    yield listening
    listening.close()


def test_the_status_is_one_field(manager: Manager) -> None:
    """A line end in it cannot begin another field, such as MAINPID; long text is cut between characters."""
    tell_status("pavroto-2/agama\nMAINPID=1")
    tell_status("ü" * 1000)
    first, second = manager.heard()
    assert first == "STATUS=pavroto-2/agama MAINPID=1"
    assert set(second.removeprefix("STATUS=")) == {"ü"}


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@nobody-listens", "vsock:2:1", "/" + "x" * 300])
def test_a_status_that_nobody_hears_harms_nothing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket, a dead one, or an address of another kind: the run goes on."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    tell_status("x")


def stored(name: SourceName, shrunk: bool = False) -> Outcome:
    """A source that was stored."""
    return Outcome(name, "stored", 1.0, ref=SnapshotRef(name, "2026-11-23T010003Z"), shrunk=shrunk)


def test_the_status_says_what_is_being_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources with their step and bytes, then how many have ended and how, in the end only those."""
    said: list[str] = []
    monkeypatch.setattr("pullagent.cli.progress.tell_status", said.append)
    with Status(nullcontext(Observer())) as status:
        status.started(str(AGAMA), "dump.sql")
        status.advanced(str(AGAMA), 200_000_000)
        status.advanced(str(AGAMA), 140_000_000)
        status.started(str(LOGS), "backup.tar")
        wait_for(said, "pavroto-2/agama dump.sql 340 MB, pavroto-2/logs backup.tar")
        status.ended(stored(AGAMA))
        status.ended(Outcome(LOGS, "failed", 1.0, error="x"))
        status.retrying([LOGS], 1200, 2, 3)
        wait_for(said, "pavroto-2/logs: failed; attempt 2 of 3 in 20 min; 1 stored")
        status.ended(stored(LOGS, shrunk=True))
    assert said[-1] == "1 stored, 1 shrunk"


def wait_for(said: list[str], text: str) -> None:
    """Until the last thing said is `text`."""
    deadline = time.monotonic() + 10
    while said[-1:] != [text]:
        assert time.monotonic() < deadline, said
        time.sleep(0.01)


def test_the_status_is_said_at_most_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many bytes pass: the service manager has other work."""
    times: list[float] = []
    monkeypatch.setattr("pullagent.cli.progress.tell_status", lambda _: times.append(time.monotonic()))
    with Status(nullcontext(Observer())) as status:
        end = time.monotonic() + 2.2
        while time.monotonic() < end:
            status.advanced(str(AGAMA), 1_000_000)
    gaps = [later - earlier for earlier, later in pairwise(times[:-1])]
    assert gaps
    assert min(gaps) > 0.9


class Heard(Observer):
    """Remembers which of an observer's methods were called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattribute__(self, name: str) -> object:
        if name in OBSERVED:
            self.calls.append(name)
        return super().__getattribute__(name)


OBSERVED = [name for name, _ in inspect.getmembers(Observer, inspect.isfunction) if not name.startswith("_")]


def test_the_status_keeps_nothing_from_who_listens() -> None:
    """Whatever an observer can hear passes on."""
    missing = [name for name in OBSERVED if name not in vars(Status)]
    assert not missing
    heard = Heard()
    with Status(nullcontext(heard)) as status:
        status.started("a", "b")
        status.advanced("a", 1)
        status.retrying([AGAMA], 1.0, 2, 3)
        status.defect("trace")
        status.ended(stored(AGAMA))
    assert heard.calls[:5] == ["started", "advanced", "retrying", "defect", "ended"]


def test_the_status_is_for_the_service_manager_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without NOTIFY_SOCKET there is no thread for it; with it, quiet runs report as well."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not isinstance(progress(), Status)
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    assert isinstance(progress(quiet=True), Status)


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a unit's credentials, still empty."""
    directory = tmp_path / "credentials"
    directory.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    return directory


def test_a_credential_is_the_pull_key(tmp_path: Path, credentials: Path) -> None:
    """It stands in for [ssh].identity_file; a host with a key of its own keeps that one."""
    text = changed("hosts other", {"user": "x", "identity_file": "/own/key"})
    text["hosts"]["same"] = {"user": "x", "identity_file": "/etc/pullagent/id_ed25519"}
    (tmp_path / "hosts.toml").write_text(document(text))
    before = ui.load_config(tmp_path / "hosts.toml")
    assert before.identity_file == Path("/etc/pullagent/id_ed25519")
    key = credentials / "ssh-key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    config = ui.load_config(tmp_path / "hosts.toml")
    assert config.identity_file == key
    used = {name: host.identity_file for name, host in config.hosts.items()}
    assert used == {"pavroto-2": key, "same": key, "other": Path("/own/key")}


@pytest.mark.parametrize("content", [None, "", "\n"], ids=["missing", "empty", "blank"])
def test_no_credential_leaves_the_key_of_hosts_toml(content: str | None, credentials: Path) -> None:
    """The unit gives a blank one where there is no key in the usual place."""
    if content is not None:
        (credentials / "ssh-key").write_text(content)
    assert credential("ssh-key") is None


def test_a_credential_that_cannot_be_read_is_an_error(
    tmp_path: Path, credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not passed over: the run would go on with another key."""
    (credentials / "ssh-key").mkdir()
    with pytest.raises(PullAgentError, match="ssh-key: Is a directory"):
        credential("ssh-key")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert service.credential("ssh-key") is None
    assert with_pull_key(loaded(tmp_path, RIGHT), Path("/k")).identity_file == Path("/k")


def test_datagrams_are_thrown_away_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """What woke the unit must not wake it again, and what comes later must; others' sockets are left alone."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        for _ in range(3):
            sender.sendto(b"x", receiver.getsockname())
        monkeypatch.setattr(service, "_FIRST_SOCKET", receiver.fileno())
        monkeypatch.setenv("LISTEN_FDS", "1")
        monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
        service.discard_datagrams()
        assert receiver.recv(1, socket.MSG_PEEK) == b"x"
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        service.discard_datagrams()
        with pytest.raises(BlockingIOError):
            receiver.recv(1, socket.MSG_DONTWAIT)
        sender.sendto(b"y", receiver.getsockname())
        assert receiver.recv(1) == b"y"
