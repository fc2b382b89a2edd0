"""Users and grants of an InfluxDB server, as its answers tell them and as statements make them again. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pullagent.sources.influxdb.inventory import parse_json, rows_of


@dataclass(frozen=True)
class User:
    """A user: whether it is an administrator, and its privilege (ALL, READ or WRITE) by database."""

    name: str
    admin: bool
    grants: Mapping[str, str]

    def made(self, password: str) -> list[str]:
        """The statements that make it; `password` needs no escape."""
        rank = " WITH ALL PRIVILEGES" if self.admin else ""
        return [f"CREATE USER {quoted(self.name)} WITH PASSWORD '{password}'{rank}", *self.granted()]

    def granted(self) -> list[str]:
        """The statements that give it its privileges."""
        return [f"GRANT {what} ON {quoted(database)} TO {quoted(self.name)}" for database, what in self.grants.items()]


def stored_users(users: str, grants: str, databases: Sequence[str]) -> list[User]:
    """Those of a snapshot, from its users.json and grants.tsv, with their privileges on `databases`."""
    answers = {}
    for line in grants.split("\n"):
        name, tab, answer = line.partition("\t")
        if tab:
            answers[name] = answer
    found = []
    for row in rows_of(parse_json(users, "the snapshot")):
        name = str(row["user"])
        # names stand there as within double quotes of InfluxQL
        found.append(User(name, bool(row["admin"]), privileges(answers.get(quoted(name)[1:-1], ""), databases)))
    return found


def privileges(answer: str, databases: Sequence[str]) -> dict[str, str]:
    """What SHOW GRANTS FOR a user answers, as far as `databases` go."""
    rows = list(rows_of(parse_json(answer, "the snapshot"))) if answer else []
    return granted_in(rows, databases)


def granted_in(rows: Sequence[Mapping[str, object]], databases: Sequence[str]) -> dict[str, str]:
    """Privilege by database, without those that are none."""
    return {
        str(row["database"]): str(row["privilege"]).removesuffix(" PRIVILEGES")
        for row in rows
        if row["database"] in databases and row["privilege"] != "NO PRIVILEGES"
    }


def quoted(name: str) -> str:
    """`name` as an identifier of InfluxQL."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
