"""The dated tree: stage, publish atomically, list, resolve, and the locks. The only place that builds paths in it."""

import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pullagent import manifest as manifests
from pullagent.errors import LockedError, NoSuchSnapshot, StoreError, system_error
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

STAGING, TRASH, LOCKS = ".staging", ".trash", ".locks"


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
        with _storing(self._target.parent):
            for name, data in extra.items():
                _write_durably(self.directory / name, data)
            for entry in manifest.artifacts:
                (self.directory / entry.file).chmod(0o400)
            _write_durably(self.directory / "manifest.json", described)
            _sync_directory(self.directory)
            _make_durable_directory(self._target.parent)
            if os.path.lexists(self._target):
                # rename(2) would silently replace an empty directory
                raise StoreError(f"{self._target} exists already", "look at what it is, then move it away")
            self.directory.rename(self._target)
            _sync_directory(self._target.parent)
        return self._target


class Store:
    """The store at `root`. Constructing it touches nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make the store's own directories, private; StoreError when it cannot be written."""
        with _storing(self.root):
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

    @property
    def ledger_path(self) -> Path:
        """Where the ledger lies."""
        return self.root / "ledger.jsonl"

    def keep_copy(self, name: str, data: bytes) -> None:
        """Keep `data` (hosts.toml, known_hosts) beside the snapshots, replacing the last run's copy."""
        temporary = self.root / STAGING / f".{name}"
        with _storing(self.root), _flocked(self.root / LOCKS / "copies.lock"):
            # a killed run may have left one
            temporary.unlink(missing_ok=True)
            try:
                _write_durably(temporary, data, mode=0o600)
                temporary.replace(self.root / name)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise

    @contextmanager
    def locked(self, name: SourceName, wait_s: float = 0.0, stop: StopSignal | None = None) -> Iterator[None]:
        """Hold the exclusive lock of one source; LockedError if another holds it for longer than `wait_s`."""
        path = self.root / LOCKS / name.host / f"{name.source}.lock"
        with _storing(path):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor, fcntl.LOCK_EX, f"{name} is being pulled by another run", wait_s, stop or StopSignal())
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def reading(self, snapshot: Snapshot) -> Iterator[None]:
        """Hold a shared lock on a snapshot, so that prune leaves it alone meanwhile."""
        try:
            descriptor = os.open(snapshot.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise NoSuchSnapshot(f"{snapshot.ref} has gone: {error.strerror}") from error
        try:
            _lock(descriptor, fcntl.LOCK_SH, f"{snapshot.ref} is being removed", 0.0, StopSignal())
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def stage(self, name: SourceName, start: datetime) -> Iterator[Staging]:
        """A private directory for a snapshot begun at `start`; gone afterwards unless published.

        The caller holds the source's lock, so whatever lies in its staging place belonged to a dead run and goes.
        """
        place = self.root / STAGING / name.host / name.source
        with _storing(place):
            if place.exists():
                shutil.rmtree(place)
            while os.path.lexists(self._path(SnapshotRef(name, snapshot_id(start)))):
                start += timedelta(seconds=1)
        ref = SnapshotRef(name, snapshot_id(start))
        directory = place / ref.id
        try:
            with _storing(place):
                for made in (place.parent, place, directory):
                    made.mkdir(mode=0o700, exist_ok=True)
            yield Staging(ref, start, directory, self._path(ref))
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def snapshots(self, host: str | None = None, source: str | None = None) -> list[Snapshot]:
        """Every snapshot, newest first within its source, sources by name. Nothing foreign is followed."""
        with _storing(self.root):
            found = []
            for name in self._sources():
                if host in (None, name.host) and source in (None, name.source):
                    found.extend(self._of(name))
        return found

    def resolve(self, query: RefQuery) -> Snapshot:
        """The one snapshot that a reference means; `latest` is the newest that is not damaged. NoSuchSnapshot."""
        with _storing(self.root):
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
        directory = self.root / name.host / name.source
        identifiers = sorted(filter(is_snapshot_id, _directories(directory)), reverse=True)
        return [_read_snapshot(SnapshotRef(name, i), directory / i) for i in identifiers]


def _read_snapshot(ref: SnapshotRef, path: Path) -> Snapshot:
    pinned = (path / "PINNED.json").exists()
    try:
        manifest = manifests.parse(_read_plain(path / "manifest.json"))
    except OSError as error:
        return Snapshot(ref, path, "damaged", None, pinned, f"manifest.json: {error.strerror}")
    except StoreError as error:
        return Snapshot(ref, path, "damaged", None, pinned, error.message)
    problem = _mismatch(ref, path, manifest)
    return Snapshot(ref, path, "damaged" if problem else manifest.state, manifest, pinned, problem)


def _mismatch(ref: SnapshotRef, path: Path, manifest: Manifest) -> str:
    """What a look without reading the files finds wrong; empty for nothing."""
    if (manifest.host, manifest.source, manifest.id) != (ref.name.host, ref.name.source, ref.id):
        return f"manifest.json is that of {manifest.host}/{manifest.source}@{manifest.id}"
    for entry in manifest.artifacts:
        try:
            found = (path / entry.file).lstat()
        except OSError as error:
            return f"{entry.file}: {error.strerror}"
        if not stat.S_ISREG(found.st_mode):
            return f"{entry.file}: not a plain file"
        if found.st_size != entry.stored_bytes:
            return f"{entry.file}: {found.st_size} bytes, not {entry.stored_bytes}"
    return ""


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _read_plain(path: Path) -> bytes:
    """A file's bytes; OSError for a link, and no waiting at a pipe."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        return file.read()


def _safe_directories(directory: Path) -> list[str]:
    return sorted(filter(is_safe_name, _directories(directory)))


def _directories(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _lock(descriptor: int, mode: int, busy: str, wait_s: float, stop: StopSignal) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise LockedError(busy, "wait for it to end, or give --wait 30m") from error
        stop.wait(0.2)
        stop.check()


@contextmanager
def _flocked(path: Path) -> Iterator[None]:
    """Hold a lock that nobody keeps for long, waiting for it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_durably(path: Path, data: bytes, mode: int = 0o400) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _make_durable_directory(path: Path) -> None:
    if path.is_dir():
        return
    _make_durable_directory(path.parent)
    path.mkdir(mode=0o700)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _storing(path: Path) -> Iterator[None]:
    """Turn a system error into one that names the store."""
    try:
        yield
    except OSError as error:
        raise system_error(path, error) from error
