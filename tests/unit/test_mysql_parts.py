"""The parts of a dump are found whatever the chunks, cover it without gaps, and their rows are counted."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullagent.errors import ContentError
from pullagent.sources.mysql.parts import DumpMap, Part, RowCount, pieces, without_definers
from tests.vectors import DUMPS

ALL = sorted(DUMPS.glob("*.sql"))


def mapped(data: bytes, cuts: list[int]) -> DumpMap:
    """The map of a dump that comes in chunks cut at these places."""
    found = DumpMap()
    edges = [0, *sorted({c % (len(data) + 1) for c in cuts}), len(data)]
    for begin, end in pairwise(edges):
        found.feed(data[begin:end])
    found.finish()
    return found


@pytest.mark.parametrize("dump", ALL, ids=lambda p: p.stem)
def test_parts_cover_the_dump(dump: Path) -> None:
    """Every byte belongs to one part, and the texts are those of the parts that are not rows."""
    data = dump.read_bytes()
    found = mapped(data, [])
    assert found.parts[0].kind == "head"
    assert [p.start for p in found.parts] == [0, *(p.end for p in found.parts[:-1])]
    assert found.parts[-1].end == len(data)
    assert all(found.texts[p.start] == data[p.start : p.end] for p in found.parts if p.kind != "rows")
    assert sum(len(text) for text in found.texts.values()) < len(data)


@pytest.mark.parametrize("dump", ALL, ids=lambda p: p.stem)
def test_the_recorded_objects_have_parts(dump: Path) -> None:
    """Each table of the inventory taken with the dump has a structure and rows; each view a stand-in and itself."""
    parts = {(p.kind, p.database, p.name) for p in mapped(dump.read_bytes(), []).parts}
    expected = {"table": ("table",), "rows": ("rows",), "sequence": ("sequence",), "view": ("stand-in", "view")}
    recorded = json.loads(dump.with_suffix(".json").read_text())
    assert any(kind == "rows" for kind, _, _ in recorded)
    for kind, database, name in recorded:
        for part in expected.get(kind, ()):
            assert (part, database, name) in parts


@pytest.mark.parametrize("dump", ALL, ids=lambda p: p.stem)
@settings(max_examples=60)
@given(cuts=st.lists(st.integers(0, 200_000), max_size=30))
def test_chunks_make_no_difference(dump: Path, cuts: list[int]) -> None:
    """However the stream is cut, the parts are the same, and so are their bytes."""
    data = dump.read_bytes()
    whole, cut = mapped(data, []), mapped(data, cuts)
    assert cut.parts == whole.parts
    assert cut.texts == whole.texts
    edges = [0, *sorted({c % (len(data) + 1) for c in cuts}), len(data)]
    chunks = [data[b:e] for b, e in pairwise(edges)]
    chosen = whole.parts[1::2]
    found: dict[Part, bytes] = dict.fromkeys(chosen, b"")
    for part, piece in pieces(chunks, chosen):
        found[part] += piece
    assert found == {p: data[p.start : p.end] for p in chosen}


def test_reading_ends_after_the_last_part() -> None:
    """What comes after the last part that is wanted is not read."""
    chunks = iter([b"aaaa", b"bbbb", b"cccc"])
    assert [piece for _, piece in pieces(chunks, [Part("rows", "d", "t", 2, 6)])] == [b"aa", b"bb"]
    assert next(chunks) == b"cccc"


MARIADB = b"\nINSERT INTO `t` VALUES\n(1,'a),(b'),\n(2,NULL);\nINSERT INTO `t` VALUES\n(3,'\\'');\n"
MYSQL = b"\nINSERT INTO `t` VALUES (1,'a'),(2,NULL);\nINSERT INTO `t` VALUES (3,'\\''),(4,'x');\n"
AMBIGUOUS = b"\nINSERT INTO `t` VALUES (1,'a),(b'),(2,'\\'),(');\n"


@pytest.mark.parametrize(
    ("rows", "exact", "count"),
    [
        (MARIADB, False, 3),
        (MYSQL, False, 4),
        (MYSQL, True, 4),
        (AMBIGUOUS, False, 4),
        (AMBIGUOUS, True, 2),
        (b"", 0, 0),
    ],
)
def test_rows_are_counted(rows: bytes, exact: bool, count: int) -> None:
    """Rows on lines of their own are counted exactly; others at least, and exactly when asked to."""
    for size in (1, 2, 3, 7, 1000):
        counter = RowCount(exact=exact)
        for start in range(0, len(rows), size):
            counter.feed(rows[start : start + size])
        assert counter.rows == count


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (b"CREATE DEFINER=`a``b`@`%` PROCEDURE `p`()", b"CREATE PROCEDURE `p`()"),
        (
            b"/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER",
            b"/*!50003 CREATE*/ /*!50017 */ /*!50003 TRIGGER",
        ),
        (
            b"/*!50106 CREATE*/ /*!50117 DEFINER=`a`@`b`*/ /*!50106 EVENT",
            b"/*!50106 CREATE*/ /*!50117 */ /*!50106 EVENT",
        ),
        (b"/*!50013 DEFINER=`a`@`b` SQL SECURITY DEFINER */", b"/*!50013 SQL SECURITY DEFINER */"),
        (b"  SELECT 'DEFINER=`a`@`b`';", b"  SELECT 'DEFINER=`a`@`b`';"),
    ],
)
def test_definers_are_left_out(text: bytes, left: bytes) -> None:
    """As the dump programs write them, and nowhere within bodies."""
    assert without_definers(text) == left


def test_many_texts_are_not_kept() -> None:
    """Structure of more than 32 MiB is passed over rather than held."""
    found = DumpMap()
    found.feed(b"-- MySQL dump\n-- Table structure for table `t`\n")
    for _ in range(40):
        found.feed(b"x" * (1 << 20))
    found.finish()
    assert found.too_long
    assert found.texts == {0: b"-- MySQL dump\n"}
    assert found.parts == [Part("head", "", "", 0, 14), Part("table", "", "t", 14, 47 + (40 << 20))]


def test_databases_are_known_however_much_structure_there_is() -> None:
    """The statements that choose a database are kept after the limit too: what follows belongs into that one."""
    use = b"-- Current Database: `d`\n--\n\nUSE `d`;\n\n--\n"
    found = DumpMap()
    found.feed(b"-- MySQL dump\n" + use + b"-- Table structure for table `t`\n")
    for _ in range(40):
        found.feed(b"x" * (1 << 20))
    found.feed(b"\n" + use + b"-- Final view structure for view `v`\n")
    found.finish()
    assert found.too_long
    assert [found.texts[p.start] for p in found.parts if p.kind == "database"] == [use, use]


def test_a_head_without_end_is_refused() -> None:
    """A stream in which no part begins is not held."""
    found = DumpMap()
    with pytest.raises(ContentError, match="not laid out"):
        found.feed(b"x" * (40 << 20))
