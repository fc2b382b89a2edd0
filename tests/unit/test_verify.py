"""Verification of a store: what is chosen, what is noted down, what is marked, and what stops it."""

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.errors import Interrupted, NoSuchSnapshot, UsageError
from pullagent.ledger import Ledger, looked_at
from pullagent.model import Observer, RefQuery, Snapshot, SnapshotRef, SourceName, rfc3339, snapshot_id
from pullagent.sources import KINDS
from pullagent.store import Store
from pullagent.verify import Scope, Verifier, VerifyReport, parse_share, parse_since, sample
from tests.unit.storing import AGAMA, LOGS, START, put, replace, tree

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
DUMP = "dump.sql.zst.age"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


def verify(store: Store, target: str | None = None, **more: Any) -> VerifyReport:
    """A keyless verification as the command line makes it."""
    scope = Scope.parse(target)
    strangers = [] if scope.which else store.foreign(scope.host, scope.source)
    return Verifier(store, KINDS, clock=lambda: NOW, **more).verify(scope.snapshots(store), strangers)


def damage(path: Path, data: bytes = b"sealed dumq") -> None:
    """Change the dump of a snapshot, but not its size: only its hash tells."""
    replace(path / DUMP, data)


def states(store: Store) -> list[str]:
    """The state of every snapshot."""
    return [s.state for s in store.snapshots()]


def lines(store: Store) -> list[dict[str, Any]]:
    """What the ledger says of verifications."""
    return list(Ledger(store.ledger_path).entries(events=("verify",)))


def contents(root: Path) -> Mapping[str, tuple[str, bytes]]:
    """Permissions and content of everything but the ledger and the locks."""
    return {
        name: (mode, (root / name).read_bytes() if (root / name).is_file() else b"")
        for name, mode in tree(root).items()
        if name != "ledger.jsonl" and not name.startswith(".")
    }


def test_a_sound_store(store: Store) -> None:
    """No problem, a line for each source in the ledger, and nothing else is touched."""
    put(store, START - DAY)
    put(store)
    put(store, name=LOGS)
    before = contents(store.root)
    report = verify(store)
    assert (report.exit_code, report.problems, report.warnings, len(report.looks)) == (0, [], [], 3)
    assert contents(store.root) == before
    agama, logs = lines(store)
    assert (agama["host"], agama["source"], agama["ref"], agama["ok"], agama["exit_code"]) == (
        "pavroto-2",
        "agama",
        None,
        True,
        0,
    )
    assert agama["detail"] == {
        "ids": ["2026-11-23T010003Z", "2026-11-22T010003Z"],
        "damaged": [],
        "bytes": sum(look.bytes for look in report.looks[:2]),
        "decrypted": False,
    }
    assert logs["detail"]["ids"] == ["2026-11-23T010003Z"]


def test_an_empty_store(store: Store) -> None:
    """Nothing to do is no failure, and makes no store."""
    assert verify(store).exit_code == 0
    assert not store.root.exists()


def test_damage_is_marked_until_it_is_gone(store: Store) -> None:
    """The list shows it as damaged, `latest` passes over it, and once it is whole again so does it not."""
    put(store, START - DAY)
    path = put(store)
    whole = contents(store.root)
    damage(path)
    assert states(store) == ["good", "good"]
    report = verify(store)
    assert report.exit_code == 4
    assert [(str(p.ref), p.file, p.problem) for p in report.problems] == [
        ("pavroto-2/agama@2026-11-23T010003Z", DUMP, "changed")
    ]
    assert states(store) == ["damaged", "good"]
    assert "verify found on 2026-11-29: dump.sql.zst.age: changed" in store.snapshots()[0].problem
    assert store.resolve(RefQuery(AGAMA, "latest")).ref.id == "2026-11-22T010003Z"
    assert lines(store)[0]["detail"]["damaged"] == ["2026-11-23T010003Z"]
    assert lines(store)[0]["detail"]["ids"] == ["2026-11-22T010003Z"]
    damage(path, b"sealed dump")
    assert states(store) == ["damaged", "good"]
    (path / DUMP).chmod(0o644)
    assert verify(store).exit_code == 0
    assert states(store) == ["good", "good"]
    assert contents(store.root).keys() == whole.keys()


