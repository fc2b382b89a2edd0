"""Source kind `influxdb`: databases of an InfluxDB 1.x server by its portable backup, with its configuration."""

import json
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field

from pullagent.checks.tar import InfluxBackupCheck, TarCheck
from pullagent.errors import CommandFailed, ContentError, HostError, RestoreError, SourceError
from pullagent.model import Artifact, Findings
from pullagent.sources.base import Opened, Remote, Restored

_COUNT_LIMIT_S = 120
_PROBE_LIMIT_S = 5
_SETTLE_TRIES, _SETTLE_S = 20, 0.5
# a CSV row's first field, without CSV's quotes, escaped for double quotes in InfluxQL
_TO_IDENTIFIER = r"""-e '/^".*"$/{s/^"//;s/"$//;s/""/"/g;}' -e 's/\\/\\\\/g' -e 's/"/\\"/g'"""


def _database(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_ .-]*", name) or name == "_internal":
        raise ValueError(f"found {name!r}; write a database's name of letters, digits, '_', '.', '-' and spaces")
    return name


def _absolute(path: str) -> str:
    if not path.startswith("/") or re.search(r"[\x00-\x1f\x7f]", path) or ".." in path.split("/"):
        raise ValueError(f"found {path!r}; write an absolute path on the host")
    return path


