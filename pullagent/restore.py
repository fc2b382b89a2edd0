"""Use case: put a snapshot back onto a target, and compare what it then holds with what was stored."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from pullagent.config import Config
from pullagent.diagnosis import Diagnosis, good
from pullagent.errors import RestoreError, UsageError
from pullagent.host import Host, Login
from pullagent.logins import limits
from pullagent.model import Observer, Snapshot, SnapshotRef, StopSignal
from pullagent.opened import OpenedSnapshot
from pullagent.seal import Identity
from pullagent.sources.base import Restoration, Restored, RestoreOptions, Source
from pullagent.store import Store

Approve = Callable[[tuple[Diagnosis, ...]], bool]


@dataclass(frozen=True)
class RestoreReport:
    """What the preflight found, what came back, and in how many seconds; `acted` is False after a dry run."""

    ref: SnapshotRef
    target: str
    took_s: float
    rto_s: float
    checks: tuple[Diagnosis, ...]
    acted: bool
    objects: tuple[Restored, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything came back as it was; after a dry run, whether it could be tried."""
        if not self.acted:
            return all(check.result != "failed" for check in self.checks)
        return bool(self.objects) and all(item.equal for item in self.objects)


def restore(
    config: Config,
    kinds: Mapping[str, type[Source]],
    snapshot: Snapshot,
    login: Login,
    identity: Identity,
    options: RestoreOptions,
    *,
    approve: Approve,
    dry_run: bool = False,
    observer: Observer | None = None,
    stop: StopSignal | None = None,
) -> RestoreReport:
    """Look at everything first; then, if nothing failed and `approve` says so, load and compare.

    Nothing is touched on the target before every stored hash and the identity are proven and the whole preflight has
    passed. DamageError, WrongIdentity, HostKeyError, RestoreError (the target is not fit, or is half restored),
    UsageError (not approved) and the host's errors.
    """
    begun = time.monotonic()
    opened = OpenedSnapshot(snapshot, identity, observer)
    with Store(config.store).reading(snapshot):
        checks = [*proven(opened, snapshot)]
        source = source_of(config, kinds, snapshot)
        options.refuse_unfit(kinds[source.kind])
        with Host(login, limits(config), stop or StopSignal()) as host:
            checks.append(good("SSH login", f"{login}, whose host key is the pinned one"))
            restoration = source.restoration(host, opened, options)
            checks += restoration.preflight()
            objects = () if dry_run else _acted(restoration, tuple(checks), approve)
    took, rto_s = time.monotonic() - begun, config.objectives.rto_minutes * 60
    return RestoreReport(snapshot.ref, str(login), took, rto_s, tuple(checks), not dry_run, objects)


def proven(opened: OpenedSnapshot, snapshot: Snapshot) -> Iterator[Diagnosis]:
    """That every stored file is as it was, and that the identity opens it. DamageError, WrongIdentity."""
    opened.check_stored()
    count = len(opened.manifest.artifacts)
    they = f"all {count} are as they were" if count > 1 else "the one there is, is as it was"
    yield good("stored files", f"{they} when {snapshot.ref} was taken")
    opened.check_identity()
    yield good("identity", "opens every file")


def refuse_failed(checks: Iterable[Diagnosis]) -> None:
    """RestoreError when a check of the preflight failed."""
    failed = [check for check in checks if check.result == "failed"]
    if failed:
        raise RestoreError("; ".join(check.detail for check in failed), "\n".join(check.hint for check in failed))


def _acted(restoration: Restoration, checks: tuple[Diagnosis, ...], approve: Approve) -> tuple[Restored, ...]:
    refuse_failed(checks)
    if not approve(checks):
        raise UsageError("not confirmed; nothing was done")
    return tuple(restoration.act())


def source_of(config: Config, kinds: Mapping[str, type[Source]], snapshot: Snapshot) -> Source:
    """The source as hosts.toml has it now (for sockets and ports); RestoreError when it is no longer there."""
    name = snapshot.ref.name
    host = config.hosts.get(name.host)
    source = host.sources.get(name.source) if host else None
    kind = snapshot.manifest.kind if snapshot.manifest else ""
    if kind not in kinds:
        raise RestoreError(
            f"{snapshot.ref} is of kind {kind!r}, which this version does not know", "use a newer pullagent"
        )
    if source is None or source.kind != kind:
        raise RestoreError(
            f"{config.path} has no source {name} of kind {kind}",
            f"add it (its copy lies in {config.store}/hosts.toml), or follow RESTORE.txt in {snapshot.path}",
        )
    found: Source = source
    return found
