"""What a server holds, as text and hashes that can be compared between two servers of the same product."""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from typing import Any

from tests.lab.agama import literal
from tests.lab.database import DatabaseServer, unescape
from tests.lab.errors import LabError
from tests.lab.influxdb import InfluxDB
from tests.lab.processes import wait_until

SYSTEM_DATABASES = ("information_schema", "mysql", "performance_schema", "sys")
SYSTEM_ACCOUNTS = ("root", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "PUBLIC")
_BINARY = ("binary", "blob", "bit", "vector", "geometry", "point", "linestring", "polygon", "collection")
_COLUMN_LIST = re.compile(r"\((`[^()]*`)\)")
_NEEDLESS_CHARSET = re.compile(r" CHARACTER SET \w+ COLLATE (\w+?)_")


def checksums(server: DatabaseServer, databases: list[str] | None = None, accounts: bool = True) -> dict[str, str]:
    """Every object of `databases` and every account, as name -> definition or hash.

    Default: all databases but the system's. The names begin with what it is (database, table, rows, view,
    sequence, procedure, function, trigger, event, account, grants), as in `rows agama.customer` or
    `grants 'x'@'y'`. Rows are hashed here, not by the server.
    """
    if databases is None:
        databases = [name for (name,) in server.query("SHOW DATABASES") if name.lower() not in SYSTEM_DATABASES]
    statements = dict(_accounts(server)) if accounts else {}
    for database in databases:
        statements |= dict(_definitions(server, database)) | dict(_contents(server, database))
    found = {name: _Answer() for name in statements}
    for name, line in _lines(server, statements):
        found[name].add(line, keep=not name.startswith("rows "))
    return {name: answer.text(name, server.kind) for name, answer in found.items()}


def identifier(*names: str) -> str:
    """Names joined and quoted for SQL."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


class _Answer:
    """The lines of one statement: kept, or only counted and hashed."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._digest = hashlib.sha256()
        self._count = 0

    def add(self, line: bytes, keep: bool) -> None:
        self._digest.update(line)
        self._count += 1
        if keep:
            self._lines.append(line.decode("utf-8", "surrogateescape").rstrip("\n"))

    def text(self, name: str, kind: str) -> str:
        """The answer under its name, freed of what differs between equal servers."""
        if name.startswith("rows "):
            return f"{self._count} rows, sha256 {self._digest.hexdigest()}"
        lines = self._lines
        if name.startswith("trigger "):
            # The last column is the time of its making.
            lines = [line.rpartition("\t")[0] for line in lines]
        if name.startswith("grants "):
            lines = sorted(_COLUMN_LIST.sub(_in_order, line) for line in lines)
        text = "\n".join(unescape(line) for line in lines)
        # MySQL shows the character set or not, depending on how the column was first written.
        return _NEEDLESS_CHARSET.sub(r" COLLATE \1_", text) if kind == "mysql" else text


def _in_order(match: re.Match[str]) -> str:
    """MariaDB lists the columns of a grant in the order of a hash table."""
    return "(" + ", ".join(sorted(match[1].split(", "))) + ")"


