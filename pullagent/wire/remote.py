"""A host as the sources see it in a pull: its streams gentle, slowed down and compressed, as hosts.toml says."""

import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from pullagent.diagnosis import Diagnosis, bad, good, of_error
from pullagent.errors import CommandFailed, ContentError, HostError, ProgramMissing, PullAgentError, Stopped
from pullagent.model import Address, Manner, Packed, StopSignal
from pullagent.sources.base import Remote, Source, Stream
from pullagent.wire.choice import Choice, Past, by_link, may_pay
from pullagent.wire.commands import FAILED, FAILED_STATUS, LINK, LINK_BYTES, VERSION, streamed
from pullagent.wire.frames import WINDOW_BYTES, Frame
from pullagent.wire.pace import Pace

# of the link's measurement; connections begin slowly
_WARM_UP_BYTES = 1 << 20
# a piece of a frame is at most half as long, and each of its blocks holds something
_BARREN_BYTES = 2 << 20
_AGAIN = "run it again"
_PLAIN = 'or write wire = "plain" in hosts.toml'


class Wire:
    """A host whose `streams` go over the wire in a manner of their own; everything else passes as it is."""

    def __init__(
        self, remote: Remote, streams: Collection[str], choice: Choice, *, nice: bool = False, pace: Pace | None = None
    ) -> None:
        self.name, self.choice = remote.name, choice
        self._remote, self._streams, self._nice, self._pace = remote, streams, nice, pace

    def open(self, command: str, good: tuple[int, ...] = (0,)) -> Stream:
        """As the host does; what comes compressed is given as `Packed` chunks."""
        if command not in self._streams:
            return self._remote.open(command, good)
        packed = self.choice.packed
        output: Stream = self._remote.open(streamed(command, nice=self._nice, packed=packed), good)
        if self._pace:
            output = _Slowed(output, self._pace)
        return _Unpacked(output, self.name) if packed else output

    def read(self, command: str, limit: int = 16 << 20) -> bytes:
        """As the host does."""
        return self._remote.read(command, limit)

    def send(self, command: str, chunks: Iterator[bytes], stop: StopSignal | None = None) -> bytes:
        """As the host does."""
        return self._remote.send(command, chunks, stop)

    def converse(self, command: str, chunks: Iterator[bytes], stop: StopSignal | None = None) -> Stream:
        """As the host does, no faster than it may be read."""
        output = self._remote.converse(command, chunks, stop)
        return _Slowed(output, self._pace) if self._pace else output

    @contextmanager
    def to(self, address: Address) -> Iterator[Remote]:
        """As the host does, no faster than it may be read."""
        with self._remote.to(address) as there:
            yield paced(there, self._pace)


def paced(remote: Remote, pace: Pace | None) -> Remote:
    """A host whose conversations are no faster than it may be read; nothing of it is compressed."""
    return Wire(remote, (), Choice(False), pace=pace) if pace else remote


def wired(
    remote: Remote, source: Source, manner: Manner, past: Callable[[], Past | None], pace: Pace | None = None
) -> Wire:
    """A host with the manner of hosts.toml for the streams of `source`.

    `past`, asked for only where it counts: the source's last good snapshot. ProgramMissing where the host must compress
    and has no zstd program.
    """
    streams = source.streams()
    choice = _choose(remote, manner, past, pace) if streams else Choice(False)
    return Wire(remote, streams, choice, nice=manner.nice, pace=pace)


def _choose(remote: Remote, manner: Manner, past: Callable[[], Past | None], pace: Pace | None) -> Choice:
    if manner.wire == "zstd":
        try:
            version = _version(remote)
        except CommandFailed as error:
            raise HostError(error.message, f"is zstd there older than 1.3.4? Install a newer one, {_PLAIN}") from error
        if version is None:
            raise ProgramMissing(
                f"{remote.name}: there is no zstd program, and hosts.toml has it compress", _install(remote.name)
            )
        return Choice(True, zstd=version)
    last = past() if manner.wire == "auto" else None
    if last is None or not may_pay(last):
        return Choice(False)
    try:
        choice = by_link(last, _bytes_per_s(remote, pace))
        version = _version(remote) if choice.packed else None
    except CommandFailed as error:
        return Choice(False, f"not compressed on the wire: {error.message}")
    if choice.packed and version is None:
        return Choice(False, "not compressed on the wire, though it would pay: there is no zstd program there")
    return replace(choice, zstd=version)


