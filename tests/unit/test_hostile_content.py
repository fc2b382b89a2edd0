"""What a hostile host sends as content: refused by a clear error, in bounded memory, whatever it is."""

import gzip
import itertools
import tarfile
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.checks import answers
from pullagent.checks.dump import DumpCheck
from pullagent.checks.tar import InfluxBackupCheck, TarCheck
from pullagent.checks.tree import TreeCheck
from pullagent.errors import ContentError, SourceError
from pullagent.model import Check
from pullagent.sources.influxdb import inventory as influxdb_inventory
from pullagent.sources.mysql import accounts as mysql_accounts
from pullagent.sources.mysql import inventory as mysql_inventory
from tests.unit.archives import gnu_tar, member
from tests.unit.cuts import judge
from tests.unit.memory import peak_growth

MIB = 1 << 20
BOUND = 48 * MIB
HEAD = b"-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB\n" + b"-- filler\n" * 60


def refused(check: Check, chunks: Iterable[bytes], error: str) -> None:
    """The check refuses it with `error`, and takes no more memory than a stream may."""

    def feed() -> None:
        with pytest.raises(ContentError, match=error):
            judge(check, iter(chunks))

    assert peak_growth(feed) < BOUND


@pytest.mark.parametrize("name", ["../etc/cron.d/x", "a/../../x", "/etc/cron.d/x", ".."])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_members_that_would_leave_their_directory(name: str, kind: bytes) -> None:
    """No member of an archive may be unpacked outside its directory, be it a file, a link or a directory."""
    refused(TarCheck(), [gnu_tar({}, ahead=member(name, kind, link="/etc"))], "outside its directory")


def test_a_long_name_that_would_leave_its_directory() -> None:
    """Nor by a name that stands in an extended header of its own."""
    refused(TarCheck(), [gnu_tar({"../" + "x" * 300: b"data"}, tarfile.PAX_FORMAT)], "outside its directory")
    refused(TarCheck(), [gnu_tar({"../" + "x" * 300: b"data"}, tarfile.GNU_FORMAT)], "outside its directory")


def test_a_giant_extended_header() -> None:
    """A header that claims a name of gigabytes is refused before it is gathered."""
    for kind in (b"L", b"K", b"x", b"g"):
        refused(TarCheck(), [member("././@LongLink", kind, size=8 << 30)], "bytes long")


def extended(*records: bytes) -> bytes:
    """An extended header of these records, each `KEY=VALUE`."""
    lines = []
    for record in records:
        length = len(record) + 3
        length += len(str(length)) - 1
        lines.append(b"%d %s\n" % (length, record))
    data = b"".join(lines)
    return member("x", tarfile.XHDTYPE, size=len(data)) + data + bytes(-len(data) % 512)


LONG = extended(b"atime=" + b"1" * 60_000)
ENDLESS = {
    "extended": LONG,
    "in turn": LONG + member("x", tarfile.GNUTYPE_LONGNAME, size=0),
    "for all": member("x", tarfile.XGLTYPE, size=60_000) + bytes(60_000 - 60_000 % 512 + 512),
}


@pytest.mark.parametrize("headers", ENDLESS.values(), ids=ENDLESS)
def test_headers_without_a_member(headers: bytes) -> None:
    """Each would be held until the member comes that they speak of."""
    refused(TarCheck(), [headers] * 3000, "tell the same of one member")
    refused(InfluxBackupCheck(("logs",)), [headers] * 3000, "tell the same of one member")
    shard = gzip.compress(headers * 3000)
    refused(InfluxBackupCheck(("logs",)), [gnu_tar({"logs/1.s1.tar.gz": shard})], "tell the same of one member")


def test_headers_of_a_tree_without_a_member() -> None:
    """The headers of one member are kept, to be sent as they came."""
    refused(TreeCheck(["etc"]), [extended(b"atime=" + b"1" * (3 * MIB))] * 100, "tell the same of one member")


def test_members_of_a_tree_that_lie_below_nothing() -> None:
    """What lies below a path without being below anything there is refused at once; without paths, before memory is."""
    names = (extended(b"path=etc/%08d" % n + b"n" * 30_000) + member("x") for n in range(30_000))
    refused(TreeCheck(["etc"]), names, "the archive lacks /etc")
    names = (extended(b"path=etc/%08d" % n + b"n" * 30_000) + member("x") for n in range(30_000))
    refused(TreeCheck(), names, "members that lie below no other")


@pytest.mark.parametrize("record", [b"a=b", b"%d=b"])
def test_an_extended_header_of_many_records(record: bytes) -> None:
    """Of one kind or of as many: more than a file can have are refused before they take long, or memory."""
    header = extended(*(record % n if b"%" in record else record for n in range(300_000)))
    begun = time.monotonic()
    refused(TreeCheck(["etc"]), [header], "more than 20000 things")
    assert time.monotonic() - begun < 3


