"""Small disks: tmpfs mounts, which only root can make; they are gone when the block ends."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")


@contextmanager
def small_disk(place: Path, kilobytes: int, files: int = 0) -> Iterator[None]:
    """An empty file system over `place`, of so many kilobytes, and of so many files if given."""
    place.mkdir(parents=True, exist_ok=True)
    limit = f"size={kilobytes}k,mode=700" + (f",nr_inodes={files}" if files else "")
    _run("mount", "-t", "tmpfs", "-o", limit, "pullagent-faults", str(place))
    try:
        yield
    finally:
        # lazily: whatever still has a file open there must not keep the mount
        _run("umount", "-l", str(place))


def resize(place: Path, kilobytes: int, files: int = 0) -> None:
    """Change the size of a small disk in use; `files` 0 leaves their number as it is."""
    limit = f"size={kilobytes}k" + (f",nr_inodes={files}" if files else "")
    _run("mount", "-o", f"remount,{limit}", str(place))


def read_only(place: Path, on: bool = True) -> None:
    """Make a small disk read-only, or writable again."""
    _run("mount", "-o", "remount,ro" if on else "remount,rw", str(place))


def used(place: Path) -> tuple[int, int]:
    """Kilobytes and files in use."""
    found = os.statvfs(place)
    return (found.f_blocks - found.f_bfree) * found.f_frsize // 1024, found.f_files - found.f_ffree


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode and argv[1] != "-l":
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")