def _endpoint(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+:\d{1,5}", text):
        raise ValueError(f"found {text!r}; write HOST:PORT")
    return text


Endpoint = Annotated[str, AfterValidator(_endpoint)]
RemotePath = Annotated[str, AfterValidator(_absolute)]
Points = dict[str, dict[str, dict[str, dict[str, int]]]]


@dataclass(frozen=True)
class InfluxDB:
    """Keys: `databases` to back up; `config_files` to keep beside them; `env_file` on the host that sets
    INFLUX_USERNAME and INFLUX_PASSWORD where the server asks for them; `api` and `backup`, its two ports; `staging`,
    the directory on the host where a backup is gathered before it is sent.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    kind: ClassVar[str] = "influxdb"
    artifact_names: ClassVar[tuple[str, ...]] = ("backup.tar", "config.tar", "inventory.json")

    databases: Annotated[tuple[Annotated[str, AfterValidator(_database)], ...], Field(min_length=1)]
    config_files: tuple[RemotePath, ...] = ()
    env_file: RemotePath | None = None
    api: Endpoint = "127.0.0.1:8086"
    backup: Endpoint = "127.0.0.1:8088"
    staging: RemotePath = "/var/tmp"

    def commands(self) -> tuple[str, ...]:
        """Every command a pull can send."""
        return (
            self._probe_command(),
            self._inventory_command(),
            self._backup_command(),
            self._empty_shards_command(),
            self._config_command(),
        )

    def artifacts(self, host: Remote, findings: Findings) -> Iterator[Artifact]:
        """The portable backup (compared with the server's shards), the configuration, and the inventory."""
        self._probe(host, findings)
        before = self._inventory(host)
        self._refuse_unfit(before, findings)
        check = InfluxBackupCheck(self.databases)
        yield Artifact("backup.tar", self._stream(host, self._backup_command()), check)
        after = self._inventory(host)
        self._compare_shards(host, before, after, check.shards)
        yield Artifact("config.tar", self._stream(host, self._config_command()), TarCheck())
        record = {"databases": list(self.databases), "points_before": before.points, "points_after": after.points}
        yield Artifact("inventory.json", [json.dumps(record, indent=1).encode()])

    def restore(self, host: Remote, snapshot: Opened) -> list[Restored]:
        """Restore into a server that has none of these databases, or has them without points; then count."""
        wanted = json.loads(snapshot.read("inventory.json"))
        target = InfluxDB(tuple(wanted["databases"]), (), self.env_file, self.api, self.backup, self.staging)
        target._probe(host, Findings())
        present = target._inventory(host)
        for database in target.databases:
            if present.slow or _has_points(present.points.get(database, {})):
                raise RestoreError(
                    f"{host.name}: the target's {database} holds points already; nothing was changed",
                    "is this the right host? If so, DROP DATABASE there first, then restore again",
                )
        for database in target.databases:
            if database in present.existing:
                host.read(target._query_command(f'DROP DATABASE "{database}"'))
        with snapshot.chunks("backup.tar") as chunks:
            host.send(target._restore_command(), chunks)
        restored = target._settled_inventory(host)
        return [r for database in target.databases for r in _compare(database, wanted, restored)]

    def recovery(self, files: Mapping[str, str]) -> str:
        """The restore by hand."""
        restores = "\n".join(f"    influxd restore -portable -db '{d}' 'backup/{d}'" for d in self.databases)
        return (
            "On the new server, with influxd running and without these databases (an existing one is refused):\n\n"
            "    mkdir backup config\n"
            f"    age -d -i KEY {files['backup.tar']} | zstd -d | tar -C backup -xf -\n{restores}\n\n"
            "A missing shard file is not reported: compare the number of points afterwards with inventory.json\n\n"
            f"    age -d -i KEY {files['inventory.json']} | zstd -d\n\n"
            "Configuration files, and the answers to SHOW USERS, SHOW GRANTS and SHOW CONTINUOUS QUERIES (none of\n"
            "them is part of InfluxDB's own backup; passwords must be set anew):\n\n"
            f"    age -d -i KEY {files['config.tar']} | zstd -d | tar -C config -xf -\n"
        )

    def _prologue(self, what: str) -> str:
        """What every command begins with: its name, and `q FORMAT QUERY`."""
        host, _, port = self.api.rpartition(":")
        login = ""
        if self.env_file:
            login = f". {shlex.quote(self.env_file)} || exit\nexport INFLUX_USERNAME INFLUX_PASSWORD\n"
        return (
            f"# pullagent: {what} of {', '.join(self.databases)}\nLC_ALL=C; export LC_ALL\n{login}"
            f'q() {{ influx -host {host} -port {port} -format "$1" -execute "$2"; }}\n'
        )

    def _private_directory(self) -> str:
        """A fresh `$d`, gone on every way out; those of shells that were killed are swept first."""
        prefix = shlex.quote(f"{self.staging.rstrip('/')}/pullagent-influxdb.")
        return (
            f"umask 077\nfor old in {prefix}*; do\n"
            '  [ -d "$old" ] && [ -O "$old" ] || continue\n'
            f'  pid=${{old#{prefix}}}; kill -0 "${{pid%%.*}}" 2>/dev/null || rm -rf "$old"\ndone\n'
            f"d=$(mktemp -d {prefix}$$.XXXXXX) || exit\n"
            "trap 'rm -rf \"$d\"' EXIT\ntrap 'exit 143' HUP INT TERM PIPE\n"
        )

    def _probe_command(self) -> str:
        # a closed port makes `influxd backup` try for minutes before it fails
        address = self.backup.replace(":", "/")
        return (
            self._prologue("version and ports")
            + "command -v influx >/dev/null && command -v influxd >/dev/null || "
            + "{ echo 'no influx or influxd program here' >&2; exit 127; }\n"
            + f"timeout {_PROBE_LIMIT_S} bash -c ': </dev/tcp/{address}' || "
            + f"{{ echo 'backup port {self.backup} does not answer' >&2; exit 69; }}\n"
            + "q json 'SHOW DIAGNOSTICS' && influxd version"
        )

    def _inventory_command(self) -> str:
        host, _, port = self.api.rpartition(":")
        command = self._prologue("shards and point counts")
        command += (
            "printf 'databases\\t' && q json 'SHOW DATABASES' && printf 'shards\\t' && q json 'SHOW SHARDS' || exit\n"
        )
        for database in self.databases:
            # a database that is not there has no policies, and no points
            policies = shlex.quote(f'SHOW RETENTION POLICIES ON "{database}"')
            command += (
                f"list=$(q csv {policies} 2>&1) || case $list in *'database not found'*) list='' ;;"
                " *) printf '%s\\n' \"$list\" >&2; exit 1 ;; esac\n"
                r"""printf '%s\n' "$list" | sed -e '1d' -e '/^$/d' -e 's/\(,[^,]*\)\{4\}$//' """
                f"{_TO_IDENTIFIER} | while IFS= read -r rp; do\n"
                f"  printf 'points\\t%s\\t%s\\t' {shlex.quote(database)} \"$rp\"\n"
                f"  timeout {_COUNT_LIMIT_S} influx -host {host} -port {port} -format json -execute "
                f'"SELECT COUNT(*) FROM \\"{database}\\".\\"$rp\\"./.*/"\n'
                '  s=$?; [ "$s" = 124 ] && echo slow || [ "$s" = 0 ] || exit "$s"\n'
                "done || exit\n"
            )
        return command

    def _backup_command(self) -> str:
        command = self._prologue("backup") + self._private_directory()
        for database in self.databases:
            quoted = shlex.quote(database)
            command += (
                f'mkdir "$d"/{quoted} && '
                f'influxd backup -portable -host {self.backup} -database {quoted} "$d"/{quoted} >&2 || exit\n'
            )
        return command + 'tar -C "$d" -cf - ' + " ".join(shlex.quote(d) for d in self.databases)

    def _empty_shards_command(self) -> str:
        """Reads shard ids, a line each, and writes those that hold no point.

        The ids come by standard input because a gate allows constant commands only; they may be digits alone.
        """
        count = "SELECT COUNT(*) FROM \\\"$db\\\".\\\"$rp\\\"./.*/ WHERE time >= '$from' AND time < '$to'"
        return (
            self._prologue("empty shards")
            + "all=$(q csv 'SHOW SHARDS') || exit\n"
            + "while IFS= read -r id; do\n"
            + "  case $id in ''|*[!0-9]*) exit 64 ;; esac\n"
            + '  row=$(printf \'%s\\n\' "$all" | grep "^[^,]*,$id,") || { echo "$id"; continue; }\n'
            # name,id,database,retention_policy,shard_group,start_time,end_time,expiry_time,owners
            + "  from=$(printf '%s' \"$row\" | sed 's/.*,\\([^,]*\\),[^,]*,[^,]*,[^,]*$/\\1/')\n"
            + "  to=$(printf '%s' \"$row\" | sed 's/.*,\\([^,]*\\),[^,]*,[^,]*$/\\1/')\n"
            + "  db=$(printf '%s' \"$row\" | cut -d, -f3)\n"
            + "  rp=$(printf '%s\\n' \"$row\" | sed -e 's/^[^,]*,[^,]*,[^,]*,//' -e 's/\\(,[^,]*\\)\\{5\\}$//'"
            + f" {_TO_IDENTIFIER})\n"
            + f'  found=$(q json "{count}") || exit\n'
            + "  case $found in *'\"series\"'*) ;; *) printf '%s\\n' \"$id\" ;; esac\n"
            + "done"
        )

    def _config_command(self) -> str:
        files = " ".join(shlex.quote(f.lstrip("/")) for f in self.config_files)
        return (
            self._prologue("configuration")
            + self._private_directory()
            + 'mkdir "$d/queries" && cd "$d/queries" || exit\n'
            + "q json 'SHOW USERS' >users.json && q json 'SHOW CONTINUOUS QUERIES' >continuous_queries.json || exit\n"
            + "list=$(q csv 'SHOW USERS') || exit\n"
            + f"printf '%s\\n' \"$list\" | sed -e '1d' -e '/^$/d' -e 's/,[a-z]*$//' {_TO_IDENTIFIER}"
            + " | while IFS= read -r u; do\n"
            + '  printf \'%s\\t\' "$u" && q json "SHOW GRANTS FOR \\"$u\\"" || exit\ndone >grants.tsv || exit\n'
            + 'tar -C "$d" -cf - queries'
            + (f" -C / {files}" if files else "")
        )

    def _query_command(self, query: str) -> str:
        return self._prologue("query") + f"q json {shlex.quote(query)}"

    def _restore_command(self) -> str:
        command = self._prologue("restore") + self._private_directory() + 'tar -C "$d" -xf - || exit\n'
        for database in self.databases:
            quoted = shlex.quote(database)
            there = shlex.quote(f'SHOW RETENTION POLICIES ON "{database}"')
            command += f'influxd restore -portable -host {self.backup} -db {quoted} "$d"/{quoted} >&2 || {{ s=$?\n'
            # for a database without shards it makes the database, and yet says that it failed
            command += (
                f'  ls "$d"/{quoted}/*.tar.gz >/dev/null 2>&1 && exit "$s"; q json {there} >/dev/null || exit\n}}\n'
            )
        return command

    def _probe(self, host: Remote, findings: Findings) -> None:
        try:
            answer = host.read(self._probe_command()).decode(errors="replace")
        except CommandFailed as error:
            raise self._explained(error, host.name) from error
        diagnostics, _, program = answer.strip().rpartition("\n")
        findings.server_kind = "influxdb"
        findings.server_version = _column(_json(diagnostics, host.name), "build", "Version")
        findings.tools["influxd"] = program

    def _stream(self, host: Remote, command: str) -> Iterator[bytes]:
        try:
            yield from host.open(command)
        except CommandFailed as error:
            raise self._explained(error, host.name) from error

    def _inventory(self, host: Remote) -> "_Inventory":
        try:
            return _Inventory.parse(host.read(self._inventory_command()).decode(errors="replace"), host.name)
        except CommandFailed as error:
            raise self._explained(error, host.name) from error

    def _settled_inventory(self, host: Remote) -> "_Inventory":
        """What it holds, once every shard answers: for a moment after a restore some are still disabled."""
        for _ in range(_SETTLE_TRIES):
            try:
                return self._inventory(host)
            except (HostError, SourceError) as error:
                if "shard is disabled" not in error.message:
                    raise
            time.sleep(_SETTLE_S)
        return self._inventory(host)

    def _refuse_unfit(self, inventory: "_Inventory", findings: Findings) -> None:
        for database in self.databases:
            if database not in inventory.existing:
                raise SourceError(
                    f"there is no database {database!r} on that server",
                    f"check `databases` in hosts.toml; it has: {', '.join(sorted(inventory.existing))}",
                )
        if inventory.slow:
            findings.warn(f"counting points took longer than {_COUNT_LIMIT_S} s: a restore cannot compare them")

    def _compare_shards(
        self, host: Remote, before: "_Inventory", after: "_Inventory", found: Mapping[str, set[int]]
    ) -> None:
        """Every shard that stood before and after must be in the backup, unless it holds no point.

        Future shards are made ahead of time, and one that has begun may not have been written to yet.
        """
        absent = {
            shard: database
            for database in self.databases
            for shard in (before.shards.get(database, set()) & after.shards.get(database, set())) - found[database]
        }
        if not absent:
            return
        asked = "".join(f"{shard}\n" for shard in sorted(absent)).encode()
        try:
            answer = host.send(self._empty_shards_command(), iter([asked])).decode()
        except CommandFailed as error:
            raise self._explained(error, host.name) from error
        empty = {int(line) for line in answer.split()}
        lost = sorted(absent.keys() - empty)
        if lost:
            raise ContentError(
                f"the backup of {', '.join(sorted({absent[s] for s in lost}))} lacks shards {lost}, which hold points",
                "influxd skipped them without a word: look into its log, then run again",
            )

    def _explained(self, error: CommandFailed, host: str) -> HostError | SourceError:
        said = error.stderr
        if error.status == 69:
            return SourceError(
                f"InfluxDB's backup port {self.backup} refused the connection on {host}",
                f"is influxd running there?  ssh {host} systemctl status influxdb",
            )
        if error.status == 127:
            return SourceError(error.message, f"install it on {host}: apt-get install influxdb influxdb-client")
        if "Failed to connect" in said:
            return SourceError(
                f"InfluxDB's port {self.api} refused the connection on {host}",
                f"is influxd running there?  ssh {host} systemctl status influxdb",
            )
        if "authorization failed" in said or "unable to parse authentication" in said:
            return SourceError(error.message, "the server asks for a login: name an env_file on the host in hosts.toml")
        if "No space left" in said:
            return SourceError(
                error.message, f"the backup is gathered in {self.staging} on {host}: free space there, or set `staging`"
            )
        return error


@dataclass(frozen=True)
class _Inventory:
    """Databases, shard ids by database, and point counts, at one moment."""

    existing: frozenset[str]
    shards: dict[str, set[int]]
    points: Points
    slow: bool

    @classmethod
    def parse(cls, answer: str, host: str) -> "_Inventory":
        existing: set[str] = set()
        shards: dict[str, set[int]] = {}
        points: Points = {}
        slow = False
        for line in filter(None, answer.splitlines()):
            kind, _, rest = line.partition("\t")
            if kind == "databases":
                existing = {row["name"] for row in _rows(_json(rest, host))}
            elif kind == "shards":
                for row in _rows(_json(rest, host)):
                    shards.setdefault(row["database"], set()).add(int(row["id"]))
            elif kind == "points" and rest.endswith("\tslow"):
                slow = True
            elif kind == "points":
                database, policy, counts = rest.split("\t", 2)
                points.setdefault(database, {})[policy] = _counts(_json(counts, host))
            else:
                raise ContentError(
                    f"InfluxDB's client on {host} answers {line[:80]!r}", "does a login script print something there?"
                )
        return cls(frozenset(existing), shards, points, slow)


def _counts(answer: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Points of each field, by measurement."""
    return {
        series["name"]: {
            column.removeprefix("count_"): value
            for column, value in zip(series["columns"], series["values"][0], strict=True)
            if column != "time" and value is not None
        }
        for series in _series(answer)
    }


def _compare(database: str, wanted: dict[str, Any], restored: "_Inventory") -> Iterator[Restored]:
    """The database, and its counts, which must lie between those taken just before and just after the backup."""
    yield Restored(database, "database", "present", "present" if database in restored.existing else "missing")
    found = restored.points
    low, high = wanted["points_before"].get(database, {}), wanted["points_after"].get(database, {})
    for policy in sorted(low.keys() | high.keys()):
        for measurement in sorted(low.get(policy, {}).keys() | high.get(policy, {}).keys()):
            least = sum(low.get(policy, {}).get(measurement, {}).values())
            most = sum(high.get(policy, {}).get(measurement, {}).values())
            count = sum(found.get(database, {}).get(policy, {}).get(measurement, {}).values())
            expected = count if least <= count <= most else least
            yield Restored(f"{database}.{policy}.{measurement}", "field values", expected, count)


def _has_points(policies: dict[str, dict[str, dict[str, int]]]) -> bool:
    return any(count for policy in policies.values() for fields in policy.values() for count in fields.values())


def _json(text: str, host: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
        errors = [r["error"] for r in answer["results"] if "error" in r]
    except (ValueError, KeyError, TypeError) as error:
        raise ContentError(
            f"InfluxDB's client on {host} answers {text[:80]!r}", "does a login script print something there?"
        ) from error
    if errors:
        raise SourceError(f"InfluxDB on {host} says: {errors[0]}")
    return dict(answer)


def _series(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for result in answer["results"]:
        yield from result.get("series", [])


def _rows(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for series in _series(answer):
        for values in series.get("values", []):
            yield dict(zip(series["columns"], values, strict=True))


def _column(answer: dict[str, Any], series: str, column: str) -> str | None:
    for table in _series(answer):
        if table.get("name") == series:
            return str(dict(zip(table["columns"], table["values"][0], strict=True)).get(column))
    return None
