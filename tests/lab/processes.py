"""Long-running programs under guard, free ports, and bounded waits."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.lab import guard
from tests.lab.errors import LabError

# Below the range from which Linux takes ports for outgoing connections, so that a port stays ours while its
# server is down and is rebuilt.
_PORTS = range(20_000, 32_000)
_handed_out: set[int] = set()


def free_port() -> int:
    """A loopback TCP port that nothing listens on, never the same twice in one process."""
    for _ in range(200):
        port = random.choice(_PORTS)
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port
    raise LabError("found no free port")


def wait_free(port: int, seconds: float = 10) -> None:
    """Wait until a server could listen on `port`; LabError if another one keeps it.

    Without this a server that cannot bind passes for started: the other one answers in its place.
    """

    def bindable() -> bool:
        with socket.socket() as probe:
            # Connections of the last server that still time out are no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
            return True

    wait_until(bindable, seconds, f"port {port} is free")


def wait_until(predicate: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask `predicate` every 20 ms until it is true; LabError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.02)


def tail(log: Path, lines: int = 25) -> str:
    """The last lines of a log for an error message."""
    if not log.exists():
        return f"({log} does not exist)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        text = file.read().decode("utf-8", "replace")
    return "\n".join([f"--- end of {log}", *text.splitlines()[-lines:]])


def plain_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without anything of the developer's: PATH, HOME, C.UTF-8, UTC, and `extra`."""
    usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": usual, "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC", **(extra or {})}


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    data: bytes | None = None,
    seconds: float = 120,
) -> bytes:
    """Run a short program to its end and return its stdout; LabError unless it ends with 0."""
    command = [str(part) for part in argv]
    try:
        done = subprocess.run(
            command,
            env=env,
            cwd=cwd,
            input=data,
            capture_output=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL if data is None else None,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{command[0]} did not end within {seconds:g} s") from error
    if done.returncode != 0:
        said = (done.stderr + done.stdout[-2000:]).decode("utf-8", "replace").strip()
        raise LabError(f"{command[0]} ended with {done.returncode}: {said}")
    return done.stdout


class Process:
    """One server program. Constructing starts nothing; it can be started again after it has ended."""

    def __init__(self) -> None:
        self._guard: subprocess.Popen[bytes] | None = None
        self._program: int | None = None
        self._handle: int | None = None
        self.log: Path | None = None

    def start(self, argv: Sequence[str | Path], log: Path, env: Mapping[str, str]) -> None:
        """Start `argv` with exactly the environment `env`; its output is appended to `log`."""
        if self.alive:
            raise LabError(f"{argv[0]} is running already")
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        command = [sys.executable, "-I", "-S", guard.__file__, str(log), *(str(part) for part in argv)]
        self._guard = subprocess.Popen(
            command,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )
        line = _pipe(self._guard.stdout).readline()
        if not line:
            raise LabError(f"the guard of {argv[0]} did not start")
        self._program = int(line)
        try:
            # A pidfd can never reach a later process that was given the same pid.
            self._handle = os.pidfd_open(self._program)
        except ProcessLookupError:
            self._handle = None

    @property
    def alive(self) -> bool:
        """Whether the program (or what it left behind) is still there."""
        return self._guard is not None and self._guard.poll() is None

    @property
    def pid(self) -> int:
        """The program's pid; LabError if it is not running."""
        if not self.alive or self._program is None:
            raise LabError("the program is not running")
        return self._program

    @property
    def returncode(self) -> int | None:
        """How the program ended: its status, 128 + the signal's number, None while it runs."""
        return None if self._guard is None else self._guard.poll()

    def below(self) -> list[int]:
        """The pids of everything that the program started and that still runs."""
        if self._guard is None or not self.alive:
            return []
        return [pid for pid in guard.descendants(self._guard.pid) if pid != self._program]

    def stop(self, seconds: float = 20) -> None:
        """TERM, then KILL after `seconds`; nothing that the program started survives."""
        self._end(signal.SIGTERM, seconds)

    def kill(self) -> None:
        """KILL at once, as a crash or the OOM killer would."""
        self._end(signal.SIGKILL, 5)

    def reload(self) -> None:
        """HUP."""
        self._signal(signal.SIGHUP)

    def wait_ready(self, predicate: Callable[[], bool], seconds: float, what: str) -> None:
        """As `wait_until`, but gives up at once when the program has ended, and shows the end of its log."""
        try:
            wait_until(lambda: not self.alive or predicate(), seconds, what)
        except LabError as error:
            self.kill()
            raise LabError(f"{error}\n{self._tail()}") from error
        if not self.alive:
            raise LabError(f"ended with {self.returncode} before: {what}\n{self._tail()}")

    def _tail(self) -> str:
        return tail(self.log) if self.log else ""

    def _signal(self, number: int) -> None:
        if self._handle is None:
            return
        try:
            signal.pidfd_send_signal(self._handle, number)
        except ProcessLookupError:
            return

    def _end(self, number: int, seconds: float) -> None:
        if self._guard is None:
            return
        self._signal(number)
        try:
            self._guard.wait(seconds)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
        # Closing its stdin makes the guard kill whatever is left.
        _pipe(self._guard.stdin).close()
        try:
            self._guard.wait(15)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        _pipe(self._guard.stdout).close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise LabError("the guard has no pipe")
    return pipe


class Server:
    """What is said to every server of the laboratory, whichever program it is."""

    def __init__(self) -> None:
        self._process = Process()

    @property
    def alive(self) -> bool:
        """Whether it is running."""
        return self._process.alive

    def stop(self) -> None:
        """An orderly shutdown; the data stay."""
        self._process.stop(30)

    def kill(self) -> None:
        """KILL; the data stay as a crash leaves them."""
        self._process.kill()
