"""Listing and resolving: what is in the store, what is damaged, what is not the store's."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pullagent.errors import NoSuchSnapshot, UsageError
from pullagent.model import RefQuery, SourceName
from pullagent.store import Store
from tests.unit.storing import AGAMA, LOGS, START, put, replace

DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path)


def refs(store: Store) -> list[str]:
    """What a list shows."""
    return [str(s.ref) for s in store.snapshots()]


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """Before the first run there is nothing to list, and listing makes nothing."""
    assert Store(tmp_path / "none").snapshots() == []
    assert list(tmp_path.iterdir()) == []


def test_the_newest_comes_first_within_its_source(store: Store) -> None:
    """Sources stand in the order of their names, each source's snapshots from the newest."""
    for name in (LOGS, AGAMA, SourceName("alpha", "zeta")):
        for days in (1, 3, 2):
            put(store, START + days * DAY, name)
    assert refs(store) == [
        f"{name}@2026-11-{day}T010003Z"
        for name in ("alpha/zeta", "pavroto-2/agama", "pavroto-2/logs")
        for day in (26, 25, 24)
    ]


def test_a_host_or_a_source_can_be_asked_for(store: Store) -> None:
    """Only what was asked for is listed."""
    put(store, name=AGAMA)
    put(store, name=LOGS)
    assert [s.ref.name for s in store.snapshots("pavroto-2")] == [AGAMA, LOGS]
    assert [s.ref.name for s in store.snapshots("pavroto-2", "logs")] == [LOGS]
    assert store.snapshots("pavroto-1") == []


def test_a_snapshot_tells_its_sizes_and_times(store: Store) -> None:
    """Sizes are sums over the artifacts; the duration is that of the pull."""
    put(store, files={"a": b"12345", "b": b"678"}, finished=START + timedelta(seconds=90))
    (snapshot,) = store.snapshots()
    assert (snapshot.state, snapshot.problem, snapshot.pinned) == ("good", "", False)
    assert (snapshot.plain_bytes, snapshot.stored_bytes, snapshot.took_s) == (24, 8, 90.0)
    assert snapshot.taken == START


def test_a_shrunk_snapshot_is_listed_as_such(store: Store) -> None:
    """The state comes from the manifest."""
    put(store, state="shrunk")
    assert [s.state for s in store.snapshots()] == ["shrunk"]


@pytest.mark.parametrize(
    "make", [Path.touch, Path.mkdir, lambda p: p.symlink_to("nowhere")], ids=["file", "dir", "link"]
)
def test_whatever_is_called_a_pin_pins(store: Store, make: Callable[[Path], None]) -> None:
    """PINNED.json in the directory pins it, readable or not: what must stay must not go for a damaged file."""
    make(put(store) / "PINNED.json")
    (snapshot,) = store.snapshots()
    assert snapshot.pinned
    assert store.pin_of(snapshot) is not None
    with pytest.raises(UsageError, match="is pinned"), store.removing():
        store.unpublish(snapshot.ref)


def lose(name: str) -> Callable[[Path], None]:
    """Damage: a file is gone."""
    return lambda path: (path / name).unlink()


def cut(name: str, lost: int = 1) -> Callable[[Path], None]:
    """Damage: a file lost its last bytes."""
    return lambda path: replace(path / name, (path / name).read_bytes()[:-lost])


def manifest(change: dict[str, object]) -> Callable[[Path], None]:
    """Damage: other words in the manifest."""

    def damage(path: Path) -> None:
        file = path / "manifest.json"
        replace(file, json.dumps(json.loads(file.read_bytes()) | change).encode())

    return damage


def link(name: str, target: str) -> Callable[[Path], None]:
    """Damage: a symbolic link in a file's place."""

    def damage(path: Path) -> None:
        (path / name).unlink()
        (path / name).symlink_to(target)

    return damage


