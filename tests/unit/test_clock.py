"""Clocks that leap: what the ledger's lines, in their order, say of them, and that no snapshot goes by one."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.clock import AHEAD, BEHIND, SLACK, VOUCHED, Record, record, refusal
from pullagent.model import Refusal, SnapshotRef, id_time, rfc3339, snapshot_id
from pullagent.retention import Candidate, decide
from pullagent.tables import RetentionTable
from tests.unit.storing import AGAMA

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def lines(*days: float, event: str = "run", **detail: Any) -> list[dict[str, Any]]:
    """Lines of so many days ago, in this order."""
    return [{"event": event, "time": rfc3339(NOW - d * DAY), "detail": detail} for d in days]


def doubted(*entries: dict[str, Any], taken: float = 10) -> Refusal | None:
    """What is said now, with a snapshot of so many days ago in the store."""
    return refusal(record(entries), [NOW - taken * DAY], NOW)


@pytest.mark.parametrize(
    ("days", "reason"),
    [
        (
            [400, 1],
            "nothing was done here from 2025-10-19T12:00:00Z to 2026-11-22T12:00:00Z: was the server off for 399",
        ),
        (
            [36.5],
            "nothing was done here from 2026-10-18T00:00:00Z to 2026-11-23T12:00:00Z: was the server off for 36",
        ),
        ([3, -400, 2, 1], "nothing was done here from 2026-11-20T12:00:00Z to 2027-12-28T12:00:00Z"),
        ([3, 2, 5, 4, 1], "the clock went back by 3 d, from 2026-11-21T12:00:00Z to 2026-11-18T12:00:00Z"),
        ([3, -30, 1], "the clock went back by 31 d, from 2026-12-23T12:00:00Z to 2026-11-22T12:00:00Z"),
        ([2, 1, -0.5], "the clock (2026-11-23T12:00:00Z) is behind the ledger's last entry (2026-11-24T00:00:00Z)"),
    ],
    ids=["ahead since", "ahead by now", "there and back", "back and there", "a month ahead and back", "behind now"],
)
def test_a_leap_is_told(days: list[float], reason: str) -> None:
    """However many lines follow it; with what there is to do."""
    found = doubted(*lines(*days), taken=days[0])
    assert found is not None
    assert found.reason.startswith(reason)
    assert found.hint.endswith("pullagent prune --clock-is-right")


@pytest.mark.parametrize(
    "days", [[], [9, 8, 7, 0], [70, 36, 1], [5, 5.9, 4], [1, -SLACK / DAY / 2]], ids=lambda d: f"{len(d)} lines"
)
def test_what_is_usual_is_believed(days: list[float]) -> None:
    """A month without a run, lines that overtook each other by less than a day, one written this very minute."""
    assert doubted(*lines(*days), taken=80) is None


def test_somebody_who_vouches_is_believed() -> None:
    """Everything before that line is forgiven, nothing after it is."""
    vouched = [*lines(400, 3, -400, 2), *lines(1.5, event=VOUCHED), *lines(1)]
    assert doubted(*vouched) is None
    assert doubted(*vouched, *lines(-400, 1)) is not None
    assert doubted(*vouched, *lines(5)) is not None
    assert doubted(*lines(400, -3), *lines(0, event=VOUCHED)) is None


def test_what_refused_is_no_witness() -> None:
    """Neither the line of a prune that refused, nor one whose time is no time."""
    odd = [{"time": t} for t in (None, 5, "never", "2020-01-01T00:00:00", "0001-01-01T00:00:00+14:00")]
    assert record([*lines(2, 1), *odd, {}, *lines(-5, event="prune", refused="x")]) == Record(NOW - DAY)


def test_snapshots_taken_since_rest_on_no_leap_ahead() -> None:
    """What was tried half a year before the first backup hinders nothing; nor does an empty store."""
    assert doubted(*lines(180), taken=0.1) is None
    assert doubted(*lines(180, 20), taken=20.2) is None
    assert doubted(*lines(180, 20), taken=180.2) is not None
    assert refusal(record(lines(180)), [], NOW) is None


def test_the_limits() -> None:
    """Who pulls once a month is not asked each time."""
    assert AHEAD > 31 * DAY
    assert BEHIND < 2 * DAY


POLICY = RetentionTable(days=5, keep_at_least=2)
# true time goes on by hours; the clock leaps by days
STEPS = st.integers(1, 72)
LEAPS = st.sampled_from([0, 0, 0, 0, 0, 0]) | st.integers(40, 4_000).flatmap(lambda n: st.sampled_from([n, -n]))
VERBS = st.sampled_from(["run", "run", "run", "prune", "fetch"])
STORIES = st.lists(st.tuples(STEPS, LEAPS, VERBS), max_size=60)


@dataclass
class Server:
    """A backup server whose clock may be wrong: its true time, its store, its ledger, and when what was taken."""

    true: datetime = NOW
    wrong: timedelta = timedelta()
    taken: dict[str, datetime] = field(default_factory=dict)
    removed: dict[str, datetime] = field(default_factory=dict)
    """When each snapshot that has gone had really been taken."""
    ledger: list[dict[str, Any]] = field(default_factory=list)

    @property
    def clock(self) -> datetime:
        """What it says."""
        return self.true + self.wrong

    def write(self, event: str, **detail: Any) -> None:
        """A line."""
        self.ledger.append({"event": event, "time": rfc3339(self.clock), "detail": detail})

    def prune(self, found: Record) -> Refusal | None:
        """Remove what retention lets go by what the ledger said."""
        candidates = [Candidate(SnapshotRef(AGAMA, identifier), "good") for identifier in self.taken]
        plan = decide(candidates, POLICY, self.clock, record=found)
        for decision in plan.decisions:
            if decision.action == "remove":
                self.removed[decision.ref.id] = self.true - self.taken.pop(decision.ref.id) + NOW
        self.write("prune", refused=plan.refused.reason if plan.refused else None)
        return plan.refused

    def act(self, verb: str) -> None:
        """As the program does: a run looks into the ledger before its pulls write there."""
        found = record(self.ledger)
        if verb == "run":
            self.taken.setdefault(snapshot_id(self.clock), self.true)
            self.write("pull")
        if verb in ("run", "prune"):
            self.prune(found)
        self.write(verb)


def lived(story: list[tuple[int, int, str]]) -> Server:
    """A server that has nine good nights behind it, and this after them."""
    server = Server()
    for hours, leap, verb in [(24, 0, "run")] * 9 + story:
        server.true += timedelta(hours=hours)
        # two centuries are enough for anybody
        if abs(server.wrong + leap * DAY) < 40_000 * DAY:
            server.wrong += leap * DAY
        server.act(verb)
    return server


@given(story=STORIES)
def test_no_leap_takes_a_snapshot_along(story: list[tuple[int, int, str]]) -> None:
    """Whatever the clock did and whoever wrote how many lines: what went was as old as it had to be, truly."""
    server = lived(story)
    assert len(server.removed) >= 4
    assert all(age - NOW >= POLICY.days * DAY for age in server.removed.values())


@given(story=STORIES)
def test_nothing_goes_after_a_leap_until_somebody_vouches(story: list[tuple[int, int, str]]) -> None:
    """And then prune goes on, once what lies in the future was forgotten: there is no dead end."""
    first = next((n for n, (_, leap, _) in enumerate(story) if leap), len(story))
    before, server = lived(story[:first]), lived(story)
    assert server.removed == before.removed
    server.wrong = timedelta()
    server.taken = {i: true for i, true in server.taken.items() if id_time(i) <= server.clock}
    server.write(VOUCHED)
    assert server.prune(record(server.ledger)) is None
    assert len(server.taken) >= POLICY.keep_at_least


@given(days=st.integers(36, 4_000), nights=st.integers(1, 30))
def test_a_long_outage_destroys_nothing(days: int, nights: int) -> None:
    """A server that was off: everything from before is there night after night, until somebody says that it was off."""
    server = lived([])
    had = {*server.taken}
    server.true += days * DAY
    for _ in range(nights):
        server.true += DAY
        server.act("run")
        assert had <= {*server.taken}
    server.write(VOUCHED)
    server.act("run")
    assert len(server.taken) == max(POLICY.keep_at_least, min(nights, POLICY.days))
