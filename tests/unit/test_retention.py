"""What goes and what stays, over histories and clocks of every kind."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.clock import SLACK, Record
from pullagent.model import SnapshotRef, SourceName, snapshot_id
from pullagent.retention import Candidate, Plan, decide
from pullagent.tables import RetentionTable
from tests.unit.storing import AGAMA, LOGS

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def taken(*days: float, name: SourceName = AGAMA, state: str = "good", pinned: bool = False) -> list[Candidate]:
    """Snapshots of so many days ago."""
    return [Candidate(SnapshotRef(name, snapshot_id(NOW - d * DAY)), state, pinned) for d in days]


def kept(plan: Plan) -> dict[int, str]:
    """The reasons of what stays, by its age in whole days."""
    return {
        (NOW - c.taken).days: d.reason for d in plan.decisions if d.action == "keep" for c in [Candidate(d.ref, "")]
    }


def test_what_is_old_goes_but_the_newest_stay() -> None:
    """Fourteen days, three good ones: the rule of the example."""
    plan = decide(taken(*range(20)), RetentionTable(), NOW)
    assert [*kept(plan)] == [*range(14)]
    plan = decide(taken(*range(30, 40)), RetentionTable(), NOW)
    assert kept(plan) == {
        30: "of the 3 newest good ones",
        31: "of the 3 newest good ones",
        32: "of the 3 newest good ones",
    }
    assert plan.decisions[-1].reason == "older than 14 days"


def test_the_very_moment_decides() -> None:
    """A snapshot goes once it is as old as `days` says, not a second before."""
    policy = RetentionTable(days=14, keep_at_least=1)
    second = 1 / 86400
    plan = decide(taken(0, 14 - second, 14), policy, NOW)
    assert [d.action for d in plan.decisions] == ["keep", "keep", "remove"]
    assert plan.decisions[2].expires == NOW


@pytest.mark.parametrize("state", ["shrunk", "damaged"])
def test_only_good_ones_count(state: str) -> None:
    """After days of shrunk or damaged snapshots the last good ones are still there, and the others go when old."""
    plan = decide(taken(*range(20, 30), state=state) + taken(40, 41, 42, 43), RetentionTable(), NOW)
    assert [*kept(plan)] == [40, 41, 42]
    assert plan.decisions[0].reason == f"older than 14 days, {state}"


def test_every_source_has_its_own_floor() -> None:
    """Also a source that hosts.toml no longer names: nobody says that its data are not needed any more."""
    plan = decide(taken(0, 1, 2, 30) + taken(30, 31, 32, 33, name=LOGS), RetentionTable(), NOW)
    assert [str(d.ref.name) for d in plan.decisions if d.action == "remove"] == [str(AGAMA), str(LOGS)]


def test_a_pinned_one_stays() -> None:
    """And takes no place of another."""
    plan = decide(taken(0, 1, 2, 30) + taken(50, pinned=True), RetentionTable(), NOW)
    assert kept(plan)[50] == "pinned"
    assert 30 not in kept(plan)


def test_weeks_and_months() -> None:
    """The newest good one of each week, Monday to Sunday, and of each month, this one included."""
    monday = taken(*range(100))
    plan = decide(monday, RetentionTable(days=2, keep_at_least=1, weekly=3, monthly=3), NOW)
    assert NOW.isocalendar()[:] == (2026, 48, 1)
    assert kept(plan) == {
        0: "younger than 2 days",
        1: "younger than 2 days",
        8: "newest good one of week 2026-W46",
        23: "newest good one of 2026-10",
        54: "newest good one of 2026-09",
    }
    # the Sunday of last week is a day old
    assert (
        kept(decide(monday[2:], RetentionTable(days=2, keep_at_least=1, weekly=3), NOW))[2] == "of the newest good one"
    )


def test_weeks_and_months_count_good_ones_alone() -> None:
    """A shrunk one is not what is kept of a week."""
    policy = RetentionTable(days=1, keep_at_least=1, weekly=2)
    plan = decide(taken(0) + taken(2, state="shrunk") + taken(3, 4), policy, NOW)
    assert [*kept(plan)] == [0, 3]


EXPIRY = [
    ("young", taken(0, 1, 2), RetentionTable(), 2, NOW + 12 * DAY),
    ("due, but of the newest", taken(20, 21, 22), RetentionTable(), 0, None),
    ("due", taken(20, 21, 22, 23), RetentionTable(), 3, NOW - 9 * DAY),
    ("pinned", taken(0, pinned=True), RetentionTable(), 0, None),
    ("of a past week", taken(1), RetentionTable(weekly=4), 0, datetime(2026, 12, 14, tzinfo=UTC)),
    ("of this week, to be followed by newer ones", taken(0), RetentionTable(weekly=4), 0, NOW + 14 * DAY),
    ("of a past month", taken(24), RetentionTable(monthly=3), 0, datetime(2027, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize(("found", "policy", "number", "expires"), [e[1:] for e in EXPIRY], ids=[e[0] for e in EXPIRY])
def test_when_it_goes(found: list[Candidate], policy: RetentionTable, number: int, expires: datetime | None) -> None:
    """What `list` shows: when a snapshot goes if good ones go on coming; nothing for what stays as things are."""
    assert decide(found, policy, NOW).decisions[number].expires == expires


def unreadable(found: list[Candidate]) -> list[Candidate]:
    """Snapshots whose manifests cannot be read."""
    return [Candidate(c.ref, "damaged", c.pinned, readable=False) for c in found]


REFUSALS = [
    ("the future", taken(-1, 0, 30, 31, 32, 33), None, "lies in the future"),
    ("another source's future", taken(0, 1, 2, 30) + taken(-1, name=LOGS), None, "pavroto-2/logs@2026-11-24"),
    ("the ledger is ahead", taken(0, 1, 2, 30), NOW + DAY, "behind the ledger"),
    ("no manifest", taken(0, 1, 2, 30) + unreadable(taken(3)), None, "cannot be read"),
    ("no manifest, old", taken(0, 1, 2, 30) + unreadable(taken(40, name=LOGS)), None, "cannot be read"),
    ("no good one", taken(30, 31, state="shrunk"), None, "nothing would be left of pavroto-2/agama"),
    (
        "no good one of one",
        taken(0, 30) + taken(30, state="damaged", name=LOGS),
        None,
        "nothing would be left of pavroto-2/logs",
    ),
    ("a year later", taken(366, 367, 368, 369), NOW - 365 * DAY, "nothing was done here from"),
]


@pytest.mark.parametrize(("found", "ledger", "reason"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_it_refuses(found: list[Candidate], ledger: datetime | None, reason: str) -> None:
    """When clock or catalogue look wrong nothing goes, and the hint says what to do."""
    plan = decide(found, RetentionTable(), NOW, record=Record(ledger))
    assert plan.refused is not None
    assert reason in plan.refused.reason
    assert plan.refused.hint
    assert {d.action for d in plan.decisions} == {"keep"}
    assert len(plan.decisions) == len(found)


@pytest.mark.parametrize("ledger", [None, NOW, NOW - 30 * DAY, NOW + SLACK / 2])
def test_it_does_not_refuse_what_is_usual(ledger: datetime | None) -> None:
    """A snapshot named after the next second, a month without a run, a ledger written this very second."""
    plan = decide(taken(-0.5 / 1440, 1, 2, 30), RetentionTable(), NOW, record=Record(ledger))
    assert plan.refused is None
    assert [d.action for d in plan.decisions] == ["keep", "keep", "keep", "remove"]


def test_a_long_silence_alone_refuses_nothing() -> None:
    """The first run after half a year has nothing to remove, and nothing to warn of."""
    assert decide(taken(0), RetentionTable(), NOW, record=Record(NOW - 180 * DAY)).refused is None
    assert decide([], RetentionTable(), NOW).decisions == ()


def test_spared_sources_lose_nothing() -> None:
    """What was not pulled in this run stays as it is; other sources are pruned."""
    found = taken(0, 1, 2, 30) + taken(0, 1, 2, 30, name=LOGS)
    plan = decide(found, RetentionTable(), NOW, spared={AGAMA})
    assert [str(d.ref.name) for d in plan.decisions if d.action == "remove"] == [str(LOGS)]
    assert plan.decisions[3].reason == "older than 14 days, but not pulled in this run"


AGES = st.one_of(st.integers(-3, 800).map(float), st.floats(-2, 40), st.sampled_from([13.9, 14.0, 14.1]))
CANDIDATES = st.builds(
    lambda age, name, state, pinned, lost: Candidate(
        SnapshotRef(name, snapshot_id(NOW - age * DAY)), "damaged" if lost else state, pinned, not lost
    ),
    AGES,
    st.sampled_from([AGAMA, LOGS, SourceName("gone", "away")]),
    st.sampled_from(["good", "good", "good", "shrunk", "damaged"]),
    st.integers(0, 9).map(lambda n: n == 0),
    st.integers(0, 60).map(lambda n: n == 0),
)
HISTORIES = st.lists(CANDIDATES, max_size=40, unique_by=lambda c: c.ref)
POLICIES = st.builds(
    RetentionTable,
    days=st.integers(1, 60),
    keep_at_least=st.integers(1, 6),
    weekly=st.integers(0, 9),
    monthly=st.integers(0, 9),
)
CLOCKS = st.one_of(st.just(NOW), st.integers(-800, 80_000).map(lambda hours: NOW + timedelta(hours=hours)))
LEDGERS = st.none() | st.integers(-20_000, 40).map(lambda hours: NOW + timedelta(hours=hours))


def after(history: Iterable[Candidate], plan: Plan) -> list[Candidate]:
    """The catalogue once the plan was carried out."""
    gone = {d.ref for d in plan.decisions if d.action == "remove"}
    return [c for c in history if c.ref not in gone]


@given(history=HISTORIES, policy=POLICIES, now=CLOCKS, ledger=LEDGERS)
def test_the_floor_holds(
    history: list[Candidate], policy: RetentionTable, now: datetime, ledger: datetime | None
) -> None:
    """At any clock every source keeps its newest good ones, its pinned ones, and whatever is young; and something."""
    plan = decide(history, policy, now, record=Record(ledger))
    left = after(history, plan)
    assert [d.ref for d in plan.decisions] == sorted(
        (c.ref for c in history), key=lambda r: (r.name, [-ord(letter) for letter in r.id])
    )
    for name in {c.ref.name for c in history}:
        had = sorted((c for c in history if c.ref.name == name), key=lambda c: c.taken, reverse=True)
        have = [c for c in left if c.ref.name == name]
        assert have
        assert {*[c for c in had if c.state == "good"][: policy.keep_at_least]} <= {*have}
        assert {c for c in had if c.pinned or now - c.taken < policy.days * DAY} <= {*have}
    if plan.refused:
        assert left == history


@given(history=HISTORIES, policy=POLICIES, now=CLOCKS)
def test_what_goes_is_old_unpinned_and_not_needed(
    history: list[Candidate], policy: RetentionTable, now: datetime
) -> None:
    """And it is all of that: nothing stays without a rule that keeps it."""
    plan = decide(history, policy, now)
    if plan.refused:
        return
    by_ref = {c.ref: c for c in history}
    for decision in plan.decisions:
        found = by_ref[decision.ref]
        old = now - found.taken >= policy.days * DAY
        if decision.action == "remove":
            assert old
            assert not found.pinned
            assert decision.expires is not None
            assert decision.expires <= now
        else:
            assert not old or found.pinned or found.state == "good"
            assert decision.expires is None or decision.expires > now


@given(history=HISTORIES, policy=POLICIES, now=CLOCKS, ledger=LEDGERS, seed=st.randoms(use_true_random=False))
def test_the_same_again(
    history: list[Candidate], policy: RetentionTable, now: datetime, ledger: datetime | None, seed: Random
) -> None:
    """The order of the catalogue does not matter, and pruning twice is pruning once."""
    plan = decide(history, policy, now, record=Record(ledger))
    shuffled = sorted(history, key=lambda _: seed.random())
    assert decide(shuffled, policy, now, record=Record(ledger)) == plan
    left = after(history, plan)
    again = decide(left, policy, now, record=Record(ledger))
    assert after(left, again) == left
    if not plan.refused:
        assert again.decisions == tuple(d for d in plan.decisions if d.action == "keep")


@given(history=HISTORIES, policy=POLICIES, hours=st.lists(st.integers(1, 2_000), max_size=6))
def test_however_often_it_runs(history: list[Candidate], policy: RetentionTable, hours: list[int]) -> None:
    """A clock that goes on, by whatever steps, and no new snapshot: the newest good ones are there to the end."""
    good = {
        name: [
            c for c in sorted(history, key=lambda c: c.ref.id, reverse=True) if c.ref.name == name and c.state == "good"
        ]
        for name in {c.ref.name for c in history}
    }
    left, now = history, NOW
    for step in hours:
        now += timedelta(hours=step)
        left = after(left, decide(left, policy, now))
    for of_source in good.values():
        assert {*of_source[: policy.keep_at_least]} <= {*left}


@pytest.mark.parametrize("year", ["0001-01-01T000000Z", "9999-12-31T235959Z"])
def test_the_ends_of_time(year: str) -> None:
    """A directory with an absurd date is no overflow."""
    odd = Candidate(SnapshotRef(AGAMA, year), "good")
    policy = RetentionTable(days=36_500, weekly=5_000, monthly=1_200)
    assert len(decide([odd, *taken(0, 30)], policy, NOW).decisions) == 3
