"""Source kind `mysql`: databases of a MySQL or MariaDB server by its own dump program, with accounts and grants."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field

from pullagent.checks.dump import DumpCheck
from pullagent.errors import CommandFailed, ContentError, RestoreError, SourceError
from pullagent.model import Artifact, Findings
from pullagent.sources import mysql_accounts as composed
from pullagent.sources import mysql_inventory as inventories
from pullagent.sources.base import Opened, Remote, Restored
from pullagent.sources.mysql_inventory import Inventory

_SYSTEM = ("mysql", "information_schema", "performance_schema", "sys")
_BASE_FLAGS = (
    "--single-transaction --quick --routines --events --triggers --hex-blob --comments --skip-force"
    " --default-character-set=utf8mb4 --max-allowed-packet=1G"
)
_MYSQL_FLAGS = _BASE_FLAGS + " --set-gtid-purged=OFF --no-tablespaces"
_HARMLESS = re.compile(r"\[Warning\]|Deprecated program name|warning: setlocale|^\s*$")
_SANDBOX = re.compile(rb"/\*M?!999999\\- [^\n]*\n")
_FIND_CLIENT = (
    "c=$(command -v mariadb || command -v mysql) || { echo 'no mariadb or mysql client here' >&2; exit 127; }"
)
_FIND_DUMP = "d=$(command -v mariadb-dump || command -v mysqldump) || { echo 'no mysqldump here' >&2; exit 127; }"


def _database(name: str) -> str:
    if name.lower() in _SYSTEM:
        raise ValueError(f"found {name!r}, a system database; accounts and grants are saved without naming it")
    if not name or name.startswith("-") or re.search(r"[\x00-\x1f\x7f'\"`\\/]", name):
        raise ValueError(
            f"found {name!r}; a database's name may not begin with '-' or hold quotes, slashes or control characters"
        )
    return name


def _absolute(path: str) -> str:
    if not path.startswith("/") or re.search(r"[\x00-\x1f\x7f]", path):
        raise ValueError(f"found {path!r}; write an absolute path on the host")
    return path


Database = Annotated[str, AfterValidator(_database)]
RemotePath = Annotated[str, AfterValidator(_absolute)]


@dataclass(frozen=True)
class _Server:
    """What answered: `mariadb` for the server's kind, `dump_mariadb` for that of the dump program."""

    mariadb: bool
    version: str
    dump_mariadb: bool
    account: str
    grants: tuple[str, ...]

    @property
    def kind(self) -> str:
        """`mariadb` or `mysql`."""
        return "mariadb" if self.mariadb else "mysql"


