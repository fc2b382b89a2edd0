"""DumpCheck on dumps composed here: shapes that the recorded ones lack."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullagent.checks.dump import DumpCheck, DumpObject
from pullagent.errors import ContentError
from tests.unit.cuts import cut, judge, places
from tests.unit.memory import peak_growth

HEAD = b"-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB\n--\n" + b"-- x\n" * 100 + b"\nUSE `d`;\n"
MARKER = b"\n-- Dump completed on 2026-11-23  1:00:00\n"
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n"), min_size=1, max_size=20)


def scan(body: bytes, cuts: list[int] | None = None, head: bytes = HEAD) -> set[tuple[str, str]]:
    """Kinds and names that a dump with this body defines."""
    check = DumpCheck()
    judge(check, cut(head + body + MARKER, cuts or []))
    assert {item.database for item in check.found} <= {"d"}
    return {(item.kind, item.name) for item in check.found}


def quoted(name: str) -> bytes:
    """A name as a server quotes it."""
    return b"`" + name.replace("`", "``").encode() + b"`"


@given(name=names, cuts=places(2000))
def test_any_name_is_read_back(name: str, cuts: list[int]) -> None:
    """Whatever characters a name has, it is found as the server spells it, however the stream is cut."""
    body = b"CREATE TABLE " + quoted(name) + b" (\n  `a` int\n);\nINSERT INTO " + quoted(name) + b" VALUES (1);\n"
    assert scan(body, cuts) == {("table", name), ("rows", name)}


@given(name=names)
def test_any_database_name_is_read_back(name: str) -> None:
    """Objects belong to the database of the last USE line."""
    check = DumpCheck()
    judge(check, iter([HEAD + b"USE " + quoted(name) + b";\nCREATE TABLE `t` (\n" + MARKER]))
    assert check.found == {DumpObject("table", name, "t")}


@given(
    name=names,
    kind=st.sampled_from(["PROCEDURE", "FUNCTION", "TRIGGER", "EVENT"]),
    definer=st.sampled_from(["`root`@`localhost`", "`o'b``PROCEDURE x`@`%`", "`role`", "''@'%'", "root@localhost"]),
)
def test_a_body_is_named_after_its_definer(name: str, kind: str, definer: str) -> None:
    """A definer whose name looks like a definition does not mislead, quoted or not."""
    body = (
        f"DELIMITER ;;\nCREATE DEFINER={definer} {kind} ".encode() + quoted(name) + b"()\nBEGIN\nEND ;;\nDELIMITER ;\n"
    )
    assert scan(body) == {(kind.lower(), name)}


def test_lines_within_a_body_count_for_nothing() -> None:
    """Between DELIMITER lines only the first CREATE is an object; tables, rows and markers there are text."""
    body = (
        b"DELIMITER ;;\nCREATE DEFINER=`a`@`b` PROCEDURE `p`()\nBEGIN\nSELECT '\n"
        b"CREATE TABLE `ghost` (\nUSE `ghost`;\nINSERT INTO `ghost` VALUES (1);\n-- Dump completed\n"
        b"CREATE PROCEDURE `ghost`()\n';\nEND ;;\nDELIMITER ;\nCREATE TABLE `real` (\n"
    )
    assert scan(body) == {("procedure", "p"), ("table", "real")}


def test_a_dump_that_ends_within_a_body_is_refused() -> None:
    """A marker in the body of a cut-off routine is no end."""
    with pytest.raises(ContentError):
        scan(b"DELIMITER ;;\nCREATE PROCEDURE `p`()\nBEGIN\nSELECT '\n")


def test_rows_on_lines_of_their_own_are_passed_over() -> None:
    """MariaDB writes each row on a line that begins with a bracket; nothing in them is a definition."""
    rows = b",\n".join(b"(%d,'CREATE TABLE `x` (')" % n for n in range(3000))
    assert scan(b"CREATE TABLE `t` (\n);\nINSERT INTO `t` VALUES\n" + rows + b";\n") == {("table", "t"), ("rows", "t")}


def test_escaped_line_breaks_in_values_are_no_lines() -> None:
    """Within a value a line break is written as \\n."""
    body = b"INSERT INTO `t` VALUES (1,'\\nCREATE TABLE `ghost` (\\nDELIMITER ;;\\n');\n"
    assert scan(body) == {("rows", "t")}


@given(cuts=places(3_200_000))
@settings(max_examples=25)
def test_a_line_of_three_megabytes_is_one_line(cuts: list[int]) -> None:
    """Long INSERT lines pass, and the line after is seen."""
    long = b"INSERT INTO `t` VALUES (" + b"'CREATE TABLE `ghost`'," * 145_000 + b"1);\n"
    assert scan(long + b"CREATE TABLE `after` (\n", cuts) == {("rows", "t"), ("table", "after")}


def test_a_row_longer_than_any_chunk_costs_no_memory() -> None:
    """A line without end is not gathered: 256 MiB of it pass in constant memory."""
    check, chunk = DumpCheck(), b"x" * (1 << 20)

    def work() -> None:
        judge(check, iter([HEAD + b"INSERT INTO `t` VALUES ('", *[chunk] * 256, b"');\n" + MARKER]))

    assert peak_growth(work) < 24 << 20
    assert check.found == {DumpObject("rows", "d", "t")}


def test_a_body_without_end_costs_no_memory() -> None:
    """Many short lines within a body are not gathered either."""
    check = DumpCheck()

    def work() -> None:
        check.feed(HEAD + b"DELIMITER ;;\nCREATE PROCEDURE `p`()\n")
        for chunk in lines(b"  SET @a = 1;\n", 12 << 20):
            check.feed(chunk)

    assert peak_growth(work) < 8 << 20


def lines(line: bytes, total: int) -> Iterator[bytes]:
    """`total` bytes of a line again and again."""
    for _ in range(total // (len(line) * 4096)):
        yield line * 4096


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"/*!50001 VIEW `v` AS select 1 */;\n", ("view", "v")),
        (b"CREATE SEQUENCE `s` start with 1;\n", ("sequence", "s")),
        (b"CREATE TABLE IF NOT EXISTS `t` (\n", ("table", "t")),
        (
            b"DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER `x` BEFORE*/;;\n",
            ("trigger", "x"),
        ),
        (b"DELIMITER ;;\n/*!50106 CREATE*/ /*!50117 DEFINER=`a`@`b`*/ /*!50106 EVENT `e` ON*/ ;;\n", ("event", "e")),
        (b'DELIMITER ;;\nCREATE DEFINER="a"@"b" PROCEDURE "my ""p"""()\n;;\n', ("procedure", 'my "p"')),
        (b"DELIMITER ;;\nCREATE FUNCTION bare(x INT) RETURNS INT\n;;\n", ("function", "bare")),
        (b"DELIMITER ;;\nCREATE DEFINER=`a`@`b` PACKAGE BODY `k` AS\n;;\n", ("package body", "k")),
        (b"DELIMITER ;;\nCREATE PROCEDURE `d`.`p`()\n;;\n", ("procedure", "p")),
        (b"DELIMITER ;;\nCREATE /* PROCEDURE ghost */ PROCEDURE p()\n;;\n", ("procedure", "p")),
        (b"DELIMITER ;;\nCREATE AGGREGATE FUNCTION IF NOT EXISTS `f`(x INT)\n;;\n", ("function", "f")),
    ],
)
def test_each_form_of_definition(text: bytes, expected: tuple[str, str]) -> None:
    """All forms in which the dump programs write definitions are understood."""
    ending = b"DELIMITER ;\n" if text.startswith(b"DELIMITER") else b""
    assert scan(text + ending) == {expected}


@pytest.mark.parametrize(
    "head",
    [
        b"-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)\n",
        b"-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)\n",
        b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n",
        b"/*!999999\\- enable the sandbox mode */ \n-- MySQL dump 10.19\n",
    ],
)
def test_each_form_of_head(head: bytes) -> None:
    """Both products' heads pass, with and without MariaDB's sandbox line."""
    assert scan(b"CREATE TABLE `t` (\n", head=head + b"USE `d`;\n") == {("table", "t")}
