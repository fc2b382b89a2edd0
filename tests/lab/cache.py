"""Things that are slow to make and are kept between test runs: the MySQL programs, empty data directories."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.processes import run, wait_until

BUILD_SECONDS = 1_200


def cache_root() -> Path:
    """`$PULLAGENT_LAB_CACHE`, else `~/.cache/pullagent-lab`; it is made where missing."""
    root = Path(os.environ.get("PULLAGENT_LAB_CACHE") or Path.home() / ".cache" / "pullagent-lab")
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    return root


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """The directory `name` in the cache, made by `build(directory)` if it is not there.

    Two processes never build the same name at once, and a build that was cut short is not used but begun
    again.
    """
    target = cache_root() / name
    if target.is_dir():
        return target
    with _locked(cache_root() / f".{name}.lock"):
        if not target.is_dir():
            # The same path for every attempt: the lock keeps it ours, and nothing piles up after aborted
            # builds.
            staged = cache_root() / f".{name}.part"
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir(mode=0o700)
            build(staged)
            staged.rename(target)
    return target


def copy_tree(source: Path, target: Path) -> None:
    """Copy a data directory; holes stay holes, and blocks are shared where the file system can."""
    run(["cp", "-a", "--reflink=auto", "--sparse=always", source, target])


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:

        def acquired() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        wait_until(acquired, BUILD_SECONDS, f"another process holds {path}")
        yield
