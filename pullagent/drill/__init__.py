"""Use case: restore a snapshot onto a throwaway server, or under a scratch name elsewhere, and say how it went."""

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from pullagent.config import Config
from pullagent.diagnosis import Diagnosis, doubtful, good
from pullagent.drill.growth import Growth, growth_of
from pullagent.drill.throwaway import place
from pullagent.errors import Interrupted, NoSuchSnapshot, PullAgentError, RestoreError, UsageError
from pullagent.host import Host, Login
from pullagent.ledger import Ledger, who
from pullagent.logins import limits
from pullagent.model import Observer, Snapshot, SnapshotRef, SourceName, StopSignal
from pullagent.monitoring.chronicle import Facts, facts_of
from pullagent.monitoring.verdicts import TREND
from pullagent.opened import OpenedSnapshot
from pullagent.restore import proven, refuse_failed, source_of
from pullagent.seal import Identity
from pullagent.sources.base import Remote, Restoration, Restored, RestoreOptions, Source
from pullagent.store import Store

HERE = "this machine"
_OWN_ACCOUNT = "what was restored ran as {}, who may read the store: give it an account of its own"


@dataclass(frozen=True)
class DrillReport:
    """What came back, where, from how much, and in how many seconds.

    `served`: by a throwaway server, which some kinds have no need of; `server`: its version, else empty.
    `load_s` is the restore alone, without the start of a throwaway server; `checks` what was found before it;
    `account` as whom the server ran, None on another host; `sha256` the plain artifacts' hashes, which were met again.
    """

    ref: SnapshotRef
    target: str
    server: str
    served: bool
    account: str | None
    took_s: float
    load_s: float
    rto_s: float
    plain_bytes: int
    growth: Growth
    sha256: Mapping[str, str]
    checks: tuple[Diagnosis, ...]
    objects: tuple[Restored, ...]

    @property
    def ok(self) -> bool:
        """Whether everything came back as it was."""
        return bool(self.objects) and not self.differing

    @property
    def differing(self) -> tuple[Restored, ...]:
        """What did not."""
        return tuple(item for item in self.objects if not item.equal)

    @property
    def rows(self) -> int:
        """How many rows or field values were counted."""
        return sum(item.found for item in self.objects if isinstance(item.found, int))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was doubtful, and did not keep it from being tried."""
        return tuple(check.detail for check in self.checks if check.result == "warn")

    @property
    def projected_bytes(self) -> int:
        """The plain size after 90 days of today's growth."""
        return self.growth.projected(self.plain_bytes)

    @property
    def projected_s(self) -> float:
        """How long the restore alone would then take."""
        return self.load_s * self.projected_bytes / self.plain_bytes if self.plain_bytes else self.load_s


@dataclass(frozen=True)
class _Target:
    """Where a drill goes. On this machine `version` is the throwaway server's, if it has one; commands there run
    as `account`, and `apart` tells whether that is another account than the caller's.
    """

    host: Remote
    source: Source
    options: RestoreOptions
    name: str
    account: str | None = None
    version: str | None = None
    apart: bool = False


def drill(
    config: Config,
    kinds: Mapping[str, type[Source]],
    snapshot: Snapshot,
    identity: Identity,
    login: Login | None = None,
    *,
    observer: Observer | None = None,
    stop: StopSignal | None = None,
) -> DrillReport:
    """Restore `snapshot` onto a throwaway server here, or onto the host of `login` under a scratch name; compare.

    All of it is removed again on every way out. DamageError, WrongIdentity, RestoreError when it could not be
    restored, SourceError where this machine lacks the server's programs, and the host's errors.
    """
    begun, stop = time.monotonic(), stop or StopSignal()
    opened = OpenedSnapshot(snapshot, identity, observer)
    store = Store(config.store)
    with store.reading(snapshot):
        source = source_of(config, kinds, snapshot)
        checks = [*proven(opened, snapshot)]
        proved_s = time.monotonic() - begun
        with _elsewhere(config, source, login, stop) if login else _here(config, source, opened, stop) as target:
            loading = time.monotonic()
            restoration = _restoration(target, opened)
            checks += [*_of_server(target, opened), *restoration.preflight()]
            refuse_failed(checks)
            objects = _tried(restoration, target, snapshot.ref)
            load_s = proved_s + time.monotonic() - loading
    manifest = opened.manifest
    return DrillReport(
        snapshot.ref,
        target.name,
        next((c.detail for c in checks if c.name == "server"), ""),
        target.version is not None,
        target.account,
        time.monotonic() - begun,
        load_s,
        config.objectives.rto_minutes * 60,
        snapshot.plain_bytes or 0,
        growth_of(islice(store.newest(snapshot.ref.name), TREND)),
        {a.name: a.plain_sha256 for a in manifest.artifacts},
        tuple(checks),
        objects,
    )


