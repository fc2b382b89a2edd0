"""DumpCheck against recorded dumps of real servers: every object is found, every cut is noticed."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullagent.checks.dump import DumpCheck, DumpObject
from pullagent.errors import ContentError
from tests.unit.cuts import cut, judge, places
from tests.vectors import DUMPS

RECORDED = sorted(DUMPS.glob("*.sql"))
each_dump = pytest.mark.parametrize("dump", RECORDED, ids=lambda path: path.stem)


def expected(dump: Path) -> set[DumpObject]:
    """What the server's information_schema said it holds."""
    return {DumpObject(*item) for item in json.loads(dump.with_suffix(".json").read_text())}


def found(data: bytes, cuts: list[int] | None = None) -> set[DumpObject]:
    """What the scanner sees; ContentError passes."""
    check = DumpCheck()
    judge(check, cut(data, cuts or []))
    return check.found


def test_there_are_dumps_of_both_products() -> None:
    """The corpus holds MariaDB and MySQL, ordinary and awkward."""
    assert {path.stem for path in RECORDED} == {
        f"{server}-{database}" for server in ("mariadb-10.11", "mysql-9.7") for database in ("agama", "corners")
    }


@each_dump
def test_every_object_of_the_server_is_found(dump: Path) -> None:
    """The scanner names exactly what information_schema names, and nothing that stands only in bodies and rows."""
    assert found(dump.read_bytes()) == expected(dump)


@each_dump
@given(cuts=places())
@settings(max_examples=40)
def test_chunk_boundaries_do_not_matter(dump: Path, cuts: list[int]) -> None:
    """However the stream is cut into chunks, the same objects are found."""
    assert found(dump.read_bytes(), cuts) == expected(dump)


@each_dump
@pytest.mark.parametrize("size", [1, 7, 400, 4096])
def test_chunks_of_one_size_find_the_same(dump: Path, size: int) -> None:
    """Even single bytes give the same objects."""
    data = dump.read_bytes()
    assert found(data, list(range(0, len(data), size))) == expected(dump)


@each_dump
def test_a_dump_cut_anywhere_is_refused(dump: Path) -> None:
    """A dump without its last bytes is refused, wherever it ends."""
    data = dump.read_bytes()
    near_the_end = range(len(data.rstrip(b"\n")) - 60, len(data) - 1)
    for length in {0, 1, *random.Random(5).sample(range(len(data)), 300), *near_the_end}:
        with pytest.raises(ContentError):
            found(data[:length])


@each_dump
def test_a_dump_without_its_last_line_end_is_refused(dump: Path) -> None:
    """The marker counts only as a whole line."""
    with pytest.raises(ContentError, match="cut short"):
        found(dump.read_bytes().rstrip(b"\n"))


@each_dump
@given(banner=st.sampled_from([b"Welcome!\n", b"\n", b"\x1b[2J", b" ", b"-- MOTD\n", b"stdin: is not a tty\n"]))
def test_a_banner_ahead_of_the_dump_is_refused(dump: Path, banner: bytes) -> None:
    """What a login script prints ahead of a dump is refused, with a hint at the script."""
    with pytest.raises(ContentError, match="does not begin like a dump") as caught:
        found(banner + dump.read_bytes())
    assert "login script" in caught.value.hint


@each_dump
@given(trailer=st.sampled_from([b"bye\n", b"x", b"\n\n-- another line\n", b"-- Dump completed\nSELECT 1;\n"]))
def test_bytes_after_the_marker_are_refused(dump: Path, trailer: bytes) -> None:
    """The marker is a sign of the end only where it is the end."""
    with pytest.raises(ContentError):
        found(dump.read_bytes() + trailer)


def test_a_wrong_head_is_refused_before_the_stream_ends() -> None:
    """An operator need not wait for hours to hear of a banner."""
    check = DumpCheck()
    with pytest.raises(ContentError):
        check.feed(b"Permission denied\n" * 100)


@pytest.mark.parametrize("data", [b"", b"\n", b"-- MySQL dump ", b"-- Dump completed\n", b"\n-- Dump completed\n"])
def test_almost_nothing_is_no_dump(data: bytes) -> None:
    """An empty or headless stream never passes, marker or not."""
    with pytest.raises(ContentError):
        found(data)