def test_a_mark_keeps_the_day_it_was_found(store: Store) -> None:
    """The same damage found again does not rewrite the mark; other damage does."""
    path = put(store)
    damage(path)
    verify(store)
    first = (path / "DAMAGED.json").stat().st_ino
    verify(store)
    assert (path / "DAMAGED.json").stat().st_ino == first
    assert (path / "DAMAGED.json").stat().st_mode & 0o777 == 0o400
    damage(path, b"sealed dumpp")
    verify(store)
    assert "12 bytes long, not 11" in json.loads((path / "DAMAGED.json").read_text())["problems"][0]


@pytest.mark.parametrize("mark", [b"", b"[]", b"{}", b'{"problems": []}', b"\xff", b'{"problems": 5}'])
def test_a_mark_that_cannot_be_read_is_a_mark(store: Store, mark: bytes) -> None:
    """It might have been about content: a look without a key does not take it away."""
    (put(store) / "DAMAGED.json").write_bytes(mark)
    assert states(store) == ["damaged"]
    report = verify(store)
    assert report.exit_code == 4
    assert "--identity" in report.problems[0].detail
    assert states(store) == ["damaged"]


def test_a_mark_for_content_outlives_a_look_without_a_key(store: Store) -> None:
    """Hashes were right when the damage was found, so right hashes say nothing; other damage does not hide it."""
    path = put(store)
    (path / "DAMAGED.json").write_text(
        json.dumps({"found": "2026-11-28T01:00:00Z", "content": True, "problems": [f"{DUMP}: changed"]})
    )
    for data in (b"sealed dump", b"sealed dumq", b"sealed dump"):
        damage(path, data)
        assert [(p.file, p.problem) for p in verify(store).problems] == [(DUMP, "changed")]
        assert states(store) == ["damaged"]
        assert lines(store)[-1]["detail"]["damaged"] == ["2026-11-23T010003Z"]


def test_a_flaw_beside_the_data_is_told_but_marks_nothing(store: Store) -> None:
    """A bit in a text, or a stranger, must not keep a restore from the newest snapshot at 03:00."""
    path = put(store)
    replace(path / "RESTORE.txt", b"how to destroy\n")
    report = verify(store)
    assert [(p.file, p.problem) for p in report.problems] == [("RESTORE.txt", "changed")]
    assert report.exit_code == 4
    assert states(store) == ["good"]
    assert lines(store)[0]["detail"] | {"bytes": 0} == {"ids": [], "damaged": [], "bytes": 0, "decrypted": False}
    assert lines(store)[0]["ok"] is False


STRANGERS = [
    "notes.txt",
    ".hidden",
    "sp ace/x",
    "pavroto-2/notes.txt",
    "pavroto-2/.x/y",
    "pavroto-2/agama/latest/x",
    "pavroto-2/agama/2026-02-30T010003Z/x",
    "pavroto-2/agama/2026-11-24T010003Z",
]


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers_in_the_tree_are_foreign(store: Store, name: str) -> None:
    """A file or directory that is no host, source or snapshot, wherever it lies."""
    put(store)
    (store.root / name).parent.mkdir(parents=True, exist_ok=True)
    (store.root / name).write_text("x")
    report = verify(store)
    (problem,) = report.problems
    assert (problem.ref, problem.problem, report.exit_code) == (None, "foreign", 4)
    assert name.startswith(problem.file)


@pytest.mark.parametrize("name", ["link", "pavroto-2/link", "pavroto-2/agama/2026-11-25T010003Z"])
def test_a_link_in_the_tree_is_foreign(store: Store, name: str) -> None:
    """Even to a snapshot; it is not followed."""
    (store.root / name).parent.mkdir(parents=True)
    (store.root / name).symlink_to(put(store))
    report = verify(store)
    assert [(p.file, p.detail.split(" that")[0]) for p in report.problems] == [(name, "a link")]
    assert len(report.looks) == 1


def test_what_the_store_keeps_itself_is_not_foreign(store: Store) -> None:
    """Its own directories, the ledger, the last run's copies, and what a file system puts at its root."""
    put(store)
    store.keep_copy("hosts.toml", b"")
    store.keep_copy("known_hosts", b"")
    (store.root / ".mirrors" / "x").mkdir(parents=True)
    (store.root / "lost+found").mkdir()
    verify(store)
    assert verify(store).problems == []


