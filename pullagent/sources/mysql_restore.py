"""Puts a mysql snapshot back: accounts, data, grants, in this order, and compares what the server then holds."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pullagent.checks.dump import without_sandbox
from pullagent.errors import CommandFailed, Interrupted, PullAgentError, RestoreError
from pullagent.sources import mysql_accounts as composed
from pullagent.sources import mysql_inventory as inventories
from pullagent.sources.base import Opened, Remote, Restored
from pullagent.sources.mysql_commands import DUMP, MYSQL_DUMP, Commands
from pullagent.sources.mysql_inventory import Inventory
from pullagent.sources.mysql_server import Server, probe

_PACKET = 1 << 30
_ERROR = re.compile(r"^ERROR (\d+) \(\w+\)(?: at line (\d+))?: (.*)$", re.MULTILINE)
# what a client repeats of the statement may be row data or the hash of a password
_QUOTED_DATA = re.compile(r"(near|entry|value:?) '.*", re.DOTALL)


def _scrubbed(text: str) -> str:
    return _QUOTED_DATA.sub(r"\1 …", text)


def restore(host: Remote, snapshot: Opened, socket: str | None) -> list[Restored]:
    """Load the snapshot into a server whose databases of these names are empty or missing.

    RestoreError before anything is changed when one holds objects; RestoreError that says so when it fails half-way.
    """
    wanted = Inventory.from_json(json.loads(snapshot.read("inventory.json")))
    commands = Commands(wanted.databases, socket)
    server = probe(host, commands)
    present = inventories.parse(host.read(commands.inventory()))
    if present.objects:
        raise RestoreError(
            f"{host.name}: the target's {present.objects[0].database} is not empty: it holds {len(present.objects)}"
            f" objects, such as {present.objects[0]}",
            "nothing was changed there. The right host? Then drop that database first, and restore again",
        )
    names = [a.name for a in snapshot.manifest.artifacts]
    accounts: list[Restored] = []
    with _said_when_half_done(host.name, wanted.databases), _large_packets(host, commands):
        for database in present.databases:
            # empty, as a fresh set-up leaves it: the dump makes it again with its own character set
            host.send(commands.load(), iter([f"DROP DATABASE {composed.quote(database)};".encode()]))
        if "accounts.sql" in names:
            accounts = _load_accounts(host, commands, snapshot, server)
        sandbox = _client_knows_sandbox(host, commands)
        with snapshot.chunks("dump.sql") as chunks:
            host.send(commands.load(), chunks if sandbox else without_sandbox(chunks))
        if "grants.sql" in names:
            accounts += _load_leniently(host, commands, _own_left_out(snapshot, "grants.sql", server), "grants of")
    return [*_compare_objects(host, commands, wanted), *accounts, *_compare_rest(host, commands, wanted, server)]


def _load_accounts(host: Remote, commands: Commands, snapshot: Opened, server: Server) -> list[Restored]:
    """Load accounts one by one; one that the target cannot take must not keep the data away."""
    before = _accounts_of(host, commands)
    sql = _own_left_out(snapshot, "accounts.sql", server)
    failed = _load_leniently(host, commands, sql, "account")
    wanted = composed.names_in(sql)
    left = [Restored(n, "account", None, "existed already, left as it was") for n in sorted(wanted & before)]
    return [*left, *failed]


def _load_leniently(host: Remote, commands: Commands, sql: str, kind: str) -> list[Restored]:
    """Run every statement; what failed, by account. Other failures of the client pass through."""
    try:
        host.send(commands.load(go_on=True), iter([sql.encode()]))
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


def _own_left_out(snapshot: Opened, name: str, server: Server) -> str:
    return composed.without_account(snapshot.read(name).decode(), server.account)


def _accounts_of(host: Remote, commands: Commands) -> set[str]:
    return set(host.read(commands.query("SELECT CONCAT(user, '@', host) FROM mysql.user")).decode().split("\n"))


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


@contextmanager
def _said_when_half_done(host: str, databases: tuple[str, ...]) -> Iterator[None]:
    """Whatever ends the load half-way, say what the target holds, and repeat none of the data."""
    try:
        yield
    except (PullAgentError, Interrupted) as error:
        drops = " ".join(f"DROP DATABASE IF EXISTS {composed.quote(d)};" for d in databases)
        raise RestoreError(
            f"{host} is half restored, and not usable as it is: {_without_data(error)}",
            f"start over: as root there  {drops}  then restore again",
            exit_code=error.exit_code,
        ) from error


def _without_data(error: PullAgentError | Interrupted) -> str:
    if isinstance(error, CommandFailed):
        lines = [f"ERROR {n} at line {line}: {_scrubbed(text)}" for n, line, text in _ERROR.findall(error.stderr)]
        return lines[0] if lines else f"the client ended with status {error.status}"
    return error.message if isinstance(error, PullAgentError) else "interrupted"


def _client_knows_sandbox(host: Remote, commands: Commands) -> bool:
    try:
        host.send(commands.load(), iter([b"/*M!999999\\- enable the sandbox mode */ \nSELECT 1;\n"]))
    except CommandFailed:
        return False
    return True


def _compare_objects(host: Remote, commands: Commands, wanted: Inventory) -> list[Restored]:
    found = {o.key: o for o in inventories.parse(host.read(commands.inventory())).objects}
    compared = []
    for item in wanted.objects:
        there = found.get(item.key)
        is_table = item.kind == "table"
        expected = "with rows" if is_table and item.filled else "present"
        if there is None:
            state = "missing"
        elif is_table and item.filled:
            state = "with rows" if there.filled else "empty"
        else:
            state = expected
        compared.append(Restored(f"{item.database}.{item.name}", item.kind, expected, state))
    return compared


def _compare_rest(host: Remote, commands: Commands, wanted: Inventory, server: Server) -> list[Restored]:
    """Databases, definers, and whether the restored server can be dumped again."""
    there = inventories.parse(host.read(commands.inventory())).databases
    databases = [Restored(d, "database", "present", "present" if d in there else "missing") for d in wanted.databases]
    accounts = _accounts_of(host, commands)
    definers = [Restored(d, "definer", "present", "present" if d in accounts else "missing") for d in wanted.definers]
    try:
        host.read(commands.dump((DUMP if server.dump_mariadb else MYSQL_DUMP) + " --no-data") + " >/dev/null")
        again = "possible"
    except CommandFailed as error:
        again = f"fails: {error.stderr[-200:]}"
    return [*databases, *definers, Restored(", ".join(wanted.databases), "next dump", "possible", again)]