def move_manifest_away(path: Path) -> None:
    """Damage: the manifest is a link to a copy elsewhere."""
    elsewhere = path.parent / "manifest.copy"
    elsewhere.write_bytes((path / "manifest.json").read_bytes())
    link("manifest.json", str(elsewhere))(path)


def folder(name: str) -> Callable[[Path], None]:
    """Damage: a directory in a file's place."""

    def damage(path: Path) -> None:
        (path / name).unlink()
        (path / name).mkdir()

    return damage


SIZES = {"plain_bytes": 0, "plain_sha256": "0" * 64, "stored_bytes": 0, "stored_sha256": "0" * 64}
DAMAGES = {
    "a file is gone": (lose("dump.sql.zst.age"), "dump.sql.zst.age"),
    "a file is shorter": (cut("inventory.json.zst.age"), "15 bytes, not 16"),
    "a file is a link": (link("dump.sql.zst.age", "eleven/char"), "dump.sql.zst.age"),
    "a file is a directory": (folder("dump.sql.zst.age"), "dump.sql.zst.age"),
    "no manifest": (lose("manifest.json"), "manifest.json"),
    "half a manifest": (cut("manifest.json", 200), "manifest.json"),
    "no JSON": (lambda path: replace(path / "manifest.json", b"\0" * 100), "manifest.json"),
    "an empty manifest": (lambda path: replace(path / "manifest.json", b""), "manifest.json"),
    "the manifest is a directory": (folder("manifest.json"), "manifest.json"),
    "the manifest is a link": (move_manifest_away, "manifest.json"),
    "another host's": (manifest({"host": "pavroto-1"}), "pavroto-1/agama@"),
    "another source's": (manifest({"source": "logs"}), "pavroto-2/logs@"),
    "another snapshot's": (manifest({"id": "2026-11-22T010003Z"}), "@2026-11-22T010003Z"),
    "another format": (manifest({"format": 2}), "format"),
    "a state of its own": (manifest({"state": "damaged"}), "state"),
    "a file elsewhere": (
        manifest({"artifacts": [SIZES | {"name": "x", "file": "../x"}]}),
        "artifacts.0: file: found '../x'",
    ),
}


