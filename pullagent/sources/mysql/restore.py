"""Puts a mysql snapshot back: accounts, data, grants, in this order, and compares what the server then holds."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from pullagent.diagnosis import Diagnosis, bad, doubtful, good
from pullagent.errors import CommandFailed, PullAgentError, UsageError
from pullagent.sources.base import Opened, Remote, Restored, RestoreOptions
from pullagent.sources.halfway import Halfway, came_meanwhile
from pullagent.sources.mysql import accounts as composed
from pullagent.sources.mysql import inventory as inventories
from pullagent.sources.mysql.accounts import quote
from pullagent.sources.mysql.commands import Commands
from pullagent.sources.mysql.compare import compare
from pullagent.sources.mysql.inventory import Inventory
from pullagent.sources.mysql.keys import Table
from pullagent.sources.mysql.load import Loader, survey
from pullagent.sources.mysql.server import Server, accounts_of, probe

_PACKET = 1 << 30
_SANDBOX_LINE = b"/*M!999999\\- enable the sandbox mode */ \nSELECT 1;\n"
_ERROR = re.compile(r"^ERROR (\d+) \(\w+\)(?: at line (\d+))?: (.*)$", re.MULTILINE)
# what a client repeats of the statement may be row data or the hash of a password
_QUOTED_DATA = re.compile(r"(near|entry|value:?) '.*", re.DOTALL)


def _scrubbed(text: str) -> str:
    return _QUOTED_DATA.sub(r"\1 …", text)


class Restore:
    """One restore of a snapshot onto a server; `preflight` changes nothing there, `act` needs it to have passed."""

    def __init__(self, host: Remote, snapshot: Opened, options: RestoreOptions, socket: str | None) -> None:
        self._host, self._snapshot, self._options = host, snapshot, options
        self._stored = Inventory.from_json(json.loads(snapshot.read("inventory.json")))
        self._wanted = wanted(self._stored, options)
        self._commands = Commands(self._wanted.databases, socket)
        self._whole = not options.tables and options.into is None
        self._artifacts = {a.name for a in snapshot.manifest.artifacts}
        self._halfway = Halfway(host.name, ", ".join(options.tables or self._wanted.databases), _without_data)

    def preflight(self) -> Iterator[Diagnosis]:
        """What the target is, what it holds already, and whether what must be there is there."""
        server = probe(self._host, self._commands)
        yield self._kind(server)
        yield self._room()
        yield self._sandbox()
        yield self._contents()
        yield self._definers()

    def act(self) -> list[Restored]:
        """Load, and compare. RestoreError that says what the target then holds when it fails half-way."""
        server = probe(self._host, self._commands)
        # proven to its end before anything there is dropped
        dump = survey(self._snapshot)
        problems: list[Restored] = []
        with self._halfway.told(), _large_packets(self._host, self._commands):
            self._drop()
            self._halfway.changing()
            if self._whole and "accounts.sql" in self._artifacts:
                problems += self._load_accounts(server)
            sandbox = self._knows_sandbox()
            loader = Loader(self._host, self._commands, self._snapshot, dump, self._options, sandbox=sandbox)
            loader.load()
            if self._whole and "grants.sql" in self._artifacts:
                problems += self._load_leniently(self._own_left_out("grants.sql", server), "grants of")
            self._halfway.loaded()
        with self._halfway.told():
            compared = compare(self._host, self._commands, self._wanted, loader, self._options, server)
        return [*compared, *problems]

    def discard(self) -> None:
        """Drop the database that was made under another name."""
        if self._options.into is not None:
            drop = f"DROP DATABASE IF EXISTS {quote(self._options.into)};"
            self._host.send(self._commands.load(), iter([drop.encode()]))

    def _kind(self, server: Server) -> Diagnosis:
        origin = self._snapshot.manifest.server
        there = f"{server.kind} {server.version}"
        if origin.kind is not None and origin.kind != server.kind:
            return doubtful(
                "server",
                f"{there}, but the snapshot is of {origin.kind} {origin.version}",
                f"dumps are close, not interchangeable: install {origin.kind} there, or see what fails",
            )
        if origin.version is not None and server.release < replace(server, version=origin.version).release:
            return doubtful(
                "server",
                f"{there} is older than {origin.version}, which the snapshot is of",
                "what is new there fails here: install the newer server",
            )
        return good("server", f"{there}; the snapshot is of {origin.kind} {origin.version}")

    def _room(self) -> Diagnosis:
        """Whether the data directory's disk has room for the expanded dump."""
        need = self._snapshot.manifest.artifact("dump.sql").plain_bytes
        try:
            answer = self._host.read(self._commands.free_space()).decode(errors="replace").split()
        except CommandFailed:
            answer = []
        if len(answer) != 1 or not answer[0].isdigit():
            return doubtful("free space", "unknown: the data directory cannot be looked at", "see to it: df -h")
        free = int(answer[0]) * 1024
        text = f"{free / 1e9:.1f} GB free for data of about {need / 1e9:.1f} GB"
        return good("free space", text) if free > need else bad("free space", text, "make room there first")

    def _sandbox(self) -> Diagnosis:
        if self._knows_sandbox():
            return good("client", "reads the dump as it is")
        return good("client", "does not know MariaDB's sandbox line: it is left out")

    def _contents(self) -> Diagnosis:
        found = self._in_the_way()
        names = ", ".join(self._wanted.databases)
        if not found:
            return good("target", f"empty: nothing of {names} is there")
        said = f"the target's {found[0].database} is not empty: it holds {len(found)} objects, such as {found[0]}"
        if self._options.replace:
            return doubtful("target", f"{said}; they will be DROPPED", "is this the right host?")
        return bad("target", said, "the right host? Then add --replace, which drops them first; nothing was changed")

    def _in_the_way(self) -> list[inventories.Object]:
        """What stands where the snapshot's objects are to come."""
        present = inventories.parse(self._host.read(self._commands.inventory())).objects
        if self._options.tables:
            names = {o.key[1:] for o in self._wanted.objects}
            return [o for o in present if o.kind != "trigger" and o.key[1:] in names]
        return list(present)

    def _definers(self) -> Diagnosis:
        accounts = accounts_of(self._host, self._commands)
        if self._whole and "accounts.sql" in self._artifacts:
            accounts |= composed.names_in(self._snapshot.read("accounts.sql").decode())
        missing = [d for d in self._wanted.definers if d not in accounts]
        if missing:
            return doubtful(
                "definers",
                f"no account there, nor in the snapshot: {', '.join(missing)}",
                "views and routines of theirs will not work until it is made",
            )
        return good("definers", "every account that views and routines run as will be there")

    def _drop(self) -> None:
        """Drop what is in the way, and empty databases: the dump makes them again with their own character set."""
        in_the_way = self._in_the_way()
        if in_the_way and not self._options.replace:
            raise came_meanwhile(f"{len(in_the_way)} objects, such as {in_the_way[0]}")
        if self._options.tables:
            drops = [f"DROP TABLE IF EXISTS {quote(o.database)}.{quote(o.name)};" for o in self._wanted.objects]
            # in any order, whatever refers to whatever
            drops.insert(0, "SET foreign_key_checks = 0;")
            drops = drops if in_the_way else []
        else:
            present = inventories.parse(self._host.read(self._commands.inventory())).databases
            drops = [f"DROP DATABASE {quote(d)};" for d in present]
        if drops:
            self._halfway.changing()
            self._host.send(self._commands.load(), iter(["\n".join(drops).encode()]))

    def _load_accounts(self, server: Server) -> list[Restored]:
        """Load accounts one by one; one that the target cannot take must not keep the data away."""
        before = accounts_of(self._host, self._commands)
        sql = self._own_left_out("accounts.sql", server)
        failed = self._load_leniently(sql, "account")
        there = sorted(composed.names_in(sql) & before)
        return [*(Restored(n, "account", None, "existed already, left alone") for n in there), *failed]

    def _load_leniently(self, sql: str, kind: str) -> list[Restored]:
        """Run every statement; what failed, by account. Other failures of the client pass through."""
        try:
            self._host.send(self._commands.load(go_on=True), iter([sql.encode()]))
        except CommandFailed as error:
            found = _ERROR.findall(error.stderr)
            if not found:
                raise
            lines = sql.split("\n")
            failed: dict[str, str] = {}
            for number, line, text in found:
                at = int(line) - 1 if line else -1
                subject = composed.subject_of(lines[at]) if 0 <= at < len(lines) else "?"
                failed.setdefault(subject, f"failed: {number} {_scrubbed(text)}")
            return [Restored(subject, kind, "loaded", text) for subject, text in failed.items()]
        return []

    def _own_left_out(self, name: str, server: Server) -> str:
        return composed.without_account(self._snapshot.read(name).decode(), server.account)

    def _knows_sandbox(self) -> bool:
        try:
            self._host.send(self._commands.load(), iter([_SANDBOX_LINE]))
        except CommandFailed:
            return False
        return True


