"""Stored files as they lie there: opened without following a link, hashed, compared with their manifest."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pullagent.errors import DamageError
from pullagent.manifest import ArtifactEntry

ANOTHER = "take another snapshot: pullagent list"
# fits the cache of a core: larger reads hash no faster
READ_BYTES = 256 << 10


def hash_file(path: Path, advanced: Callable[[int], None] = lambda _: None) -> tuple[int, str]:
    """Size in bytes and SHA-256 in hex of a file; OSError. A link is not followed, and only a plain file is read."""
    digest, count, buffer = hashlib.sha256(), 0, bytearray(READ_BYTES)
    view = memoryview(buffer)
    with _plain_file(path) as file:
        while length := os.readv(file.fileno(), [buffer]):
            digest.update(view[:length])
            count += length
            advanced(length)
    return count, digest.hexdigest()


def stored_file(path: Path) -> IO[bytes]:
    """A stored file, opened for reading; DamageError when it is missing, a link, or anything else but a plain file."""
    try:
        return _plain_file(path)
    except OSError as error:
        raise DamageError(f"{path}: {error.strerror}", ANOTHER) from error


def _plain_file(path: Path) -> IO[bytes]:
    try:
        # no waiting at a pipe
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "a link, which is not followed", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "rb", buffering=0)


def check_stored(path: Path, entry: ArtifactEntry, advanced: Callable[[int], None] = lambda _: None) -> None:
    """Compare a stored file with its manifest's size and SHA-256; DamageError when it differs."""
    try:
        count, digest = hash_file(path, advanced)
    except OSError as error:
        raise DamageError(f"{path}: {error.strerror}", ANOTHER) from error
    if (count, digest) != (entry.stored_bytes, entry.stored_sha256):
        raise DamageError(
            f"{path}: differs from what was stored: {count} bytes, SHA-256 {digest[:16]}…; "
            f"expected {entry.stored_bytes} bytes, {entry.stored_sha256[:16]}…",
            "this snapshot is damaged: take another (pullagent list), and look at the disk it lies on",
        )
