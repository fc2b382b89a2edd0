"""Where the parts of a mysqldump stream lie, so that tables can be loaded apart and their rows be counted. Pure.

Layout as written by mariadb-dump 10.11 and mysqldump 9.7 with --comments: each part begins with a comment line that
names it; a table's rows end with UNLOCK TABLES, and its triggers follow; bodies stand between DELIMITER lines.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pullagent.errors import ContentError

_QUOTED = rb"`((?:[^`]|``)+)`"
_HEADS = {
    "database": re.compile(rb"-- Current Database: " + _QUOTED),
    "table": re.compile(rb"-- Table structure for table " + _QUOTED),
    "rows": re.compile(rb"-- Dumping data for table " + _QUOTED),
    "stand-in": re.compile(rb"-- Temporary (?:table|view) structure for view " + _QUOTED),
    "sequence": re.compile(rb"-- Sequence structure for " + _QUOTED),
    "view": re.compile(rb"-- Final view structure for view " + _QUOTED),
    "programs": re.compile(rb"-- Dumping (?:events|routines) for database ()"),
}
# the lines of interest alone, so that rows are passed over without a step of Python for each
_LINE = re.compile(rb"\n(?=-- [CDFST]|UNLOCK TABLES;|DELIMITER )")
_DEFINER = re.compile(
    rb"^(CREATE |/\*!\d+ CREATE\*/ /\*!\d+ |/\*!\d+ (?:CREATE )?)DEFINER=`(?:[^`]|``)*`(?:@`(?:[^`]|``)*`)? ?",
    re.MULTILINE,
)
_LINE_BYTES = 1024
_TEXT_LIMIT = 32 << 20
_ALWAYS_KEPT = ("head", "database")
_EXACT_ROW = re.compile(rb"'[^'\\]*+(?:\\.[^'\\]*+)*+'", re.DOTALL)


class Part(NamedTuple):
    """A stretch of the stream, from byte `start` up to `end`.

    `kind`: head, database, table (its structure), rows, triggers, stand-in (for a view), sequence, programs (events,
    routines) or view.
    """

    kind: str
    database: str
    name: str
    start: int
    end: int

    @property
    def table(self) -> tuple[str, str]:
        """Database and name."""
        return self.database, self.name

    @property
    def size(self) -> int:
        """In bytes."""
        return self.end - self.start


class DumpMap:
    """Feeds on a dump in chunks of any size; after `finish`, `parts` cover it without gaps.

    `texts` holds the text of each part that is not rows, by its start; `too_long` tells that they were more than
    32 MiB together, and that only those of the head and of databases are there.
    """

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.texts: dict[int, bytes] = {}
        self.too_long = False
        self._kind, self._database, self._name, self._start = "head", "", "", 0
        self._held, self._origin = b"", 0
        self._within_delimiter = False
        self._text: list[bytes] = []
        self._text_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        data = self._held + chunk
        last = data.rfind(b"\n")
        # a line that is not whole may be one of interest, unless it is too long for that
        keep = last if last >= 0 and len(data) - last < _LINE_BYTES else len(data)
        self._scan(data, keep)
        self._held, self._origin = data[keep:], self._origin + keep

    def finish(self) -> None:
        """The stream has ended."""
        self._scan(self._held, len(self._held))
        self._origin += len(self._held)
        self._close(self._origin)

    def _scan(self, data: bytes, keep: int) -> None:
        done = 0
        for match in _LINE.finditer(data):
            if match.start() >= keep:
                break
            begin = match.end()
            end = data.find(b"\n", begin)
            end = end if end >= 0 else len(data)
            began = self._line(data[begin:end])
            if began is not None:
                at = end if began[0] == "triggers" else begin
                self._take(data[done:at])
                self._close(self._origin + at)
                self._kind, self._database, self._name = began
                done = at
        self._take(data[done:keep])

    def _line(self, line: bytes) -> tuple[str, str, str] | None:
        """The kind, database and name of the part that begins at this line, or after it where it ends rows."""
        if line.startswith(b"DELIMITER "):
            self._within_delimiter = line.rstrip() != b"DELIMITER ;"
        elif self._within_delimiter:
            return None
        elif line.startswith(b"UNLOCK"):
            return ("triggers", self._database, self._name) if self._kind == "rows" else None
        for kind, pattern in _HEADS.items():
            if found := pattern.match(line):
                name = found[1].replace(b"``", b"`").decode(errors="replace")
                return (kind, name, "") if kind == "database" else (kind, self._database, name)
        return None

    @property
    def _kept(self) -> bool:
        """Whether the text of the present part is kept."""
        return self._kind in _ALWAYS_KEPT or (self._kind != "rows" and not self.too_long)

    def _take(self, data: bytes) -> None:
        if not self._kept:
            return
        self._text.append(data)
        self._text_bytes += len(data)
        if self._text_bytes <= _TEXT_LIMIT:
            return
        if self._kind in _ALWAYS_KEPT:
            raise ContentError(
                "the dump is not laid out as the dump programs do it", "RESTORE.txt tells the way by hand"
            )
        self.too_long, self._text, self._text_bytes = True, [], 0
        self.texts = {p.start: self.texts[p.start] for p in self.parts if p.kind in _ALWAYS_KEPT}

    def _close(self, at: int) -> None:
        if at > self._start:
            self.parts.append(Part(self._kind, self._database, self._name, self._start, at))
        if self._kept:
            self.texts[self._start] = b"".join(self._text)
        self._text, self._start = [], at


def pieces(chunks: Iterable[bytes], parts: Sequence[Part]) -> Iterator[tuple[Part, bytes]]:
    """The bytes of those `parts` (in their order, which is the stream's), piece by piece; the rest is passed over.

    Stops reading after the last of them.
    """
    wanted, origin = iter(parts), 0
    part = next(wanted, None)
    for chunk in chunks:
        end = origin + len(chunk)
        while part is not None and part.start < end:
            yield part, chunk[max(part.start - origin, 0) : part.end - origin]
            if part.end > end:
                break
            part = next(wanted, None)
        if part is None:
            return
        origin = end


def without_definers(text: bytes) -> bytes:
    """Views, routines, triggers and events as the account that loads them: under another database's name their
    definers have no rights.
    """
    return _DEFINER.sub(rb"\1", text)


class RowCount:
    """Counts the rows of one table's part of the stream, fed in pieces of any size.

    Where each row stands on a line of its own (MariaDB), `rows` is exact. Where they do not (MySQL) it counts what
    separates rows, which a text may hold too: it is then never too low, and `exact` costs a step for each value.
    """

    def __init__(self, *, exact: bool = False) -> None:
        self._exact, self._last = exact, b""
        self._statements = self._lines = self._separators = 0
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        joined = self._last + piece
        if self._exact:
            self._feed_exactly(piece)
        else:
            self._separators += joined.count(b"),(") - self._last.count(b"),(")
        self._lines += joined.count(b"\n(") - self._last.count(b"\n(")
        self._statements += joined.count(b"\nINSERT INTO ") - self._last.count(b"\nINSERT INTO ")
        self._last = joined[-12:]

    def _feed_exactly(self, piece: bytes) -> None:
        """Count outside of strings; a line is looked at once it is whole."""
        self._rest += piece
        cut = self._rest.rfind(b"\n") + 1
        self._separators += _EXACT_ROW.sub(b"", self._rest[:cut]).count(b"),(")
        self._rest = self._rest[cut:]

    @property
    def rows(self) -> int:
        """How many rows have passed."""
        return self._lines or self._statements + self._separators
