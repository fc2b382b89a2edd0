"""Commands on this machine: streams, ends, limits and stops."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pullagent.drill.local import LocalHost
from pullagent.errors import CommandFailed, HostError, Stopped
from pullagent.model import StopSignal
from tests.integration.agent import alive
from tests.lab.processes import wait_until


def local(tmp_path: Path, limit_s: float = 30, stop: StopSignal | None = None) -> LocalHost:
    """This machine, for commands in `tmp_path`."""
    return LocalHost("here", tmp_path, None, {"PATH": "/usr/bin:/bin", "ONLY": "this"}, limit_s, stop or StopSignal())


def test_a_command_sees_its_environment_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the caller's variables or descriptors reaches it, and it starts in its directory."""
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    with (tmp_path / "open").open("w"):
        said = local(tmp_path).read("env; pwd; ls -l /proc/self/fd").decode()
    assert "ONLY=this" in said
    assert "SSH_AUTH_SOCK" not in said
    assert f"\n{tmp_path}\n" in said
    assert f"{tmp_path}/open" not in said


def test_input_is_fed_as_it_is_read(tmp_path: Path) -> None:
    """A long input passes whole, and only the tail of the output is kept."""
    chunks = (b"x" * 1_000_000 for _ in range(20))
    assert local(tmp_path).send("wc -c", chunks).split() == [b"20000000"]
    assert len(local(tmp_path).send("cat", iter([b"y" * 1_000_000]))) == 64 << 10


def test_a_bad_status_is_an_error_with_what_was_said(tmp_path: Path) -> None:
    """Status and standard error are told, also when the command did not read its input; good ones may be named."""
    with pytest.raises(CommandFailed, match="status 3 from a name: no") as caught:
        local(tmp_path).read("# pullagent: a name\necho no >&2; exit 3")
    assert (caught.value.status, caught.value.stderr) == (3, "no")
    with pytest.raises(CommandFailed, match="status 4"):
        local(tmp_path).send("exit 4", (b"x" * 1_000_000 for _ in range(9)))
    with pytest.raises(CommandFailed, match="status 137"):
        local(tmp_path).read("kill -KILL $$")
    with pytest.raises(HostError, match="before it had read everything"):
        local(tmp_path).send("exit 0", (b"x" * 1_000_000 for _ in range(9)))
    assert b"".join(local(tmp_path).open("echo a; exit 1", good=(0, 1))) == b"a\n"


def test_an_answer_is_bounded(tmp_path: Path) -> None:
    """More than was allowed ends in an error, not in memory."""
    with pytest.raises(HostError, match="longer than 1000 bytes"):
        local(tmp_path).read("yes", limit=1000)


def test_a_command_is_bounded_in_time(tmp_path: Path) -> None:
    """One that takes too long is killed, with all that it started."""
    with pytest.raises(HostError, match="longer than 1 s"):
        local(tmp_path, limit_s=1).read("sleep 300 & echo $! >child; wait")
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not alive(child), 10, "what it started has ended")


def test_a_stop_ends_a_load(tmp_path: Path) -> None:
    """A stop is heard while the command takes its input, and while it only works."""
    for command, chunks in (("sleep 300", _forever()), ("cat >/dev/null; sleep 300", iter([b"x"]))):
        stop = StopSignal()
        threading.Timer(0.5, stop.set).start()
        begun = time.monotonic()
        with pytest.raises(Stopped):
            local(tmp_path).send(command, chunks, stop)
        assert time.monotonic() - begun < 20


def test_an_error_of_the_input_ends_the_command(tmp_path: Path) -> None:
    """What goes wrong with the chunks passes through, and the command does not stay."""

    pid = tmp_path / "pid"

    def chunks() -> Iterator[bytes]:
        yield b"x"
        wait_until(pid.exists, 10, "it runs")
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        local(tmp_path).send("echo $$ >new; mv new pid; cat; sleep 300", chunks())
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def _forever() -> Iterator[bytes]:
    while True:
        yield b"x" * 1_000_000
