"""The shell and SQL that the mysql source sends: constants given its keys in hosts.toml. Pure."""

import shlex
from dataclasses import dataclass

from pullagent.sources.base import prologue
from pullagent.sources.mysql import inventory as inventories
from pullagent.sources.mysql.accounts import SYSTEM_ACCOUNTS

# options that an option file may carry, but that must not change what a dump holds, stand here again: the last wins
DUMP = (
    "--opt --single-transaction --quick --routines --events --triggers --hex-blob --comments --create-options --tz-utc"
    " --quote-names --set-charset --skip-force --default-character-set=utf8mb4 --max-allowed-packet=1G"
)
MYSQL_DUMP = DUMP + " --set-gtid-purged=OFF --no-tablespaces"
OLD_SERVER_DUMP = MYSQL_DUMP + " --column-statistics=0"
CLIENT = (
    "--default-character-set=utf8mb4 --max-allowed-packet=1G --batch --skip-column-names"
    " --skip-force --skip-safe-updates"
)
LOAD = "--binary-mode --comments --local-infile=0"
HARMLESS_OPTIONS = frozenset(
    {
        "user",
        "password",
        "host",
        "port",
        "socket",
        "protocol",
        "login-path",
        "default-auth",
        "plugin-dir",
        "quick",
        "quote-names",
        "opt",
        "max-allowed-packet",
        "net-buffer-length",
        "default-character-set",
        "set-charset",
        "compress",
        "compression-algorithms",
        "zstd-compression-level",
        "column-statistics",
        "get-server-public-key",
        "server-public-key-path",
        "single-transaction",
        "routines",
        "events",
        "triggers",
        "hex-blob",
        "tz-utc",
        "create-options",
        "comments",
        "no-tablespaces",
        "set-gtid-purged",
        "auto-rehash",
        "no-auto-rehash",
        "show-warnings",
        "prompt",
        "connect-timeout",
        "secure-auth",
        "enable-cleartext-plugin",
        "force",
        "safe-updates",
    }
)
# those that may be named in a message: any other word may be a part of a password with spaces in it
KNOWN_OPTIONS = frozenset(
    {
        "where",
        "no-data",
        "no-create-info",
        "no-create-db",
        "ignore-table",
        "ignore-table-data",
        "ignore-database",
        "ignore-error",
        "ignore-views",
        "init-command",
        "insert-ignore",
        "replace",
        "skip-routines",
        "skip-events",
        "skip-triggers",
        "skip-opt",
        "skip-quick",
        "skip-comments",
        "skip-create-options",
        "skip-tz-utc",
        "skip-hex-blob",
        "skip-quote-names",
        "skip-extended-insert",
        "skip-add-drop-table",
        "compact",
        "compatible",
        "databases",
        "all-databases",
        "tables",
        "xml",
        "tab",
        "result-file",
        "select-limit",
        "max-join-size",
        "execute",
        "database",
        "html",
        "vertical",
        "order-by-primary",
        "delete-master-logs",
        "flush-logs",
        "lock-all-tables",
    }
)
_FIND_CLIENT = (
    "c=$(command -v mariadb || command -v mysql) || { echo 'no mariadb or mysql client here' >&2; exit 127; }\n"
)
# by itself it writes 4 KiB at a time, and sshd makes a packet of each; where the program is absent, or does not agree
# with the dump program, that stays so
_BUFFERED = "stdbuf -o 64K"
_FIND_DUMP = "d=$(command -v mariadb-dump || command -v mysqldump) || { echo 'no mysqldump here' >&2; exit 127; }\n"


def is_harmless_option(name: str) -> bool:
    """Whether an option file may set `name` without changing what a dump holds."""
    plain = name.replace("_", "-").removeprefix("loose-")
    return plain in HARMLESS_OPTIONS or plain.startswith(("ssl", "tls", "skip-ssl"))


