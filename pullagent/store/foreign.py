"""What lies in the store's tree and is not the store's: judged by name and kind alone, never opened or followed."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pullagent.model import is_safe_name, is_snapshot_id

STAGING, TRASH, LOCKS, MIRRORS = ".staging", ".trash", ".locks", ".mirrors"
_OWN_DIRECTORIES = frozenset({STAGING, TRASH, LOCKS, MIRRORS, "lost+found"})
_OWN_FILES = frozenset({"ledger.jsonl", "hosts.toml", "known_hosts"})


def strangers(root: Path, host: str | None = None, source: str | None = None) -> Iterator[tuple[str, str]]:
    """Path below `root`, and kind, of each stranger beside hosts, sources and snapshots, or beside those of one.

    Snapshots are not looked into. OSError when a directory cannot be read.
    """
    if host is None:
        yield from _beside(root, "", lambda name: is_safe_name(name) or name in _OWN_DIRECTORIES, _OWN_FILES)
    for one in [host] if host else _named(root):
        if source is None:
            yield from _beside(root, one, is_safe_name)
        for other in [source] if source else _named(root / one):
            yield from _beside(root, f"{one}/{other}", is_snapshot_id)


def entries(directory: Path) -> list["os.DirEntry[str]"]:
    """What a directory holds, by name; nothing where there is none."""
    try:
        with os.scandir(directory) as found:
            return sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def kind(entry: "os.DirEntry[str]") -> str:
    """What a directory's entry is, in a word or two."""
    if entry.is_symlink():
        return "a link"
    if entry.is_dir(follow_symlinks=False):
        return "a directory"
    return "a file" if entry.is_file(follow_symlinks=False) else "neither file nor directory"


def _beside(
    root: Path, place: str, is_directory: Callable[[str], bool], files: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str]]:
    for entry in entries(root / place):
        found = kind(entry)
        ours = is_directory(entry.name) if found == "a directory" else found == "a file" and entry.name in files
        if not ours:
            yield f"{place}/{entry.name}".lstrip("/"), found


def _named(directory: Path) -> list[str]:
    return [e.name for e in entries(directory) if e.is_dir(follow_symlinks=False) and is_safe_name(e.name)]
