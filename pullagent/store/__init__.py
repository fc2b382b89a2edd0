"""The dated tree: stage, publish atomically, list, resolve, and the locks. The only place that builds paths in it."""

import errno
import fcntl
import hashlib
import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pullagent import manifest as manifests
from pullagent.errors import LockedError, NoSuchSnapshot, StoreError, UsageError, system_error
from pullagent.manifest import Manifest
from pullagent.model import (
    RefQuery,
    Snapshot,
    SnapshotRef,
    SourceName,
    StopSignal,
    is_safe_name,
    is_snapshot_id,
    snapshot_id,
)
from pullagent.store import damage as damages
from pullagent.store import mirrors
from pullagent.store.damage import Damage
from pullagent.store.durable import (
    directories,
    flocked,
    lock,
    make_durable_directory,
    read_plain,
    storing,
    sync_directory,
    write_durably,
)
from pullagent.store.foreign import LOCKS, MIRRORS, STAGING, TRASH, strangers
from pullagent.store.look import PIN, no_collector, read_damage, read_snapshot
from pullagent.store.mirrors import Note


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


class Store:
    """The store at `root`. Constructing it touches nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make the store's own directories, private; StoreError when it cannot be written."""
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

    def space(self) -> tuple[int, int]:
        """Capacity of the store's file system and what is free there for us, in bytes."""
        with storing(self.root):
            found = os.statvfs(self.root)
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize

    @property
    def ledger_path(self) -> Path:
        """Where the ledger lies."""
        return self.root / "ledger.jsonl"

    def keep_copy(self, name: str, data: bytes) -> None:
        """Keep `data` (hosts.toml, known_hosts) beside the snapshots, replacing the last run's copy."""
        self._put(data, self.root / name, 0o600)

    def _put(self, data: bytes, target: Path, mode: int) -> None:
        """Write `target`, or replace it: never half of it, and nothing beside it after a crash."""
        temporary = self.root / STAGING / f".{target.name}"
        with storing(self.root), flocked(self.root / LOCKS / "copies.lock"):
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
        path = self.root / LOCKS / name.host / f"{name.source}.lock"
        with storing(path):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            busy = LockedError(f"{name}: another run is pulling it", "wait for it to end, or give --wait 30m")
            lock(descriptor, fcntl.LOCK_EX, busy, wait_s, stop)
            yield
        finally:
            os.close(descriptor)

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
        path = self.root / LOCKS / name.host / f"{name.source}.lock"
        with storing(path):
            try:
                inode = path.stat().st_ino
            except FileNotFoundError:
                return None
            held = Path("/proc/locks").read_text().splitlines()
        # 1: FLOCK  ADVISORY  WRITE 4711 fe:00:2515762 0 EOF
        holders = (fields for line in held if (fields := line.split())[1:2] == ["FLOCK"] and len(fields) > 5)
        return next((max(0, int(f[4])) for f in holders if f[5].rpartition(":")[2] == str(inode)), None)

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
        try:
            lock(descriptor, fcntl.LOCK_SH, LockedError(f"{snapshot.ref} is being removed", "take another one"))
            if not _is_still(snapshot.path, descriptor):
                raise NoSuchSnapshot(f"{snapshot.ref} has gone: it was removed just now")
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def removing(self, wait_s: float = 0.0, stop: StopSignal | None = None) -> Iterator[None]:
        """Hold the lock of those who remove snapshots; LockedError if another holds it for longer than `wait_s`."""
        path = self.root / LOCKS / "store.lock"
        with storing(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            busy = LockedError("another prune or forget is at work", "try again in a moment")
            lock(descriptor, fcntl.LOCK_EX, busy, wait_s, stop)
            yield
        finally:
            os.close(descriptor)

    def unpublish(self, ref: SnapshotRef) -> None:
        """Take a snapshot out of the tree, whole and on disk; `sweep` deletes it. The caller holds `removing`.

        LockedError while somebody reads it, UsageError when it is pinned, NoSuchSnapshot when it has gone.
        """
        path = self._path(ref)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise NoSuchSnapshot(f"{ref} has gone: {error.strerror}") from error
        try:
            busy = LockedError(
                f"{ref} is being read", "a fetch, a restore or a verification: try again when it has ended"
            )
            lock(descriptor, fcntl.LOCK_EX, busy)
            if os.path.lexists(path / PIN):
                raise UsageError(f"{ref} is pinned", f"pullagent unpin {ref}")
            with storing(path):
                path.rename(self.root / TRASH / str(ref).replace("/", "@"))
                # if this came to disk after the files' removal, a crash could leave a snapshot without its files
                sync_directory(path.parent)
                sync_directory(self.root / TRASH)
        finally:
            os.close(descriptor)

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

    def pin_of(self, snapshot: Snapshot) -> bytes | None:
        """PINNED.json's text; empty when it cannot be read, None while the snapshot is not pinned."""
        try:
            return read_plain(f"{snapshot.path}/{PIN}") if snapshot.pinned else None
        except OSError:
            return b""

    @contextmanager
    def stage(self, name: SourceName, start: datetime) -> Iterator[Staging]:
        """A private directory for a snapshot begun at `start`; gone afterwards unless published.

        The caller holds the source's lock, so whatever lies in its staging place belonged to a dead run and goes.
        """
        place = self.root / STAGING / name.host / name.source
        with storing(place):
            if place.exists():
                shutil.rmtree(place)
            while os.path.lexists(self._path(SnapshotRef(name, snapshot_id(start)))):
                start += timedelta(seconds=1)
        ref = SnapshotRef(name, snapshot_id(start))
        directory = place / ref.id
        try:
            with storing(place):
                for made in (place.parent, place, directory):
                    made.mkdir(mode=0o700, exist_ok=True)
            yield Staging(ref, start, directory, self._path(ref))
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def snapshots(self, host: str | None = None, source: str | None = None) -> list[Snapshot]:
        """Every snapshot, newest first within its source, sources by name. Nothing foreign is followed."""
        return [snapshot for of_source in self.by_source(host, source) for snapshot in of_source]

    def by_source(self, host: str | None = None, source: str | None = None) -> Iterator[list[Snapshot]]:
        """The same, one source after the other, for who need not hold all of them at once."""
        with storing(self.root):
            names = self._sources()
        for name in names:
            if host in (None, name.host) and source in (None, name.source):
                with storing(self.root), no_collector():
                    found = self._of(name)
                yield found

    def foreign(self, host: str | None = None, source: str | None = None) -> list[tuple[str, str]]:
        """Path within the store, and kind, of whatever lies beside hosts, sources and snapshots and is none."""
        with storing(self.root):
            return list(strangers(self.root, host, source))

    def damage(self, snapshot: Snapshot) -> Damage | None:
        """What the last verification found, if it found damage."""
        return read_damage(snapshot.path)

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

    def newest(self, name: SourceName) -> Iterator[Snapshot]:
        """One source's snapshots, newest first, each read when it is asked for."""
        directory = self.root / name.host / name.source
        with storing(directory):
            for identifier in self.ids(name):
                snapshot = read_snapshot(SnapshotRef(name, identifier), directory)
                if snapshot is not None:
                    yield snapshot

    def ids(self, name: SourceName) -> list[str]:
        """The ids of one source's snapshots, newest first, by their directories alone."""
        with storing(self.root):
            return sorted(filter(is_snapshot_id, directories(self.root / name.host / name.source)), reverse=True)

    def resolve(self, query: RefQuery) -> Snapshot:
        """The one snapshot that a reference means; `latest` is the newest that is not damaged. NoSuchSnapshot."""
        with storing(self.root):
            of_source = self._of(query.name)
        if query.which == "latest":
            matching = [s for s in of_source if s.state != "damaged"][:1]
        else:
            matching = [s for s in of_source if s.ref.id.startswith(query.which)]
        if len(matching) == 1:
            return matching[0]
        if matching:
            options = "  ".join(str(s.ref) for s in matching[:4])
            raise NoSuchSnapshot(f"{query.name}@{query.which} means {len(matching)} snapshots", f"name one: {options}")
        raise NoSuchSnapshot(f"there is no snapshot {query.name}@{query.which}", self._offer(query.name, of_source))

    def _offer(self, name: SourceName, of_source: list[Snapshot]) -> str:
        if of_source:
            return f"the newest is {of_source[0].ref}; all: pullagent list {name}"
        known = ", ".join(str(n) for n in self._sources()) or "none yet; `pullagent run` makes them"
        return f"sources with snapshots: {known}"

    def _path(self, ref: SnapshotRef) -> Path:
        return self.root / ref.name.host / ref.name.source / ref.id

    def _sources(self) -> list[SourceName]:
        return [
            SourceName(host, source)
            for host in _safe_directories(self.root)
            for source in _safe_directories(self.root / host)
        ]

    def _of(self, name: SourceName) -> list[Snapshot]:
        return list(self.newest(name))


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the directory open as `descriptor` still has its name."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _safe_directories(directory: Path) -> list[str]:
    return sorted(filter(is_safe_name, directories(directory)))
