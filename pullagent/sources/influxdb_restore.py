"""Puts an influxdb snapshot back, with continuous queries, users and their grants, and compares point counts."""

import io
import json
import secrets
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pullagent.diagnosis import Diagnosis, bad, doubtful, good
from pullagent.errors import (
    CommandFailed,
    ContentError,
    Interrupted,
    PullAgentError,
    RestoreError,
    SourceError,
    UsageError,
)
from pullagent.sources.base import Opened, Remote, Restored, RestoreOptions
from pullagent.sources.influxdb_commands import Commands
from pullagent.sources.influxdb_inventory import Inventory, compare, has_points, parse_json, rows_of

_SETTLE_TRIES, _SETTLE_S = 20, 0.5
_MERGE_HINT = (
    "the right host? Then add --replace, which drops it first; nothing was changed. To merge: restore with --into NEW,"
    ' then in influx: SELECT * INTO "OLD".autogen.:MEASUREMENT FROM "NEW".autogen./.*/ GROUP BY *'
)

Queries = dict[tuple[str, str], str]


class Restore:
    """One restore onto a server; `version` is that of the target. `preflight` changes nothing there."""

    def __init__(
        self, host: Remote, snapshot: Opened, options: RestoreOptions, commands: Commands, version: str | None
    ) -> None:
        self._host, self._snapshot, self._options, self._version = host, snapshot, options, version
        self._record: dict[str, Any] = json.loads(snapshot.read("inventory.json"))
        databases = tuple(self._record["databases"])
        refuse_unfit(options, databases)
        self._names = {d: options.into or d for d in databases}
        self._commands = replace(commands, databases=tuple(self._names.values()), config_files=())
        self._whole = options.into is None

    def preflight(self) -> Iterator[Diagnosis]:
        """The server's version against the snapshot's, and what the target holds already."""
        yield self._release()
        present = self._inventory()
        for database in self._commands.databases:
            filled = present.slow or has_points(present.points.get(database, {}))
            said = f"the target's {database} holds points already"
            if not filled:
                yield good("target", f"{database}: holds no points")
            elif self._options.replace:
                yield doubtful("target", f"{said}; it will be DROPPED", "is this the right host?")
            else:
                yield bad("target", said, _MERGE_HINT)

    def act(self) -> list[Restored]:
        """Restore, then count. What a fresh set-up has granted on an empty database is kept, and so are its queries."""
        existing = [d for d in self._commands.databases if d in self._inventory().existing]
        grants = self._grants_on(existing)
        stored = self._stored_queries() if self._whole else {}
        kept = self._queries(existing)
        with self._said_when_half_done():
            for database in existing:
                self._ask(f"DROP DATABASE {_quoted(database)}")
            with self._snapshot.chunks("backup.tar") as chunks:
                self._host.send(self._commands.restore(self._names), chunks)
            restored = self._settled_inventory()
            for query in (*(stored | kept).values(), *grants):
                self._ask(query)
        compared = [
            item for name, target in self._names.items() for item in compare(name, target, self._record, restored)
        ]
        there = self._queries(list(self._commands.databases))
        for database, name in stored:
            found = "present" if (database, name) in there else "missing"
            compared.append(Restored(f"{database}: {name}", "continuous query", "present", found))
        return compared + (self._make_users() if self._whole else [])

    def _release(self) -> Diagnosis:
        origin = self._snapshot.manifest.server.version
        said = f"InfluxDB {self._version}; the snapshot is of {origin}"
        if origin is None or self._version is None or abs(_minor(origin) - _minor(self._version)) <= 1:
            return good("server", said)
        return doubtful("server", said, "versions more than one minor apart may not read each other's backups")

    def _inventory(self) -> Inventory:
        return Inventory.parse(self._host.read(self._commands.inventory()).decode(errors="replace"), self._host.name)

    def _settled_inventory(self) -> Inventory:
        """What it holds, once every shard answers: for a moment after a restore some are still disabled."""
        for _ in range(_SETTLE_TRIES):
            try:
                return self._inventory()
            except (CommandFailed, SourceError) as error:
                if "shard is disabled" not in error.message:
                    raise
            time.sleep(_SETTLE_S)
        return self._inventory()

    def _ask(self, query: str) -> list[dict[str, object]]:
        answer = self._host.read(self._commands.query(query)).decode(errors="replace").strip()
        return list(rows_of(parse_json(answer, self._host.name))) if answer else []

    def _grants_on(self, databases: list[str]) -> list[str]:
        """What users of the target may do on `databases`, as GRANT statements."""
        if not databases:
            return []
        statements = []
        for user in (str(row["user"]) for row in self._ask("SHOW USERS")):
            for row in self._ask(f"SHOW GRANTS FOR {_quoted(user)}"):
                if row["database"] in databases:
                    statements += _grant(user, row)
        return statements

    def _queries(self, databases: list[str]) -> Queries:
        answer = self._host.read(self._commands.query("SHOW CONTINUOUS QUERIES")).decode(errors="replace")
        return _queries_in(answer, databases, self._host.name)

    def _stored_queries(self) -> Queries:
        return _queries_in(self._stored_answer("continuous_queries.json"), list(self._names), "the snapshot")

    def _stored_answer(self, name: str) -> str:
        """What the server answered at the pull, from config.tar."""
        try:
            with tarfile.open(fileobj=io.BytesIO(self._snapshot.read("config.tar"))) as archive:
                member = archive.extractfile(f"queries/{name}")
                return member.read().decode(errors="replace") if member else ""
        except (tarfile.TarError, KeyError) as error:
            raise ContentError(f"config.tar of the snapshot cannot be read: {error}") from error

    def _make_users(self) -> list[Restored]:
        """Make the users that the target lacks, with new passwords, and give them their grants.

        InfluxDB neither tells nor takes the hashes of passwords. The new ones stand in the result alone.
        """
        stored = list(rows_of(parse_json(self._stored_answer("users.json"), "the snapshot")))
        there = {str(row["user"]) for row in self._ask("SHOW USERS")}
        missing = {str(row["user"]): bool(row["admin"]) for row in stored if str(row["user"]) not in there}
        if not missing:
            return []
        passwords = {user: secrets.token_urlsafe(18) for user in missing}
        statements = [
            f"CREATE USER {_quoted(user)} WITH PASSWORD '{passwords[user]}'{' WITH ALL PRIVILEGES' if admin else ''}"
            for user, admin in missing.items()
        ]
        statements += [grant for user in missing for grant in self._stored_grants(user)]
        # by standard input: a password in a command could be read in the host's process list
        self._host.send(self._commands.statements(), iter(["; ".join(statements).encode()]))
        return [
            Restored(user, "user", None, f"made anew; its new password, shown only here: {password}")
            for user, password in passwords.items()
        ]

    def _stored_grants(self, user: str) -> list[str]:
        """A stored user's grants on the databases that were restored."""
        statements = []
        for line in self._stored_answer("grants.tsv").split("\n"):
            name, tab, answer = line.partition("\t")
            # names stand there as within double quotes of InfluxQL
            if tab and _quoted(user) == f'"{name}"':
                for row in rows_of(parse_json(answer, "the snapshot")):
                    statements += _grant(user, row) if row["database"] in self._names else []
        return statements

    @contextmanager
    def _said_when_half_done(self) -> Iterator[None]:
        try:
            yield
        except (PullAgentError, Interrupted) as error:
            cause = error.message if isinstance(error, PullAgentError) else "interrupted"
            names = ", ".join(self._commands.databases)
            raise RestoreError(
                f"{self._host.name} is half restored, and {names} is not usable as it is: {cause}",
                "start over: the same command with --replace drops the half that is there, and restores again",
                exit_code=error.exit_code,
            ) from error


def refuse_unfit(options: RestoreOptions, databases: tuple[str, ...]) -> None:
    """UsageError for options that mean nothing here."""
    for given, flag in ((options.tables, "--table"), (options.schema_only, "--schema-only")):
        if given:
            raise UsageError(f"{flag} is for databases of tables, and this snapshot is of kind influxdb")
    if options.into is not None and len(databases) != 1:
        raise UsageError(f"--into names one database, but this snapshot holds {len(databases)}")


def _minor(version: str) -> int:
    """The second number of a version 1.N.M."""
    parts = version.lstrip("v").split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def _grant(user: str, row: dict[str, object]) -> list[str]:
    if row["privilege"] == "NO PRIVILEGES":
        return []
    privilege = str(row["privilege"]).removesuffix(" PRIVILEGES")
    return [f"GRANT {privilege} ON {_quoted(str(row['database']))} TO {_quoted(user)}"]


def _queries_in(answer: str, databases: list[str], origin: str) -> Queries:
    found = {}
    for result in parse_json(answer, origin)["results"]:
        for series in result.get("series", []):
            for name, query in series.get("values", []) if series["name"] in databases else []:
                found[series["name"], name] = query
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
