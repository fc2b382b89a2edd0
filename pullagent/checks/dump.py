"""Reads a mysqldump stream as it passes: its head, the objects it defines, its last line.

Layout of the output as written by mariadb-dump 10.11 and mysqldump 9.7: a statement begins at the start of a line;
rows follow their INSERT on the same line or on lines that begin with `(`; line breaks within values are escaped;
bodies of routines, triggers and events stand between DELIMITER lines, and may hold lines that look like anything.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from pullagent.errors import ContentError

_HEAD_BYTES = 400
_LINE_BYTES = 4096
_TAIL_BYTES = 400
# how many objects one source may hold: each takes memory
OBJECTS = 50_000
# 64 characters of up to three bytes, each of which might be a doubled backquote
_NAME_BYTES = 64 * 3 * 2
_HEAD = re.compile(rb"(?:/\*M?!999999\\- [^\n]*\n)?-- (?:MySQL|MariaDB) dump ")
_SANDBOX = re.compile(rb"/\*M?!999999\\- [^\n]*\n")
_MARKER = re.compile(rb"\n-- Dump completed[^\n]*\n\Z")
# rows are passed over without a step of Python for each
_LINE = re.compile(rb"\n(?!\()")
_QUOTED = rb"`((?:[^`]|``)+)`"
_USE = re.compile(rb"USE " + _QUOTED + rb";")
_OUTSIDE = {
    "table": re.compile(rb"CREATE TABLE (?:IF NOT EXISTS )?" + _QUOTED),
    "sequence": re.compile(rb"CREATE SEQUENCE " + _QUOTED),
    "view": re.compile(rb"/\*!50001 VIEW " + _QUOTED),
    "rows": re.compile(rb"INSERT INTO " + _QUOTED),
}
_RULE, _VERSION = b"-- " + b"-" * 54, b"-- Server version\t"
_CREATE = re.compile(rb"(?:/\*!\d+ )?CREATE\b")
_COMMENT = re.compile(rb"/\*(?![!M]).*?\*/")
_NAME = rb"(?:`((?:[^`]|``)+)`|\"((?:[^\"]|\"\")+)\"|([^\s`\"(.]+))"
_WITHIN = re.compile(
    rb"\b(PROCEDURE|FUNCTION|PACKAGE BODY|PACKAGE|TRIGGER|EVENT)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:"
    + _NAME
    + rb"\s*\.\s*)?"
    + _NAME,
    re.IGNORECASE,
)
_DEFINER = re.compile(rb"\bDEFINER\s*=\s*(?:`(?:[^`]|``)*`@`(?:[^`]|``)*`|`(?:[^`]|``)*`|\S+)", re.IGNORECASE)


class DumpObject(NamedTuple):
    """Something that a dump defines, or `rows` of a table. `kind` in lower case, names as the server spells them."""

    kind: str
    database: str
    name: str


class DumpCheck:
    """Feeds on the stream in chunks of any size; `found` grows as objects pass."""

    def __init__(self) -> None:
        self.found: set[DumpObject] = set()
        self._pending = b"\n"
        self._head = b""
        self._tail = b"\n"
        self._database = ""
        self._within_delimiter = False
        self._awaiting_create = False
        self._heads, self._previous = 0, b""

    def feed(self, chunk: bytes) -> None:
        """Scan the next bytes; ContentError when the head is not that of a dump."""
        if len(self._head) < _HEAD_BYTES:
            self._head += chunk[:_HEAD_BYTES]
            if len(self._head) >= _HEAD_BYTES:
                self._check_head()
        self._tail = (self._tail + chunk)[-_TAIL_BYTES:] if len(chunk) < _TAIL_BYTES else chunk[-_TAIL_BYTES:]
        self._pending = self._scan(self._pending + chunk, whole=False)

    def finish(self) -> None:
        """ContentError unless the dump has its head and ends with its own completion line."""
        self._check_head()
        self._scan(self._pending, whole=True)
        if self._within_delimiter or not _MARKER.search(self._tail):
            last = self._tail.rstrip(b"\n").rsplit(b"\n", 1)[-1].decode(errors="replace")
            raise ContentError(
                f"the dump is cut short: its last line is {last[-80:]!r}, not '-- Dump completed'",
                "the server or the dump program stopped in the middle; look into the database's error log",
            )

    def _check_head(self) -> None:
        if not _HEAD.match(self._head):
            begin = self._head[:80].decode(errors="replace")
            raise ContentError(
                f"the stream does not begin like a dump, but with {begin!r}",
                "does a login script (.bashrc, .profile) print something for every SSH login? It must be silent",
            )

    def _scan(self, data: bytes, whole: bool) -> bytes:
        """Take every line whose head is there; what is to be looked at again with more bytes."""
        for match in _LINE.finditer(data):
            start = match.end()
            end = data.find(b"\n", start, start + _LINE_BYTES)
            if end < 0 and len(data) < start + _LINE_BYTES and not whole:
                return data[match.start() :]
            self._line(data[start : end if end >= 0 else start + _LINE_BYTES])
        return b"\n" if data.endswith(b"\n") else b""

    def _line(self, line: bytes) -> None:
        self._count_heads(line)
        if line.startswith(b"DELIMITER "):
            self._within_delimiter = self._awaiting_create = line.rstrip() != b"DELIMITER ;"
        elif self._within_delimiter:
            if self._awaiting_create and _CREATE.match(line):
                self._awaiting_create = False
                self._body(line)
        elif use := _USE.match(line):
            self._database = _plain(use[1])
        else:
            for kind, pattern in _OUTSIDE.items():
                if found := pattern.match(line):
                    self._add(kind, _plain(found[1]))

    def _count_heads(self, line: bytes) -> None:
        """A dump has one head; another within it, in whatever state, is that of a second dump."""
        self._heads += line.startswith(_VERSION) and self._previous == _RULE
        self._previous = line
        if self._heads > 1:
            raise ContentError(
                "a second dump begins within the first", "is the dump program there a wrapper that starts it again?"
            )

    def _body(self, line: bytes) -> None:
        header = _COMMENT.sub(b" ", _DEFINER.sub(b"", line))
        if match := _WITHIN.search(header):
            quoted, ansi, bare = match[5], match[6], match[7]
            name = _plain(quoted) if quoted else (ansi.replace(b'""', b'"') if ansi else bare).decode(errors="replace")
            kind = match[1].decode().lower()
            self._add(kind, name)

    def _add(self, kind: str, name: str) -> None:
        if len(name) > _NAME_BYTES:
            raise ContentError(f"the dump names a {kind} of {len(name)} characters")
        self.found.add(DumpObject(kind, self._database, name))
        # a table stands for two: itself and its rows
        if len(self.found) > 2 * OBJECTS:
            raise ContentError(
                f"the dump holds more than {OBJECTS} objects", "divide `databases` among several sources"
            )


def without_sandbox(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """A dump less the first line with which newer MariaDB clients restrict themselves: others stop at it."""
    head = b""
    for chunk in chunks:
        head += chunk
        if b"\n" in head:
            break
    yield _SANDBOX.sub(b"", head, count=1) if _SANDBOX.match(head) else head
    yield from chunks


def _plain(quoted: bytes) -> str:
    return quoted.replace(b"``", b"`").decode(errors="replace")
