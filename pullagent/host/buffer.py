"""What has come through a channel and waits to be read: the pieces as they came, joined once when they are taken."""

import threading
from collections import deque

from paramiko.buffered_pipe import PipeTimeout

# a reader that keeps up with the network is not woken for each packet, but waits this long for more of them
_WORTH_BYTES = 128 << 10
_PATIENCE_S = 0.002
# a host may send a byte at a time, and an object for each would take forty times as much
_SMALL_BYTES = 8 << 10


class Pieces:
    """Stands in for a channel's `paramiko.buffered_pipe.BufferedPipe`, which copies every byte twice more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._closed = False
        self._pieces: deque[bytes] = deque()
        self._held = 0

    def feed(self, data: bytes) -> None:
        """Take what came; called by the connection's thread."""
        with self._changed:
            if self._pieces and len(self._pieces[-1]) + len(data) <= _SMALL_BYTES:
                self._pieces[-1] += data
            else:
                self._pieces.append(data)
            self._held += len(data)
            if self._held == len(data) or self._held >= _WORTH_BYTES:
                self._changed.notify_all()

    def read(self, nbytes: int, timeout: float | None = None) -> bytes:
        """At least one byte and at most `nbytes`; none once it is closed and empty. PipeTimeout after `timeout` s."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._held or self._closed, timeout):
                raise PipeTimeout
            if 0 < self._held < min(nbytes, _WORTH_BYTES) and not self._closed:
                self._changed.wait_for(lambda: self._held >= _WORTH_BYTES or self._closed, _PATIENCE_S)
            return self._take(nbytes)

    def _take(self, nbytes: int) -> bytes:
        taken, size = list[bytes](), 0
        while self._pieces and size < nbytes:
            piece = self._pieces.popleft()
            if size + len(piece) > nbytes:
                self._pieces.appendleft(piece[nbytes - size :])
                piece = piece[: nbytes - size]
            taken.append(piece)
            size += len(piece)
        self._held -= size
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def close(self) -> None:
        """Nothing more will come; what waits can still be read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def read_ready(self) -> bool:
        """Whether a byte waits."""
        return len(self) > 0

    def __len__(self) -> int:
        """How many bytes wait."""
        with self._changed:
            return self._held
