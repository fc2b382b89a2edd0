"""Locks that no dead process keeps: the kernel releases them with the descriptor."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from pullagent.errors import LockedError, StoreError
from pullagent.model import StopSignal


@contextmanager
def held(
    descriptor: int, mode: int, busy: LockedError, wait_s: float = 0.0, stop: StopSignal | None = None
) -> Iterator[None]:
    """Hold a lock of `mode` on an open file, which is closed afterwards, however that ends.

    Raises `busy` when another has it for longer than `wait_s` seconds, or Stopped.
    """
    try:
        _lock(descriptor, mode, busy, wait_s, stop or StopSignal())
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, mode: int, busy: LockedError, wait_s: float, stop: StopSignal) -> None:
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


def lock_file(path: Path) -> int:
    """A lock's file, opened, and made where it is not there yet. OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def flocked(path: Path) -> AbstractContextManager[None]:
    """Hold a lock that nobody keeps for long, waiting for it."""
    return _awaited(lock_file(path))


def alone_in(directory: Path) -> AbstractContextManager[None]:
    """Hold the lock of a directory whose files are about to be replaced, waiting for it; it leaves no file behind."""
    return _awaited(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))


@contextmanager
def _awaited(descriptor: int) -> Iterator[None]:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def holder(path: Path) -> int | None:
    """The process that holds the lock on `path` (0 if the kernel does not say); it is not touched. OSError."""
    try:
        inode = path.stat().st_ino
    except FileNotFoundError:
        return None
    lines = Path("/proc/locks").read_text().splitlines()
    # 1: FLOCK  ADVISORY  WRITE 4711 fe:00:2515762 0 EOF
    holders = (fields for line in lines if (fields := line.split())[1:2] == ["FLOCK"] and len(fields) > 5)
    return next((max(0, int(f[4])) for f in holders if f[5].rpartition(":")[2] == str(inode)), None)