def test_an_extended_header_is_read_once() -> None:
    """As long as it may be, with as many records: each is not paid for with a copy of all that follow."""
    begun = time.monotonic()
    TreeCheck(["etc"]).feed(extended(*[b"user.a=" + b"b" * 190] * 20_000))
    assert time.monotonic() - begun < 3


def test_members_without_number() -> None:
    """An archive of many members with long names is given up before the list of them is large."""
    members = (member(f"logs/{number:090}.meta") for number in range(30_000))
    refused(InfluxBackupCheck(("logs",)), members, "more than 20000 members")


def test_a_member_with_a_giant_name() -> None:
    """A file's name is no longer than a file system takes."""
    refused(InfluxBackupCheck(("logs",)), [gnu_tar({"logs/" + "x" * 2000: b""})], "a name of 2000 characters")


def test_a_giant_manifest_of_a_backup() -> None:
    """A manifest that would take much memory, by its length or by what it holds, is refused."""
    refused(InfluxBackupCheck(("logs",)), [member("logs/x.manifest", size=3 * MIB)], "manifests are more than")
    nested = b'{"meta": {}, "files": [' + b"{}," * 600_000 + b"{}]}"
    refused(InfluxBackupCheck(("logs",)), [gnu_tar({"logs/x.manifest": nested})], "more than 400000 values")


@pytest.mark.parametrize(
    "begin", [b"CREATE TABLE `", b"INSERT INTO `", b"USE `", b"DELIMITER ", b"/*!50003 CREATE*/ /*", b"x"]
)
def test_a_dump_that_is_one_line(begin: bytes) -> None:
    """A line of hundreds of megabytes, quoted or not, is passed over without being gathered."""
    refused(DumpCheck(), [HEAD, begin, *[b"x" * MIB] * 200], "cut short")


def test_a_dump_that_names_without_end() -> None:
    """A dump of more objects than a source may hold, and one of a giant name, are refused."""
    names = (b"".join(b"CREATE TABLE `%0180d` (\n" % n for n in range(i, i + 1000)) for i in range(0, 10**9, 1000))
    refused(DumpCheck(), itertools.chain([HEAD], names), "more than 50000 objects")
    refused(DumpCheck(), [HEAD, b"CREATE TABLE `" + b"x" * 1000 + b"` (\n"], "of 1000 characters")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"BASE TABLE\ta\t%07d\t\t\n", "more than 50000 objects"),
        (b"definer\ta\t%07d\t\t\n", "more than 50000 objects"),
        (b"event\ta\t%07d\t\t\n", "more than 50000 objects"),
        (b"reads\ta\tv\tfrom `%07d`.`\t\n", "more than 50000 objects"),
        (b"\t" * 400_000 + b"%d\n", "columns, not 5"),
        (b"reads\ta\tv\t" + b"from `a`.`" * 200_000 + b"\t%d\n", "more than a mebibyte"),
    ],
)
def test_a_list_of_objects_without_end(line: bytes, error: str) -> None:
    """A server that lists millions of objects is refused, whatever they are, in bounded memory."""
    count = min(600_000, 15 * MIB // len(line))
    answer = b"".join(line % number for number in range(count))

    def read() -> None:
        with pytest.raises(ContentError, match=error):
            mysql_inventory.parse(answer)

    assert peak_growth(read) < BOUND


def test_statements_about_accounts_without_end() -> None:
    """A statement that would be cut into millions of tokens is refused before that."""
    statement = "GRANT " + "," * (4 * MIB)

    def read() -> None:
        with pytest.raises(SourceError, match="characters long"):
            mysql_accounts.compose([], [statement], ("a",))

    assert peak_growth(read) < BOUND


@pytest.mark.parametrize("unit", ["[],", "{},", '{"a":', '"ab",', "1e1,", "[", '"é€",'])
def test_json_that_grows_in_memory(unit: str) -> None:
    """JSON that would take many times its length in memory is refused before it is read."""
    text = '{"results": [' + unit * (2 * MIB // len(unit))

    def read() -> None:
        with pytest.raises((ContentError, SourceError)):
            influxdb_inventory.parse_json(text, "h")

    assert peak_growth(read) < BOUND


@given(st.lists(st.lists(st.text(st.characters(blacklist_characters="\n\t\0")), min_size=3, max_size=3)))
def test_rows_are_read_as_they_were_written(wanted: list[list[str]]) -> None:
    """Lines of three columns are what was joined, for any text."""
    encoded = [[column.encode("utf-8", "replace") for column in row] for row in wanted]
    answer = b"".join(b"\t".join(row) + b"\n" for row in encoded)
    assert list(answers.rows(answer, 3)) == [[column.decode() for column in row] for row in encoded]


@given(st.binary(max_size=4096))
def test_any_bytes_end_in_an_error_that_says_so(data: bytes) -> None:
    """Whatever bytes come, a check ends without an error of Python's own."""
    for make in (TarCheck, DumpCheck, lambda: InfluxBackupCheck(("logs",))):
        with pytest.raises(ContentError):
            judge(make(), iter([data]))
    with pytest.raises(ContentError):
        mysql_inventory.parse(b"\xff" + data)
