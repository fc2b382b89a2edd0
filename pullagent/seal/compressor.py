"""Chunks of a plain stream into one zstd frame."""

from typing import Any

import zstandard

from pullagent.errors import SealError
from pullagent.model import Packed

# two threads, for compression is more than half of the work; jobs of a quarter of the library's size keep them small
_THREADS, _JOB = 2, 2 << 20
_DEFECT = "this is a defect: report it"


class Compressor:
    """Compresses chunks. What came compressed is passed on as it came: all of an artifact, or nothing of it."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._own: Any = None
        self._passed, self._ended = 0, False

    def compress(self, chunk: bytes) -> bytes:
        """What the next chunk adds to the frame."""
        if isinstance(chunk, Packed) and self._own is None:
            return self._pass(chunk)
        if self._passed:
            raise SealError("a stream that came compressed has lost a part", _DEFECT)
        if self._own is None:
            self._own = self._begin()
        return bytes(self._own.compress(chunk))

    def flush(self) -> bytes:
        """The end of the frame."""
        if self._ended:
            return b""
        if self._passed:
            raise SealError("a stream that came compressed has lost its end", _DEFECT)
        return bytes((self._own or self._begin()).flush())

    def _begin(self) -> Any:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            self._level, threads=_THREADS, job_size=_JOB, write_checksum=1
        )
        return zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def _pass(self, chunk: Packed) -> bytes:
        if chunk.at != self._passed or self._ended:
            raise SealError("a stream that came compressed has lost a part", _DEFECT)
        self._passed += len(chunk.packed)
        self._ended = chunk.last
        return chunk.packed
