"""Which server answers, with which programs and for which account; and what its clients' failures mean."""

from dataclasses import dataclass

from pullagent.errors import CommandFailed, ContentError, SourceError
from pullagent.sources.base import Remote
from pullagent.sources.mysql.commands import DUMP, MYSQL_DUMP, OLD_SERVER_DUMP, Commands

_PROBE_BYTES = 1 << 20


@dataclass(frozen=True)
class Server:
    """`mariadb` tells the server's kind; `options` are the names that option files set for its clients."""

    mariadb: bool
    version: str
    dump_version: str
    account: str
    grants: tuple[str, ...]
    options: tuple[str, ...]

    @property
    def kind(self) -> str:
        """`mariadb` or `mysql`."""
        return "mariadb" if self.mariadb else "mysql"

    @property
    def dump_mariadb(self) -> bool:
        """Whether the dump program is MariaDB's."""
        return "MariaDB" in self.dump_version

    @property
    def release(self) -> tuple[int, ...]:
        """The first two numbers of the version."""
        numbers = self.version.split("-")[0].split(".")[:2]
        return tuple(int(n) for n in numbers if n.isdigit())

    @property
    def dump_flags(self) -> str:
        """What this dump program must be told for this server."""
        if self.dump_mariadb:
            return DUMP
        old_server = self.mariadb or self.release < (8,)
        knows_statistics = "Distrib 5." not in self.dump_version
        return OLD_SERVER_DUMP if old_server and knows_statistics else MYSQL_DUMP


def probe(host: Remote, commands: Commands) -> Server:
    """Ask which server and programs are there. SourceError when none answers, ContentError when the answer is odd."""
    try:
        answer = host.read(commands.probe(), limit=_PROBE_BYTES).decode(errors="replace")
    except CommandFailed as error:
        raise explained(error, host.name) from error
    facts: dict[str, list[str]] = {}
    grants = []
    for line in filter(None, answer.split("\n")):
        key, tab, value = line.partition("\t")
        if line.startswith(("GRANT ", "REVOKE ", "SET ")):
            grants.append(line)
        elif tab and key in ("dump", "version", "account", "option"):
            facts.setdefault(key, []).append(value)
        else:
            raise ContentError(
                f"{host.name}: the answer to a question about the server begins with {line[:60]!r}",
                "does a login script (.bashrc, .profile) print something for every SSH login? It must be silent",
            )
    if not {"dump", "version", "account"} <= facts.keys():
        raise ContentError(f"{host.name}: the answer to a question about the server is not whole")
    version = facts["version"][0]
    options = tuple(dict.fromkeys(facts.get("option", ())))
    return Server("MariaDB" in version, version, facts["dump"][0].strip(), facts["account"][0], tuple(grants), options)


def accounts_of(host: Remote, commands: Commands) -> set[str]:
    """The server's accounts, as `user@host`."""
    return set(host.read(commands.query("SELECT CONCAT(user, '@', host) FROM mysql.user")).decode().split("\n"))


def explained(error: CommandFailed, host: str) -> SourceError:
    """A failed client or dump program, with what to do about it."""
    said = error.stderr
    if error.status == 127:
        return SourceError(
            error.message, f"install the client on {host}: apt-get install mariadb-client, or mysql-client"
        )
    if any(code in said for code in ("1045", "1698", "1044")):
        return SourceError(
            error.message, f"the dump account is refused on {host}: see docs/setup.md for the account and its grants"
        )
    if "2002" in said or "2003" in said:
        return SourceError(
            error.message, f"is the database server running there?  ssh {host} systemctl status mariadb mysql"
        )
    if error.status == 3 or "2013" in said:
        return SourceError(error.message, "the server went away during the dump: look into its error log")
    return SourceError(error.message, error.hint or f"look into the database's error log on {host}")
