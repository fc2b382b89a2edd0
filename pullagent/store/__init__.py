"""The dated tree: stage, publish atomically, lock, pin, remove. Nothing outside this package builds paths in it."""

import errno
import fcntl
import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pullagent.errors import LockedError, NoSuchSnapshot, StoreError, UsageError, system_error
from pullagent.model import Snapshot, SnapshotRef, SourceName, StopSignal
from pullagent.store import damage as damages
from pullagent.store import locks, mirrors, used
from pullagent.store.catalogue import Catalogue
from pullagent.store.damage import Damage
from pullagent.store.durable import storing, sync_directory, write_durably
from pullagent.store.foreign import LOCKS, MIRRORS, STAGING, TRASH
from pullagent.store.look import PIN
from pullagent.store.mirrors import Note
from pullagent.store.staging import Staging, staged

__all__ = ["Staging", "Store"]


class Store(Catalogue):
    """The store at `root`. Constructing it touches nothing."""

    def prepare(self) -> None:
        """Make the store's own directories, private; StoreError when it cannot be written, or its disk is missing."""
        used.expect(self.root)
        with storing(self.root):
            if self.root.exists() and not self.root.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.root))
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = self.root.stat().st_uid
            if owner != os.geteuid():
                # what another user leaves here, the owner could not write to afterwards
                raise StoreError(
                    f"{self.root} belongs to {_user_name(owner)}",
                    f"run it as that user: sudo -u {_user_name(owner)} pullagent …",
                )
            for name in (STAGING, TRASH, LOCKS):
                (self.root / name).mkdir(mode=0o700, exist_ok=True)
        used.remember(self.root)

    def space(self) -> tuple[int, int]:
        """Capacity of the store's file system and what is free there for us, in bytes."""
        with storing(self.root):
            found = os.statvfs(self.root)
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize

    def keep_copy(self, name: str, data: bytes) -> None:
        """Keep `data` (hosts.toml, known_hosts) beside the snapshots, replacing the last run's copy."""
        self._put(data, self.root / name, 0o600)

    def _put(self, data: bytes, target: Path, mode: int) -> None:
        """Write `target`, or replace it: never half of it, and nothing beside it after a crash."""
        temporary = self.root / STAGING / f".{target.name}"
        with storing(self.root), locks.flocked(self.root / LOCKS / "copies.lock"):
            # one that was killed may have left it
            temporary.unlink(missing_ok=True)
            try:
                write_durably(temporary, data, mode)
                temporary.replace(target)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise

    @contextmanager
    def locked(self, name: SourceName, wait_s: float = 0.0, stop: StopSignal | None = None) -> Iterator[None]:
        """Hold the exclusive lock of one source; LockedError if another holds it for longer than `wait_s`."""
        path = self._lock_of(name)
        with storing(path):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = locks.lock_file(path)
        busy = LockedError(f"{name}: another run is pulling it", "wait for it to end, or give --wait 30m")
        with locks.held(descriptor, fcntl.LOCK_EX, busy, wait_s, stop):
            yield

    def mirror_place(self, name: SourceName) -> Path:
        """Where the clear mirror of a source lies, or is to lie: the source's own, under its lock."""
        return self.root / MIRRORS / name.host / f"{name.source}.git"

    def mirror_note(self, name: SourceName) -> Note | None:
        """What is known of a source's mirror; None before the first comparison."""
        return mirrors.read(self._note(name))

    def note_mirror(self, name: SourceName, note: Note) -> None:
        """Write down what is known of it. StoreError."""
        with storing(self._note(name)):
            mirrors.write(self._note(name), note)

    def _note(self, name: SourceName) -> Path:
        return self.root / MIRRORS / name.host / f"{name.source}.json"

    def holder(self, name: SourceName) -> int | None:
        """The process that holds a source's lock (0 if the kernel does not say), without touching it. StoreError."""
        path = self._lock_of(name)
        with storing(path):
            return locks.holder(path)

    def _lock_of(self, name: SourceName) -> Path:
        return self.root / LOCKS / name.host / f"{name.source}.lock"

    @contextmanager
    def reading(self, snapshot: Snapshot) -> Iterator[None]:
        """Hold a shared lock on a snapshot, so that prune leaves it alone meanwhile.

        NoSuchSnapshot when it has gone since it was listed, LockedError when it is going, StoreError otherwise.
        """
        try:
            descriptor = os.open(snapshot.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NoSuchSnapshot(f"{snapshot.ref} has gone: {error.strerror}") from error
        except OSError as error:
            raise system_error(snapshot.path, error) from error
        busy = LockedError(f"{snapshot.ref} is being removed", "take another one")
        with locks.held(descriptor, fcntl.LOCK_SH, busy):
            if not _is_still(snapshot.path, descriptor):
                raise NoSuchSnapshot(f"{snapshot.ref} has gone: it was removed just now")
            yield

    @contextmanager
    def removing(self, wait_s: float = 0.0, stop: StopSignal | None = None) -> Iterator[None]:
        """Hold the lock of those who remove snapshots; LockedError if another holds it for longer than `wait_s`."""
        path = self.root / LOCKS / "store.lock"
        with storing(path):
            descriptor = locks.lock_file(path)
        busy = LockedError("another prune or forget is at work", "try again in a moment")
        with locks.held(descriptor, fcntl.LOCK_EX, busy, wait_s, stop):
            yield

    def unpublish(self, ref: SnapshotRef) -> None:
        """Take a snapshot out of the tree, whole and on disk; `sweep` deletes it. The caller holds `removing`.

        LockedError while somebody reads it, UsageError when it is pinned, NoSuchSnapshot when it has gone.
        """
        path = self._path(ref)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise NoSuchSnapshot(f"{ref} has gone: {error.strerror}") from error
        busy = LockedError(f"{ref} is being read", "a fetch, a restore or a verification: try again when it has ended")
        with locks.held(descriptor, fcntl.LOCK_EX, busy):
            if os.path.lexists(path / PIN):
                raise UsageError(f"{ref} is pinned", f"pullagent unpin {ref}")
            with storing(path):
                path.rename(self.root / TRASH / str(ref).replace("/", "@"))
                # if this came to disk after the files' removal, a crash could leave a snapshot without its files
                sync_directory(path.parent)
                sync_directory(self.root / TRASH)

    def sweep(self) -> list[str]:
        """Delete what was unpublished, now or by one who was killed; its references. The caller holds `removing`."""
        place = self.root / TRASH
        with storing(place):
            found = sorted(place.iterdir())
            for path in found:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        return [path.name.replace("@", "/", 1) for path in found]

    def pin(self, snapshot: Snapshot, data: bytes) -> None:
        """Put `data` into the snapshot as its PINNED.json; UsageError when it has one."""
        with self.reading(snapshot), storing(snapshot.path):
            if os.path.lexists(snapshot.path / PIN):
                raise UsageError(f"{snapshot.ref} is pinned already", f"why:  pullagent show {snapshot.ref}")
            self._put(data, snapshot.path / PIN, 0o400)
            sync_directory(snapshot.path)

    def unpin(self, snapshot: Snapshot) -> None:
        """Take PINNED.json out of the snapshot; UsageError when it has none."""
        with self.reading(snapshot), storing(snapshot.path):
            try:
                (snapshot.path / PIN).unlink()
            except FileNotFoundError as error:
                raise UsageError(f"{snapshot.ref} is not pinned", "which are:  pullagent list") from error
            sync_directory(snapshot.path)

    @contextmanager
    def stage(self, name: SourceName, start: datetime) -> Iterator[Staging]:
        """A private directory for a snapshot begun at `start`; gone afterwards unless published.

        The caller holds the source's lock, so whatever lies in its staging place belonged to a dead run and goes.
        """
        with staged(self.root / STAGING / name.host / name.source, name, start, self._path) as staging:
            yield staging

    def mark_damaged(self, snapshot: Snapshot, damage: Damage | None) -> None:
        """Mark a snapshot as damaged, or with None take the mark away; nothing else of it is touched.

        The caller holds the reading lock.
        """
        mark = snapshot.path / damages.FILE
        with storing(mark):
            if damage is None:
                mark.unlink(missing_ok=True)
            else:
                self._put(damage.dump(), mark, 0o400)
            sync_directory(snapshot.path)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the directory open as `descriptor` still has its name."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