@dataclass(frozen=True)
class MySQL:
    """Keys: `databases` to dump; `socket` and `option_file` (0600, on the host) where the client's own do not serve;
    `accounts`: whether accounts and grants are saved too.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    kind: ClassVar[str] = "mysql"
    artifact_names: ClassVar[tuple[str, ...]] = ("dump.sql", "accounts.sql", "grants.sql", "inventory.json")

    databases: Annotated[tuple[Database, ...], Field(min_length=1)]
    socket: RemotePath | None = None
    option_file: RemotePath | None = None
    accounts: Annotated[bool, Field(strict=True)] = True

    def commands(self) -> tuple[str, ...]:
        """Every command a pull can send."""
        return (
            self._probe_command(),
            self._inventory_command(),
            self._accounts_command(mariadb=True),
            self._accounts_command(mariadb=False),
            *(
                self._dump_command(flags)
                for flags in (_BASE_FLAGS, _MYSQL_FLAGS, _MYSQL_FLAGS + " --column-statistics=0")
            ),
        )

    def artifacts(self, host: Remote, findings: Findings) -> Iterator[Artifact]:
        """Accounts, the dump (compared with what the server says it holds), grants, and the inventory."""
        server = self._probe(host, findings)
        before = inventories.parse(host.read(self._inventory_command()))
        self._refuse_unfit(server, before, findings)
        accounts = self._compose_accounts(host, server) if self.accounts else None
        if accounts:
            yield Artifact("accounts.sql", [accounts.accounts.encode()])
        check = DumpCheck()
        yield Artifact("dump.sql", self._dump(host, server, findings), check)
        after = inventories.parse(host.read(self._inventory_command()))
        lost = inventories.lacking(before, after, check.found)
        if lost:
            raise ContentError(
                f"the dump lacks {len(lost)} of {len(before.objects)} objects: {', '.join(lost[:8])}",
                f"can {server.account} see all of them? `pullagent doctor` checks its grants",
            )
        if accounts:
            yield Artifact("grants.sql", [accounts.grants.encode()])
        record = after.as_json() | {"accounts": accounts.count if accounts else None}
        yield Artifact("inventory.json", [json.dumps(record, indent=1).encode()])

    def restore(self, host: Remote, snapshot: Opened) -> list[Restored]:
        """Load accounts, data and grants, in this order, into a server whose databases of these names are empty."""
        wanted = Inventory.from_json(json.loads(snapshot.read("inventory.json")))
        target = MySQL(databases=wanted.databases, socket=self.socket)
        server = target._probe(host, Findings())
        present = inventories.parse(host.read(target._inventory_command()))
        if present.objects:
            raise RestoreError(
                f"{host.name}: the target's {present.objects[0].database} is not empty: it holds {len(present.objects)}"
                f" objects, such as {present.objects[0]}",
                "nothing was changed there. The right host? Then drop that database first, and restore again",
            )
        names = [a.name for a in snapshot.manifest.artifacts]
        for database in present.databases:
            # empty, as a fresh set-up leaves it: the dump makes it again with its own character set
            host.send(target._load_command(), iter([f"DROP DATABASE {composed.quote(database)};".encode()]))
        if "accounts.sql" in names:
            target._load_text(host, snapshot, "accounts.sql", server)
        with snapshot.chunks("dump.sql") as chunks:
            sandbox = target._client_knows_sandbox(host)
            host.send(target._load_command(), chunks if sandbox else _without_sandbox(chunks))
        if "grants.sql" in names:
            target._load_text(host, snapshot, "grants.sql", server)
        return target._compare(host, wanted, server)

    def recovery(self, files: Mapping[str, str]) -> str:
        """The three loads by hand."""
        steps = [files[name] for name in ("accounts.sql", "dump.sql", "grants.sql") if name in files]
        lines = [f"age -d -i KEY {file} | zstd -d | mysql --binary-mode --comments --local-infile=0" for file in steps]
        return (
            "Load these, in this order, as root on the new database server (mariadb instead of mysql where that is\n"
            "its client). Accounts come first: views and routines need the rights of their definers.\n\n    "
            + "\n    ".join(lines)
            + "\n\nA mysql client that stops at the first line of the dump (enable the sandbox mode) wants\n"
            "`| tail -n +2` between zstd and mysql for dump.sql.\n"
        )

    def _prologue(self, what: str) -> str:
        return f"# pullagent: {what} of {', '.join(self.databases)}\nLC_ALL=C; export LC_ALL\n"

    def _connection(self) -> str:
        options = [f"--defaults-file={self.option_file}"] if self.option_file else []
        options += [f"--socket={self.socket}"] if self.socket else []
        return " ".join(shlex.quote(o) for o in options)

    def _client(self, *, raw: bool = False) -> str:
        flags = "--default-character-set=utf8mb4 --batch --skip-column-names" + (" --raw" if raw else "")
        return f'"$c" {self._connection()} {flags}'

    def _probe_command(self) -> str:
        sql = "SELECT VERSION(); SELECT CURRENT_USER(); SHOW GRANTS"
        return (
            f"{self._prologue('version and grants')}{_FIND_CLIENT}\n{_FIND_DUMP}\n"
            f'"$d" --version && {self._client(raw=True)} -e {shlex.quote(sql)}'
        )

    def _inventory_command(self) -> str:
        objects, filled = (shlex.quote(f(self.databases)) for f in (inventories.objects_sql, inventories.filled_sql))
        return (
            f"{self._prologue('inventory')}{_FIND_CLIENT}\n{self._client()} -e {objects} || exit\n"
            f"list=$({self._client(raw=True)} -e {filled}) || exit\nprintf '%s\\n' \"$list\" | {self._client()}"
        )

    def _accounts_command(self, *, mariadb: bool) -> str:
        """Role names (marked), then SHOW CREATE USER and SHOW GRANTS of each account, in one session."""
        system = ", ".join(f"'{name}'" for name in composed.SYSTEM_ACCOUNTS)
        account = "CONCAT(QUOTE(user), '@', QUOTE(host))"
        shows = f"CONCAT('SHOW CREATE USER ', {account}, '; SHOW GRANTS FOR ', {account}, ';')"
        users = f"SELECT {shows} FROM mysql.user WHERE user NOT IN ({system})"
        settings = "SET SESSION sql_mode='';"
        if mariadb:
            roles = f"FROM mysql.user WHERE is_role = 'Y' AND user NOT IN ({system})"
            users += " AND is_role = 'N'"
            users = (
                f"SELECT CONCAT('SELECT ''ROLE '', ', QUOTE(user), ';') {roles}; {users}; "
                f"SELECT CONCAT('SHOW GRANTS FOR ', QUOTE(user), ';') {roles}"
            )
        else:
            # hashes of caching_sha2_password hold raw control bytes
            settings += " SET SESSION print_identified_with_as_hex=ON;"
        return (
            f"{self._prologue('accounts')}{_FIND_CLIENT}\n"
            f"list=$({self._client(raw=True)} -e {shlex.quote(users)}) || exit\n"
            f"printf '%s\\n' {shlex.quote(settings)} \"$list\" | {self._client(raw=True)}"
        )

    def _dump_command(self, flags: str) -> str:
        databases = " ".join(shlex.quote(d) for d in self.databases)
        return f'{self._prologue("dump")}{_FIND_DUMP}\nexec "$d" {self._connection()} {flags} --databases {databases}'

    def _load_command(self) -> str:
        return (
            f"{self._prologue('load')}{_FIND_CLIENT}\nexec {self._client()} --binary-mode --comments --local-infile=0"
        )

    def _probe(self, host: Remote, findings: Findings) -> _Server:
        try:
            answer = host.read(self._probe_command()).decode(errors="replace").splitlines()
        except CommandFailed as error:
            raise _explained(error, host.name) from error
        if len(answer) < 4 or "Ver" not in answer[0]:
            raise ContentError(
                f"{host.name}: the dump program answers {' '.join(answer)[:80]!r} when asked for its version",
                "does a login script (.bashrc, .profile) print something for every SSH login? It must be silent",
            )
        dump, version, account, *grants = answer
        server = _Server("MariaDB" in version, version, "MariaDB" in dump, account, tuple(grants))
        findings.server_kind, findings.server_version = server.kind, version
        findings.tools["mariadb-dump" if server.dump_mariadb else "mysqldump"] = dump.strip()
        return server

    def _refuse_unfit(self, server: _Server, inventory: Inventory, findings: Findings) -> None:
        """Report before the dump what would make it fail, or less than it seems."""
        needed = inventories.missing_grants(
            server.grants, server.account, self.databases, mariadb=server.mariadb, accounts=self.accounts
        )
        if needed:
            raise SourceError(
                f"the account {server.account} may not read all of it", "as root on that server: " + "  ".join(needed)
            )
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
        for item in inventory.objects:
            if item.detail in inventories.OUTSIDE_TRANSACTION:
                findings.warn(
                    f"a table uses {item.detail}, outside the dump's transaction: its rows may be of another moment"
                )
            if item.versioned:
                findings.warn("a system-versioned table's history is not in a dump, only its present rows")

    def _compose_accounts(self, host: Remote, server: _Server) -> composed.Accounts:
        lines = host.read(self._accounts_command(mariadb=server.mariadb)).decode(errors="replace").splitlines()
        roles = [line.removeprefix("ROLE \t") for line in lines if line.startswith("ROLE \t")]
        rest = [line for line in lines if line and not line.startswith("ROLE \t")]
        return composed.compose(roles, rest, self.databases)

    def _dump(self, host: Remote, server: _Server, findings: Findings) -> Iterator[bytes]:
        flags = _BASE_FLAGS if server.dump_mariadb else _MYSQL_FLAGS
        if not server.dump_mariadb and (server.mariadb or int(server.version.split(".")[0]) < 8):
            flags += " --column-statistics=0"
        stream = host.open(self._dump_command(flags))
        try:
            yield from stream
        except CommandFailed as error:
            raise _explained(error, host.name) from error
        for line in stream.stderr.splitlines():
            if not _HARMLESS.search(line):
                raise ContentError(
                    f"the dump program ended well, but said: {line[:300]}", "see to it on the host, then run again"
                )
            if line.strip():
                findings.warn(line.strip()[:300])

    def _load_text(self, host: Remote, snapshot: Opened, name: str, server: _Server) -> None:
        sql = composed.without_account(snapshot.read(name).decode(), server.account)
        host.send(self._load_command(), iter([sql.encode()]))

    def _client_knows_sandbox(self, host: Remote) -> bool:
        try:
            host.send(self._load_command(), iter([b"/*M!999999\\- enable the sandbox mode */ \nSELECT 1;\n"]))
        except CommandFailed:
            return False
        return True

    def _compare(self, host: Remote, wanted: Inventory, server: _Server) -> list[Restored]:
        found = {o.key: o for o in inventories.parse(host.read(self._inventory_command())).objects}
        compared = []
        for item in wanted.objects:
            there = found.get(item.key)
            is_table = item.kind == "table"
            expected = ("with rows" if item.filled else "empty") if is_table else "present"
            state = (
                "missing" if there is None else ("with rows" if there.filled else "empty") if is_table else "present"
            )
            compared.append(Restored(f"{item.database}.{item.name}", item.kind, expected, state))
        flags = _BASE_FLAGS if server.dump_mariadb else _MYSQL_FLAGS
        try:
            host.read(self._dump_command(flags + " --no-data") + " >/dev/null")
            again = "possible"
        except CommandFailed as error:
            again = f"fails: {error.stderr[-200:]}"
        return [*compared, Restored(", ".join(wanted.databases), "next dump", "possible", again)]


def _without_sandbox(chunks: Iterator[bytes]) -> Iterator[bytes]:
    head = b""
    for chunk in chunks:
        head += chunk
        if b"\n" in head:
            yield _SANDBOX.sub(b"", head, count=1) if _SANDBOX.match(head) else head
            break
    else:
        yield head
    yield from chunks


def _explained(error: CommandFailed, host: str) -> SourceError:
    """A failed client in the operator's terms."""
    said = error.stderr
    if error.status == 127:
        return SourceError(
            error.message, f"install the client on {host}: apt-get install mariadb-client, or mysql-client"
        )
    if "1045" in said or "1698" in said or "1044" in said:
        return SourceError(
            error.message, f"the dump account is refused: create it on {host}, with the grants that docs/setup.md lists"
        )
    if "2002" in said or "2003" in said:
        return SourceError(
            error.message, f"is the database server running there?  ssh {host} systemctl status mariadb mysql"
        )
    if error.status == 3 or "2013" in said:
        return SourceError(error.message, "the server went away during the dump: look into its error log")
    return SourceError(error.message, error.hint or f"look into the database's error log on {host}")
