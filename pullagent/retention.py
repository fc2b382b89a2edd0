"""Which snapshots stay, which go, and why. Pure: catalogue, clock and what the ledger says of it are arguments."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from pullagent import clock
from pullagent.clock import SLACK, Record
from pullagent.model import Refusal, Snapshot, SnapshotRef, SourceName, id_time, rfc3339
from pullagent.tables import RetentionTable

if TYPE_CHECKING:
    from pullagent.manifest import Manifest

_FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What retention asks of a snapshot. `readable`: its manifest could be read and is its own."""

    ref: SnapshotRef
    state: str
    pinned: bool = False
    readable: bool = True
    taken: datetime = field(init=False, compare=False)
    """When its pull began (UTC)."""

    def __post_init__(self) -> None:
        """Read the id once: everything here asks for its time."""
        object.__setattr__(self, "taken", id_time(self.ref.id))

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Candidate":
        """What is to be known of a snapshot in the store."""
        manifest, ref = snapshot.manifest, snapshot.ref
        # a manifest of another snapshot has been found damaged
        own = manifest is not None and (snapshot.state != "damaged" or _is_of(manifest, ref))
        return cls(ref, snapshot.state, snapshot.pinned, own)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one snapshot.

    `expires`: when it goes (UTC) if good ones go on coming; None when it stays as long as things are as they are.
    """

    ref: SnapshotRef
    action: Literal["keep", "remove"]
    reason: str
    expires: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """A decision for every snapshot, in the order of the catalogue. When refused, none of them is to remove."""

    decisions: tuple[Decision, ...]
    refused: Refusal | None = None


def decide(
    candidates: Iterable[Candidate],
    policy: RetentionTable,
    now: datetime,
    *,
    record: Record | None = None,
    spared: Collection[SourceName] = (),
) -> Plan:
    """Decide about a whole catalogue at `now`.

    `record` is what the ledger says of the clock; snapshots of the sources `spared` are not removed.
    """
    catalogue = sorted(candidates, key=lambda c: c.ref.id, reverse=True)
    catalogue.sort(key=lambda c: (c.ref.name.host, c.ref.name.source))
    decisions: list[Decision] = []
    for name, group in groupby(catalogue, key=lambda c: c.ref.name):
        found = _of_source([*group], policy, now)
        decisions += [_spared(d) for d in found] if name in spared else found
    refused = _refusal(catalogue, decisions, now, record or Record())
    if refused is not None:
        decisions = [_left(d) for d in decisions]
    return Plan(tuple(decisions), refused)


def _of_source(candidates: Sequence[Candidate], policy: RetentionTable, now: datetime) -> list[Decision]:
    good = [c for c in candidates if c.state == "good"]
    # by their ids alone, of which Python keeps the hashes
    floor = {c.ref.id for c in good[: policy.keep_at_least]}
    weekly = _newest_each(good, _monday) if policy.weekly else []
    monthly = _newest_each(good, _month) if policy.monthly else []
    weeks = {c.ref.id: _later(_monday(c.taken), timedelta(weeks=policy.weekly)) for c in weekly}
    months = {c.ref.id: _months_later(c.taken, policy.monthly) for c in monthly}
    return [_one(c, policy, now, c.ref.id in floor, weeks.get(c.ref.id), months.get(c.ref.id)) for c in candidates]


def _one(
    candidate: Candidate,
    policy: RetentionTable,
    now: datetime,
    floor: bool,
    week_ends: datetime | None,
    month_ends: datetime | None,
) -> Decision:
    """`week_ends`, `month_ends`: until when the rules keep it that keep the newest good one of its week and month."""
    ref, taken = candidate.ref, candidate.taken
    if candidate.pinned:
        return Decision(ref, "keep", "pinned")
    old = _later(taken, timedelta(days=policy.days))
    # the newest of a week that has not ended will make room for the next one, as the newest of all does
    week = week_ends if week_ends and (old <= now or _monday(taken) < _monday(now)) else old
    month = month_ends if month_ends and (old <= now or _month(taken) < _month(now)) else old
    expires = max(old, week, month)
    if old > now:
        return Decision(ref, "keep", f"younger than {_days(policy.days)}", expires)
    if floor:
        kept = f"{policy.keep_at_least} newest good ones" if policy.keep_at_least > 1 else "newest good one"
        return Decision(ref, "keep", f"of the {kept}", expires if expires > now else None)
    if week > now:
        year, number, _ = taken.isocalendar()
        return Decision(ref, "keep", f"newest good one of week {year}-W{number:02}", expires)
    if month > now:
        return Decision(ref, "keep", f"newest good one of {taken:%Y-%m}", expires)
    note = "" if candidate.state == "good" else f", {candidate.state}"
    return Decision(ref, "remove", f"older than {_days(policy.days)}{note}", expires)


def _spared(decision: Decision) -> Decision:
    if decision.action == "keep":
        return decision
    return replace(decision, action="keep", reason=f"{decision.reason}, but not pulled in this run")


def _left(decision: Decision) -> Decision:
    if decision.action == "keep":
        return decision
    return replace(decision, action="keep", reason=f"{decision.reason}, but prune refuses")


def _refusal(
    catalogue: Sequence[Candidate],
    decisions: Sequence[Decision],
    now: datetime,
    record: Record,
) -> Refusal | None:
    newest = max(catalogue, key=lambda c: c.ref.id, default=None)
    if newest is not None and newest.taken > now + SLACK:
        return Refusal(
            f"{newest.ref} lies in the future: the clock says {rfc3339(now)}",
            f"is the clock right?  date -u\nif the snapshot is wrong:  pullagent forget {newest.ref} --reason …",
        )
    doubted = clock.refusal(record, (c.taken for c in catalogue), now)
    if doubted is not None:
        return doubted
    unreadable = [c.ref for c in catalogue if not c.readable]
    if unreadable:
        more = f" (and {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
        return Refusal(
            f"the manifest of {unreadable[0]}{more} cannot be read",
            f"what is wrong with it:  pullagent show {unreadable[0]}\n"
            f"if it is beyond help:  pullagent forget {unreadable[0]} --reason …",
        )
    return _too_much(decisions)


def _too_much(decisions: Sequence[Decision]) -> Refusal | None:
    for name, of_source in groupby(decisions, key=lambda d: d.ref.name):
        if all(d.action == "remove" for d in of_source):
            return Refusal(
                f"nothing would be left of {name}: none of its snapshots is good",
                f"pull it again:  pullagent run {name}\nor remove them one by one:  pullagent forget REF --reason …",
            )
    return None


def _is_of(manifest: "Manifest", ref: SnapshotRef) -> bool:
    return (manifest.host, manifest.source, manifest.id) == (ref.name.host, ref.name.source, ref.id)


def _newest_each(good: Sequence[Candidate], period: Callable[[datetime], object]) -> list[Candidate]:
    return [next(group) for _, group in groupby(good, key=lambda c: period(c.taken))]


def _monday(moment: datetime) -> datetime:
    """When the ISO week of `moment` begins (UTC)."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def _month(moment: datetime) -> int:
    return moment.year * 12 + moment.month - 1


def _months_later(moment: datetime, months: int) -> datetime:
    """When the month of `moment` begins, and so many later."""
    year, month = divmod(_month(moment) + months, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC) if year <= _FOREVER.year else _FOREVER


def _later(moment: datetime, span: timedelta) -> datetime:
    return moment + span if _FOREVER - moment > span else _FOREVER


def _days(count: int) -> str:
    return f"{count} days" if count > 1 else "a day"
