"""A snapshot being made, and its publishing: everything is on disk before its name appears."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pullagent import manifest as manifests
from pullagent.errors import StoreError
from pullagent.manifest import Manifest
from pullagent.model import SnapshotRef, SourceName, snapshot_id
from pullagent.store.durable import make_durable_directory, storing, sync_directory, write_durably


@dataclass
class Staging:
    """A snapshot being made: a private directory that becomes the snapshot by one rename."""

    ref: SnapshotRef
    start: datetime
    directory: Path
    _target: Path

    def path(self, file: str) -> Path:
        """Where the stored file called `file` is to be written."""
        return self.directory / file

    @property
    def written_bytes(self) -> int:
        """Size of all that has been written so far."""
        with storing(self.directory):
            return sum(entry.stat().st_size for entry in os.scandir(self.directory))

    def publish(self, manifest: Manifest, recovery: str) -> Path:
        """Describe and publish it; everything is on disk before the name appears. StoreError otherwise.

        `recovery` becomes RESTORE.txt. Returns the snapshot's directory.
        """
        described = manifests.dump(manifest)
        extra = {"RESTORE.txt": recovery.encode()}
        sums = {a.file: a.stored_sha256 for a in manifest.artifacts}
        sums |= {name: hashlib.sha256(data).hexdigest() for name, data in extra.items()}
        sums["manifest.json"] = hashlib.sha256(described).hexdigest()
        extra["SHA256SUMS"] = "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()
        with storing(self._target.parent):
            for name, data in extra.items():
                write_durably(self.directory / name, data)
            for entry in manifest.artifacts:
                (self.directory / entry.file).chmod(0o400)
            write_durably(self.directory / "manifest.json", described)
            sync_directory(self.directory)
            make_durable_directory(self._target.parent)
            if os.path.lexists(self._target):
                # rename(2) would silently replace an empty directory
                raise StoreError(f"{self._target} exists already", "look at what it is, then move it away")
            self.directory.rename(self._target)
            sync_directory(self._target.parent)
        return self._target


@contextmanager
def staged(place: Path, name: SourceName, start: datetime, target: Callable[[SnapshotRef], Path]) -> Iterator[Staging]:
    """A new directory in `place`, which is emptied before and afterwards; see `Store.stage`. `target` says where a
    snapshot is to lie: its id is the first from `start` on that is not taken.
    """
    with storing(place):
        if place.exists():
            shutil.rmtree(place)
        while os.path.lexists(target(SnapshotRef(name, snapshot_id(start)))):
            start += timedelta(seconds=1)
    ref = SnapshotRef(name, snapshot_id(start))
    directory = place / ref.id
    try:
        with storing(place):
            for made in (place.parent, place, directory):
                made.mkdir(mode=0o700, exist_ok=True)
        yield Staging(ref, start, directory, target(ref))
    finally:
        shutil.rmtree(place, ignore_errors=True)
