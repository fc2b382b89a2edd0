"""Use case: put a snapshot back onto a target, and compare what it then holds with what was stored."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from pullagent.config import Config
from pullagent.errors import RestoreError
from pullagent.host import Host, Login
from pullagent.logins import limits
from pullagent.model import Observer, Snapshot, SnapshotRef, StopSignal
from pullagent.opened import OpenedSnapshot
from pullagent.seal import Identity
from pullagent.sources.base import Restored, Source
from pullagent.store import Store


@dataclass(frozen=True)
class RestoreReport:
    """What came back, and in how many seconds; `ok` when all of it is equal."""

    ref: SnapshotRef
    target: str
    took_s: float
    rto_s: float
    objects: tuple[Restored, ...]

    @property
    def ok(self) -> bool:
        """Whether everything came back as it was."""
        return bool(self.objects) and all(item.equal for item in self.objects)


def restore(
    config: Config,
    kinds: Mapping[str, type[Source]],
    snapshot: Snapshot,
    login: Login,
    identity: Identity,
    *,
    observer: Observer | None = None,
    stop: StopSignal | None = None,
) -> RestoreReport:
    """Check the stored files and the identity, then log in, load, and compare.

    Nothing is touched on the target before every stored hash and the identity are proven. DamageError, WrongIdentity,
    HostKeyError, RestoreError (the target is not empty) and the host's errors.
    """
    begun = time.monotonic()
    opened = OpenedSnapshot(snapshot, identity, observer)
    with Store(config.store).reading(snapshot):
        opened.check_stored()
        opened.check_identity()
        source = source_of(config, kinds, snapshot)
        with Host(login, limits(config), stop or StopSignal()) as host:
            objects = tuple(source.restore(host, opened))
    took = time.monotonic() - begun
    return RestoreReport(snapshot.ref, str(login), took, config.objectives.rto_minutes * 60, objects)


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
