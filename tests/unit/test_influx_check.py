"""InfluxBackupCheck: what influxd calls a complete backup, and what is one."""

import gzip
import json
import random
import re
import tarfile
import zlib
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullagent.checks.tar import InfluxBackupCheck
from pullagent.errors import ContentError
from tests.unit.archives import SHARD, STAMP, Backup, entry, gnu_tar, go_tar, member, zipped
from tests.unit.cuts import cut, judge, places
from tests.unit.memory import peak_growth
from tests.vectors import ANSWERS

FIRST = f"{STAMP}.s1.tar.gz"


def check(data: bytes, databases: tuple[str, ...] = ("logs",), cuts: list[int] | None = None) -> dict[str, set[int]]:
    """The shards that a backup holds; ContentError passes."""
    judged = InfluxBackupCheck(databases)
    judge(judged, cut(data, cuts or []))
    return judged.shards


@given(cuts=places(40_000))
def test_a_recorded_backup_is_whole(cuts: list[int]) -> None:
    """A backup of the real server passes, however the stream is cut, and its shards are seen."""
    recorded = (ANSWERS / "influxdb-1.6" / "backup.tar").read_bytes()
    shards = {int(number) for number in re.findall(rb"logs/[0-9TZ]+\.s([0-9]+)\.tar\.gz", recorded)}
    assert len(shards) > 9
    assert check(recorded, cuts=cuts) == {"logs": shards}


@given(cuts=places(20_000))
def test_a_composed_backup_is_whole(cuts: list[int]) -> None:
    """So does one composed here; the tests below each break one thing of it."""
    assert check(Backup().tar(), cuts=cuts) == {"logs": {1, 2}}


def test_a_database_without_shards_is_whole() -> None:
    """An empty database has a manifest without files, which influxd writes as null."""
    backup = Backup({})
    backup.manifest["files"] = None
    assert check(backup.tar()) == {"logs": set()}


def test_two_databases_are_told_apart() -> None:
    """Each database has a directory and a manifest of its own."""
    files = Backup().members() | Backup({7: SHARD}, "more").members()
    assert check(gnu_tar(files), ("logs", "more")) == {"logs": {1, 2}, "more": {7}}


def test_a_database_that_is_missing_is_noticed() -> None:
    """Every database asked for must be there."""
    with pytest.raises(ContentError, match="0 manifests"):
        check(Backup().tar(), ("logs", "more"))


@pytest.mark.parametrize("name", [FIRST, f"{STAMP}.meta"])
def test_a_missing_file_is_noticed(name: str) -> None:
    """A shard or the metastore that the manifest names and that is not there."""
    backup = Backup()
    del backup.files[name]
    with pytest.raises(ContentError, match=r"lacks|is missing"):
        check(backup.tar())


@pytest.mark.parametrize("kept", [0, 512, 700, 2048, len(SHARD) - 1024, len(SHARD) - 512, len(SHARD) - 1])
def test_a_shard_cut_before_it_was_compressed_is_noticed(kept: int) -> None:
    """A shard transfer that influxd cut short: valid gzip, a manifest that agrees, and no end of the tar within.

    Cut at a member's boundary, within one, or within the end blocks.
    """
    backup = Backup()
    backup.files[FIRST] = zipped(SHARD[:kept])
    backup.manifest["files"][0]["size"] = kept
    with pytest.raises(ContentError, match=r"s1\.tar\.gz"):
        check(backup.tar())


def test_a_shard_cut_anywhere_after_it_was_compressed_is_noticed() -> None:
    """Compressed bytes that stop early, at any place."""
    whole = zipped(SHARD)
    for kept in range(len(whole)):
        backup = Backup()
        backup.files[FIRST] = whole[:kept]
        with pytest.raises(ContentError):
            check(backup.tar())


@pytest.mark.parametrize(
    "tail", [b"x", b"\0", gzip.compress(b""), zipped(SHARD), b"\0" * 600_000], ids=["x", "0", "gz", "shard", "zeros"]
)
def test_bytes_after_a_shard_are_noticed(tail: bytes) -> None:
    """Garbage or a second gzip member behind the first."""
    backup = Backup()
    backup.files[FIRST] += tail
    with pytest.raises(ContentError, match="bytes follow its end"):
        check(backup.tar())
    with pytest.raises(ContentError, match="bytes follow its end"):
        check(backup.tar(), cuts=list(range(0, len(backup.tar()), 97)))


def test_a_flipped_bit_in_a_shard_is_noticed() -> None:
    """gzip's own checksum, or the tar within, tells."""
    chance, whole = random.Random(3), zipped(SHARD)
    for position in chance.sample(range(10, len(whole)), 40):  # the first ten bytes hold gzip's time and system
        backup, broken = Backup(), bytearray(whole)
        broken[position] ^= 1 << chance.randrange(8)
        backup.files[FIRST] = bytes(broken)
        with pytest.raises(ContentError):
            check(backup.tar())


def test_a_wrong_size_in_the_manifest_is_noticed() -> None:
    """The manifest holds the size of the uncompressed tar."""
    backup = Backup()
    backup.manifest["files"][1]["size"] += 512
    with pytest.raises(ContentError, match="its manifest says"):
        check(backup.tar())


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_metastore_cut_short_is_noticed(kept: int) -> None:
    """The manifest holds its size, too."""
    backup = Backup()
    backup.files[f"{STAMP}.meta"] = b"\1\2\3"[:kept]
    with pytest.raises(ContentError, match="metastore"):
        check(backup.tar())