def test_only_what_was_asked_for(store: Store) -> None:
    """A source, a host or a snapshot: strangers elsewhere are not looked at either."""
    path = put(store)
    damage(put(store, name=LOGS))
    (store.root / "notes").write_text("")
    (path.parent / "stranger").write_text("")
    assert verify(store, "pavroto-2/logs").problems[0].file == DUMP
    assert [p.file for p in verify(store, "pavroto-2/agama").problems] == ["pavroto-2/agama/stranger"]
    assert len(verify(store, "pavroto-2").problems) == 2
    assert verify(store, "pavroto-2/agama@latest").exit_code == 0
    assert len(verify(store).problems) == 3


@pytest.mark.parametrize(
    "target", ["pavroto-1", "pavroto-2/none", "pavroto-2/agama@2025", "../x", "", "a/b/c", "a/", "x@"]
)
def test_what_is_not_there_cannot_be_verified(store: Store, target: str) -> None:
    """Exit 10, and nothing is looked at."""
    put(store)
    with pytest.raises(NoSuchSnapshot):
        verify(store, target)


def test_since_leaves_out_earlier_ones(store: Store) -> None:
    """By the time they were taken; leaving out all is no error."""
    for days in range(3):
        put(store, START - days * DAY)
    chosen = Scope.parse(None, parse_since("2026-11-22")).snapshots(store)
    assert [s.ref.id[:10] for s in chosen] == ["2026-11-23", "2026-11-22"]
    assert Scope.parse("pavroto-2", parse_since("2027-01-01")).snapshots(store) == []


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T01:00:00Z", datetime(2026, 11, 22, 1, tzinfo=UTC)),
        ("2026-11-22T01:00:00+01:00", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T010003Z", datetime(2026, 11, 22, 1, 0, 3, tzinfo=UTC)),
    ],
)
def test_dates_are_utc(text: str, meant: datetime) -> None:
    """A day, a time with or without a zone, or an id."""
    assert parse_since(text) == meant


@pytest.mark.parametrize("text", ["", "yesterday", "0", "2026", "2026-13-01", "-1", "22.11.2026"])
def test_what_is_no_date_is_refused(text: str) -> None:
    """The hint shows how to write one."""
    with pytest.raises(UsageError, match="not a date") as caught:
        parse_since(text)
    assert "2026-11-22" in caught.value.hint


@given(st.text())
def test_any_text_is_a_time_or_a_usage_error(text: str) -> None:
    """And never another error."""
    with suppress(UsageError):
        assert parse_since(text).tzinfo


@pytest.mark.parametrize(("text", "percent"), [("10%", 10), ("10", 10), ("0.5%", 0.5), ("100%", 100)])
def test_shares(text: str, percent: float) -> None:
    """With or without the sign."""
    assert parse_share(text) == percent