def _lines(server: DatabaseServer, statements: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """The lines that each of the named statements answers.

    Many statements to one client, with marks between them: starting a client takes longer than most answers.
    """
    prefix = "SET print_identified_with_as_hex = ON; " if server.kind == "mysql" else ""
    mark, names = f"mark {secrets.token_hex(8)} ", list(statements)
    for start in range(0, len(names), 100):
        batch = names[start : start + 100]
        current = ""
        sql = ";\n".join(f"SELECT '{mark}{n}';\n{statements[name]}" for n, name in enumerate(batch))
        for line in server.rows(prefix + sql):
            if line.startswith(mark.encode()):
                current = batch[int(line.rsplit(b" ", 1)[1])]
            else:
                yield current, line


def _definitions(server: DatabaseServer, database: str) -> Iterator[tuple[str, str]]:
    """What to ask for every object of `database`."""
    yield f"database {database}", f"SHOW CREATE DATABASE {identifier(database)}"
    schema = literal(database)
    objects = server.query(
        f"SELECT table_type, table_name FROM information_schema.tables WHERE table_schema = {schema};"
        f"SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_schema = {schema};"
        f"SELECT 'TRIGGER', trigger_name FROM information_schema.triggers WHERE trigger_schema = {schema};"
        f"SELECT 'EVENT', event_name FROM information_schema.events WHERE event_schema = {schema}"
    )
    for kind, name in sorted(objects):
        word = "table" if kind.endswith(("TABLE", "VERSIONED")) else kind.lower()
        shown = "TABLE" if word == "sequence" else word.upper()
        yield f"{word} {database}.{name}", f"SHOW CREATE {shown} {identifier(database, name)}"


def _contents(server: DatabaseServer, database: str) -> Iterator[tuple[str, str]]:
    """For every table and view: all columns of all rows, in an order that does not depend on the server."""
    schema = literal(database)
    columns: dict[str, list[tuple[str, str]]] = {}
    for table, name, kind in server.query(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        f" WHERE table_schema = {schema} ORDER BY table_name, ordinal_position"
    ):
        columns.setdefault(table, []).append((name, kind.lower()))
    keys: dict[str, list[str]] = {}
    for table, name in server.query(
        "SELECT table_name, column_name FROM information_schema.statistics"
        f" WHERE index_name = 'PRIMARY' AND table_schema = {schema} ORDER BY table_name, seq_in_index"
    ):
        keys.setdefault(table, []).append(identifier(name))
    for table, described in columns.items():
        shown = ", ".join(_text_of(name, kind) for name, kind in described)
        order = ", ".join(keys.get(table) or [str(n + 1) for n in range(len(described))])
        yield (
            f"rows {database}.{table}",
            f"SELECT {shown} FROM {identifier(database, table)} ORDER BY {order}",
        )


def _text_of(name: str, kind: str) -> str:
    column = identifier(name)
    # HEX of a number rounds it, and CAST of bytes loses them.
    inner = f"HEX({column})" if kind.endswith(_BINARY) else f"HEX(CAST({column} AS CHAR CHARACTER SET utf8mb4))"
    return f"IFNULL({inner}, '-')"


def _accounts(server: DatabaseServer) -> Iterator[tuple[str, str]]:
    roles = "is_role = 'Y'" if server.kind == "mariadb" else "FALSE"
    for user, host, role in sorted(server.query(f"SELECT user, host, {roles} FROM mysql.user")):
        if user in (*SYSTEM_ACCOUNTS, server.account):
            continue
        # MariaDB's roles have no host and no definition beyond their name.
        name = literal(user) if role == "1" else f"{literal(user)}@{literal(host)}"
        if role != "1":
            yield f"account {name}", f"SHOW CREATE USER {name}"
        yield f"grants {name}", f"SHOW GRANTS FOR {name}"


def influx_points(server: InfluxDB, db: str) -> dict[str, str]:
    """Every measurement in every retention policy of `db`: `policy.measurement` -> `N points, sha256 …`.

    Points are compared with all tags, fields, field types and times in nanoseconds; `policies` describes
    the policies.
    """
    # For a moment after a restore queries are refused: "shard is disabled".
    wait_until(lambda: _readable(server, db), 10, f"InfluxDB enables the shards of {db}")
    policies = server.series(f'SHOW RETENTION POLICIES ON "{db}"')
    found = {"policies": json.dumps(policies, ensure_ascii=False)}
    names = [str(row[0]) for series in policies for row in series.get("values", [])]
    for measurement in server.column("SHOW MEASUREMENTS", db):
        for policy in names:
            source = f'"{policy}"."{measurement}"'
            series = server.series(f"SELECT * FROM {source} GROUP BY *", db)
            if series:
                found[f"{policy}.{measurement}"] = _points(series)
                found[f"fields {policy}.{measurement}"] = json.dumps(
                    server.series(f"SHOW FIELD KEYS FROM {source}", db)
                )
    return found


def _readable(server: InfluxDB, db: str) -> bool:
    try:
        server.query("SHOW MEASUREMENTS", db)
    except LabError as error:
        if "shard is disabled" in str(error):
            return False
        raise
    return True


def _points(series: list[dict[str, Any]]) -> str:
    lines = sorted(
        json.dumps([one.get("tags"), dict(zip(one["columns"], row, strict=True))], sort_keys=True)
        for one in series
        for row in one["values"]
    )
    return f"{len(lines)} points, sha256 {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"
