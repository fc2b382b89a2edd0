"""Puts an influxdb snapshot back, with its continuous queries, and compares point counts."""

import io
import json
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pullagent.errors import CommandFailed, ContentError, Interrupted, PullAgentError, RestoreError, SourceError
from pullagent.sources.base import Opened, Remote, Restored
from pullagent.sources.influxdb_commands import Commands
from pullagent.sources.influxdb_inventory import Inventory, compare, has_points, parse_json, rows_of

_SETTLE_TRIES, _SETTLE_S = 20, 0.5


def restore(host: Remote, snapshot: Opened, commands: Commands) -> list[Restored]:
    """Restore into a server that has none of these databases, or has them without points; then count.

    RestoreError before anything is changed when one holds points; RestoreError that says so when it fails half-way.
    What a fresh set-up has granted on an empty database, and its continuous queries, are kept.
    """
    wanted = json.loads(snapshot.read("inventory.json"))
    present = _inventory(host, commands)
    for database in commands.databases:
        if present.slow or has_points(present.points.get(database, {})):
            raise RestoreError(
                f"{host.name}: the target's {database} holds points already; nothing was changed",
                "is this the right host? If so, DROP DATABASE there first, then restore again",
            )
    existing = [d for d in commands.databases if d in present.existing]
    grants = _grants(host, commands, existing)
    queries = _queries_in(
        _stored_answer(snapshot, "continuous_queries"), commands.databases, "the snapshot"
    ) | _queries(host, commands, existing)
    with _said_when_half_done(host.name, commands.databases):
        for database in existing:
            _ask(host, commands, f"DROP DATABASE {_quoted(database)}")
        with snapshot.chunks("backup.tar") as chunks:
            host.send(commands.restore(), chunks)
        restored = _settled_inventory(host, commands)
        for query in (*queries.values(), *grants):
            _ask(host, commands, query)
    found = _queries(host, commands, commands.databases)
    users = {str(row["user"]) for row in _ask(host, commands, "SHOW USERS")}
    compared = [r for database in commands.databases for r in compare(database, wanted, restored)]
    compared += [
        Restored(
            f"{database}: {name}", "continuous query", "present", "present" if (database, name) in found else "missing"
        )
        for database, name in queries
    ]
    return compared + _users_left_out(snapshot, users)


def _inventory(host: Remote, commands: Commands) -> Inventory:
    return Inventory.parse(host.read(commands.inventory()).decode(errors="replace"), host.name)


def _settled_inventory(host: Remote, commands: Commands) -> Inventory:
    """What it holds, once every shard answers: for a moment after a restore some are still disabled."""
    for _ in range(_SETTLE_TRIES):
        try:
            return _inventory(host, commands)
        except (CommandFailed, SourceError) as error:
            if "shard is disabled" not in error.message:
                raise
        time.sleep(_SETTLE_S)
    return _inventory(host, commands)


def _ask(host: Remote, commands: Commands, query: str) -> list[dict[str, object]]:
    answer = host.read(commands.query(query)).decode(errors="replace").strip()
    return list(rows_of(parse_json(answer, host.name))) if answer else []


def _grants(host: Remote, commands: Commands, databases: list[str]) -> list[str]:
    """What users of the target may do on `databases`, as GRANT statements."""
    if not databases:
        return []
    statements = []
    for user in (str(row["user"]) for row in _ask(host, commands, "SHOW USERS")):
        for row in _ask(host, commands, f"SHOW GRANTS FOR {_quoted(user)}"):
            if row["database"] in databases and row["privilege"] != "NO PRIVILEGES":
                privilege = str(row["privilege"]).removesuffix(" PRIVILEGES")
                statements.append(f"GRANT {privilege} ON {_quoted(str(row['database']))} TO {_quoted(user)}")
    return statements


def _queries(host: Remote, commands: Commands, databases: tuple[str, ...] | list[str]) -> dict[tuple[str, str], str]:
    answer = host.read(commands.query("SHOW CONTINUOUS QUERIES")).decode(errors="replace")
    return _queries_in(answer, databases, host.name)


def _stored_answer(snapshot: Opened, name: str) -> str:
    """What the server answered at the pull, from config.tar."""
    try:
        with tarfile.open(fileobj=io.BytesIO(snapshot.read("config.tar"))) as archive:
            member = archive.extractfile(f"queries/{name}.json")
            return member.read().decode(errors="replace") if member else ""
    except (tarfile.TarError, KeyError) as error:
        raise ContentError(f"config.tar of the snapshot cannot be read: {error}") from error


def _users_left_out(snapshot: Opened, there: set[str]) -> list[Restored]:
    """The snapshot's users that the target lacks: their passwords can neither be read nor set as hashes."""
    users = (str(row["user"]) for row in rows_of(parse_json(_stored_answer(snapshot, "users"), "the snapshot")))
    text = "not restored: make it anew, its grants are in config.tar"
    return [Restored(user, "user", None, text) for user in users if user not in there]


def _queries_in(answer: str, databases: tuple[str, ...] | list[str], origin: str) -> dict[tuple[str, str], str]:
    found = {}
    for result in parse_json(answer, origin)["results"]:
        for series in result.get("series", []):
            for name, query in series.get("values", []) if series["name"] in databases else []:
                found[series["name"], name] = query
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@contextmanager
def _said_when_half_done(host: str, databases: tuple[str, ...]) -> Iterator[None]:
    try:
        yield
    except (PullAgentError, Interrupted) as error:
        cause = error.message if isinstance(error, PullAgentError) else "interrupted"
        drops = "; ".join(f"DROP DATABASE {_quoted(d)}" for d in databases)
        raise RestoreError(
            f"{host} is half restored, and not usable as it is: {cause}",
            f"start over: in influx there  {drops}  then restore again",
            exit_code=error.exit_code,
        ) from error
