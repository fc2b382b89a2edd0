"""What a MySQL or MariaDB server holds, asked of information_schema, and what a dump account must be granted. Pure."""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from pullagent.checks.answers import rows as rows_of
from pullagent.checks.dump import OBJECTS, DumpObject
from pullagent.errors import ContentError
from pullagent.sources.mysql.accounts import quote, tokenize, unquote

SYSTEM_DATABASES = ("mysql", "information_schema", "performance_schema", "sys")
OUTSIDE_TRANSACTION = frozenset({"MyISAM", "MEMORY", "Aria", "CSV", "ARCHIVE"})
# the dump programs leave their rows out
WITHOUT_ROWS = frozenset({"MRG_MyISAM", "MRG_MYISAM", "FEDERATED", "BLACKHOLE"})
_READS = re.compile(r"\b(?:from|join)[\s(]+`((?:[^`]|``)+)`\.`")
_KIND_OF_TYPE = {"VIEW": "view", "SYSTEM VIEW": "view", "SEQUENCE": "sequence"}
_ESCAPE = {"0": "\0", "n": "\n", "t": "\t", "\\": "\\"}


def database_name(name: str) -> str:
    """`name`, where a source or a restore may have it; ValueError."""
    if name.lower() in SYSTEM_DATABASES:
        raise ValueError(f"found {name!r}, a system database; accounts and grants are saved without naming it")
    if not name or name.startswith("-") or re.search(r"[\x00-\x1f\x7f'\"`\\/]", name):
        raise ValueError(
            f"found {name!r}; a database's name may not begin with '-' or hold quotes, slashes or control characters"
        )
    return name


@dataclass(frozen=True, slots=True)
class Object:
    """A table, view, sequence, procedure, function, trigger or event. `detail` is a table's engine, a view's comment.

    `rows` is the server's estimate; `filled` tells whether the table held at least one row.
    """

    kind: str
    database: str
    name: str
    detail: str = ""
    rows: int | None = None
    filled: bool = False
    versioned: bool = False

    @property
    def key(self) -> DumpObject:
        """What a dump's scanner calls it."""
        return DumpObject(self.kind, self.database, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.database}.{self.name}"