@contextmanager
def _here(config: Config, source: Source, opened: OpenedSnapshot, stop: StopSignal) -> Iterator[_Target]:
    with place(config.ssh.total_s, stop) as machine:
        opened.step("starting a server")
        started = source.throwaway(machine, opened.manifest.server)
        apart = machine.account is not None and machine.account.uid != config.store.stat().st_uid
        account = machine.account.name if machine.account else who()
        yield _Target(machine, started.source, RestoreOptions(), HERE, account, started.version, apart)


@contextmanager
def _elsewhere(config: Config, source: Source, login: Login, stop: StopSignal) -> Iterator[_Target]:
    with Host(login, limits(config), stop) as host:
        yield _Target(host, source, RestoreOptions(into=f"pullagent_drill_{secrets.token_hex(4)}"), str(login))


def _restoration(target: _Target, opened: OpenedSnapshot) -> Restoration:
    try:
        return target.source.restoration(target.host, opened, target.options)
    except UsageError as error:
        raise UsageError(
            "a snapshot of several databases cannot be drilled on another host: it would need a scratch name for each",
            "leave --to out: a throwaway server of this machine takes all of it",
        ) from error


def _of_server(target: _Target, opened: OpenedSnapshot) -> Iterator[Diagnosis]:
    origin = opened.manifest.server
    if target.account is None:
        return
    if target.version not in (None, origin.version):
        yield doubtful(
            "version",
            f"drilled with {target.version}, but the snapshot is of {origin.version}",
            "the restored server may be another than the lost one",
        )
    if not target.apart:
        yield doubtful(
            "account",
            _OWN_ACCOUNT.format(target.account),
            "drill as root, with an account pullagent-drill: see docs/drill.md",
        )
    else:
        yield good("account", f"what is restored runs as {target.account}")


def _tried(restoration: Restoration, target: _Target, ref: SnapshotRef) -> tuple[Restored, ...]:
    """Restore and compare; what was made under a scratch name on another host is dropped, however it ended."""
    try:
        return tuple(_without_passwords(restoration.act()))
    except RestoreError as error:
        hint = f"nothing of it is left there. Is the snapshot sound?  pullagent verify {ref} --identity FILE"
        if isinstance(error.__cause__, Interrupted):
            hint = "nothing of it is left there; run it again when it suits"
        raise RestoreError(f"{ref} did not come back: {error.message}", hint, exit_code=error.exit_code) from error
    finally:
        _discard(restoration, target)


def _discard(restoration: Restoration, target: _Target) -> None:
    try:
        restoration.discard()
    except PullAgentError as error:
        raise RestoreError(
            f"the scratch database {target.options.into} may still be on {target.name}: {error.message}",
            "drop it there",
        ) from error


def _without_passwords(objects: Iterable[Restored]) -> Iterator[Restored]:
    """Nobody must take passwords made for a throwaway server for those of the true one."""
    for item in objects:
        yield replace(item, found="made anew") if item.kind == "user" else item


def newest_good(store: Store, name: SourceName) -> Snapshot:
    """The newest good snapshot of a source; NoSuchSnapshot where there is none."""
    for snapshot in store.newest(name):
        if snapshot.state == "good":
            return snapshot
    raise NoSuchSnapshot(f"there is no good snapshot of {name}", f"pullagent run {name}")


def longest_undrilled(config: Config) -> SourceName:
    """The source with a good snapshot whose last good drill lies longest back, or that has none. NoSuchSnapshot."""
    store = Store(config.store)
    facts = facts_of(Ledger(store.ledger_path).entries(("drill",)))
    for name in sorted(config.source_names(), key=lambda n: _last(facts.get(n))):
        if any(s.state == "good" for s in store.newest(name)):
            return name
    raise NoSuchSnapshot("there is no good snapshot of any source", "pullagent run")


def _last(facts: Facts | None) -> float:
    return facts.drilled.time.timestamp() if facts and facts.drilled else 0.0
