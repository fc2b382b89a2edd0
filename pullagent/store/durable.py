"""What the store asks of a file system: locks that no dead process keeps, and writes that are on disk at once."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pullagent.errors import LockedError, StoreError, store_error
from pullagent.model import StopSignal

_DESCRIPTION_BYTES = 8 << 20


def directories(directory: Path) -> list[str]:
    """The names of the directories in `directory`, links to some left out; none when it is not there."""
    try:
        with os.scandir(directory) as entries:
            return [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def lock(descriptor: int, mode: int, busy: LockedError, wait_s: float = 0.0, stop: StopSignal | None = None) -> None:
    """Take a lock of `mode` on an open file within `wait_s` seconds; raises `busy` when another has it, or Stopped."""
    stop = stop or StopSignal()
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise busy from error
        except OSError as error:
            raise StoreError(f"a lock cannot be taken: {error.strerror}", "look at the disk and its log") from error
        stop.wait(0.2)
        stop.check()


@contextmanager
def flocked(path: Path) -> Iterator[None]:
    """Hold a lock that nobody keeps for long, waiting for it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory whose files are about to be replaced, waiting for it; it leaves no file behind."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
    path.mkdir(mode=0o700)
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
