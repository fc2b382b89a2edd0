"""Standard output and error whose loss ends nothing: a reader that leaves, or a full disk, must not stop a backup."""

import io
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Raw(io.FileIO):
    """Bytes to an open descriptor. The first failure is kept in `lost`; from then on everything is dropped."""

    lost: OSError | None = None

    def write(self, data: "ReadableBuffer", /) -> int:
        """All of `data` where the descriptor would block, else as much as it takes."""
        while self.lost is None:
            try:
                written = super().write(data)
                if written is not None:
                    return written
                # a terminal or pipe that someone made non-blocking
                select.select([], [self], [])
            except OSError as error:
                self.lost = error
        return memoryview(data).nbytes


def guard() -> None:
    """Put guarded streams in place of sys.stdout and sys.stderr; what they cannot show they show escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _guarded(stream))


def lost(stream: TextIO) -> OSError | None:
    """Flush a guarded stream; why something of what was written to it is lost, or None."""
    stream.flush()
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.lost if isinstance(raw, _Raw) else None


def abandoned(stream: TextIO) -> bool:
    """Flush a stream; whether nobody reads what is written to it any more. Of a pipe that is known without a write."""
    if lost(stream) is not None:
        return True
    poll = select.poll()
    try:
        poll.register(stream, 0)
    except (OSError, ValueError):
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _guarded(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        stream.reconfigure(errors="backslashreplace")
        return stream
    stream.flush()
    buffer = io.BufferedWriter(_Raw(descriptor, "w", closefd=False))
    buffered = stream.line_buffering
    return io.TextIOWrapper(buffer, encoding=stream.encoding, errors="backslashreplace", line_buffering=buffered)
