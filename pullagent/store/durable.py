"""What the store asks of a file system: writes that are on disk when they return, and reads that follow no link."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pullagent.errors import store_error

_DESCRIPTION_BYTES = 8 << 20


def directories(directory: Path) -> list[str]:
    """The names of the directories in `directory`, links to some left out; none when it is not there."""
    try:
        with os.scandir(directory) as entries:
            return [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def replace_durably(path: Path, data: bytes, mode: int) -> None:
    """Put a whole new file in the place of one, or of none; on disk when this returns."""
    with _whole(path, data, mode) as temporary:
        temporary.replace(path)


def add_durably(path: Path, data: bytes, mode: int) -> None:
    """Write a whole new file that must not be there yet (FileExistsError); on disk when this returns."""
    with _whole(path, data, mode) as temporary:
        path.hardlink_to(temporary)


@contextmanager
def _whole(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """All of a file beside the place that it is for."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        write_durably(temporary, data, 0o600)
        temporary.chmod(mode)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def write_durably(path: Path, data: bytes, mode: int = 0o400) -> None:
    """Write a new file and have its bytes on disk; its name is there once its directory is synced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def make_durable_directory(path: Path) -> None:
    """Make a directory, and those above it that are missing, private and on disk."""
    if path.is_dir():
        return
    make_durable_directory(path.parent)
    # another source of the same host may be the first just now too
    path.mkdir(mode=0o700, exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Have the names in a directory on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_plain(path: str | Path) -> bytes:
    """A file's bytes; OSError for a link, and for more than any description takes; no waiting at a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # no more room than is needed: that for the longest takes longer to get than a manifest takes to read
        data = os.read(descriptor, min(os.fstat(descriptor).st_size, _DESCRIPTION_BYTES) + 1)
    finally:
        os.close(descriptor)
    if len(data) > _DESCRIPTION_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn a system error into one that names the store."""
    try:
        yield
    except OSError as error:
        raise store_error(path, error) from error
