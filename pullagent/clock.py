"""Whether the clock can be believed, by the times of the ledger's lines in the order they were written in. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pullagent.model import Refusal, rfc3339
from pullagent.words import span

SLACK = timedelta(minutes=1)
"""By how much clocks may differ: a second pull within one second is named after the next one."""
AHEAD = timedelta(days=35)
"""Longer than anybody waits between two runs: after that it may be the clock that went on, and not the time."""
BEHIND = timedelta(days=1)
"""Time does not go back: what goes back by more is a clock that was wrong before, or is wrong now."""
VOUCHED = "clock"
"""The event by which somebody says that the clock is right, whatever the lines before it say."""
HINT = (
    "is the clock right now?  date -u\n"
    "if it is, see what would go:  pullagent prune --clock-is-right --dry-run\n"
    "and let it go:  pullagent prune --clock-is-right"
)


@dataclass(frozen=True, slots=True)
class Leap:
    """Two times (UTC), one written right after the other, that are further apart than an honest clock makes likely."""

    before: datetime
    after: datetime

    def casts_doubt_on(self, taken: datetime) -> bool:
        """Whether the age of a snapshot taken then rests on it. None of those does that a clock which went on took
        since; one that went back may have been right before, or only now.
        """
        return self.after < self.before or taken - self.before < self.after - taken

    @property
    def told(self) -> str:
        """What happened, for the operator who knows better."""
        before, after = rfc3339(self.before), rfc3339(self.after)
        if self.after < self.before:
            return f"the clock went back by {span(self.before - self.after)}, from {before} to {after}"
        gap = span(self.after - self.before)
        return f"nothing was done here from {before} to {after}: was the server off for {gap}, or is the clock wrong?"


@dataclass(frozen=True, slots=True)
class Record:
    """What the ledger says of the clock since somebody last vouched for it: its last time, and every leap."""

    last: datetime | None = None
    leaps: tuple[Leap, ...] = ()


def record(entries: Iterable[Mapping[str, Any]]) -> Record:
    """What the ledger's lines, in the order they were written in, say of the clock.

    Lines without a time are passed over, and so is a prune that refused, or its own line would tell the next one that
    the clock is right.
    """
    last: datetime | None = None
    leaps: list[Leap] = []
    for entry in entries:
        time = _time(entry)
        if time is None or _has_refused(entry):
            continue
        if entry.get("event") == VOUCHED:
            leaps.clear()
        elif last is not None and _is_leap(last, time):
            leaps.append(Leap(last, time))
        last = time
    return Record(last, tuple(leaps))


def refusal(found: Record, taken: Iterable[datetime], now: datetime) -> Refusal | None:
    """Why no snapshot, taken at these times, may go by a clock that says `now`; None when the clock can be believed."""
    if found.last is not None and found.last > now + SLACK:
        return Refusal(f"the clock ({rfc3339(now)}) is behind the ledger's last entry ({rfc3339(found.last)})", HINT)
    leaps = found.leaps
    if found.last is not None and _is_leap(found.last, now):
        leaps = (*leaps, Leap(found.last, now))
    if leaps:
        catalogue = [*taken]
        for leap in leaps:
            if any(map(leap.casts_doubt_on, catalogue)):
                return Refusal(leap.told, HINT)
    return None


def _time(entry: Mapping[str, Any]) -> datetime | None:
    try:
        time = datetime.fromisoformat(entry["time"])
        return None if time.tzinfo is None else time.astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _has_refused(entry: Mapping[str, Any]) -> bool:
    detail = entry.get("detail")
    return entry.get("event") == "prune" and isinstance(detail, dict) and bool(detail.get("refused"))


def _is_leap(before: datetime, after: datetime) -> bool:
    return after - before > AHEAD or before - after > BEHIND
