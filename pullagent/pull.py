"""Use case: pull sources into the store, side by side, each whole or not at all."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime

from pullagent import __version__, gate, seal
from pullagent import config as configs
from pullagent.config import Config
from pullagent.errors import CommandFailed, ConnectionLost, PullAgentError, StoreError
from pullagent.host import Host
from pullagent.ledger import Ledger
from pullagent.logins import limits, pull_login
from pullagent.manifest import ArtifactEntry, Manifest, Server
from pullagent.mirror import Recording, bench_of, reached
from pullagent.model import (
    Artifact,
    Findings,
    Manner,
    Observer,
    Outcome,
    RunReport,
    Sealed,
    SourceName,
    StopSignal,
    rfc3339,
    snapshot_id,
)
from pullagent.plausibility import Size, State, judge, must_stay_free
from pullagent.sources.base import Mirrored, Remote, Source
from pullagent.store import Staging, Store
from pullagent.turns import longest_first, pick
from pullagent.wire.choice import Past
from pullagent.wire.commands import commands_of
from pullagent.wire.pace import paces
from pullagent.wire.remote import wired
from pullagent.workers import workers

# how much of a stream passes between two looks at the space that is left
_LOOK_BYTES = 16 << 20
_VERSION_CHARS = 200
Connect = Callable[[configs.Host], AbstractContextManager[Remote]]


class Puller:
    """Pulls the sources of one configuration. `connect` opens a host; `clock` gives the UTC time."""

    def __init__(
        self,
        config: Config,
        *,
        observer: Observer | None = None,
        stop: StopSignal | None = None,
        connect: Connect | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config, self._observer, self._clock = config, observer or Observer(), clock
        self._stop = stop or StopSignal()
        self._connect = connect or self._open_host
        self._store = Store(config.store)
        self._ledger = Ledger(self._store.ledger_path)
        self._recipients: tuple[str, ...] = ()
        self._gates_to_ask = set(config.hosts)
        self._packed, self._plain_next = set[SourceName](), set[SourceName]()
        self._paces = paces({host.name: host.bytes_per_s for host in config.hosts.values()}, self._stop)

    def run(self, names: Sequence[SourceName], *, jobs: int = 2, wait_s: float = 0.0) -> RunReport:
        """Pull `names`, `jobs` at once, waiting up to `wait_s` seconds for each lock.

        One source failing leaves the others running. Errors that concern all (configuration, recipients, an
        unwritable store) are raised before anything is pulled.
        """
        started = self._clock()
        self._recipients = self._config.recipients()
        seal.check_recipients(self._recipients)
        self._store.prepare()
        with workers(max(1, jobs), "pull", self._stop) as pool:
            found = self._in_turn(pool, names, max(1, jobs), wait_s)
        outcomes = tuple(found[name] for name in names)
        return self._with_copies(RunReport(snapshot_id(started), started, self._clock(), outcomes))

    def _in_turn(
        self, pool: ThreadPoolExecutor, names: Sequence[SourceName], jobs: int, wait_s: float
    ) -> dict[SourceName, Outcome]:
        """Pull all, `jobs` at once, and of each host no more than it is to bear."""
        at_once = {host.name: host.jobs for host in self._config.hosts.values()}
        waiting, running = self._longest_first(names), dict[Future[Outcome], SourceName]()
        found: dict[SourceName, Outcome] = {}
        while waiting or running:
            while len(running) < jobs and (name := pick(waiting, running.values(), at_once)) is not None:
                waiting.remove(name)
                running[pool.submit(self._pull_one, name, wait_s)] = name
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                found[running.pop(done)] = done.result()
        return found

    def _longest_first(self, names: Sequence[SourceName]) -> list[SourceName]:
        def last(name: SourceName) -> float | None:
            # an order that is not the best is no reason to fail
            with suppress(StoreError):
                return next((s.took_s for s in self._store.newest(name)), None)
            return None

        return longest_first(names, {name: last(name) for name in names})

    def _open_host(self, host: configs.Host) -> Host:
        return Host(pull_login(self._config, host), limits(self._config), self._stop)

    def _with_copies(self, report: RunReport) -> RunReport:
        """Keep hosts.toml and known_hosts beside what was stored with their help; nothing worse may replace them."""
        if not any(outcome.outcome == "stored" for outcome in report.outcomes):
            return report
        try:
            self._store.keep_copy("hosts.toml", self._config.text)
            if self._config.known_hosts.is_file():
                self._store.keep_copy("known_hosts", self._config.known_hosts.read_bytes())
        except (StoreError, OSError) as error:
            return report.with_warning(f"hosts.toml and known_hosts were not copied into the store: {error}")
        return report

    def _pull_one(self, name: SourceName, wait_s: float) -> Outcome:
        begun = time.monotonic()
        try:
            outcome = self._pull_whole(name, wait_s, begun)
        except PullAgentError as error:
            # a connection that was lost says nothing of the compressor
            if name in self._packed and not isinstance(error, ConnectionLost):
                self._plain_next.add(name)
            outcome = Outcome.failure(name, time.monotonic() - begun, gate.explained(error, name.host))
        except Exception as error:
            self._observer.defect(traceback.format_exc())
            defect = PullAgentError(f"internal error: {error!r}", "this is a defect: report it")
            outcome = Outcome.failure(name, time.monotonic() - begun, defect)
        self._observer.ended(outcome)
        try:
            self._record(outcome)
        except StoreError as error:
            outcome = outcome.with_warning(f"not written to the ledger: {error.message}")
        return outcome

    def _record(self, outcome: Outcome) -> None:
        self._ledger.append(
            "pull",
            ok=outcome.outcome == "stored",
            exit_code=outcome.exit_code,
            took_s=outcome.took_s,
            host=outcome.name.host,
            source=outcome.name.source,
            ref=str(outcome.ref) if outcome.ref else None,
            detail={"error": outcome.error}
            if outcome.error
            else {"stored_bytes": outcome.stored_bytes, "wire": "zstd" if outcome.packed else "plain"},
        )

    def _pull_whole(self, name: SourceName, wait_s: float, begun: float) -> Outcome:
        host = self._config.hosts[name.host]
        source: Source = host.sources[name.source]
        self._stop.check()
        with self._store.locked(name, wait_s, self._stop):
            start = self._clock()
            self._observer.started(str(name), "connecting")
            with self._store.stage(name, start) as staging, reached(host, source, self._connect) as remote:
                about_gate = self._ask_gate(remote, host) if source.commands() else []
                manner = self._manner(name, host)
                wire = wired(remote, source, manner, lambda: self._past(name), self._paces.get(host.name))
                if wire.choice.reason:
                    self._observer.noted(str(name), wire.choice.reason)
                if wire.choice.packed:
                    self._packed.add(name)
                findings = Findings(tools={"zstd": wire.choice.zstd} if wire.choice.zstd else {})
                sealed = [self._seal(name, staging, a) for a in self._artifacts(name, source, wire, findings)]
                self._stop.check()
                size = self._judged(name, sealed)
                if size.warning:
                    findings.warn(size.warning)
                manifest = self._describe(staging, source, findings, sealed, size.state)
                recovery = _recovery(staging, source, sealed)
                staging.publish(manifest, recovery)
        return Outcome(
            name,
            "stored",
            time.monotonic() - begun,
            shrunk=size.state == "shrunk",
            ref=staging.ref,
            plain_bytes=sum(s.plain_bytes for s in sealed),
            stored_bytes=sum(s.stored_bytes for s in sealed),
            packed=wire.choice.packed,
            warnings=(*about_gate, *findings.warnings, *findings.told),
        )

    def _manner(self, name: SourceName, host: configs.Host) -> Manner:
        """The host's; where compression is our own choice, and a pull failed with it, the next attempt does without."""
        if host.manner.wire == "auto" and name in self._plain_next:
            self._observer.noted(str(name), "not compressed on the wire: an attempt that was has failed")
            return replace(host.manner, wire="plain")
        return host.manner

    def _artifacts(self, name: SourceName, source: Source, remote: Remote, findings: Findings) -> Iterator[Artifact]:
        """What a source has to give: of one with a mirror here, from the mirror, once that is up to date."""
        if not isinstance(source, Mirrored) or not source.clear_mirror:
            return source.artifacts(remote, findings)
        recording = Recording(self._config, name, self._clock)
        with recording.ends():
            followed = recording.follow(source, remote, self._stop, self._observer)
        findings.server_version = followed.version
        for warning in followed.warnings:
            findings.tell(warning)
        if followed.kept:
            findings.tell(f"upstream gave up {len(followed.kept)} of its refs; they stay, as {followed.kept[0]}")
        bench = bench_of(self._config, name, self._clock(), self._stop)
        return recording.watched(source.bundled(bench, findings))

    def _ask_gate(self, remote: Remote, host: configs.Host) -> list[str]:
        """A warning when the host's gate is not the one that hosts.toml makes; asked once a host.

        Nothing else may show it: some commands are sent on rare days only, and a gate that allows too much refuses
        nothing. It costs one round trip.
        """
        try:
            self._gates_to_ask.remove(host.name)
        except KeyError:
            return []
        commands = commands_of(host.sources.values(), host.manner)
        try:
            warning = gate.stale(host.name, commands, remote.read(gate.DIGEST_COMMAND))
        except CommandFailed:
            # there is no gate
            return []
        return [warning] if warning else []

    def _seal(self, name: SourceName, staging: Staging, artifact: Artifact) -> Sealed:
        self._observer.started(str(name), artifact.name)
        path = staging.path(artifact.name + seal.SUFFIX)
        level = self._config.compression.level
        return seal.seal(
            artifact.name,
            self._checked(name, staging, artifact),
            path,
            recipients=self._recipients,
            level=level,
            stop=self._stop,
        )

    def _checked(self, name: SourceName, staging: Staging, artifact: Artifact) -> Iterator[bytes]:
        since_look = 0
        for chunk in artifact.stream:
            self._stop.check()
            artifact.check.feed(chunk)
            self._observer.advanced(str(name), len(chunk))
            since_look += len(chunk)
            if since_look >= _LOOK_BYTES:
                since_look = 0
                self._check_space(name, staging)
            yield chunk
        artifact.check.finish()

    def _check_space(self, name: SourceName, staging: Staging) -> None:
        """StoreError when the stream leaves the store too little room: other sources must not fail with it."""
        capacity, free = self._store.space()
        percent = self._config.min_free_percent
        if free >= must_stay_free(capacity, percent, 1, 0):
            return
        earlier = self._store.snapshots(name.host, name.source)
        largest = max((s.stored_bytes or 0 for s in earlier), default=0)
        written = staging.written_bytes
        if free < must_stay_free(capacity, percent, written, largest):
            times = f", more than twice the largest so far ({largest >> 20} MiB)" if written > 2 * largest else ""
            raise StoreError(
                f"given up after {written >> 20} MiB{times}: only {free >> 20} MiB are free in {self._config.store}",
                f"is it as large as it should be? If so, free space there (df -h {self._config.store}), "
                "or lower [store] min_free_percent",
            )

    def _past(self, name: SourceName) -> Past | None:
        """The newest good snapshot, by what it tells of the link."""
        for found in self._store.snapshots(name.host, name.source):
            plain, stored, took = found.plain_bytes, found.stored_bytes, found.took_s
            if found.state == "good" and plain is not None and stored is not None and took is not None:
                return Past(plain, stored, took)
        return None

    def _judged(self, name: SourceName, sealed: list[Sealed]) -> Size:
        found = self._store.snapshots(name.host, name.source)
        sound = [s.manifest for s in found if s.manifest is not None and s.state != "damaged"]
        earlier = [(m.state, sum(a.plain_bytes for a in m.artifacts)) for m in sound]
        return judge(sum(s.plain_bytes for s in sealed), earlier)

    def _describe(
        self,
        staging: Staging,
        source: Source,
        findings: Findings,
        sealed: list[Sealed],
        state: State,
    ) -> Manifest:
        return Manifest(
            state=state,
            id=staging.ref.id,
            host=staging.ref.name.host,
            source=staging.ref.name.source,
            kind=source.kind,
            taken=staging.start,
            finished=max(self._clock(), staging.start),
            agent_version=__version__,
            tools={k: v[:_VERSION_CHARS] for k, v in findings.tools.items()} | {"age": seal.age_version()},
            server=Server(kind=findings.server_kind, version=(findings.server_version or "")[:_VERSION_CHARS] or None),
            recipients=self._recipients,
            warnings=tuple(findings.warnings),
            artifacts=tuple(ArtifactEntry.of(s) for s in sealed),
        )


def _recovery(staging: Staging, source: Source, sealed: list[Sealed]) -> str:
    files = {s.name: s.file for s in sealed}
    return (
        f"{staging.ref}, taken {rfc3339(staging.start)}\n\n"
        "To restore it without pullagent you need: these files, the age identity (KEY below) that belongs to one of\n"
        "the recipients in manifest.json, and the programs age and zstd. First see that nothing is damaged:\n\n"
        "    sha256sum -c SHA256SUMS\n\n"
        f"{source.recovery(files)}"
    )