def test_more_members_than_any_backup_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are kept in memory: their number has an end."""
    monkeypatch.setattr("pullagent.checks.tar._MEMBER_LIMIT", 1000)
    many = b"".join(member(f"logs/{number}") for number in range(1001))
    with pytest.raises(ContentError, match="members"):
        check(gnu_tar({}, ahead=many))


def test_a_second_manifest_is_refused() -> None:
    """A restore would merge all manifests that it finds in the directory."""
    backup = Backup()
    backup.files["20200101T000000Z.manifest"] = json.dumps(backup.manifest).encode()
    with pytest.raises(ContentError, match="2 manifests"):
        check(backup.tar())


def test_a_shard_of_another_database_is_refused() -> None:
    """The manifest of one database names only its own shards."""
    backup = Backup()
    backup.manifest["files"].append(entry(9, len(SHARD), "latency"))
    backup.files[f"{STAMP}.s9.tar.gz"] = zipped(SHARD)
    with pytest.raises(ContentError, match="latency"):
        check(backup.tar())


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"\xff", b'{"files": 5}', b'{"files": [1]}', b"[" * 100_000]
)
def test_a_manifest_that_is_none_is_refused(raw: bytes) -> None:
    """Not JSON, or not of the manifest's shape, or nested without end."""
    backup = Backup()
    files = backup.members() | {f"logs/{STAMP}.manifest": raw}
    with pytest.raises(ContentError):
        check(gnu_tar(files))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@settings(max_examples=50)
@given(meta=_JSON | st.fixed_dictionaries({"fileName": _JSON}), files=_JSON, more=st.dictionaries(st.text(), _JSON))
def test_any_manifest_is_judged(meta: Any, files: Any, more: dict[str, Any]) -> None:
    """Whatever JSON stands in the manifest, the check passes or raises ContentError."""
    backup = Backup({})
    backup.manifest = {**more, "meta": meta, "files": files}
    try:
        check(backup.tar())
    except ContentError:
        return
    assert not files
    assert meta["fileName"] == f"{STAMP}.meta"


@given(key=st.sampled_from(["database", "fileName", "size", "shardID"]), value=_JSON)
def test_any_entry_of_a_manifest_is_judged(key: str, value: Any) -> None:
    """The same for each key of a shard's entry: no other value than the right one, or a number for the id, passes."""
    backup = Backup()
    right = backup.manifest["files"][0][key]
    backup.manifest["files"][0][key] = value
    try:
        check(backup.tar())
    except ContentError:
        return
    assert value == right or (key == "shardID" and type(value) is int)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/cron.d/x", "logs/../../x", "logs/sub/x", "x", "more/x", "..", "logs/.."]
)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE], ids=["file", "directory"])
def test_members_elsewhere_are_refused(name: str, kind: bytes) -> None:
    """A backup holds nothing but plain files DATABASE/NAME and the directories DATABASE."""
    with pytest.raises(ContentError):
        check(gnu_tar(Backup().members(), ahead=member(name, kind)))


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
    ids=["symlink", "hardlink", "character device", "block device", "fifo"],
)
@pytest.mark.parametrize("name", ["logs", "logs/link"])
def test_links_and_devices_are_refused(name: str, kind: bytes) -> None:
    """A link could lead what is restored out of its directory."""
    with pytest.raises(ContentError):
        check(gnu_tar(Backup().members(), ahead=member(name, kind, "/etc")))


def test_a_member_that_comes_twice_is_refused() -> None:
    """tar would extract both, and the second wins."""
    twice = gnu_tar({f"logs/{FIRST}": b"other"}, ahead=Backup().tar().rstrip(b"\0"))
    with pytest.raises(ContentError):
        check(twice)
    whole = Backup().members()
    name = f"logs/{STAMP}.meta"
    with pytest.raises(ContentError):
        check(gnu_tar(whole, ahead=member(name)))


@given(chunk=st.integers(1_000, 400_000))
@settings(max_examples=15)
def test_a_shard_of_many_megabytes_is_whole(chunk: int) -> None:
    """Decompressing in bounded steps loses nothing at the steps' edges."""
    data = big_backup()
    assert check(data, cuts=list(range(0, len(data), chunk))) == {"logs": {1}}


@cache
def big_backup() -> bytes:
    """A backup with a shard of 7 MB, some of which compresses well."""
    noise = random.Random(1).randbytes(300_000)
    return Backup({1: go_tar({"a.tsm": noise + bytes(5_000_000) + b"ab" * 1_000_000})}).tar()


def test_a_shard_that_unpacks_to_much_costs_no_memory() -> None:
    """A small file that decompresses to 256 MiB is read in constant memory."""
    size, packer = 256 << 20, zlib.compressobj(1, wbits=31)
    parts = [packer.compress(member("a.tsm", size=size))]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(256)]
    backup = Backup({})
    backup.files[FIRST] = b"".join([*parts, packer.compress(bytes(1024)), packer.flush()])
    backup.manifest["files"] = [entry(1, 512 + size + 1024)]
    data = backup.tar()
    assert peak_growth(lambda: check(data)) < 32 << 20
