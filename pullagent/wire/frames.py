"""The outside of a zstd frame, walked as it comes in: what it claims, and where it ends. Pure.

The library would accept a cut frame, skip what is no frame, and make gigabytes of a kilobyte at one call. Format:
RFC 8878, section 3.1.1.
"""

from collections.abc import Generator, Iterator

from pullagent.errors import ContentError

WINDOW_BYTES = 8 << 20
_MAGIC = b"\x28\xb5\x2f\xfd"
_RLE, _RESERVED = 1, 3
_BLOCKS_AT_ONCE = 8
_LOGIN_SCRIPT = "does a login script (.bashrc, .profile) print something there? It must be silent"
_OTHER_PROGRAM = 'is that the zstd program of the system there? Without it:  wire = "plain" in hosts.toml'


class Frame:
    """One frame as the zstd program writes it: no dictionary, a window that a stream may take, a checksum."""

    def __init__(self) -> None:
        self.ended = False
        self._walk = self._parts()
        self._wanted, self._head = next(self._walk), bytearray()
        self._begun = False
        self._skip, self._blocks = 0, 0

    def pieces(self, chunk: bytes) -> Iterator[memoryview]:
        """The next bytes, in pieces that make at most 1.2 MB each; ContentError for what may not come."""
        view, start, at = memoryview(chunk), 0, 0
        while at < len(view):
            if self.ended:
                raise ContentError("bytes follow the end of what zstd there sent", _LOGIN_SCRIPT)
            if self._skip:
                step = min(self._skip, len(view) - at)
                self._skip -= step
            else:
                step = min(self._wanted - len(self._head), len(view) - at)
                self._take(view[at : at + step])
            at += step
            if self._blocks == _BLOCKS_AT_ONCE:
                yield view[start:at]
                start, self._blocks = at, 0
        yield view[start:]

    def finish(self) -> None:
        """The stream has ended; ContentError when the frame has not."""
        if not self.ended:
            raise ContentError("what zstd there sent is cut short", "was it ended there? Run it again")

    def _take(self, part: memoryview) -> None:
        self._head += part
        # told at once, for a login script's words may be all that comes
        if not self._begun and not _MAGIC.startswith(self._head[: len(_MAGIC)]):
            raise ContentError("what comes is not what zstd writes", _LOGIN_SCRIPT)
        if len(self._head) < self._wanted:
            return
        head, self._head = bytes(self._head), bytearray()
        try:
            self._wanted = self._walk.send(head)
        except StopIteration:
            self.ended = True

    def _parts(self) -> Generator[int, bytes, None]:
        """Asks for the bytes of each header by their number; what lies between is skipped."""
        descriptor = (yield len(_MAGIC) + 1)[-1]
        self._begun = True
        single, dictionary = descriptor >> 5 & 1, descriptor & 3
        if dictionary or descriptor & 8 or not descriptor & 4:
            what = "has no checksum" if not descriptor & 4 else "asks for a dictionary"
            raise ContentError(f"what zstd there sent {what}", _OTHER_PROGRAM)
        size_bytes = (single, 2, 4, 8)[descriptor >> 6]
        fields = yield (1 - single) + size_bytes
        if _window(fields, single=bool(single)) > WINDOW_BYTES:
            raise ContentError(
                f"what zstd there sent needs a window of more than {WINDOW_BYTES >> 20} MiB", _OTHER_PROGRAM
            )
        last = 0
        while not last:
            header = int.from_bytes((yield 3), "little")
            last, kind, size = header & 1, header >> 1 & 3, header >> 3
            if kind == _RESERVED:
                raise ContentError("what zstd there sent is not sound: a block of no known kind")
            self._skip = 1 if kind == _RLE else size
            self._blocks += 1
        yield 4


def _window(fields: bytes, *, single: bool) -> int:
    """How many bytes back the frame refers; a frame in a single segment, to its own beginning."""
    if single:
        # 2 bytes count from 256
        return int.from_bytes(fields, "little") + (256 if len(fields) == 2 else 0)
    base = 1 << 10 + (fields[0] >> 3)
    return base + base // 8 * (fields[0] & 7)
