"""Source kind `influxdb`: databases of an InfluxDB 1.x server by its portable backup, with its configuration."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from msgspec import Meta

from pullagent.checks.tar import InfluxBackupCheck, TarCheck
from pullagent.diagnosis import Diagnosis, bad, doubtful, good, judged, of_error, size
from pullagent.errors import CommandFailed, ContentError, HostError, PullAgentError, SourceError, Stopped
from pullagent.fields import Checked
from pullagent.manifest import Server as Origin
from pullagent.model import Artifact, Check, Findings
from pullagent.sources.base import (
    Machine,
    Opened,
    Remote,
    RemotePath,
    Restoration,
    RestoreOptions,
    Throwaway,
    once,
    stored_inventory,
)
from pullagent.sources.influxdb.commands import COUNT_LIMIT_S, Commands
from pullagent.sources.influxdb.inventory import (
    Inventory,
    column_of,
    database_name,
    databases_in,
    free_bytes,
    parse_json,
)


def _endpoint(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*:[0-9]{1,5}", text) or not 0 < int(text.rpartition(":")[2]) < 65536:
        raise ValueError(f"found {text!r}; write HOST:PORT")
    return text


_UNREADABLE = "are all config_files there, and may the pull account read them? Where only root may: sudo = true"
# what needs no escape in a sudoers file, and cannot be taken for a pattern there
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+@-]+")


Endpoint = Annotated[str, Checked(_endpoint)]


@dataclass(frozen=True)
class InfluxDB:
    """Databases of an InfluxDB 1.x server, by its portable backup, with users, grants, continuous queries and
    configuration files.
    """

    kind: ClassVar[str] = "influxdb"
    artifact_names: ClassVar[tuple[str, ...]] = ("backup.tar", "config.tar", "inventory.json")
    restore_takes: ClassVar[frozenset[str]] = frozenset({"config_files"})

    databases: Annotated[
        tuple[Annotated[str, Checked(database_name)], ...],
        Meta(min_length=1, description="names of the databases to back up"),
        Checked(once),
    ]
    config_files: Annotated[tuple[RemotePath, ...], Meta(description="files on the host to keep beside them")] = ()
    sudo: Annotated[
        bool,
        Meta(
            description="whether `config_files` are read by `sudo`, as only root may; the gate writes the sudoers line"
        ),
    ] = False
    env_file: Annotated[
        RemotePath | None,
        Meta(description="a file on the host that sets `INFLUX_USERNAME` and `INFLUX_PASSWORD`"),
    ] = None
    api: Annotated[Endpoint, Meta(description="the server's HTTP port")] = "127.0.0.1:8086"
    backup: Annotated[
        Endpoint, Meta(description="the server's backup port; keep it on loopback, it asks for no login")
    ] = "127.0.0.1:8088"
    staging: Annotated[RemotePath, Meta(description="directory on the host where the backup is gathered")] = "/var/tmp"

    def __post_init__(self) -> None:
        odd = [path for path in self.config_files if not _PLAIN_PATH.fullmatch(path)]
        if self.sudo and odd:
            raise ValueError(f"config_files: found {odd[0]!r}; with sudo a path has letters, digits and /._+@- alone")
        if self.sudo and not self.config_files:
            raise ValueError("sudo: there are no config_files that it could read; leave it out")

    @property
    def _commands(self) -> Commands:
        files = self.config_files
        return Commands(self.databases, files, self.env_file, self.api, self.backup, self.staging, self.sudo)

    def commands(self) -> tuple[str, ...]:
        """Every command a pull can send."""
        return self._commands.all_of_a_pull()

    def streams(self) -> tuple[str, ...]:
        """The backup."""
        return (self._commands.backup(),)

    def artifacts(self, host: Remote, findings: Findings) -> Iterator[Artifact]:
        """The portable backup, gathered in `staging` and sent from there: every shard is read to its end and compared
        with those that the server names; one that is absent must be empty. Then users, grants, continuous queries and
        `config_files`, and the number of points before and after.
        """
        self._probe(host, findings)
        before = self._inventory(host)
        self._refuse_unfit(before, findings)
        check = InfluxBackupCheck(self.databases)
        yield Artifact("backup.tar", self._stream(host, self._commands.backup()), check)
        after = self._inventory(host)
        self._compare_shards(host, before, after, check.shards)
        yield Artifact("config.tar", self._stream(host, self._commands.configuration()), TarCheck())
        record = {"databases": list(self.databases), "points_before": before.points, "points_after": after.points}
        yield Artifact("inventory.json", [json.dumps(record, indent=1).encode()])

    def diagnose(self, host: Remote, last_bytes: int | None) -> Iterator[Diagnosis]:
        """Ports and version, the databases, what is saved beside them, and the room in `staging`."""
        yield judged("ports and version", lambda: self._version(host))
        yield judged("databases", lambda: self._present(host))
        yield judged("configuration", lambda: self._readable(host), _UNREADABLE)
        try:
            yield self._room(self._free_bytes(host), last_bytes, host.name)
        except Stopped:
            raise
        except PullAgentError as error:
            yield of_error("staging", error)

    def restoration(self, host: Remote, snapshot: Opened, options: RestoreOptions) -> Restoration:
        """Into a server that has none of these databases, or has them without points: databases, continuous queries,
        and users with their grants (with new passwords). The points of each measurement are counted and compared;
        configuration files are compared, and put in place with `--config-files`.
        """
        from pullagent.sources.influxdb.restore import Restore

        findings = Findings()
        self._probe(host, findings)
        return Restore(host, snapshot, options, self._commands, findings.server_version)

    def throwaway(self, machine: Machine, origin: Origin) -> Throwaway:
        """A throwaway InfluxDB on two free loopback ports, with its data in the drill's own directory."""
        from pullagent.sources.influxdb import throwaway as rehearsed

        api, backup = rehearsed.start(machine)
        staging = str(machine.directory / "tmp")
        there = replace(self, api=api, backup=backup, staging=staging, env_file=None, config_files=(), sudo=False)
        findings = Findings()
        there._probe(machine, findings)
        return Throwaway(there, findings.server_version)

    @classmethod
    def checks(cls, snapshot: Opened) -> Mapping[str, Check]:
        """The backup's databases and shards to their ends, and the configuration's archive."""
        with stored_inventory(snapshot) as record:
            databases = tuple(str(name) for name in record["databases"])
        return {"backup.tar": InfluxBackupCheck(databases), "config.tar": TarCheck()}

    def grants(self, user: str) -> str:
        """None: the backup port asks for no login; where HTTP does, `env_file` has one."""
        return ""

    def as_root(self) -> tuple[tuple[str, ...], ...]:
        """With `sudo`: the tar that reads `config_files`, with its whole command line."""
        return (self._commands.read_as_root,) if self.sudo else ()

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

    def _probe(self, host: Remote, findings: Findings) -> None:
        try:
            answer = host.read(self._commands.probe()).decode(errors="replace")
        except CommandFailed as error:
            raise self._explained(error, host.name) from error
        diagnostics, _, program = answer.strip().rpartition("\n")
        findings.server_kind = "influxdb"
        findings.server_version = column_of(parse_json(diagnostics, host.name), "build", "Version")
        findings.tools["influxd"] = program

    def _version(self, host: Remote) -> str:
        findings = Findings()
        self._probe(host, findings)
        return f"InfluxDB {findings.server_version} at {self.api}, {self.backup}"

    def _present(self, host: Remote) -> str:
        try:
            answer = host.read(self._commands.existing()).decode(errors="replace")
        except CommandFailed as error:
            raise self._explained(error, host.name) from error
        self._refuse_absent(databases_in(answer, host.name))
        return f"{', '.join(self.databases)} there"

    def _readable(self, host: Remote) -> str:
        check = TarCheck()
        try:
            check.feed(host.read(self._commands.configuration()))
        except CommandFailed as error:
            raise self._explained(error, host.name) from error
        check.finish()
        return "users, grants, queries and config_files are readable"

    def _free_bytes(self, host: Remote) -> int:
        try:
            answer = host.read(self._commands.space()).decode(errors="replace")
        except CommandFailed as error:
            raise SourceError(error.message, self._staging_hint(host.name)) from error
        return free_bytes(answer, host.name)

    def _staging_hint(self, host: str) -> str:
        return f"make {self.staging} on {host}, writable for the pull account, or set `staging` in hosts.toml"

    def _room(self, free: int, last_bytes: int | None, host: str) -> Diagnosis:
        """A backup is gathered there before it is sent."""
        has = f"{self.staging} has {size(free)} free"
        if last_bytes is None:
            return good("staging", f"{has}; how much a backup takes is not known yet")
        detail = f"{has}; the last backup took {size(last_bytes)}"
        hint = f"free space there, or set `staging` in hosts.toml:  ssh {host} df -h {self.staging}"
        if free < last_bytes:
            return bad("staging", detail, hint)
        return good("staging", detail) if free >= 2 * last_bytes else doubtful("staging", detail, hint)

    def _stream(self, host: Remote, command: str) -> Iterator[bytes]:
        try:
            yield from host.open(command)
        except CommandFailed as error:
            raise self._explained(error, host.name) from error

    def _inventory(self, host: Remote) -> Inventory:
        try:
            return Inventory.parse(host.read(self._commands.inventory()).decode(errors="replace"), host.name)
        except CommandFailed as error:
            raise self._explained(error, host.name) from error

    def _refuse_absent(self, existing: frozenset[str]) -> None:
        for database in self.databases:
            if database not in existing:
                raise SourceError(
                    f"there is no database {database!r} on that server",
                    f"check `databases` in hosts.toml; it has: {', '.join(sorted(existing))}",
                )

    def _refuse_unfit(self, inventory: Inventory, findings: Findings) -> None:
        self._refuse_absent(inventory.existing)
        if inventory.slow:
            findings.warn(f"counting points took longer than {COUNT_LIMIT_S} s: a restore cannot compare them")

    def _compare_shards(self, host: Remote, before: Inventory, after: Inventory, found: Mapping[str, set[int]]) -> None:
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
            answer = host.send(self._commands.empty_shards(), iter([asked])).decode(errors="replace")
        except CommandFailed as error:
            raise self._explained(error, host.name) from error
        if not re.fullmatch(r"([0-9]{1,18}\n)*", answer):
            raise ContentError(
                f"InfluxDB's client on {host.name} answers {answer[:80]!r}",
                "does a login script print something there?",
            )
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
        if "sudo: " in said:
            return SourceError(
                error.message,
                f"sudo there must allow this very command: pullagent gate {host} -o DIR writes its line for sudoers",
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
        if "create admin user first" in said:
            return SourceError(
                error.message,
                f"the server has no administrator yet; make the one that env_file names:  ssh {host} influx -execute"
                " \"CREATE USER … WITH PASSWORD '…' WITH ALL PRIVILEGES\"",
            )
        if "mktemp: " in said and "No space left" not in said:
            return SourceError(error.message, self._staging_hint(host))
        if "No space left" in said:
            return SourceError(
                error.message, f"the backup is gathered in {self.staging} on {host}: free space there, or set `staging`"
            )
        return error
