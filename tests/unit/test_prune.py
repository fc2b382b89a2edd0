"""Pruning a real store: what goes is gone, what stays is untouched, and whoever reads is left in peace."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pullagent.cli import app
from pullagent.clock import Record
from pullagent.config import Config
from pullagent.errors import LockedError, NoSuchSnapshot, StoreError, UsageError
from pullagent.ledger import Ledger, who
from pullagent.model import SnapshotRef, SourceName
from pullagent.prune import PruneReport, dry_run, forget, pin, prune, unpin
from pullagent.store import Store, pins
from pullagent.store.durable import read_plain
from tests.unit.storing import AGAMA, LOGS, put, tree
from tests.unit.toml import changed, loaded

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Fourteen days and two good ones, and an empty store."""
    document = changed("store path", "store") | {"retention": {"days": 14, "keep_at_least": 2}}
    return loaded(tmp_path, document)


@pytest.fixture
def store(config: Config) -> Store:
    """Snapshots of AGAMA, two of them young and three old."""
    made = Store(config.store)
    for days in (0, 1, 20, 21, 22):
        put(made, NOW - days * DAY)
    return made


def ref(days: int, name: SourceName = AGAMA) -> SnapshotRef:
    """The snapshot of so many days ago."""
    return SnapshotRef(name, f"{NOW - days * DAY:%Y-%m-%dT%H%M%SZ}")


def refs(store: Store) -> list[SnapshotRef]:
    """What the store holds."""
    return [s.ref for s in store.snapshots()]


def pruned(config: Config) -> PruneReport:
    """A prune with nothing wrong in the ledger."""
    return prune(config, NOW, record=Record())


def test_what_is_old_is_gone(config: Config, store: Store) -> None:
    """The old ones go with all their files; every byte of the others is as it was; nothing stays in the trash."""
    before = tree(config.store)
    report = pruned(config)
    assert report.removed == (ref(20), ref(21), ref(22))
    assert refs(store) == [ref(0), ref(1)]
    gone = tuple(f"{AGAMA}/{ref(days).id}" for days in (20, 21, 22))
    assert tree(config.store) == {name: mode for name, mode in before.items() if not name.startswith(gone)} | {
        ".locks/store.lock": "600"
    }


def test_a_dry_run_tells_the_same_and_touches_nothing(config: Config, store: Store) -> None:
    """The table of a dry run is the one that the real run acts on."""
    before = tree(config.store)
    told = dry_run(config, NOW, record=Record())
    assert tree(config.store) == before
    assert told.decisions == pruned(config).decisions
    assert told.removed


def test_pruning_twice_is_pruning_once(config: Config, store: Store) -> None:
    """The second finds nothing to do."""
    pruned(config)
    again = pruned(config)
    assert (again.removed, again.swept, again.exit_code) == ((), (), 0)


def test_a_refusal_removes_nothing(config: Config, store: Store) -> None:
    """A snapshot of tomorrow: nothing goes, but what an earlier prune had taken out is deleted."""
    put(store, NOW + DAY)
    left = config.store / ".trash" / "pavroto-2@agama@2026-01-01T000000Z"
    left.mkdir()
    (left / "dump.sql.zst.age").touch(0o400)
    report = pruned(config)
    assert report.refused is not None
    assert report.exit_code == 1
    assert len(refs(store)) == 6
    assert report.swept == ("pavroto-2/agama@2026-01-01T000000Z",)
    assert not left.exists()


def test_the_ledger_has_a_say(config: Config, store: Store) -> None:
    """An entry from tomorrow."""
    Ledger(store.ledger_path).append("run", ok=True, exit_code=0, took_s=0, now=NOW + DAY)
    report = dry_run(config, NOW, record=Ledger(store.ledger_path).record())
    assert report.refused is not None
    assert "behind the ledger" in report.refused.reason


def test_what_is_read_stays(config: Config, store: Store) -> None:
    """A snapshot that a fetch holds is kept until the next prune; the others go."""
    (held,) = [s for s in store.snapshots() if s.ref == ref(21)]
    with store.reading(held):
        report = pruned(config)
        assert refs(store) == [ref(0), ref(1), ref(21)]
    assert [d.reason for d in report.decisions if d.ref == ref(21)] == ["older than 14 days, but being read"]
    assert (report.removed, report.exit_code) == ((ref(20), ref(22)), 0)
    assert pruned(config).removed == (ref(21),)


