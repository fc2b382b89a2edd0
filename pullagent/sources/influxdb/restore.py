"""Puts an influxdb snapshot back, with continuous queries, users and their grants, and compares point counts."""

import io
import json
import secrets
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from pullagent.diagnosis import Diagnosis, bad, doubtful, good
from pullagent.errors import CommandFailed, ContentError, Interrupted, PullAgentError, SourceError, UsageError
from pullagent.sources.base import Opened, Remote, Restored, RestoreOptions
from pullagent.sources.halfway import Halfway, came_meanwhile
from pullagent.sources.influxdb.commands import Commands
from pullagent.sources.influxdb.files import ConfigFiles
from pullagent.sources.influxdb.inventory import Inventory, compare, database_name, has_points, parse_json, rows_of
from pullagent.sources.influxdb.users import User, granted_in, quoted, stored_users

_SETTLE_TRIES, _SETTLE_S = 20, 0.5
_UNKNOWN_PASSWORDS = "users may have been made whose passwords nobody has seen: SET PASSWORD FOR USER = '…'"

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
        self._config_files = commands.config_files if self._whole else ()
        self._halfway = Halfway(host.name, ", ".join(self._commands.databases))

    def preflight(self) -> Iterator[Diagnosis]:
        """The server's version against the snapshot's, and what the target holds already."""
        yield self._release()
        present = self._inventory()
        for database in self._commands.databases:
            filled = _holds_points(present, database)
            said = f"the target's {database} holds points already"
            if not filled:
                yield good("target", f"{database}: holds no points")
            elif self._options.replace:
                yield doubtful("target", f"{said}; it will be DROPPED", "is this the right host?")
            else:
                yield bad("target", said, self._ways_out(database))
        if self._options.config_files:
            yield self._files().writable()

    def act(self) -> list[Restored]:
        """Restore, then count. What a fresh set-up has granted on an empty database is kept, and so are its queries."""
        present = self._inventory()
        existing = [d for d in self._commands.databases if d in present.existing]
        filled = [d for d in existing if _holds_points(present, d)]
        if filled and not self._options.replace:
            raise came_meanwhile(f"points in {filled[0]}")
        grants = self._grants_on(existing)
        stored = self._stored_queries() if self._whole else {}
        kept = self._queries(existing)
        with self._halfway.told(), self._ended_there_too():
            if self._options.replace:
                # one that lost its connection may still be at work there
                self._host.read(self._commands.end_restores())
            self._halfway.changing()
            for database in existing:
                self._ask(f"DROP DATABASE {quoted(database)}")
            with self._snapshot.chunks("backup.tar") as chunks:
                self._host.send(self._commands.restore(self._names), chunks)
            restored = self._settled_inventory()
            for query in (*(stored | kept).values(), *grants):
                self._ask(query)
            self._halfway.loaded()
            return [*self._compared(restored, stored), *(self._beside() if self._whole else [])]

    def _compared(self, restored: Inventory, stored: Queries) -> Iterator[Restored]:
        for name, target in self._names.items():
            yield from compare(name, target, self._record, restored)
        there = self._queries(list(self._commands.databases))
        for database, name in stored:
            found = "present" if (database, name) in there else "missing"
            yield Restored(f"{database}: {name}", "continuous query", "present", found)

    def _beside(self) -> list[Restored]:
        """What is no part of a database: configuration files and users."""
        files = self._files()
        put = files.put_in_place() if self._options.config_files else files.compare()
        # last of all: what fails after it would take the passwords along
        return [*put, *self._make_users()]

    def _files(self) -> ConfigFiles:
        with self._configuration() as archive:
            return ConfigFiles(self._host, self._commands, archive, self._config_files)

    def _ways_out(self, database: str) -> str:
        new = f"{database}_restored"
        counts = list(self._record["points_after"].values())
        policies = [quoted(policy) for policy in counts[0]] if len(self._names) == len(counts) == 1 else []
        old = quoted(database)
        merge = [f"  SELECT * INTO {old}.{p}.:MEASUREMENT FROM {quoted(new)}.{p}./.*/ GROUP BY *" for p in policies]
        ways = ["the right host? Then add --replace, which drops it first; nothing was changed"]
        if merge:
            ways += [f"to merge: restore with --into {new}, then there in influx:", *merge]
        return "\n".join(ways)

    def discard(self) -> None:
        """Drop the database that was made under another name."""
        if self._options.into is not None:
            self._ask(f"DROP DATABASE {quoted(self._options.into)}")

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
        return [grant for user in self._users(databases) for grant in user.granted()] if databases else []

    def _users(self, databases: list[str]) -> list[User]:
        """Users of the target, with their privileges on `databases`."""
        return [
            User(name, bool(row["admin"]), granted_in(self._ask(f"SHOW GRANTS FOR {quoted(name)}"), databases))
            for row in self._ask("SHOW USERS")
            for name in (str(row["user"]),)
        ]

    def _queries(self, databases: list[str]) -> Queries:
        answer = self._host.read(self._commands.query("SHOW CONTINUOUS QUERIES")).decode(errors="replace")
        return _queries_in(answer, databases, self._host.name)

    def _stored_queries(self) -> Queries:
        return _queries_in(self._stored_answer("continuous_queries.json"), list(self._names), "the snapshot")

    @contextmanager
    def _configuration(self) -> Iterator[tarfile.TarFile]:
        try:
            with tarfile.open(fileobj=io.BytesIO(self._snapshot.read("config.tar"))) as archive:
                yield archive
        except (tarfile.TarError, KeyError) as error:
            raise ContentError(f"config.tar of the snapshot cannot be read: {error}") from error

    def _stored_answer(self, name: str) -> str:
        """What the server answered at the pull, from config.tar."""
        with self._configuration() as archive:
            member = archive.extractfile(f"queries/{name}")
            return member.read().decode(errors="replace") if member else ""

    def _make_users(self) -> list[Restored]:
        """Make the users that the target lacks, with new passwords, and give them their grants.

        InfluxDB neither tells nor takes the hashes of passwords. The new ones stand in the result alone.
        """
        databases = list(self._names)
        stored = stored_users(self._stored_answer("users.json"), self._stored_answer("grants.tsv"), databases)
        before = {user.name for user in self._users(databases)}
        missing = [(user, secrets.token_urlsafe(18)) for user in stored if user.name not in before]
        told = [
            Restored(user.name, "user", None, "existed already, left alone") for user in stored if user.name in before
        ]
        if not missing:
            return told
        self._halfway.notes.append(_UNKNOWN_PASSWORDS)
        statements = [statement for user, password in missing for statement in user.made(password)]
        # by standard input: a password in a command could be read in the host's process list
        self._host.send(self._commands.statements(), iter(["; ".join(statements).encode()]))
        there = {user.name: user for user in self._users(databases)}
        for user, password in missing:
            told += _came_back(user, there.get(user.name), password)
        return told

    @contextmanager
    def _ended_there_too(self) -> Iterator[None]:
        """Without a terminal the programs there do not learn that nobody waits for them any more."""
        try:
            yield
        except (PullAgentError, Interrupted):
            with suppress(PullAgentError):
                self._host.read(self._commands.end_restores())
            raise


