"""Use cases: what goes from the store, by retention or by name, and what is pinned to stay."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pullagent.clock import Record
from pullagent.config import Config
from pullagent.errors import LockedError, NoSuchSnapshot, PullAgentError, StoreError, UsageError
from pullagent.expiry import expire
from pullagent.ledger import who
from pullagent.model import Refusal, Snapshot, SnapshotRef, SourceName, StopSignal
from pullagent.retention import Candidate, Decision, Plan, decide
from pullagent.store import Store, pins
from pullagent.store.pins import Pin


@dataclass(frozen=True)
class PruneReport:
    """What was removed, or would be. `swept` are removals that a killed prune had begun; `failed` ended this one."""

    dry_run: bool
    decisions: tuple[Decision, ...]
    refused: Refusal | None = None
    swept: tuple[str, ...] = ()
    failed: PullAgentError | None = None
    expired: tuple[str, ...] = ()
    """What went, or would go, from clear mirrors: `HOST/SOURCE REF` of each ref that upstream gave up long ago."""

    @property
    def removed(self) -> tuple[SnapshotRef, ...]:
        """The snapshots that went, or would go."""
        return tuple(d.ref for d in self.decisions if d.action == "remove")

    @property
    def exit_code(self) -> int:
        """1 when it refused or failed."""
        return 1 if self.refused or self.failed else 0

    @property
    def detail(self) -> dict[str, Any]:
        """What the ledger keeps of it."""
        return {
            "removed": [str(ref) for ref in self.removed],
            "kept": len(self.decisions) - len(self.removed),
            "refused": self.refused.reason if self.refused else None,
            "swept": [*self.swept],
            **({"expired": [*self.expired]} if self.expired else {}),
            **({"error": self.failed.message} if self.failed else {}),
        }


def plan(config: Config, now: datetime, *, record: Record | None = None, spared: Collection[SourceName] = ()) -> Plan:
    """What retention says of the store at `now`; see `retention.decide`. StoreError."""
    return decide(_catalogue(Store(config.store)), config.retention, now, record=record, spared=spared)


def dry_run(config: Config, now: datetime, *, record: Record) -> PruneReport:
    """What `prune` would do at `now`; touches nothing. StoreError."""
    found = plan(config, now, record=record)
    expired = () if found.refused else expire(config, now, dry_run=True)
    return PruneReport(True, found.decisions, found.refused, expired=expired)


def prune(
    config: Config,
    now: datetime,
    *,
    record: Record,
    spared: Collection[SourceName] = (),
    wait_s: float = 0.0,
    stop: StopSignal | None = None,
) -> PruneReport:
    """Remove what retention lets go at `now`, one snapshot after the other, each first out of the tree, then deleted.

    `record` is what the ledger said of the clock before anything else was done by it. A snapshot that is being read
    stays until the next time. LockedError when another removes for longer than `wait_s` seconds; StoreError when the
    catalogue cannot be read or an earlier removal not be ended.
    """
    store = Store(config.store)
    store.prepare()
    with store.removing(wait_s, stop):
        swept = tuple(store.sweep())
        found = plan(config, now, record=record, spared=spared)
        done: list[Decision] = []
        failed: PullAgentError | None = None
        for decision in found.decisions:
            if decision.action == "remove" and failed is None:
                decision, failed = _remove(store, decision)
            elif decision.action == "remove":
                decision = replace(decision, action="keep", reason=f"{decision.reason}; not reached")
            done.append(decision)
    expired: tuple[str, ...] = ()
    if not found.refused and failed is None:
        try:
            expired = expire(config, now, spared=spared, stop=stop)
        except PullAgentError as error:
            failed = error
    return PruneReport(False, tuple(done), found.refused, swept, failed, expired)


def _remove(store: Store, decision: Decision) -> tuple[Decision, StoreError | None]:
    """The decision as it came to be, and what forbids to go on."""
    try:
        store.unpublish(decision.ref)
    except LockedError:
        return replace(decision, action="keep", reason=f"{decision.reason}, but being read"), None
    except UsageError:
        return replace(decision, action="keep", reason="pinned", expires=None), None
    except NoSuchSnapshot:
        return decision, None
    except StoreError as error:
        return replace(decision, action="keep", reason=f"{decision.reason}, but: {error.message}"), error
    try:
        store.sweep()
    except StoreError as error:
        return decision, error
    return decision, None


def forget(config: Config, ref: SnapshotRef) -> None:
    """Remove one snapshot, of whatever age; UsageError for a pinned one and for the last good one of its source.

    NoSuchSnapshot when it has gone, LockedError while it is read, or another removes.
    """
    store = Store(config.store)
    store.prepare()
    with store.removing():
        store.sweep()
        good = [s.ref for s in store.snapshots(ref.name.host, ref.name.source) if s.state == "good"]
        if good == [ref]:
            raise UsageError(
                f"{ref} is the last good snapshot of its source", f"pull another one first:  pullagent run {ref.name}"
            )
        store.unpublish(ref)
        store.sweep()


def pin(config: Config, snapshot: Snapshot, why: str, now: datetime) -> None:
    """Keep a snapshot from being removed until it is unpinned; UsageError without a reason, or when it is pinned."""
    if not why.strip():
        raise UsageError("a pin needs a reason", 'say why it is to stay:  --reason "before the migration"')
    store = Store(config.store)
    store.prepare()
    store.pin(snapshot, pins.dump(Pin(who(), now.replace(microsecond=0), why.strip())))


def unpin(config: Config, snapshot: Snapshot) -> None:
    """Leave a snapshot to retention again; UsageError when it is not pinned."""
    Store(config.store).unpin(snapshot)


def _catalogue(store: Store) -> Iterator[Candidate]:
    """Source by source, so that few manifests are in memory at once."""
    for of_source in store.by_source():
        yield from map(Candidate.of, of_source)