@dataclass(frozen=True)
class Commands:
    """The commands for one set of databases on one server."""

    databases: tuple[str, ...]
    socket: str | None = None
    option_file: str | None = None

    def all_of_a_pull(self, *, accounts: bool = True) -> tuple[str, ...]:
        """Every command a pull can send; those that read `accounts` only where they are saved."""
        return (
            self.probe(),
            self.inventory(),
            *(self.accounts(mariadb=mariadb) for mariadb in (True, False) if accounts),
            *self.dumps(),
        )

    def dumps(self) -> tuple[str, ...]:
        """The dump by every set of flags that a server may want."""
        return tuple(self.dump(flags) for flags in (DUMP, MYSQL_DUMP, OLD_SERVER_DUMP))

    def probe(self) -> str:
        """Lines of two columns (`dump`, `version`, `account`, `option`), then the grants of the account."""
        sql = "SELECT 'version', VERSION(); SELECT 'account', CURRENT_USER(); SHOW GRANTS"
        # option names alone: their values may be passwords
        names = r"sed -n 's/^--\([A-Za-z][A-Za-z0-9_-]*\).*/option\t\1/p'"
        return (
            f"{self._prologue('version and grants')}{_FIND_CLIENT}{_FIND_DUMP}"
            f'v=$("$d" --version) || exit\nprintf \'dump\\t%s\\n\' "$v"\n'
            f'for p in "$c" "$d"; do\n  o=$("$p" {self._option_file()} --print-defaults) || exit\n'
            f"  printf '%s\\n' \"$o\" | tail -n +2 | tr ' ' '\\n' | {names}\ndone\n"
            f"{self._client(raw=True)} -e {shlex.quote(sql)}"
        )

    def inventory(self) -> str:
        """What the databases hold; see `inventory.parse`."""
        objects, filled = (shlex.quote(f(self.databases)) for f in (inventories.objects_sql, inventories.filled_sql))
        return (
            f"{self._prologue('inventory')}{_FIND_CLIENT}{self._client()} -e {objects} || exit\n"
            f"list=$({self._client(raw=True)} -e {filled}) || exit\nprintf '%s\\n' \"$list\" | {self._client()}"
        )

    def accounts(self, *, mariadb: bool) -> str:
        """Role names (marked), then SHOW CREATE USER and SHOW GRANTS of each account, in one session."""
        system = ", ".join(f"'{name}'" for name in SYSTEM_ACCOUNTS)
        account = "CONCAT(QUOTE(user), '@', QUOTE(host))"
        shows = f"CONCAT('SHOW CREATE USER ', {account}, '; SHOW GRANTS FOR ', {account}, ';')"
        users = f"SELECT {shows} FROM mysql.user WHERE user NOT IN ({system})"
        settings = "SET SESSION sql_mode='';"
        if mariadb:
            roles = f"FROM mysql.user WHERE is_role = 'Y' AND user NOT IN ({system})"
            users = (
                f"SELECT CONCAT('SELECT ''ROLE '', ', QUOTE(user), ';') {roles}; {users} AND is_role = 'N'; "
                f"SELECT CONCAT('SHOW GRANTS FOR ', QUOTE(user), ';') {roles}"
            )
        else:
            # hashes of caching_sha2_password hold raw control bytes
            settings += " SET SESSION print_identified_with_as_hex=ON;"
        return (
            f"{self._prologue('accounts')}{_FIND_CLIENT}"
            f"list=$({self._client(raw=True)} -e {shlex.quote(users)}) || exit\n"
            f"printf '%s\\n' {shlex.quote(settings)} \"$list\" | {self._client(raw=True)}"
        )

    def dump(self, flags: str) -> str:
        """The dump program, in place of the shell: its status is the command's."""
        names = " ".join(shlex.quote(d) for d in self.databases)
        return (
            f'{self._prologue("dump")}{_FIND_DUMP}set -- "$d" {self._connection()} {flags} --databases {names}\n'
            f'[ -z "$({_BUFFERED} "$d" --version 2>&1 >/dev/null)" ] && set -- {_BUFFERED} "$@"\nexec "$@"'
        )

    def load(self, *, go_on: bool = False) -> str:
        """A client that runs its standard input; with `go_on` past statements that fail (its status tells still)."""
        return f"{self._prologue('load')}{_FIND_CLIENT}exec {self._client()} {LOAD}{' --force' if go_on else ''}"

    def free_space(self) -> str:
        """How many KiB are free where the server keeps its data."""
        sql = shlex.quote("SELECT @@datadir")
        return (
            f"{self._prologue('free space')}{_FIND_CLIENT}d=$({self._client(raw=True)} -e {sql}) || exit\n"
            "df -Pk \"$d\" | awk 'NR == 2 { print $4 }'"
        )

    def query(self, sql: str) -> str:
        """One query."""
        return f"{self._prologue('query')}{_FIND_CLIENT}exec {self._client(raw=True)} -e {shlex.quote(sql)}"

    def _prologue(self, what: str) -> str:
        return prologue(f"{what} of {', '.join(self.databases)}")

    def _option_file(self) -> str:
        return shlex.quote(f"--defaults-file={self.option_file}") if self.option_file else ""

    def _connection(self) -> str:
        return f"{self._option_file()} {shlex.quote(f'--socket={self.socket}') if self.socket else ''}".strip()

    def _client(self, *, raw: bool = False) -> str:
        return f'"$c" {self._connection()} {CLIENT}' + (" --raw" if raw else "")
