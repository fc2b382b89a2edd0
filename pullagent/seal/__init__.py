"""Chunks -> zstd -> age -> SHA-256 -> file, and back, in constant memory.

The reference `age` program encrypts and decrypts; its exit status, and the size that its format prescribes for
what went in, are both part of the result.
"""

import hashlib
import os
import threading
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import IO

import zstandard

from pullagent.errors import DamageError, SealError, store_error
from pullagent.manifest import ArtifactEntry
from pullagent.model import Sealed, StopSignal
from pullagent.seal.age import age_version, check_recipients, recipient_flags, running, sealed_size
from pullagent.seal.compressor import Compressor
from pullagent.seal.identity import IDENTITY_LIMIT, Identity
from pullagent.seal.stored import ANOTHER, READ_BYTES, check_stored, hash_file, stored_file

__all__ = [
    "IDENTITY_LIMIT",
    "Identity",
    "age_version",
    "check_recipients",
    "check_stored",
    "hash_file",
    "seal",
    "stored_file",
    "unseal",
]

# long enough that decompression and what is done with it, one thread each, seldom wait for each other
CHUNK = 4 << 20
SUFFIX = ".zst.age"
_SEALED_READ_BYTES = 128 << 10
_HEADER_LIMIT = 1 << 20
# what may lie in memory before the disk is told to begin: all of it at the end would take a slow one seconds
_WRITE_BACK_BYTES = 8 << 20


def seal(
    name: str,
    chunks: Iterable[bytes],
    path: Path,
    *,
    recipients: Sequence[str],
    level: int,
    stop: StopSignal | None = None,
) -> Sealed:
    """Compress and encrypt `chunks` into the new file `path`, read-only and on disk when this returns.

    Errors of `chunks` pass through; SealError and StoreError for everything on this side.
    """
    compressor = Compressor(level)
    digest, plain_bytes, compressed_bytes = hashlib.sha256(), 0, 0
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    except OSError as error:
        raise store_error(path, error) from error
    with (
        os.fdopen(descriptor, "wb", buffering=0) as file,
        running(["-e", *recipient_flags(recipients)], stop=stop) as age,
    ):
        writer = _Writer(age.stdout, file)
        with age.outlived_by(writer), age.feeding(writer.failure):
            for chunk in chunks:
                digest.update(chunk)
                plain_bytes += len(chunk)
                compressed_bytes += age.send(compressor.compress(chunk))
            compressed_bytes += age.send(compressor.flush())
        age.expect_success(writer.failure)
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise store_error(path, error) from error
    if writer.count != sealed_size(writer.header_bytes, compressed_bytes):
        raise SealError(
            f"age wrote {writer.count} bytes, not what its format takes for {compressed_bytes}",
            "is the age program sound?",
        )
    return Sealed(name, path.name, plain_bytes, digest.hexdigest(), writer.count, writer.digest.hexdigest())


def unseal(path: Path, entry: ArtifactEntry, identity: Identity) -> Generator[bytes, None, None]:
    """Decrypt and decompress a stored file into chunks of at most 4 MiB.

    After the last chunk the size and SHA-256 of the plain stream are compared with `entry`: DamageError when they
    differ, or the file is none, WrongIdentity when the identity does not open it, SealError when age fails otherwise.
    """
    digest, count = hashlib.sha256(), 0
    arguments = ["-d", "-i", f"/proc/self/fd/{identity.descriptor}"]
    # age is given what was opened here: by the path it would follow a link
    with stored_file(path) as file, running(arguments, pass_fds=(identity.descriptor,), source=file) as age:
        reader = zstandard.ZstdDecompressor().stream_reader(
            age.stdout, read_size=_SEALED_READ_BYTES, read_across_frames=True
        )
        try:
            while chunk := reader.read(CHUNK):
                digest.update(chunk)
                count += len(chunk)
                if count > entry.plain_bytes:
                    raise DamageError(f"{path}: its content is longer than its manifest says", ANOTHER)
                yield chunk
        except zstandard.ZstdError as error:
            age.expect_success(lambda: None)
            raise DamageError(f"{path}: not a sound zstd stream: {error}", ANOTHER) from error
        age.expect_success(lambda: None)
    if (count, digest.hexdigest()) != (entry.plain_bytes, entry.plain_sha256):
        raise DamageError(f"{path}: its content is not what its manifest says", ANOTHER)


class _Writer(threading.Thread):
    """Takes what age puts out, hashes it, writes it to the file; keeps the first error."""

    def __init__(self, source: IO[bytes], file: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._source, self._file = source, file
        self._error: Exception | None = None
        self._head = b""
        self._begun = 0
        self.digest, self.count, self.header_bytes = hashlib.sha256(), 0, 0

    def failure(self) -> Exception | None:
        """The error that ended it, once it has ended; None if all was written."""
        self.join()
        return self._error

    def run(self) -> None:
        """Copy until age closes its output."""
        try:
            buffer = bytearray(READ_BYTES)
            view = memoryview(buffer)
            while length := os.readv(self._source.fileno(), [buffer]):
                self._take(view[:length])
        except OSError as error:
            self._error = store_error(Path(str(self._file.name)), error)
        except SealError as error:
            self._error = error
        finally:
            # age meets a closed pipe, ends, and so ends the thread that feeds it
            self._source.close()

    def _take(self, view: memoryview) -> None:
        if not self.header_bytes:
            self._find_header_end(bytes(view))
        self.digest.update(view)
        self.count += len(view)
        while view:
            view = view[self._file.write(view) :]
        if self.count - self._begun >= _WRITE_BACK_BYTES:
            # Linux begins to write out what it is told of and cannot drop yet, without waiting for it (mm/fadvise.c)
            os.posix_fadvise(self._file.fileno(), self._begun, self.count - self._begun, os.POSIX_FADV_DONTNEED)
            self._begun = self.count

    def _find_header_end(self, chunk: bytes) -> None:
        self._head += chunk
        mac = self._head.find(b"\n--- ")
        end = self._head.find(b"\n", mac + 5) if mac >= 0 else -1
        if end >= 0:
            self.header_bytes, self._head = end + 1, b""
        elif len(self._head) > _HEADER_LIMIT:
            raise SealError("what age writes does not begin with an age header", "is the age program sound?")