def test_a_pin_set_meanwhile_holds(config: Config, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the decision and the act somebody pins it: it stays."""
    (late,) = [s for s in store.snapshots() if s.ref == ref(21)]
    real = Store.unpublish

    def pinning(self: Store, wanted: SnapshotRef) -> None:
        if wanted == ref(21):
            pin(config, late, "wait", NOW)
        real(self, wanted)

    monkeypatch.setattr(Store, "unpublish", pinning)
    assert pruned(config).removed == (ref(20), ref(22))
    assert refs(store) == [ref(0), ref(1), ref(21)]


def test_it_is_out_of_the_tree_and_on_disk_before_a_file_goes(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rename, both directories synced, then the files: a crash leaves no snapshot that lacks some."""
    events: list[str] = []
    fsync, rename, unlink = os.fsync, os.rename, os.unlink

    def relative(path: str | Path) -> str:
        return str(Path(path).relative_to(config.store)) if Path(path).is_absolute() else str(path)

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        events.append(f"fsync {relative(Path(f'/proc/self/fd/{descriptor}').readlink())}")

    def noted_rename(old: Path, new: Path) -> None:
        rename(old, new)
        events.append(f"rename {relative(old)}")

    def noted_unlink(path: str, *, dir_fd: int | None = None) -> None:
        unlink(path, dir_fd=dir_fd)
        events.append("unlink")

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    monkeypatch.setattr(os, "unlink", noted_unlink)
    pruned(config)
    first = events[: len(events) // 3]
    assert first[:3] == [f"rename {AGAMA}/{ref(20).id}", f"fsync {AGAMA}", "fsync .trash"]
    assert set(first[3:]) == {"unlink"}
    assert len(first) > 5


def test_what_cannot_be_removed_ends_it_with_words(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that refuses: the rest is kept, what went is told, and the next prune goes on."""
    real, calls = Path.rename, 0

    def failing(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(5, "Input/output error", str(self))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    report = pruned(config)
    assert report.removed == (ref(20),)
    assert report.failed is not None
    assert report.detail["error"] == report.failed.message
    assert [d.reason for d in report.decisions][3:] == [
        f"older than 14 days, but: {report.failed.message}",
        "older than 14 days; not reached",
    ]
    assert report.exit_code == 1
    assert pruned(config).removed == (ref(21), ref(22))


def test_a_file_that_cannot_be_deleted_waits_in_the_trash(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once out of the tree a snapshot is gone for everybody; the next prune deletes what is left, and says so."""
    real = os.unlink

    def failing(path: str, *, dir_fd: int | None = None) -> None:
        if path == "manifest.json":
            raise OSError(5, "Input/output error", path)
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", failing)
    report = pruned(config)
    assert report.removed == (ref(20),)
    assert report.failed is not None
    assert ref(20) not in refs(store)
    monkeypatch.undo()
    again = pruned(config)
    assert again.swept == (str(ref(20)),)
    assert list((config.store / ".trash").iterdir()) == []


def test_foreign_things_in_the_trash_go_and_are_not_followed(config: Config, store: Store, tmp_path: Path) -> None:
    """Whatever lies there is deleted; a link's target is not."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").touch()
    trash = config.store / ".trash"
    (trash / "link").symlink_to(outside)
    (trash / "folder").mkdir()
    (trash / "folder" / "link").symlink_to(outside)
    (trash / "file").touch()
    pruned(config)
    assert list(trash.iterdir()) == []
    assert (outside / "mine").exists()


def test_one_at_a_time(config: Config, store: Store) -> None:
    """While one removes, another is refused at once."""
    with store.removing():
        with pytest.raises(LockedError, match="another prune or forget"):
            pruned(config)
        with pytest.raises(LockedError):
            forget(config, ref(22))
    assert len(refs(store)) == 5


def test_forget_removes_one(config: Config, store: Store) -> None:
    """Young or old, damaged or from the future."""
    put(store, NOW + 9 * DAY)
    (config.store / str(AGAMA) / ref(1).id / "manifest.json").unlink()
    forget(config, ref(-9))
    forget(config, ref(1))
    assert refs(store) == [ref(0), ref(20), ref(21), ref(22)]
    assert list((config.store / ".trash").iterdir()) == []


def test_forget_leaves_the_last_good_one(config: Config, store: Store) -> None:
    """Damaged and shrunk ones beside it do not count."""
    put(store, NOW, LOGS)
    put(store, NOW - DAY, LOGS, state="shrunk")
    with pytest.raises(UsageError, match="last good snapshot") as caught:
        forget(config, ref(0, LOGS))
    assert "pullagent run pavroto-2/logs" in caught.value.hint
    forget(config, ref(1, LOGS))
    assert ref(0, LOGS) in refs(store)


def test_forget_refuses_what_is_pinned_read_or_gone(config: Config, store: Store) -> None:
    """Unpin it first; wait for the reader; it is not there."""
    by_ref = {s.ref: s for s in store.snapshots()}
    pin(config, by_ref[ref(20)], "before the migration", NOW)
    with pytest.raises(UsageError, match="is pinned") as caught:
        forget(config, ref(20))
    assert caught.value.hint == f"pullagent unpin {ref(20)}"
    with store.reading(by_ref[ref(21)]), pytest.raises(LockedError, match="is being read"):
        forget(config, ref(21))
    with pytest.raises(NoSuchSnapshot):
        forget(config, ref(99))
    assert len(refs(store)) == 5


def test_a_reader_that_comes_too_late_is_told(config: Config, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opened the directory just before it was removed does not read from what is being deleted."""
    (held,) = [s for s in store.snapshots() if s.ref == ref(22)]
    real = os.open

    def slow(path: str | Path, *rest: int, **options: int) -> int:
        descriptor = real(path, *rest, **options)
        if path == held.path:
            monkeypatch.undo()
            pruned(config)
        return descriptor

    monkeypatch.setattr(os, "open", slow)
    with pytest.raises(NoSuchSnapshot, match="was removed just now"), store.reading(held):
        pytest.fail("read what is not there")


def test_what_goes_while_it_is_listed_is_not_called_damaged(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list beside a prune shows what is there, or what was there, and no damage."""

    def removing(path: str) -> bytes:
        monkeypatch.undo()
        forget(config, ref(0))
        return read_plain(path)

    monkeypatch.setattr("pullagent.store.look.read_plain", removing)
    assert [(s.ref, s.state) for s in store.snapshots()] == [(ref(days), "good") for days in (1, 20, 21, 22)]


def test_a_pin_says_who_when_and_why(config: Config, store: Store) -> None:
    """One private file, on disk, that SHA256SUMS does not list; unpinning takes it away again."""
    before = tree(config.store)
    snapshot = store.snapshots()[-1]
    pin(config, snapshot, " before the migration ", NOW)
    place = snapshot.path / "PINNED.json"
    stored = json.loads(place.read_bytes())
    assert (stored["when"], stored["why"]) == ("2026-11-23T12:00:00Z", "before the migration")
    assert stored["who"]
    assert place.stat().st_mode & 0o777 == 0o400
    again = store.snapshots()[-1]
    assert again.pinned
    raw = store.pin_of(again)
    assert raw is not None
    assert pins.told(pins.parse(raw)) == f"2026-11-23T12:00:00Z by {stored['who']}: before the migration"
    assert pruned(config).removed == (ref(20), ref(21))
    unpin(config, again)
    assert not store.snapshots()[-1].pinned
    assert {n for n in tree(config.store) if ref(22).id in n} == {n for n in before if ref(22).id in n}
    assert pruned(config).removed == (ref(22),)


def test_pins_are_set_and_taken_once(config: Config, store: Store) -> None:
    """Another's reason is not written over; what is not pinned cannot be unpinned; a reason is needed."""
    snapshot = store.snapshots()[0]
    with pytest.raises(UsageError, match="not pinned"):
        unpin(config, snapshot)
    with pytest.raises(UsageError, match="needs a reason"):
        pin(config, snapshot, "  ", NOW)
    pin(config, snapshot, "mine", NOW)
    with pytest.raises(UsageError, match="pinned already"):
        pin(config, snapshot, "yours", NOW)
    assert b"mine" in (snapshot.path / "PINNED.json").read_bytes()


def test_a_pin_that_cannot_be_written_leaves_nothing(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: no pin, no half of one, and what to do."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    before = tree(config.store)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError) as caught:
        pin(config, store.snapshots()[0], "mine", NOW)
    assert "pullagent prune" in caught.value.hint
    assert {n for n in tree(config.store) if not n.startswith(".locks")} == {
        n for n in before if not n.startswith(".locks")
    }


@pytest.mark.parametrize("lines", [b"", b"{torn", b'{"v": 1}\n[]\n"x"\n\n'])
def test_a_ledger_without_entries_says_nothing_of_the_clock(tmp_path: Path, lines: bytes) -> None:
    """Nothing readable in it: nothing to compare the clock with."""
    path = tmp_path / "ledger.jsonl"
    assert Ledger(path).record() == Record()
    path.write_bytes(lines)
    assert Ledger(path).record() == Record()


def test_the_latest_entry_is_found_before_torn_lines(tmp_path: Path) -> None:
    """Whatever stands after it; a prune that refused does not tell that the clock is right."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("run", ok=True, exit_code=0, took_s=0, now=NOW - 2 * DAY)
    ledger.append("prune", ok=True, exit_code=0, took_s=0, now=NOW - DAY)
    ledger.append("prune", ok=False, exit_code=1, took_s=0, detail={"refused": "y"}, now=NOW)
    with ledger.path.open("ab") as file:
        file.write(b'{"v": 1, "event": "ru')
    assert ledger.record() == Record(NOW - DAY)
    ledger.append("fetch", ok=True, exit_code=0, took_s=0, now=NOW + DAY)
    assert ledger.record() == Record(NOW + DAY)


def call(config: Config, *arguments: str) -> int:
    """The verb as the command line runs it, by the clock of this machine; its exit code."""
    return app._run(["--config", str(config.path), "prune", *arguments])


@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_a_ledger_that_cannot_be_read_forbids_it(config: Config, store: Store, option: list[str]) -> None:
    """Without the ledger nobody knows whether the clock is right."""
    store.ledger_path.mkdir()
    assert call(config, *option) == 1
    assert len(refs(store)) == 5


def test_a_clock_that_is_not_believed_is_vouched_for(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused as often as it is asked, and however often something else was done, until an operator says so."""
    store, now, ledger = Store(config.store), datetime.now(UTC), Ledger(Store(config.store).ledger_path)
    for days in (1, 60, 61, 62):
        put(store, now - days * DAY)
    ledger.append("run", ok=True, exit_code=0, took_s=0, now=now - 60 * DAY)
    for option in ([], ["--dry-run"], [], ["--json"]):
        assert call(config, *option) == 1
        told = capsys.readouterr().err
        assert "error: nothing was pruned: nothing was done here from" in told
        assert "hint: and let it go:  pullagent prune --clock-is-right\n" in told
        ledger.append("fetch", ok=True, exit_code=0, took_s=0)
    before = tree(config.store)
    assert call(config, "--clock-is-right", "--dry-run") == 0
    assert tree(config.store) == before
    assert len(refs(store)) == 4
    assert call(config, "--clock-is-right") == 0
    assert len(refs(store)) == 2
    line = next(iter(ledger.entries(["clock"])))
    assert (line["ok"], line["detail"], line["who"]) == (True, {"reason": "said to be right"}, who())
    assert ledger.record().leaps == ()
    assert call(config) == 0


def test_vouching_needs_no_room_on_the_disk(
    config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the ledger cannot be written, prune still makes room; what was said is not kept, and that is told."""
    store, now = Store(config.store), datetime.now(UTC)
    for days in (1, 60, 61, 62):
        put(store, now - days * DAY)
    Ledger(store.ledger_path).append("run", ok=True, exit_code=0, took_s=0, now=now - 60 * DAY)

    def full(_: Ledger, line: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Ledger, "_write", full)
    assert call(config, "--clock-is-right") == 0
    assert "warning: this was not written to the ledger" in capsys.readouterr().err
    assert len(refs(store)) == 2