def wanted(stored: Inventory, options: RestoreOptions) -> Inventory:
    """What the target should hold in the end. UsageError where the options do not fit what was stored."""
    objects: Sequence[inventories.Object] = stored.objects
    databases, definers = stored.databases, stored.definers
    if options.tables:
        names = {name: [o for o in objects if o.kind == "table" and name in _names(o)] for name in options.tables}
        missing = [name for name, found in names.items() if not found]
        if missing:
            known = sorted({o.name for o in objects if o.kind == "table"})
            raise UsageError(f"the snapshot has no table {missing[0]!r}", f"tables there: {', '.join(known[:12])}")
        objects = [o for found in names.values() for o in found]
        databases = tuple(d for d in databases if any(o.database == d for o in objects))
        definers = ()
    options.check_into(inventories.database_name)
    if options.into is not None:
        if len(databases) != 1:
            raise UsageError(
                f"--into names one database, but this would restore {len(databases)}", "choose tables of one database"
            )
        databases, definers = (options.into,), ()
        objects = [replace(o, database=options.into) for o in objects]
    if options.schema_only:
        objects = [replace(o, filled=False) for o in objects]
    return Inventory(databases, tuple(dict.fromkeys(objects)), definers)


def _names(item: inventories.Object) -> Table:
    return item.name, f"{item.database}.{item.name}"


@contextmanager
def _large_packets(host: Remote, commands: Commands) -> Iterator[None]:
    """Let the server take rows of up to 1 GiB meanwhile: in a dump, a BLOB is twice as long as in its table."""
    limit = int(host.read(commands.query("SELECT @@global.max_allowed_packet")))
    raised = False
    if limit < _PACKET:
        # without the right to set it, a row that is too long ends the load with an error that says so
        with suppress(CommandFailed):
            host.read(commands.query(f"SET GLOBAL max_allowed_packet = {_PACKET}"))
            raised = True
    try:
        yield
    finally:
        if raised:
            with suppress(PullAgentError):
                host.read(commands.query(f"SET GLOBAL max_allowed_packet = {limit}"))


def _without_data(error: PullAgentError) -> str:
    """The error, without what a client repeats of the data."""
    if isinstance(error, CommandFailed):
        lines = [f"ERROR {n} at line {line}: {_scrubbed(text)}" for n, line, text in _ERROR.findall(error.stderr)]
        return lines[0] if lines else f"the client ended with status {error.status}"
    return error.message
