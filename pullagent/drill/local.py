"""Shell commands on this machine, as a source sends them to a host: streams both ways, stderr apart, the end judged.

They run with another account's rights where one is given, in a session of their own, and none outlives its use.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn

from pullagent.errors import CommandFailed, HostError, PullAgentError, Stopped
from pullagent.host.command import CHUNK, STDERR_KEPT, brief
from pullagent.model import Address, StopSignal
from pullagent.privileges import Owner

_TICK_S = 0.2
_LAST_WORDS_S = 5


class LocalHost:
    """This machine as a source sees a host. `account` None: the caller's own; `limit_s`: for each command."""

    def __init__(
        self,
        name: str,
        directory: Path,
        account: Owner | None,
        environment: Mapping[str, str],
        limit_s: float,
        stop: StopSignal,
    ) -> None:
        self.name, self.directory, self.account = name, directory, account
        self._environment, self._limit_s, self._stop = dict(environment), limit_s, stop

    def open(self, command: str, good: tuple[int, ...] = (0,)) -> "Output":
        """Start a command whose output is to be read as it comes."""
        return self._started(command, good, self._stop, subprocess.DEVNULL)

    def read(self, command: str, limit: int = 16 << 20) -> bytes:
        """All that a command writes to its standard output, at most `limit` bytes; HostError when it is more."""
        answer = bytearray()
        with self.open(command) as output:
            for chunk in output:
                answer += chunk
                if len(answer) > limit:
                    raise HostError(f"{self.name}: an answer is longer than {limit} bytes: {brief(command)}")
        return bytes(answer)

    def send(self, command: str, chunks: Iterable[bytes], stop: StopSignal | None = None) -> bytes:
        """Run a command with `chunks` as its standard input; what it wrote to standard output (the last 64 KiB)."""
        with self._started(command, (0,), stop or self._stop, subprocess.PIPE) as output:
            return output.feed(chunks)

    def converse(self, command: str, chunks: Iterable[bytes], stop: StopSignal | None = None) -> "Output":
        """Start a command that reads `chunks`, as they come, while its output is read."""
        output = self._started(command, (0,), stop or self._stop, subprocess.PIPE)
        output.hear(chunks)
        return output

    def to(self, address: Address) -> NoReturn:
        """There is no way from here: HostError."""
        raise HostError(f"{self.name} logs in nowhere: {address.place}")

    def _started(self, command: str, good: tuple[int, ...], stop: StopSignal, stdin: int) -> "Output":
        self._stop.check()
        process = self._start(["/bin/sh", "-c", command], stdin, subprocess.PIPE, subprocess.PIPE)
        return Output(process, command, good, self.name, self._limit_s, stop)

    def _start(self, argv: list[str], stdin: int, stdout: int | IO[bytes], stderr: int) -> "subprocess.Popen[bytes]":
        """A program with the account's rights, its environment and nothing of ours."""
        rights: dict[str, Any] = {}
        if self.account is not None:
            rights = {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        try:
            return subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                bufsize=0,
                env=self._environment,
                cwd=self.directory,
                umask=0o077,
                start_new_session=True,
                **rights,
            )
        except OSError as error:
            raise HostError(f"{argv[0]} cannot be run: {error.strerror}") from error


class Output:
    """A running command. Iterating yields its output and ends only if it ended with a good status."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        command: str,
        good: tuple[int, ...],
        name: str,
        limit_s: float,
        stop: StopSignal,
    ) -> None:
        self._process, self._command, self._good, self._name = process, command, good, name
        self._limit_s, self._stop = limit_s, stop
        self._stderr, self._over = b"", threading.Event()
        self.status: int | None = None
        self._cause: PullAgentError | None = None
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        threading.Thread(target=self._watch, daemon=True).start()

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def stderr(self) -> str:
        """The last 64 KiB that the command wrote to standard error; whole once the stream has ended."""
        return self._stderr.decode(errors="replace")

    def __iter__(self) -> Iterator[bytes]:
        try:
            while chunk := _pipe(self._process.stdout).read(CHUNK):
                yield chunk
            self._expect_good_end()
        finally:
            self._end()

    def feed(self, chunks: Iterable[bytes]) -> bytes:
        """Write `chunks` to the command's input, close it, wait for the good end; the tail of its output."""
        tail = _Tail(_pipe(self._process.stdout))
        tail.start()
        try:
            self._write(chunks)
        except BrokenPipeError as error:
            # the command ended before it had read all: its status says more than the broken pipe
            tail.join()
            self._expect_good_end()
            raise HostError(
                f"{self._name}: the command ended before it had read everything: {brief(self._command)}"
            ) from error
        tail.join()
        self._expect_good_end()
        return tail.data

    def hear(self, chunks: Iterable[bytes]) -> None:
        """Write `chunks` to the command's input in a thread of its own; its end shows where the output is read."""

        def write() -> None:
            with suppress(OSError, ValueError):
                self._write(chunks)

        threading.Thread(target=write, daemon=True).start()

    def _write(self, chunks: Iterable[bytes]) -> None:
        stdin = _pipe(self._process.stdin)
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[stdin.write(view) :]
        stdin.close()

    def _listen(self) -> None:
        with suppress(OSError, ValueError):
            while text := _pipe(self._process.stderr).read(STDERR_KEPT):
                self._stderr = (self._stderr + text)[-STDERR_KEPT:]

    def _watch(self) -> None:
        """Kill the command when it is to stop or has had its time: whoever reads or writes then meets its end."""
        deadline = time.monotonic() + self._limit_s
        while not self._over.wait(_TICK_S):
            if self._stop.is_set():
                self._cause = Stopped("stopped before it was done", "run it again")
            elif time.monotonic() > deadline:
                self._cause = HostError(
                    f"{self._name}: the command took longer than {self._limit_s:.0f} s: {brief(self._command)}",
                    "the limit is [ssh] total_s",
                )
            if self._cause is not None:
                self._kill()
                return

    def _kill(self) -> None:
        """Only while it is not waited for: then its number is still its own."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _end(self) -> None:
        self._over.set()
        self._kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._listener.join(_LAST_WORDS_S)
        if not self._listener.is_alive():
            _pipe(self._process.stderr).close()

    def _expect_good_end(self) -> None:
        code = self._process.wait()
        self._listener.join(_LAST_WORDS_S)
        if self._cause is not None:
            raise self._cause
        self.status = status = 128 - code if code < 0 else code
        if status in self._good:
            return
        said = self.stderr.strip()
        words = f": {said[-2000:]}" if said else ""
        raise CommandFailed(
            f"{self._name}: status {status} from {brief(self._command)}{words}", status=status, stderr=said
        )


class _Tail(threading.Thread):
    """Reads a command's output to its end while its input is being written; keeps the last 64 KiB."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._pipe, self.data = pipe, b""

    def run(self) -> None:
        """Read until the end."""
        with suppress(OSError, ValueError):
            while chunk := self._pipe.read(CHUNK):
                self.data = (self.data + chunk)[-STDERR_KEPT:]


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
