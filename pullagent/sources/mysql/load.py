"""Loads a dump, or chosen parts of it, through the stock client: tables side by side, their keys after their rows.

Each session reads the snapshot anew and passes over what is not its own: decrypting and decompressing is many times
as fast as any server loads.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from itertools import groupby

from pullagent.checks.dump import without_sandbox
from pullagent.errors import CommandFailed
from pullagent.model import StopSignal
from pullagent.sources.base import Opened, Remote, RestoreOptions
from pullagent.sources.mysql.accounts import quote
from pullagent.sources.mysql.commands import Commands
from pullagent.sources.mysql.keys import Keys, Table, keys_that_can_wait
from pullagent.sources.mysql.parts import DumpMap, Part, RowCount, pieces, without_definers
from pullagent.workers import workers

DUMP = "dump.sql"
# below, making a table's keys anew costs more than it saves
_LARGE = 8 << 20
_STRUCTURE = ("database", "table", "stand-in", "sequence")
_AFTER_ROWS = ("triggers", "programs", "view")


def survey(snapshot: Opened) -> DumpMap:
    """Read the whole dump once, which also proves it sound, and map it."""
    found = DumpMap()
    with snapshot.chunks(DUMP) as chunks:
        for chunk in chunks:
            found.feed(chunk)
    found.finish()
    return found


def chosen(parts: Sequence[Part], options: RestoreOptions) -> list[Part]:
    """The parts that `options` want: all, those of some tables, or all but rows."""
    kept = [p for p in parts if not (options.schema_only and p.kind == "rows")]
    if not options.tables:
        return kept
    always = ("head", "database")
    return [p for p in kept if p.kind in always or (p.kind in ("table", "rows", "triggers") and _named(p, options))]


def _named(part: Part, options: RestoreOptions) -> bool:
    return part.name in options.tables or ".".join(part.table) in options.tables


class Loader:
    """One load. `sandbox`: whether the client knows MariaDB's sandbox line."""

    def __init__(
        self,
        host: Remote,
        commands: Commands,
        snapshot: Opened,
        dump: DumpMap,
        options: RestoreOptions,
        *,
        sandbox: bool,
    ) -> None:
        self._host, self._commands, self._snapshot, self._dump = host, commands, snapshot, dump
        self._options, self._stop = options, StopSignal()
        self._parts = chosen(dump.parts, options)
        head = dump.texts[0]
        self._head = head if sandbox else b"".join(without_sandbox(iter([head])))
        self.rows: dict[Table, int] = {}
        """How many rows of each table, by its name on the target, have passed."""

    def load(self) -> None:
        """Load everything; afterwards `rows` says how many rows of each table have passed."""
        if self._options.plain or self._dump.too_long:
            self._snapshot.step("loading", sum(p.size for p in self._parts))
            self._send(self._as_it_is())
            return
        self._send([self._head, *self._structure()])
        rows = [p for p in self._parts if p.kind == "rows"]
        later = self._take_keys(rows)
        self._snapshot.step("loading rows", sum(p.size for p in rows))
        self._side_by_side(rows, later)
        self._send([self._head, *self._after_rows()])

    def _send(self, chunks: Iterable[bytes]) -> None:
        self._host.send(self._commands.load(), iter(chunks), self._stop)

    def _as_it_is(self) -> Iterator[bytes]:
        """The wanted parts in the dump's own order."""
        with self._snapshot.quietly(DUMP) as chunks:
            for part, group in groupby(pieces(chunks, self._parts), key=lambda found: found[0]):
                data = self._told(piece for _, piece in group)
                yield from self._counted(part, data) if part.kind == "rows" else self._amended(part, data)

    def _told(self, pieces_of_part: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces_of_part:
            self._snapshot.advanced(len(piece))
            yield piece

    def _counted(self, part: Part, rows: Iterable[bytes]) -> Iterator[bytes]:
        """One table's rows, counted as they pass."""
        count = RowCount()
        for piece in rows:
            count.feed(piece)
            yield piece
        self.rows[self._target(part.table)] = count.rows

    def _amended(self, part: Part, data: Iterable[bytes]) -> Iterator[bytes]:
        """A part that is not rows, as the target is to have it."""
        if part.kind not in ("head", "database") and self._options.into is None:
            yield from data
            return
        text = b"".join(data)
        yield self._head if part.kind == "head" else self._written(part, text)

    def _written(self, part: Part, text: bytes) -> bytes:
        """A part's text for a database of the name that is wanted."""
        if self._options.into is None:
            return text
        if part.kind == "database":
            return text.replace(quote(part.database).encode(), quote(self._options.into).encode())
        return without_definers(text)

    def _target(self, table: Table) -> Table:
        """What a table of the snapshot is called there."""
        return self._options.into or table[0], table[1]

    def _structure(self) -> Iterator[bytes]:
        for part in self._parts:
            if part.kind in _STRUCTURE:
                yield self._written(part, self._dump.texts[part.start])
                yield b"\n"

    def _after_rows(self) -> Iterator[bytes]:
        for part in self._parts:
            if part.kind in _AFTER_ROWS:
                yield self._use(part)
                yield self._written(part, self._dump.texts[part.start])
                yield b"\n"

    def _use(self, part: Part) -> bytes:
        return f"\nUSE {quote(self._options.into or part.database)};\n".encode()

    def _take_keys(self, rows: Sequence[Part]) -> Mapping[Table, Keys]:
        """Take the keys of large tables, where the server gives them back exactly as they were; those taken."""
        tables = {p.table: self._dump.texts[p.start].decode() for p in self._parts if p.kind == "table"}
        large = {p.table for p in rows if p.size >= _LARGE}
        fit = [Keys(self._target(k.table), k.definitions) for k in keys_that_can_wait(tables) if k.table in large]
        with workers(self._options.jobs, "keys", self._stop) as pool:
            taken = list(pool.map(self._taken, fit))
        return {k.table: k for k, was_taken in zip(fit, taken, strict=True) if was_taken}

    def _taken(self, keys: Keys) -> bool:
        """Take them, give them back, and take them for good if nothing has changed by it."""
        before = self._host.read(self._commands.query(keys.show))
        try:
            self._send([f"{keys.drop}\n{keys.add}\n".encode()])
        except CommandFailed:
            # each statement is all or nothing: either they were not dropped, or they must come back
            if self._host.read(self._commands.query(keys.show)) != before:
                self._send([f"{keys.add}\n".encode()])
            return False
        if self._host.read(self._commands.query(keys.show)) != before:
            return False
        self._send([f"{keys.drop}\n".encode()])
        return True

    def _side_by_side(self, rows: Sequence[Part], later: Mapping[Table, Keys]) -> None:
        shares = shared_out(rows, self._options.jobs)
        with workers(max(1, len(shares)), "load", self._stop) as pool:
            _first_error([pool.submit(self._send, self._session(share, later)) for share in shares])

    def _session(self, share: Sequence[Part], later: Mapping[Table, Keys]) -> Iterator[bytes]:
        """One session's tables: their rows, and then their keys."""
        yield self._head
        with self._snapshot.quietly(DUMP) as chunks:
            for part, group in groupby(pieces(chunks, share), key=lambda found: found[0]):
                yield self._use(part)
                yield from self._counted(part, self._told(piece for _, piece in group))
                if (table := self._target(part.table)) in later:
                    yield f"\n{later[table].add}\n".encode()

    def recount(self, tables: Iterable[Table]) -> None:
        """Count the rows of these tables once more, exactly: for those whose texts hold what separates rows."""
        wanted = set(tables)
        parts = [p for p in self._parts if p.kind == "rows" and self._target(p.table) in wanted]
        with self._snapshot.quietly(DUMP) as chunks:
            for part, group in groupby(pieces(chunks, parts), key=lambda found: found[0]):
                count = RowCount(exact=True)
                for _, piece in group:
                    count.feed(piece)
                self.rows[self._target(part.table)] = count.rows


def shared_out(rows: Sequence[Part], jobs: int) -> list[list[Part]]:
    """The tables over `jobs` sessions, the largest first to whoever has least; each session's in the dump's order."""
    shares: list[list[Part]] = [[] for _ in range(jobs)]
    for part in sorted(rows, key=lambda p: p.size, reverse=True):
        min(shares, key=lambda share: sum(p.size for p in share)).append(part)
    return [sorted(share, key=lambda p: p.start) for share in shares if share]


def _first_error(futures: Sequence["Future[None]"]) -> None:
    """Wait for all, or for the first that fails, and raise its error."""
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    for future in done:
        future.result()
