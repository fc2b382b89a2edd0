"""What lies in the dated tree: listing it, and finding what a reference means. Nothing here writes."""

from collections.abc import Iterator
from pathlib import Path

from pullagent.errors import NoSuchSnapshot
from pullagent.model import RefQuery, Snapshot, SnapshotRef, SourceName, is_safe_name, is_snapshot_id
from pullagent.store import used
from pullagent.store.damage import Damage
from pullagent.store.durable import directories, read_plain, storing
from pullagent.store.foreign import strangers
from pullagent.store.look import PIN, no_collector, read_damage, read_snapshot


class Catalogue:
    """The tree at `root`. Constructing it touches nothing. StoreError where the store's disk is missing."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def there(self) -> bool:
        """Whether something of it is there, or it is new; not so where its disk is not mounted."""
        return self.root.exists() and not used.lost(self.root)

    def expect(self) -> None:
        """StoreError where its disk is not mounted, for who reads nothing of its tree."""
        used.expect(self.root)

    @property
    def ledger_path(self) -> Path:
        """Where the ledger lies."""
        return self.root / "ledger.jsonl"

    def snapshots(self, host: str | None = None, source: str | None = None) -> list[Snapshot]:
        """Every snapshot, newest first within its source, sources by name. Nothing foreign is followed."""
        return [snapshot for of_source in self.by_source(host, source) for snapshot in of_source]

    def by_source(self, host: str | None = None, source: str | None = None) -> Iterator[list[Snapshot]]:
        """The same, one source after the other, for who need not hold all of them at once."""
        used.expect(self.root)
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
        used.expect(self.root)
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
            damaged = ", which is damaged" if of_source[0].state == "damaged" else ""
            return f"the newest is {of_source[0].ref}{damaged}; all: pullagent list {name}"
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

    def damage(self, snapshot: Snapshot) -> Damage | None:
        """What the last verification found, if it found damage."""
        return read_damage(snapshot.path)

    def pin_of(self, snapshot: Snapshot) -> bytes | None:
        """PINNED.json's text; empty when it cannot be read, None while the snapshot is not pinned."""
        try:
            return read_plain(f"{snapshot.path}/{PIN}") if snapshot.pinned else None
        except OSError:
            return b""


def _safe_directories(directory: Path) -> list[str]:
    return sorted(filter(is_safe_name, directories(directory)))
