"""Remembers, outside of every store, which stores were in use: one that is empty all of a sudden is not mounted.

The note lies in the state directory of whoever owns the store; see docs/adr/0018-a-store-that-is-not-mounted.md.
"""

import hashlib
import os
import pwd
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pullagent.errors import StoreError
from pullagent.store.foreign import LOCKS

_SYSTEM = Path("/var/lib/pullagent")
_PERSONAL = Path(".local/state/pullagent")


def expect(root: Path) -> None:
    """StoreError when the store at `root` was in use, and nothing of it is there."""
    if lost(root):
        raise StoreError(
            f"the store at {root} is empty, but was in use: is its disk mounted?",
            f"mount {root}\nor, if a new store is to begin there:  rm {_note(root)}",
        )


def lost(root: Path) -> bool:
    """Whether the store at `root` was in use, and nothing of it is there."""
    try:
        (root / LOCKS).stat()
    except FileNotFoundError:
        return noted(root)
    except OSError:
        # whoever reads or writes there has better words
        pass
    return False


def noted(root: Path) -> bool:
    """Whether it is known that the store at `root` is in use."""
    return _note(root) is not None


def remember(root: Path) -> None:
    """Note that the store at `root` is in use. Where that cannot be written its loss will not be noticed."""
    if noted(root):
        return
    for place in _places():
        with suppress(OSError):
            if place == _SYSTEM and place.stat().st_uid != os.geteuid():
                continue
            note = place / _name(root)
            note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            note.write_text(f"{root.absolute()} is a store in use; remove this file if a new one is to begin there\n")
            return


def _note(root: Path) -> Path | None:
    for place in (*_places(), *_of_owner(root)):
        with suppress(OSError):
            if (place / _name(root)).is_file():
                return place / _name(root)
    return None


def _name(root: Path) -> Path:
    return Path("stores", hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:32])


def _places() -> Iterator[Path]:
    """State directories: the unit's, the caller's, the installation's, else that of the caller's home."""
    if unit := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        yield Path(unit)
    if own := os.environ.get("XDG_STATE_HOME"):
        yield Path(own, "pullagent")
    yield _SYSTEM
    with suppress(RuntimeError):
        yield Path.home() / _PERSONAL


def _of_owner(root: Path) -> Iterator[Path]:
    """Where the owner has it, for root who looks."""
    with suppress(OSError, KeyError):
        yield Path(pwd.getpwuid(root.stat().st_uid).pw_dir) / _PERSONAL
