"""A running remote command: its output as it comes, its input, its standard error apart, its end judged."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from pullagent.errors import CommandFailed, ConnectionLost, HostError, Stopped
from pullagent.host.login import Limits
from pullagent.model import StopSignal

if TYPE_CHECKING:
    import paramiko

# fits the cache of a core, through which each chunk passes several times: hashed, checked, compressed
CHUNK = 256 << 10
STDERR_KEPT = 64 << 10
TICK_S = 1.0
_PACKET = 32 << 10
_LAST_WORDS_S = 15


class Output:
    """A running remote command. Iterating yields its output and ends only if it ended with a good status."""

    def __init__(
        self,
        channel: "paramiko.Channel",
        command: str,
        good: tuple[int, ...],
        name: str,
        limits: Limits,
        stop: StopSignal,
    ) -> None:
        self._channel, self._command, self._good, self._name = channel, command, good, name
        self._limits, self._stop = limits, stop
        self._begun = time.monotonic()
        self._last_byte: float | None = None
        self._stderr = b""
        self.status: int | None = None
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, *_: object) -> None:
        self._shut()

    @property
    def stderr(self) -> str:
        """The last 64 KiB that the command wrote to standard error; whole once the stream has ended."""
        return self._stderr.decode(errors="replace")

    def __iter__(self) -> Iterator[bytes]:
        try:
            while chunk := self._receive():
                yield chunk
                # from here on: what the reader took its time for is no stall of the host's
                self._last_byte = time.monotonic()
            self._expect_good_end()
        finally:
            self._shut()

    def feed(self, chunks: Iterable[bytes]) -> bytes:
        """Write `chunks` to the command's input, close it, wait for the good end; the tail of its output."""
        import paramiko

        tail = _Tail(self._receive)
        tail.start()
        try:
            self._transmit_all(chunks)
            self._channel.shutdown_write()
        except (OSError, EOFError, paramiko.SSHException) as error:
            # the command ended before it had read all: its status says more than the broken pipe
            tail.join()
            self._expect_good_end()
            raise ConnectionLost(
                f"{self._name}: the command ended before it had read everything: {brief(self._command)}"
            ) from error
        tail.join()
        if tail.error is not None:
            raise tail.error
        self._expect_good_end()
        return tail.data

    def hear(self, chunks: Iterable[bytes]) -> None:
        """Write `chunks` to the command's input, and then close it, in a thread of its own.

        What goes wrong there shows where the output is read.
        """
        threading.Thread(target=self._write, args=(chunks,), daemon=True).start()

    def _write(self, chunks: Iterable[bytes]) -> None:
        import paramiko

        with suppress(OSError, EOFError, paramiko.SSHException, HostError, Stopped):
            for chunk in chunks:
                self._transmit(memoryview(chunk))
            self._channel.shutdown_write()

    def _transmit_all(self, chunks: Iterable[bytes]) -> None:
        """Send each chunk while the next one is being made."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="transmit") as transmitter:
            try:
                under_way = None
                for chunk in chunks:
                    self._stop.check()
                    if under_way is not None:
                        under_way.result()
                    under_way = transmitter.submit(self._transmit, memoryview(chunk))
                if under_way is not None:
                    under_way.result()
            except BaseException:
                # what is still being sent must not be waited for
                self._shut()
                raise

    def _transmit(self, view: memoryview) -> None:
        # in pieces of one packet: Channel.sendall() copies what is left after each packet
        while view:
            try:
                view = view[self._channel.send(bytes(view[:_PACKET])) :]
            except TimeoutError:
                self._check_limits()

    def _receive(self) -> bytes:
        import paramiko

        # also while bytes come: whoever takes them may have nothing to give on, and would never look
        self._stop.check()
        self._check_total()
        while True:
            try:
                return bytes(self._channel.recv(CHUNK))
            except TimeoutError:
                self._check_limits()
            except (OSError, EOFError, paramiko.SSHException) as error:
                raise ConnectionLost(f"{self._name}: the connection was lost: {error}", _AGAIN) from error

    def _listen(self) -> None:
        import paramiko

        while True:
            try:
                text = self._channel.recv_stderr(_PACKET)
            except TimeoutError:
                continue
            except (OSError, EOFError, paramiko.SSHException):
                # whoever reads the output tells of a connection that has ended
                return
            if not text:
                return
            if self._last_byte is not None:
                # a word here shows life, but the clock starts with the output: `influxd backup` speaks, then works
                self._last_byte = time.monotonic()
            self._stderr = (self._stderr + text)[-STDERR_KEPT:]

    def _shut(self) -> None:
        """Close the channel; where the connection is gone the library fails to say so to the other side."""
        import paramiko

        with suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()

    def _check_limits(self) -> None:
        self._stop.check()
        now = time.monotonic()
        if self._last_byte is not None and now - self._last_byte > self._limits.stall_s:
            raise ConnectionLost(
                f"{self._name}: no byte came for {self._limits.stall_s:.0f} s",
                "is the host or the network stuck? The limit is [ssh] stall_s",
            )
        self._check_total()

    def _check_total(self) -> None:
        if time.monotonic() - self._begun > self._limits.total_s:
            raise ConnectionLost(
                f"{self._name}: the command took longer than {self._limits.total_s:.0f} s: {brief(self._command)}",
                "the limit is [ssh] total_s",
            )

    def _expect_good_end(self) -> None:
        deadline = time.monotonic() + self._limits.stall_s
        while not self._channel.status_event.wait(TICK_S):
            self._stop.check()
            if time.monotonic() > deadline:
                raise ConnectionLost(
                    f"{self._name}: the command closed its output, but does not end: {brief(self._command)}"
                )
        self._listener.join(_LAST_WORDS_S)
        self.status = self._channel.exit_status
        if self.status in self._good:
            if not self._channel.eof_received:
                # a status may come before the last output: without its end that is not known to be whole
                raise self._lost(f" near the end of {brief(self._command)}")
            return
        said = self.stderr.strip()
        words = f": {said[-2000:]}" if said else ""
        if self.status == -1:
            if not self._channel.get_transport().is_active():
                raise self._lost(words)
            raise CommandFailed(
                f"{self._name}: killed by a signal: {brief(self._command)}{words}", _OOM_HINT, status=-1, stderr=said
            )
        hint = _OOM_HINT if self.status == 137 else ""
        raise CommandFailed(
            f"{self._name}: status {self.status} from {brief(self._command)}{words}",
            hint,
            status=self.status,
            stderr=said,
        )

    def _lost(self, words: str) -> HostError:
        """Why a connection that is no longer there ended."""
        from pullagent.host.bounds import Misbehaved
        from pullagent.host.failures import misbehaved

        cause = self._channel.get_transport().get_exception()
        if isinstance(cause, Misbehaved):
            return misbehaved(self._name, cause)
        return ConnectionLost(f"{self._name}: the connection was lost{words}", _AGAIN)


_AGAIN = "run it again once the host is back"
_OOM_HINT = "out of memory there?  journalctl -k | grep -i 'killed process'"


class _Tail(threading.Thread):
    """Reads a command's output to its end while its input is being written; keeps the last 64 KiB."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        super().__init__(daemon=True)
        self._receive = receive
        self.data = b""
        self.error: Exception | None = None

    def run(self) -> None:
        """Read until the end."""
        try:
            while chunk := self._receive():
                self.data = (self.data + chunk)[-STDERR_KEPT:]
        except (OSError, HostError, Stopped) as error:
            self.error = error


def brief(command: str) -> str:
    """A command's first line, where sources say what it is for."""
    first = command.strip().splitlines()[0].removeprefix("# pullagent: ")
    return first if len(first) <= 70 else first[:69] + "…"
