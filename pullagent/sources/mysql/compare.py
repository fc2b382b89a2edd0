"""Compares what a server holds after a restore with what was stored: objects, row counts, definers, the next dump."""

from collections.abc import Iterator

from pullagent.checks.dump import DumpObject
from pullagent.errors import CommandFailed
from pullagent.model import StopSignal
from pullagent.sources.base import Remote, Restored, RestoreOptions
from pullagent.sources.mysql import inventory as inventories
from pullagent.sources.mysql.accounts import quote
from pullagent.sources.mysql.commands import DUMP, MYSQL_DUMP, Commands
from pullagent.sources.mysql.inventory import Inventory
from pullagent.sources.mysql.keys import Table
from pullagent.sources.mysql.load import Loader
from pullagent.sources.mysql.server import Server, accounts_of
from pullagent.workers import workers

# as many counts as certainly fit into the tail of an answer that is kept
_COUNTS_AT_ONCE = 500


def compare(
    host: Remote, commands: Commands, wanted: Inventory, loader: Loader, options: RestoreOptions, server: Server
) -> list[Restored]:
    """What was `wanted` against what is there; rows of tables as many as passed in the stream just loaded."""
    present = inventories.parse(host.read(commands.inventory()))
    there = {o.key for o in present.objects}
    expected = loader.rows
    found = _rows(host, commands, [t for t in expected if inventories.Object("table", *t).key in there], options.jobs)
    if differing := [t for t in found if found[t] != expected[t]]:
        loader.recount(differing)
    return [
        *_databases(wanted, present),
        *_objects(wanted, there, expected, found),
        *_definers(host, commands, wanted),
        _next_dump(host, commands, wanted, server),
    ]


def _rows(host: Remote, commands: Commands, tables: list[Table], jobs: int) -> dict[Table, int]:
    """The number of rows in each table, counted by several sessions."""
    stop = StopSignal()

    def count(batch: list[Table]) -> list[int]:
        sql = "\n".join(f"SELECT COUNT(*) FROM {quote(database)}.{quote(name)};" for database, name in batch)
        return [int(line) for line in host.send(commands.load(), iter([sql.encode()]), stop).split()]

    size = max(1, min(_COUNTS_AT_ONCE, -(-len(tables) // jobs)))
    batches = [tables[i : i + size] for i in range(0, len(tables), size)]
    with workers(jobs, "count", stop) as pool:
        counts = [number for batch in pool.map(count, batches) for number in batch]
    return dict(zip(tables, counts, strict=True))


def _databases(wanted: Inventory, present: Inventory) -> Iterator[Restored]:
    for name in wanted.databases:
        yield Restored(name, "database", "present", "present" if name in present.databases else "missing")


def _objects(
    wanted: Inventory, there: set[DumpObject], expected: dict[Table, int], found: dict[Table, int]
) -> Iterator[Restored]:
    for item in wanted.objects:
        name, table = f"{item.database}.{item.name}", (item.database, item.name)
        if item.key not in there:
            yield Restored(name, item.kind, "present", "missing")
        elif item.kind == "table" and table in expected:
            yield Restored(name, "table", expected[table], found[table])
        else:
            yield Restored(name, item.kind, "present", "present")


def _definers(host: Remote, commands: Commands, wanted: Inventory) -> Iterator[Restored]:
    accounts = accounts_of(host, commands)
    for name in wanted.definers:
        yield Restored(name, "definer", "present", "present" if name in accounts else "missing")


def _next_dump(host: Remote, commands: Commands, wanted: Inventory, server: Server) -> Restored:
    """Whether the restored server can be dumped again: a view without its definer's rights ends every dump."""
    try:
        host.read(commands.dump((DUMP if server.dump_mariadb else MYSQL_DUMP) + " --no-data") + " >/dev/null")
        again = "possible"
    except CommandFailed as error:
        again = f"fails: {error.stderr[-200:]}"
    return Restored(", ".join(wanted.databases), "next dump", "possible", again)
