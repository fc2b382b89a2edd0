"""What a look at a snapshot's directory finds, without reading its data."""

import gc
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pullagent import manifest as manifests
from pullagent.errors import StoreError
from pullagent.manifest import Manifest
from pullagent.model import Snapshot, SnapshotRef
from pullagent.store import damage as damages
from pullagent.store.damage import Damage
from pullagent.store.durable import read_plain

PIN = "PINNED.json"


def read_snapshot(ref: SnapshotRef, folder: Path) -> Snapshot | None:
    """What a look finds of a snapshot in its source's folder; None when it was removed meanwhile."""
    found = _look_at(ref, folder)
    return found if found.state != "damaged" or os.path.lexists(found.path) else None


def _look_at(ref: SnapshotRef, folder: Path) -> Snapshot:
    within = f"{folder}/{ref.id}/"
    pinned = _lies_there(within + PIN)
    try:
        manifest = manifests.parse(read_plain(within + "manifest.json"))
    except OSError as error:
        return Snapshot(ref, folder, "damaged", None, pinned, f"manifest.json: {error.strerror}")
    except StoreError as error:
        return Snapshot(ref, folder, "damaged", None, pinned, error.message)
    problem = _mismatch(ref, within, manifest) or _marked(within)
    return Snapshot(ref, folder, "damaged" if problem else manifest.state, manifest, pinned, problem)


def _lies_there(path: str) -> bool:
    """Whether anything does, a link that leads nowhere too: os.path.lexists, which takes thrice as long to say no."""
    return os.access(path, os.F_OK, follow_symlinks=False)


def _marked(within: str) -> str:
    """What a verification found; empty for nothing."""
    return str(read_damage(within) or "") if _lies_there(within + damages.FILE) else ""


def _mismatch(ref: SnapshotRef, within: str, manifest: Manifest) -> str:
    """What a look without reading the files finds wrong; empty for nothing."""
    if (manifest.host, manifest.source, manifest.id) != (ref.name.host, ref.name.source, ref.id):
        return f"manifest.json is that of {manifest.host}/{manifest.source}@{manifest.id}"
    for entry in manifest.artifacts:
        try:
            found = os.lstat(within + entry.file)
        except OSError as error:
            return f"{entry.file}: {error.strerror}"
        if not stat.S_ISREG(found.st_mode):
            return f"{entry.file}: not a plain file"
        if found.st_size != entry.stored_bytes:
            return f"{entry.file}: {found.st_size} bytes, not {entry.stored_bytes}"
    return ""


@contextmanager
def no_collector() -> Iterator[None]:
    """Keep the collector of cycles away: among thousands of manifests its search takes longer than reading them."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        # what was read goes when nobody holds it; there are no cycles to look for among it later either
        gc.freeze()
        gc.enable()


def read_damage(path: str | Path) -> Damage | None:
    """The mark in the snapshot's directory `path`, if there is one."""
    try:
        return damages.parse(read_plain(f"{path}/{damages.FILE}"))
    except FileNotFoundError:
        return None
    except OSError:
        return damages.parse(b"")