def _came_back(wanted: User, found: User | None, password: str) -> Iterator[Restored]:
    if found is None:
        yield Restored(wanted.name, "user", "present", "missing")
        return
    yield Restored(wanted.name, "user", None, f"made anew; new password, shown only here: {password}")
    if wanted.admin:
        yield Restored(wanted.name, "administrator", "present", "present" if found.admin else "missing")
    for database, privilege in wanted.grants.items():
        yield Restored(f"{wanted.name} on {database}", "grant", privilege, found.grants.get(database, "none"))


def _holds_points(present: Inventory, database: str) -> bool:
    # where they could not be counted in time there are some
    return present.slow or has_points(present.points.get(database, {}))


def refuse_unfit(options: RestoreOptions, databases: tuple[str, ...]) -> None:
    """UsageError for options that mean nothing here."""
    options.check_into(database_name)
    if options.into is not None and len(databases) != 1:
        raise UsageError(f"--into names one database, but this snapshot holds {len(databases)}")


def _minor(version: str) -> int:
    """The second number of a version 1.N.M."""
    parts = version.lstrip("v").split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def _queries_in(answer: str, databases: list[str], origin: str) -> Queries:
    found = {}
    for result in parse_json(answer, origin)["results"]:
        for series in result.get("series", []):
            for name, query in series.get("values", []) if series["name"] in databases else []:
                found[series["name"], name] = query
    return found