@pytest.mark.parametrize(("damage", "problem"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_seen_when_listing(store: Store, damage: Callable[[Path], None], problem: str) -> None:
    """Each kind of damage that shows without reading the files is named, and the rest is still listed."""
    put(store, START - DAY)
    path = put(store)
    damage(path)
    damaged, good = store.snapshots()
    assert (damaged.state, good.state) == ("damaged", "good")
    assert problem in damaged.problem
    assert damaged.problem


FOREIGN = [
    "pavroto-2/agama/2026-11-23T010003Z.bak/manifest.json",
    "pavroto-2/agama/2026-13-23T010003Z/manifest.json",
    "pavroto-2/agama/2026-02-29T010003Z/manifest.json",
    "pavroto-2/agama/2026-11-23t010003z/manifest.json",
    "pavroto-2/agama/latest/manifest.json",
    "pavroto-2/agama/٢٠٢٦-11-23T010003Z/manifest.json",
    "pavroto-2/agama/2026-11-24T010003Z\n/manifest.json",
    "pavroto-2/agama/2026-11-24T010003Z",
    "pavroto-2/.hidden/2026-11-23T010003Z/manifest.json",
    "pavroto-2/-rf/2026-11-23T010003Z/manifest.json",
    "-x/agama/2026-11-23T010003Z/manifest.json",
    "sp ace/agama/2026-11-23T010003Z/manifest.json",
    "lost+found/agama/2026-11-23T010003Z/manifest.json",
    ".trash/agama/2026-11-23T010003Z/manifest.json",
    ".staging/pavroto-2/agama/2026-11-24T010003Z/manifest.json",
    "ledger.jsonl",
    "pavroto-2/notes.txt",
]


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_names_are_not_listed(store: Store, name: str) -> None:
    """What the store did not make is neither listed nor an error."""
    put(store)
    (store.root / name).parent.mkdir(parents=True, exist_ok=True)
    (store.root / name).write_text("{}")
    assert refs(store) == ["pavroto-2/agama@2026-11-23T010003Z"]


def test_a_name_that_is_no_text_is_not_listed(store: Store) -> None:
    """A directory whose name is not UTF-8 is passed over."""
    put(store)
    Path(bytes(store.root / "pavroto-2").decode() + "/\udcff\udcfe").mkdir()
    assert len(store.snapshots()) == 1


@pytest.mark.parametrize("place", ["elsewhere", "pavroto-2/elsewhere", "pavroto-2/agama/2026-11-25T010003Z"])
def test_links_are_not_followed(store: Store, tmp_path: Path, place: str) -> None:
    """A symbolic link in the place of a host, a source or a snapshot leads nowhere."""
    path = put(store)
    depth = place.count("/")
    target = [store.root / "pavroto-2", store.root / "pavroto-2" / "agama", path][depth]
    (store.root / place).symlink_to(target)
    assert refs(store) == ["pavroto-2/agama@2026-11-23T010003Z"]


def resolve(store: Store, text: str) -> str:
    """The reference that `text` means."""
    return str(store.resolve(RefQuery.parse(text)).ref)


def test_references_are_resolved(store: Store) -> None:
    """A whole id, an unambiguous prefix of one, and `latest`."""
    for days in range(3):
        put(store, START + days * DAY)
    assert resolve(store, "pavroto-2/agama@2026-11-24T010003Z") == "pavroto-2/agama@2026-11-24T010003Z"
    assert resolve(store, "pavroto-2/agama@2026-11-24") == "pavroto-2/agama@2026-11-24T010003Z"
    assert resolve(store, "pavroto-2/agama@latest") == "pavroto-2/agama@2026-11-25T010003Z"


def test_an_ambiguous_reference_offers_what_it_means(store: Store) -> None:
    """Two snapshots of one day: the hint names them."""
    put(store)
    put(store, START + timedelta(hours=5))
    with pytest.raises(NoSuchSnapshot, match="means 2 snapshots") as caught:
        resolve(store, "pavroto-2/agama@2026-11-23")
    assert "pavroto-2/agama@2026-11-23T060003Z" in caught.value.hint


def test_the_latest_is_not_a_damaged_one(store: Store) -> None:
    """`latest` is for restores: a damaged snapshot is passed over, but can be named."""
    put(store)
    (put(store, START + DAY) / "manifest.json").unlink()
    assert resolve(store, "pavroto-2/agama@latest") == "pavroto-2/agama@2026-11-23T010003Z"
    assert resolve(store, "pavroto-2/agama@2026-11-24") == "pavroto-2/agama@2026-11-24T010003Z"


def test_without_a_sound_snapshot_there_is_no_latest(store: Store) -> None:
    """All damaged: no latest, and the hint says that, and how to see them."""
    (put(store) / "manifest.json").unlink()
    with pytest.raises(NoSuchSnapshot) as caught:
        resolve(store, "pavroto-2/agama@latest")
    assert "the newest is pavroto-2/agama@2026-11-23T010003Z, which is damaged;" in caught.value.hint
    assert "pullagent list pavroto-2/agama" in caught.value.hint


def test_an_unknown_reference_says_what_there_is(store: Store) -> None:
    """The newest snapshot of the source, or the sources that have some."""
    put(store)
    with pytest.raises(NoSuchSnapshot) as caught:
        resolve(store, "pavroto-2/agama@2025")
    assert "pavroto-2/agama@2026-11-23T010003Z" in caught.value.hint
    with pytest.raises(NoSuchSnapshot) as caught:
        resolve(store, "pavroto-1/agama@latest")
    assert "pavroto-2/agama" in caught.value.hint
    assert caught.value.exit_code == 10