def compressor(remote: Remote, manner: Manner) -> Diagnosis:
    """Whether the host has what it compresses with, where it is to."""
    try:
        version = _version(remote)
    except Stopped:
        raise
    except PullAgentError as error:
        return of_error("compression", error)
    if version is not None:
        return good("compression", version)
    if manner.wire == "zstd":
        return bad("compression", "there is no zstd program", _install(remote.name))
    return good("compression", "there is no zstd program: dumps come uncompressed, also where the link is slow")


def _version(remote: Remote) -> str | None:
    """What the zstd program there says of itself; None where there is none."""
    try:
        answer = remote.read(VERSION, limit=1 << 16)
    except CommandFailed as error:
        if error.status == 127:
            return None
        raise
    # it comes to stand in the manifest, and on screens
    first = answer.decode(errors="replace").strip().partition("\n")[0]
    return "".join(c if c.isprintable() else "?" for c in first.strip("* ").partition(", by")[0])


def _install(name: str) -> str:
    return f"install it on {name}: apt-get install zstd, {_PLAIN}"


def _bytes_per_s(remote: Remote, pace: Pace | None) -> float:
    """How fast the link is, with zeros that the host makes at once. Connections begin slowly: the start is left out."""
    count, begun, at = 0, time.monotonic(), 0
    output = remote.open(LINK)
    for chunk in _Slowed(output, pace) if pace else output:
        count += len(chunk)
        if count <= _WARM_UP_BYTES:
            begun, at = time.monotonic(), count
        # a host may send more than it was asked for, without end
        if count > LINK_BYTES:
            break
    return (count - at) / max(time.monotonic() - begun, 1e-6)


class _Through:
    """A stream that passes through our hands."""

    def __init__(self, output: Stream) -> None:
        self._output = output

    @property
    def stderr(self) -> str:
        """What the command, and zstd beside it, wrote to standard error."""
        return self._output.stderr

    @property
    def status(self) -> int | None:
        """How the command ended, not zstd."""
        return self._output.status


class _Slowed(_Through):
    """A stream no faster than its host may be read."""

    def __init__(self, output: Stream, pace: Pace) -> None:
        super().__init__(output)
        self._pace = pace

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._output:
            self._pace.take(len(chunk))
            yield chunk


class _Unpacked(_Through):
    """A stream that comes as one zstd frame, decompressed, each chunk with the bytes that it came as."""

    def __init__(self, output: Stream, name: str) -> None:
        super().__init__(output)
        self._name = name

    def __iter__(self) -> Iterator[bytes]:
        # not for who only wants a pace, each minute
        import zstandard

        frame, came, passed = Frame(), bytearray(), 0
        unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj()
        try:
            for chunk in self._output:
                for piece in frame.pieces(chunk):
                    came += piece
                    plain = unpacker.decompress(piece) if piece else b""
                    if plain:
                        yield Packed.of(plain, bytes(came), passed)
                        passed += len(came)
                        came.clear()
                    elif len(came) > _BARREN_BYTES:
                        raise ContentError(f"{self._name}: what zstd there sent goes on, and holds nothing", _AGAIN)
        except CommandFailed as error:
            raise self._explained(error) from error
        except zstandard.ZstdError as error:
            raise ContentError(f"{self._name}: what zstd there sent is not sound: {error}", _AGAIN) from error
        frame.finish()
        if not unpacker.eof:
            raise ContentError(f"{self._name}: what zstd there sent is not whole", _AGAIN)
        yield Packed.of(b"", bytes(came), passed, last=True)

    def _explained(self, error: CommandFailed) -> HostError:
        found = re.search(rf"^{re.escape(FAILED)}(\d+)$", error.stderr, re.MULTILINE)
        if error.status != FAILED_STATUS or found is None:
            return error
        said = error.stderr.replace(found[0], "").strip()
        words = f": {said[-2000:]}" if said else ""
        status = int(found[1])
        hint = "out of memory there?  journalctl -k | grep -i 'killed process'" if status in (137, 265) else ""
        if status == 127:
            hint = _install(self._name)
        return HostError(f"{self._name}: zstd there ended with status {status}{words}", hint or f"{_AGAIN}, {_PLAIN}")