@dataclass(frozen=True)
class Inventory:
    """The databases that exist among those asked for, and everything in them.

    `definers` are the accounts (`user@host`) that views, routines, triggers and events run as; `reads` pairs each view
    with the databases that it reads.
    """

    databases: tuple[str, ...]
    objects: tuple[Object, ...] = ()
    definers: tuple[str, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For inventory.json."""
        objects = [asdict(o) for o in self.objects]
        return {"databases": list(self.databases), "objects": objects, "definers": list(self.definers)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Inventory":
        """What `as_json` gave."""
        objects = tuple(Object(**o) for o in value["objects"])
        return cls(tuple(value["databases"]), objects, tuple(value.get("definers", ())))


def objects_sql(databases: Iterable[str]) -> str:
    """SELECTs of five columns: kind, database, name, and two that depend on the kind."""
    within = f"IN ({', '.join(literal(d) for d in databases)})"
    return (
        f"SELECT 'database', schema_name, '', '', '' FROM information_schema.schemata WHERE schema_name {within}; "
        "SELECT table_type, table_schema, table_name, IF(table_type LIKE '%VIEW', table_comment, COALESCE(engine, '')),"
        f" COALESCE(table_rows, '') FROM information_schema.tables WHERE table_schema {within}; "
        "SELECT routine_type, routine_schema, routine_name, '', '' "
        f"FROM information_schema.routines WHERE routine_schema {within}; "
        "SELECT 'trigger', trigger_schema, trigger_name, '', '' "
        f"FROM information_schema.triggers WHERE trigger_schema {within}; "
        f"SELECT 'event', event_schema, event_name, '', '' FROM information_schema.events WHERE event_schema {within}; "
        "SELECT 'reads', table_schema, table_name, view_definition, '' "
        f"FROM information_schema.views WHERE table_schema {within}; "
        f"SELECT 'definer', '', definer, '', '' FROM information_schema.views WHERE table_schema {within} "
        f"UNION SELECT 'definer', '', definer, '', '' FROM information_schema.routines WHERE routine_schema {within} "
        f"UNION SELECT 'definer', '', definer, '', '' FROM information_schema.triggers WHERE trigger_schema {within} "
        f"UNION SELECT 'definer', '', definer, '', '' FROM information_schema.events WHERE event_schema {within}"
    )


def filled_sql(databases: Iterable[str]) -> str:
    """A SELECT that composes, for each table, a SELECT of five columns that tells whether it has a row."""
    within = f"IN ({', '.join(literal(d) for d in databases)})"
    ident = "CONCAT('`', REPLACE({0}, '`', '``'), '`')"
    return (
        "SELECT CONCAT('SELECT ''filled'', ', QUOTE(table_schema), ', ', QUOTE(table_name), ', EXISTS(SELECT 1 FROM ', "
        f"{ident.format('table_schema')}, '.', {ident.format('table_name')}, '), '''';') FROM information_schema.tables"
        f" WHERE table_schema {within} AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')"
        f" AND engine NOT IN ({', '.join(literal(e) for e in sorted(WITHOUT_ROWS))})"
    )


def parse(answer: bytes) -> Inventory:
    """Read the batch output (tab-separated, escaped) of both kinds of SELECT. ContentError when it is not that."""
    try:
        return _parse(answer)
    except ValueError as error:
        hint = "does a login script (.bashrc, .profile) print something for every SSH login? It must be silent"
        raise ContentError(f"the server's list of its objects cannot be read: {error}", hint) from error


def _parse(answer: bytes) -> Inventory:
    databases: list[str] = []
    objects: dict[tuple[str, str], Object] = {}
    others: list[Object] = []
    definers: list[str] = []
    reads: dict[tuple[str, str], None] = {}
    for row in rows_of(answer, 5):
        kind, database, name, detail, rows = map(_unescape, row)
        if len(objects) + len(others) + len(definers) + len(reads) > OBJECTS:
            raise ContentError(
                f"the server lists more than {OBJECTS} objects", "divide `databases` among several sources"
            )
        if kind == "database":
            databases.append(database)
        elif kind == "definer":
            definers.append(name)
        elif kind == "reads":
            others_read = {m.replace("``", "`") for m in _READS.findall(detail)} - {database, *SYSTEM_DATABASES}
            reads |= dict.fromkeys((f"{database}.{name}", other) for other in sorted(others_read))
        elif kind == "filled":
            table = objects.get((database, name))
            if table is not None and detail == "1":
                objects[database, name] = replace(table, filled=True)
        elif kind.isupper() and kind not in ("PROCEDURE", "FUNCTION", "PACKAGE", "PACKAGE BODY"):
            estimate = int(rows) if rows.isdigit() else None
            stored = _KIND_OF_TYPE.get(kind, "table")
            versioned = kind == "SYSTEM VERSIONED"
            objects[database, name] = Object(stored, database, name, detail, estimate, versioned=versioned)
        else:
            others.append(Object(kind.lower(), database, name))
    return Inventory(tuple(databases), (*objects.values(), *others), tuple(definers), tuple(reads))


def common(before: Inventory, after: Inventory) -> Inventory:
    """What a dump taken in between must hold: objects of both, filled only if they were so both times."""
    earlier = {o.key: o for o in before.objects}
    objects = [replace(o, filled=o.filled and earlier[o.key].filled) for o in after.objects if o.key in earlier]
    definers = tuple(d for d in after.definers if d in before.definers)
    return Inventory(after.databases, tuple(objects), definers)


def lacking(before: Inventory, after: Inventory, found: set[DumpObject]) -> list[str]:
    """What stood on the server both before and after the dump and is not in it; DDL in between is no false alarm."""
    still = {o.key: o for o in after.objects}
    lost = []
    for item in before.objects:
        if item.key not in still:
            continue
        if item.key not in found:
            lost.append(str(item))
        elif item.filled and still[item.key].filled and item.key._replace(kind="rows") not in found:
            lost.append(f"rows of {item.database}.{item.name}")
    return lost


def missing_grants(
    grants: Iterable[str],
    account: str,
    databases: Iterable[str],
    *,
    mariadb: bool,
    accounts: bool,
    masking: bool = False,
) -> list[str]:
    """The GRANT statements that a dump account still needs (and REVOKEs that limit it).

    Rights by a role do not count: whether a role is active is up to the session. `masking`: the dump program reads
    masking policies, from MySQL 9.7 on.
    """
    held: list[tuple[set[str], str, str]] = []
    for grant in grants:
        parsed = _parse_grant(grant)
        if parsed is not None:
            held.append(parsed)

    def has(privilege: str, database: str, table: str = "*") -> bool:
        return any(
            (privilege in privileges or "ALL PRIVILEGES" in privileges)
            and _covers(on_database, database)
            and on_table in ("*", table)
            for privileges, on_database, on_table in held
        )

    needed = [f"(undo) {grant};" for grant in grants if grant.upper().startswith("REVOKE ")]
    user, _, host = account.rpartition("@")
    to = f"TO {literal(user)}@{literal(host)};"
    for database in databases:
        lacks = [p for p in ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT") if not has(p, database)]
        if lacks:
            needed.append(f"GRANT {', '.join(lacks)} ON {quote(database)}.* {to}")
    if mariadb and not has("SELECT", "mysql", "proc") and not accounts:
        needed.append(f"GRANT SELECT ON mysql.proc {to}")
    if not mariadb and not has("SHOW_ROUTINE", "") and not has("SELECT", ""):
        needed.append(f"GRANT SHOW_ROUTINE ON *.* {to}")
    if masking and not has("SELECT", "performance_schema"):
        needed.append(f"GRANT SELECT ON performance_schema.* {to}")
    if accounts and not has("SELECT", "mysql"):
        needed.append(f"GRANT SELECT ON mysql.* {to}")
    return needed


def _parse_grant(grant: str) -> tuple[set[str], str, str] | None:
    """Privileges, database and table of a grant; None for a granted role. Global is database `*`."""
    tokens = [t for t in tokenize(grant) if not t.isspace()]
    upper = [t.upper() for t in tokens]
    if upper[:1] != ["GRANT"] or "PROXY" in upper[:2]:
        return set(), "-", "-"
    if "ON" not in upper:
        return None
    on = upper.index("ON")
    listed = re.sub(r"\([^)]*\)", "(columns)", " ".join(upper[1:on]))
    privileges = {p.strip() for p in listed.split(",")}
    target = tokens[on + 1 :]
    if target[1:2] != ["."]:
        return set(), "-", "-"
    return privileges, unquote(target[0]), unquote(target[2])


def _covers(pattern: str, database: str) -> bool:
    """Whether a grant's database pattern (`%`, `_`, escaped by a backslash) means `database`; `*` means all."""
    if pattern == "*":
        return True
    glob = re.sub(
        r"\\([_%\\])|([%_])|([*?\[])", lambda m: m[1] or {"%": "*", "_": "?"}.get(m[2] or "", f"[{m[3]}]"), pattern
    )
    return fnmatch.fnmatchcase(database, glob)


def _unescape(column: str) -> str:
    return re.sub(r"\\([0nt\\])", lambda m: _ESCAPE[m[1]], column)


def literal(text: str) -> str:
    """A name as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
