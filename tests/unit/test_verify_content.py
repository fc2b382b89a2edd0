"""Verification with an identity: what right hashes do not show, and keys that do not fit."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from pullagent.errors import SealError, UsageError, WrongIdentity
from pullagent.ledger import Ledger
from pullagent.model import SourceName
from pullagent.seal import Identity
from pullagent.sources import KINDS
from pullagent.store import Store
from pullagent.verify import Verifier, VerifyReport
from tests.unit.archives import Backup, gnu_tar
from tests.unit.sealing import IDENTITY_FILE, RECIPIENT, SSH_IDENTITY_FILE, SSH_RECIPIENT, FalseAge, encrypted, sealed
from tests.unit.storing import AGAMA, LOGS, START, describe, replace
from tests.vectors import DUMPS

DUMP = (DUMPS / "mariadb-10.11-agama.sql").read_bytes()
OBJECTS = json.loads((DUMPS / "mariadb-10.11-agama.json").read_text())
TABLES = [
    {"kind": kind, "database": database, "name": name} for kind, database, name in OBJECTS if kind not in ("rows",)
]


def inventory(objects: list[dict[str, str]] = TABLES) -> bytes:
    """inventory.json of a mysql snapshot."""
    return json.dumps({"databases": ["agama"], "objects": objects, "definers": []}).encode()


MYSQL = {"dump.sql": DUMP, "inventory.json": inventory()}
INFLUX = {
    "backup.tar": Backup().tar(),
    "config.tar": gnu_tar({"a": b"b"}),
    "inventory.json": json.dumps({"databases": ["logs"]}).encode(),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


def put(
    store: Store,
    files: Mapping[str, bytes],
    kind: str = "mysql",
    name: SourceName = AGAMA,
    recipient: str = RECIPIENT,
) -> Path:
    """Publish a snapshot that is really sealed."""
    store.prepare()
    with store.locked(name), store.stage(name, START) as staging:
        made = []
        for artifact, data in files.items():
            entry = sealed(staging.path(f"{artifact}.zst.age"), data, [recipient])
            made.append(msgspec.structs.replace(entry, name=artifact, file=f"{artifact}.zst.age"))
        return staging.publish(describe(staging, kind=kind, artifacts=tuple(made)), "how to restore\n")


def verify(store: Store, identity: Path = IDENTITY_FILE) -> VerifyReport:
    """With an identity."""
    with Identity.read(identity) as opened:
        return Verifier(store, KINDS, identity=opened).verify(store.snapshots())


def found(store: Store) -> list[tuple[str, str, str]]:
    """Every problem; a look without a key finds none."""
    assert Verifier(store, KINDS).verify(store.snapshots()).exit_code == 0
    report = verify(store)
    assert report.exit_code == (4 if report.problems else 0)
    assert all(p.content for p in report.problems)
    return [(p.file, p.problem, p.detail) for p in report.problems]


def test_sound_content_of_every_kind(store: Store) -> None:
    """Dumps and backups pass their checks; the ledger says that they were decrypted."""
    put(store, MYSQL)
    put(store, INFLUX, "influxdb", LOGS)
    put(store, {"anything": b"x"}, "of-tomorrow", SourceName("h", "s"))
    assert found(store) == []
    assert [line["detail"]["decrypted"] for line in Ledger(store.ledger_path).entries()] == [False] * 3 + [True] * 3


def test_a_dump_that_was_cut_before_it_was_stored(store: Store) -> None:
    """Its hashes are right, its last line is not."""
    put(store, MYSQL | {"dump.sql": DUMP[:-400]})
    ((file, problem, detail),) = found(store)
    assert (file, problem) == ("dump.sql.zst.age", "changed")
    assert "cut short" in detail


def test_a_dump_that_lacks_what_its_inventory_names(store: Store) -> None:
    """Each object of the inventory must be in the dump by name."""
    put(store, MYSQL | {"inventory.json": inventory([*TABLES, {"kind": "table", "database": "agama", "name": "gone"}])})
    ((file, _, detail),) = found(store)
    assert file == "dump.sql.zst.age"
    assert f"lacks 1 of {len(TABLES) + 1}" in detail


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"databases": 5, "objects": [{}]}', b"5"])
@pytest.mark.parametrize(("kind", "files"), [("mysql", MYSQL), ("influxdb", INFLUX)])
def test_an_inventory_that_is_none(store: Store, kind: str, files: dict[str, bytes], data: bytes) -> None:
    """It is named, and the rest is decrypted all the same."""
    put(store, files | {"inventory.json": data}, kind)
    assert [(file, problem) for file, problem, _ in found(store)] == [("inventory.json.zst.age", "changed")]


def test_a_shard_that_was_cut_before_it_was_stored(store: Store) -> None:
    """Every shard is read to its end again."""
    backup = Backup()
    name = next(file for file in backup.members() if file.endswith(".tar.gz"))
    put(
        store,
        INFLUX | {"backup.tar": gnu_tar({n: d[:-9] if n == name else d for n, d in backup.members().items()})},
        "influxdb",
    )
    assert [(file, problem) for file, problem, _ in found(store)] == [("backup.tar.zst.age", "changed")]


@pytest.mark.parametrize("compressed", [b"no zstd", b""])
def test_what_opens_but_is_not_what_the_manifest_says(store: Store, compressed: bytes) -> None:
    """The stored hash is right, the plain one is not."""
    store.prepare()
    with store.locked(AGAMA), store.stage(AGAMA, START) as staging:
        entry = encrypted(staging.path("dump.sql.zst.age"), compressed, b"the plain")
        staging.publish(describe(staging, artifacts=(entry,), kind="of-tomorrow"), "")
    assert [(file, problem) for file, problem, _ in found(store)] == [("dump.sql.zst.age", "changed")]


def test_what_no_key_opens_is_unreadable(store: Store) -> None:
    """A file that lost its end before it was hashed: age cannot open all of it."""
    store.prepare()
    with store.locked(AGAMA), store.stage(AGAMA, START) as staging:
        path = staging.path("dump.sql.zst.age")
        entry = sealed(path, os.urandom(100_000))
        cut = path.read_bytes()[:-7]
        replace(path, cut)
        update = {"stored_bytes": len(cut), "stored_sha256": hashlib.sha256(cut).hexdigest()}
        staging.publish(
            describe(staging, artifacts=(msgspec.structs.replace(entry, **update),), kind="of-tomorrow"), ""
        )
    ((file, problem, detail),) = found(store)
    assert (file, problem) == ("dump.sql.zst.age", "unreadable")
    assert "age" in detail


def test_content_damage_is_marked_without_its_words(store: Store) -> None:
    """The mark lies in clear beside sealed data: it names the file, and nothing of what it holds."""
    path = put(store, MYSQL | {"dump.sql": DUMP[:-400]})
    verify(store)
    mark = json.loads((path / "DAMAGED.json").read_text())
    assert (mark["content"], mark["problems"]) == (True, ["dump.sql.zst.age: changed"])
    assert Verifier(store, KINDS).verify(store.snapshots()).exit_code == 4
    assert [s.state for s in store.snapshots()] == ["damaged"]


def test_a_key_finds_a_marked_snapshot_sound_again(store: Store) -> None:
    """What was marked for its content is read again with a key, and the mark goes."""
    path = put(store, MYSQL)
    (path / "DAMAGED.json").write_text(json.dumps({"found": "x", "content": True, "problems": ["dump.sql: changed"]}))
    assert verify(store).exit_code == 0
    assert not (path / "DAMAGED.json").exists()


def test_a_changed_file_is_not_decrypted(store: Store) -> None:
    """It is told once, as changed; the others are still opened."""
    path = put(store, MYSQL)
    data = bytearray((path / "dump.sql.zst.age").read_bytes())
    data[-1] ^= 1
    replace(path / "dump.sql.zst.age", bytes(data))
    report = verify(store)
    assert [(p.file, p.problem, p.content) for p in report.problems] == [("dump.sql.zst.age", "changed", False)]
    assert report.looks[0].opened


def test_an_identity_that_opens_nothing_is_told_at_once(store: Store) -> None:
    """Before everything is hashed; nothing is noted down."""
    put(store, MYSQL)
    with pytest.raises(WrongIdentity):
        verify(store, SSH_IDENTITY_FILE)
    assert list(Ledger(store.ledger_path).entries()) == []


def test_an_identity_that_opens_some(store: Store) -> None:
    """What another key was used for is no damage, but it was not verified as asked: 12."""
    put(store, MYSQL)
    path = put(store, INFLUX, "influxdb", LOGS, SSH_RECIPIENT)
    report = verify(store)
    assert (report.exit_code, report.problems) == (12, [])
    assert [look.opened for look in report.looks] == [True, False]
    assert [(e["ok"], e["exit_code"]) for e in Ledger(store.ledger_path).entries()] == [(True, 0), (False, 12)]
    (path / "RESTORE.txt").unlink()
    assert verify(store).exit_code == 4


def test_what_is_no_identity_is_a_wrong_command_line(store: Store, tmp_path: Path) -> None:
    """Exit 2, not damage."""
    put(store, MYSQL)
    (tmp_path / "key").write_text("nonsense\n")
    with pytest.raises(UsageError):
        verify(store, tmp_path / "key")


def test_without_age_nothing_is_called_damaged(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program is no property of the snapshots."""
    put(store, MYSQL)
    FalseAge(tmp_path / "bin", monkeypatch).remove()
    with pytest.raises(SealError, match="not installed"):
        verify(store)
    assert [s.state for s in store.snapshots()] == ["good"]