@pytest.mark.parametrize("text", ["", "%", "0", "0%", "-1%", "100.1%", "ten", "nan", "inf", "10%%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    """Nothing, more than all, and no number."""
    with pytest.raises(UsageError, match="share"):
        parse_share(text)


def listed(count: int) -> list[Snapshot]:
    """Snapshots of two sources, one a day."""
    refs = (SnapshotRef((AGAMA, LOGS)[n % 2], snapshot_id(START - n // 2 * DAY)) for n in range(count))
    return [Snapshot(ref, Path(), "good", None) for ref in refs]


@given(st.integers(1, 60), st.floats(0.5, 100))
def test_samples_come_round_to_everything(count: int, percent: float) -> None:
    """As many as the share says, rounded up; after 100 / share rounds all were looked at, and none twice before."""
    snapshots, looked, seen = listed(count), dict[str, str](), list[SnapshotRef]()
    now = START + DAY
    while len(seen) < count:
        chosen = sample(snapshots, looked, percent)
        assert len(chosen) == -int(-count * percent // 100)
        assert chosen == [s for s in snapshots if s in chosen]
        seen += [s.ref for s in chosen]
        looked |= {str(s.ref): rfc3339(now) for s in chosen}
        now += 7 * DAY
    assert len(set(seen)) == count


def test_a_sample_prefers_what_nobody_looked_at_for_longest() -> None:
    """The pull is the first look; a later one counts from then."""
    new, _, old, *_ = snapshots = listed(6)[::2]
    assert sample(snapshots, {}, 30) == [old]
    assert sample(snapshots, {str(old.ref): "2026-11-24T00:00:00Z"}, 1) == [snapshots[1]]
    assert sample(snapshots, {str(s.ref): "2026-11-24T00:00:00Z" for s in (old, snapshots[1])}, 1) == [new]


def test_looks_are_read_from_the_ledger(store: Store) -> None:
    """When each was last found sound, or last looked at; lines of another shape are passed over."""
    put(store, START - DAY)
    damage(put(store))
    verify(store)
    ledger = Ledger(store.ledger_path)
    for detail in ({}, {"ids": None}, {"ids": 5}, {"ids": [1, None]}):
        ledger.append("verify", ok=True, exit_code=0, took_s=0, detail=detail)
    ledger.append("pull", ok=True, exit_code=0, took_s=0, host="pavroto-2", source="agama", detail={"ids": ["x"]})
    old, new = (f"pavroto-2/agama@2026-11-{day}T010003Z" for day in (22, 23))
    looked = looked_at(ledger.entries(), sound=False)
    sound = looked_at(ledger.entries(events=("verify",)), sound=True)
    assert old in sound
    assert new not in sound
    assert {old, new} <= looked.keys()
    assert not any("@x" in ref for ref in looked)


class Meanwhile(Observer):
    """Does something when the verification has begun, after the snapshots were listed."""

    def __init__(self, act: Any) -> None:
        self._act = act

    def started(self, job: str, step: str, total_bytes: int | None = None) -> None:
        """Now."""
        self._act()


def test_a_snapshot_that_prune_removed_meanwhile_is_no_problem(store: Store) -> None:
    """It is passed over, neither sound nor damaged."""
    put(store, START - DAY)
    path = put(store)
    report = verify(store, observer=Meanwhile(lambda: shutil.rmtree(path)))
    assert (report.exit_code, len(report.looks)) == (0, 1)
    assert lines(store)[0]["detail"]["ids"] == ["2026-11-22T010003Z"]


def test_a_snapshot_that_is_being_removed_is_no_problem(store: Store) -> None:
    """Prune holds its lock."""
    path = put(store)
    (path / DUMP).unlink()
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert verify(store).problems == []
    finally:
        os.close(descriptor)
    assert verify(store).exit_code == 4


def test_prune_cannot_take_what_is_being_read(store: Store) -> None:
    """While a snapshot is looked at, its exclusive lock is refused."""
    path = put(store)
    tried: list[bool] = []

    class Pruning(Observer):
        def advanced(self, job: str, count: int) -> None:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                tried.append(True)
            except BlockingIOError:
                tried.append(False)
            finally:
                os.close(descriptor)

    verify(store, observer=Pruning())
    assert tried
    assert not any(tried)


def test_what_was_found_before_an_interruption_is_kept(store: Store) -> None:
    """The ledger says what was found, and that it did not end."""

    class Impatient(Observer):
        seen = 0

        def advanced(self, job: str, count: int) -> None:
            self.seen += 1
            if self.seen == 3:
                raise Interrupted(15)

    put(store, START - DAY)
    put(store)
    with pytest.raises(Interrupted):
        verify(store, observer=Impatient())
    (line,) = lines(store)
    assert (line["ok"], line["exit_code"], line["detail"]["ids"]) == (False, 143, ["2026-11-23T010003Z"])


def test_a_ledger_that_cannot_be_written_is_a_warning(store: Store) -> None:
    """The result is told all the same."""
    damage(put(store))
    store.ledger_path.mkdir()
    report = verify(store)
    assert report.exit_code == 4
    assert "ledger" in report.warnings[0]


def test_names_of_sources_are_in_their_order(store: Store) -> None:
    """Each source is one group, so that it has one line."""
    for name in (LOGS, AGAMA, SourceName("alpha", "zeta")):
        put(store, START, name)
        put(store, START - DAY, name)
    verify(store)
    assert [(line["host"], line["source"]) for line in lines(store)] == [
        ("alpha", "zeta"),
        ("pavroto-2", "agama"),
        ("pavroto-2", "logs"),
    ]
