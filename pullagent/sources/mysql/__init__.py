"""Source kind `mysql`: databases of a MySQL or MariaDB server by its own dump program, with accounts and grants."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from msgspec import Meta

from pullagent.checks.dump import DumpCheck
from pullagent.diagnosis import Diagnosis, good, judged, of_error
from pullagent.errors import CommandFailed, ContentError, PullAgentError, SourceError, Stopped
from pullagent.fields import Checked
from pullagent.manifest import Server as Origin
from pullagent.model import Artifact, Check, Findings
from pullagent.sources.base import (
    Machine,
    Opened,
    Remote,
    RemotePath,
    Restoration,
    RestoreOptions,
    Throwaway,
    once,
    stored_inventory,
)
from pullagent.sources.mysql import accounts as composed
from pullagent.sources.mysql import inventory as inventories
from pullagent.sources.mysql.commands import CLIENT, KNOWN_OPTIONS, LOAD, Commands, is_harmless_option
from pullagent.sources.mysql.inventory import Inventory
from pullagent.sources.mysql.server import Server, explained, probe

_HARMLESS = re.compile(r"\[Warning\]|Deprecated program name|warning: setlocale|Could not chdir to home|^\s*$")


def _named(options: list[str]) -> str:
    known = [name for name in options if name.replace("_", "-") in KNOWN_OPTIONS]
    unknown = "something that is not a known harmless option" if len(known) < len(options) else ""
    return ", ".join([*known, *filter(None, [unknown])])


Database = Annotated[str, Checked(inventories.database_name)]


class _StoredDump(DumpCheck):
    """A dump read again: it must hold what the inventory beside it names."""

    def __init__(self, wanted: Inventory) -> None:
        super().__init__()
        self._wanted = wanted

    def finish(self) -> None:
        super().finish()
        lost = inventories.lacking(self._wanted, self._wanted, self.found)
        if lost:
            raise ContentError(f"the dump lacks {len(lost)} of {len(self._wanted.objects)} objects of its inventory")


_ACCOUNTS_BYTES = 4 << 20


@dataclass(frozen=True)
class MySQL:
    """Databases of a MySQL or MariaDB server, by its own dump program, with accounts and grants. The agent tells the
    two apart.
    """

    kind: ClassVar[str] = "mysql"
    artifact_names: ClassVar[tuple[str, ...]] = ("dump.sql", "accounts.sql", "grants.sql", "inventory.json")
    restore_takes: ClassVar[frozenset[str]] = frozenset({"tables", "schema_only"})

    databases: Annotated[
        tuple[Database, ...], Meta(min_length=1, description="names of the databases to dump"), Checked(once)
    ]
    socket: Annotated[
        RemotePath | None, Meta(description="path of the server's socket on the host; without, the client's own")
    ] = None
    option_file: Annotated[
        RemotePath | None,
        Meta(description="a client option file on the host, mode 0600, read instead of the usual ones"),
    ] = None
    accounts: Annotated[bool, Meta(description="whether accounts and grants are saved too")] = True

    @property
    def _commands(self) -> Commands:
        return Commands(self.databases, self.socket, self.option_file)

    def commands(self) -> tuple[str, ...]:
        """Every command a pull can send."""
        return self._commands.all_of_a_pull(accounts=self.accounts)

    def streams(self) -> tuple[str, ...]:
        """The dump."""
        return self._commands.dumps()

    def artifacts(self, host: Remote, findings: Findings) -> Iterator[Artifact]:
        """Accounts, the dump in one transaction, grants, and an inventory. The dump must end with its completion line
        and hold every table, view, routine, trigger and event, and rows of each table that has some, that the server
        named before and after. Missing rights, option files that leave something out and invalid views are refused
        before it begins.
        """
        server = probe(host, self._commands)
        findings.server_kind, findings.server_version = server.kind, server.version
        findings.tools["mariadb-dump" if server.dump_mariadb else "mysqldump"] = server.dump_version
        before = self._inventory(host)
        self._refuse_options(server)
        self._refuse_grants(server)
        self._refuse_content(server, before)
        accounts = self._compose_accounts(host, server) if self.accounts else None
        self._warn(before, accounts, findings)
        if accounts:
            yield Artifact("accounts.sql", [accounts.accounts.encode()])
        check = DumpCheck()
        yield Artifact("dump.sql", self._dump(host, server, findings), check)
        after = self._inventory(host)
        lost = inventories.lacking(before, after, check.found)
        if lost:
            raise ContentError(
                f"the dump lacks {len(lost)} of {len(before.objects)} objects: {', '.join(lost[:8])}",
                f"may {server.account} see all of them, and does no option file leave some out?",
            )
        if accounts:
            yield Artifact("grants.sql", [accounts.grants.encode()])
        record = inventories.common(before, after).as_json() | {"accounts": accounts.count if accounts else None}
        yield Artifact("inventory.json", [json.dumps(record, indent=1).encode()])

    def diagnose(self, host: Remote, last_bytes: int | None) -> Iterator[Diagnosis]:
        """The dump client, the login, option files, grants, and whether the databases can be dumped."""
        try:
            server = probe(host, self._commands)
        except Stopped:
            raise
        except PullAgentError as error:
            without_client = isinstance(error.__cause__, CommandFailed) and error.__cause__.status == 127
            yield of_error("dump client" if without_client else "database login", error)
            return
        yield good("dump client", " ".join(server.dump_version.partition(", for ")[0].split()))
        yield good("database login", f"{server.account} at {server.kind} {server.version}")
        yield judged("option files", lambda: self._refuse_options(server))
        yield judged("grants", lambda: self._refuse_grants(server))
        yield judged("databases", lambda: self._refuse_content(server, self._inventory(host)))

    def restoration(self, host: Remote, snapshot: Opened, options: RestoreOptions) -> Restoration:
        """Accounts, data and grants, in this order, into a server whose databases of these names are empty: several
        tables at once, large indexes after their rows. Then every object is compared, rows are counted, and the server
        must be able to dump it again.
        """
        from pullagent.sources.mysql.restore import Restore

        return Restore(host, snapshot, options, self.socket)

    def throwaway(self, machine: Machine, origin: Origin) -> Throwaway:
        """A throwaway server of the product that was dumped, behind a socket in the drill's own directory."""
        from pullagent.sources.mysql import throwaway as rehearsed

        socket, version = rehearsed.start(machine, mariadb=origin.kind == "mariadb")
        return Throwaway(replace(self, socket=socket, option_file=None), version)

    @classmethod
    def checks(cls, snapshot: Opened) -> Mapping[str, Check]:
        """The dump to its completion line, and that it holds everything that the inventory names."""
        with stored_inventory(snapshot) as record:
            return {"dump.sql": _StoredDump(Inventory.from_json(record))}

    def grants(self, user: str) -> str:
        """SELECT, SHOW VIEW, TRIGGER and EVENT on the databases, SELECT on `mysql.*` for accounts and grants; one file
        for MariaDB and MySQL, each of which skips the other's lines.
        """
        account = f"{inventories.literal(user)}@'localhost'"
        login = f"-- on the server at {self.socket}\n" if self.socket else ""
        if self.option_file:
            login += (
                f"CREATE USER IF NOT EXISTS {account} ACCOUNT LOCK;\n"
                f"-- then, with the password that stands in {self.option_file} (mode 0600, owned by {user}):\n"
                f"-- ALTER USER {account} IDENTIFIED BY '...' ACCOUNT UNLOCK;\n"
            )
        else:
            login += (
                f"/*M! CREATE USER IF NOT EXISTS {account} IDENTIFIED VIA unix_socket */;\n"
                f"/*!80000 CREATE USER IF NOT EXISTS {account} IDENTIFIED WITH auth_socket */;\n"
            )
        databases = [composed.pattern(d) for d in self.databases]
        rights = [f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON {d}.* TO {account};" for d in databases]
        rights += [
            f"/*!80000 GRANT SHOW_ROUTINE ON *.* TO {account} */;",
            f"/*!90700 GRANT SELECT ON `performance_schema`.* TO {account} */;",
        ]
        if self.accounts:
            rights += [f"GRANT SELECT ON `mysql`.* TO {account};"]
        else:
            rights += [f"/*M! GRANT SELECT ON `mysql`.`proc` TO {account} */;"]
        return login + "\n".join(rights) + "\n"

    def as_root(self) -> tuple[tuple[str, ...], ...]:
        """None."""
        return ()

    def recovery(self, files: Mapping[str, str]) -> str:
        """The three loads by hand."""
        client = f"mysql {CLIENT.split(' --batch')[0]} {LOAD}"
        steps = [files[name] for name in ("accounts.sql", "dump.sql", "grants.sql") if name in files]
        lines = [f"age -d -i KEY {file} | zstd -d | {client}" for file in steps]
        return (
            "Load these, in this order, as root on the new database server (mariadb instead of mysql where that is\n"
            "its client), from bash with `set -o pipefail`, so that a step that fails is seen. Accounts come first:\n"
            "views and routines need the rights of their definers.\n\n    "
            + "\n    ".join(lines)
            + "\n\nA mysql client that stops at the first line of the dump (enable the sandbox mode) wants\n"
            "`| tail -n +2` between zstd and mysql for dump.sql. If a row is too long (error 1153, or the server has\n"
            "gone away): SET GLOBAL max_allowed_packet = 1073741824; drop the database, and begin again.\n"
        )

    def _inventory(self, host: Remote) -> Inventory:
        return inventories.parse(host.read(self._commands.inventory()))

    # what would make a dump fail, or hold less than it seems, is reported before it; `diagnose` shows the good answers

    def _refuse_options(self, server: Server) -> str:
        odd = [name for name in server.options if not is_harmless_option(name)]
        if odd:
            raise SourceError(
                f"an option file on the host sets {_named(odd)}, which could change what a dump holds",
                "take it out there, or name an option_file of this source's own in hosts.toml",
            )
        return "none changes what a dump holds"

    def _refuse_grants(self, server: Server) -> str:
        needed = inventories.missing_grants(
            server.grants,
            server.account,
            self.databases,
            mariadb=server.mariadb,
            accounts=self.accounts,
            masking=not server.mariadb and server.release >= (9, 7),
        )
        if needed:
            hint = "as root on that server (rights by a role do not count): " + "  ".join(needed)
            raise SourceError(f"the account {server.account} may not read all of it", hint)
        return f"{server.account} may read all of it"

    def _refuse_content(self, server: Server, inventory: Inventory) -> str:
        for database in self.databases:
            if database not in inventory.databases:
                raise SourceError(
                    f"there is no database {database!r} on that server, or {server.account} may not see it",
                    "check `databases` in hosts.toml; on the host: SHOW DATABASES",
                )
        invalid = [o for o in inventory.objects if o.kind == "view" and "references invalid" in o.detail]
        if invalid:
            raise SourceError(
                f"{invalid[0]} is invalid, and would end the dump: {invalid[0].detail}",
                "repair it or drop it; every dump fails while it stands",
            )
        foreign = [(view, other) for view, other in inventory.reads if other not in self.databases]
        if foreign:
            view, other = foreign[0]
            raise SourceError(
                f"view {view} reads {other}, which this source does not dump: it could not be restored",
                f"add {other!r} to `databases`, or drop the view",
            )
        return f"{', '.join(self.databases)}: {len(inventory.objects)} tables, views and other objects"

    def _warn(self, inventory: Inventory, accounts: composed.Accounts | None, findings: Findings) -> None:
        for item in inventory.objects:
            if item.detail in inventories.WITHOUT_ROWS:
                findings.warn(f"a table uses {item.detail}: its rows lie elsewhere, and are not in the dump")
            elif item.detail in inventories.OUTSIDE_TRANSACTION:
                findings.warn(f"a table uses {item.detail}, outside the transaction of the dump")
            if item.versioned:
                findings.warn("a system-versioned table's history is not in a dump, only its present rows")
        saved = accounts.names if accounts else frozenset[str]()
        for definer in inventory.definers:
            if definer not in saved and definer != "root@localhost" and not definer.startswith(("mysql.", "mariadb.")):
                findings.warn("a view, routine, trigger or event has a definer whose account is not saved")

    def _compose_accounts(self, host: Remote, server: Server) -> composed.Accounts:
        answer = host.read(self._commands.accounts(mariadb=server.mariadb), limit=_ACCOUNTS_BYTES)
        lines = answer.decode(errors="replace").split("\n")
        roles = [line.removeprefix("ROLE \t") for line in lines if line.startswith("ROLE \t")]
        rest = [line for line in lines if line and not line.startswith("ROLE \t")]
        return composed.compose(roles, rest, self.databases, mariadb=server.mariadb)

    def _dump(self, host: Remote, server: Server, findings: Findings) -> Iterator[bytes]:
        stream = host.open(self._commands.dump(server.dump_flags))
        try:
            yield from stream
        except CommandFailed as error:
            raise explained(error, host.name) from error
        for line in stream.stderr.splitlines():
            if not _HARMLESS.search(line):
                said = f"the dump program ended well, but said: {line[:300]}"
                raise ContentError(said, "see to it on the host, then run again")
            if line.strip():
                findings.warn(line.strip()[:300])
