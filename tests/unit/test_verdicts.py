"""Which verdict a source gets, and why."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.model import Snapshot
from pullagent.monitoring.chronicle import Event, Facts
from pullagent.monitoring.verdicts import CRITICAL, TREND, VERDICTS, judge, worst
from pullagent.tables import ObjectivesTable
from tests.unit.standing import NOW, OBJECTIVES, ago, pull, snapshot, standing
from tests.unit.storing import AGAMA

FAILED = Facts(pulled=pull(1, "no route to host\nsecond line"), stored=pull(9))
STATES = st.sampled_from(["good", "shrunk", "damaged"])


def test_a_fresh_good_snapshot_is_ok() -> None:
    """The usual morning."""
    found = standing(snapshot(9), snapshot(33))
    assert (found.verdict, found.reason) == ("OK", "the last good snapshot is 9 h old")
    assert found.age == timedelta(hours=9)
    assert not found.critical


@pytest.mark.parametrize(("hours", "verdict"), [(24, "OK"), (24.5, "OK"), (25, "OK"), (25.01, "LATE"), (2000, "LATE")])
def test_late_only_after_the_grace(hours: float, verdict: str) -> None:
    """A night's pull takes its time: an hour over the objective is no lateness yet."""
    assert standing(snapshot(hours)).verdict == verdict


def test_the_grace_is_the_operators() -> None:
    """Without grace the objective itself is the limit."""
    strict = ObjectivesTable(rpo_hours=2, grace_minutes=0)
    assert judge(AGAMA, [snapshot(2)], (), Facts(), strict, NOW).verdict == "OK"
    assert judge(AGAMA, [snapshot(2.1)], (), Facts(), strict, NOW).verdict == "LATE"


def test_late_says_by_how_much_and_since_when() -> None:
    """The reader sees at once whether pulls fail or do not happen."""
    assert standing(snapshot(33)).reason == "the last good snapshot is 33 h old, 9 h over 24 h; no pull since"
    failing = standing(snapshot(33), facts=Facts(pulled=pull(9, "no route to host")))
    assert failing.reason.endswith("9 h over 24 h; the last pull failed 9 h ago: no route to host")


def test_never_backed_up_is_a_failure() -> None:
    """A source that was written into hosts.toml and forgotten is no blank."""
    assert (standing().verdict, standing().reason) == ("NEVER", "never backed up")
    assert standing(facts=Facts(pulled=pull(1, "no route to host"))).reason == (
        "never backed up; the last pull failed 1 h ago: no route to host".replace("1 h", "60 min")
    )


def test_a_store_that_lost_everything_says_so() -> None:
    """The ledger remembers what the store no longer holds."""
    found = standing(facts=Facts(pulled=pull(9), stored=pull(9)))
    assert (found.verdict, found.reason) == ("NEVER", "the store holds no snapshot; the last was stored 9 h ago")


def test_a_failed_pull_within_the_objective_is_a_warning() -> None:
    """Last night's snapshot is good; the pull after it failed."""
    found = standing(snapshot(9), facts=FAILED)
    assert found.verdict == "FAILED"
    assert found.brief == "the last good snapshot is 9 h old; the last pull failed 60 min ago"
    assert found.error.startswith("no route to host")
    assert not found.critical


def test_a_snapshot_after_the_failure_outdoes_it() -> None:
    """A line of the ledger that could not be written does not leave the source failed for ever."""
    assert standing(snapshot(0.5), facts=FAILED).verdict == "OK"


def test_the_newest_shrunk_is_a_warning_until_the_good_one_is_late() -> None:
    """What shrank may lack what was deleted by mistake: it does not count for the objective."""
    assert standing(snapshot(1, "shrunk"), snapshot(9)).verdict == "SHRUNK"
    late = standing(snapshot(1, "shrunk"), snapshot(33))
    assert (late.verdict, late.age) == ("LATE", timedelta(hours=33))
    assert "what came after it shrank" in late.reason
    assert standing(snapshot(1, "shrunk")).verdict == "NEVER"


def test_the_newest_damaged_is_critical_whatever_lies_behind() -> None:
    """The reason says what there is to fall back on."""
    found = standing(snapshot(1, "damaged"), snapshot(9))
    assert found.verdict == "DAMAGED"
    assert found.reason == (
        "pavroto-2/agama@2026-11-23T090000Z is damaged (dump.sql.zst.age: 1 bytes, not 2); "
        "the last good snapshot is 9 h old"
    )
    assert standing(snapshot(1, "damaged")).reason.endswith("no good snapshot is left")


def test_damage_found_by_a_verification_counts() -> None:
    """A snapshot whose sizes are right and whose bytes are not is no good one."""
    newest = snapshot(9)
    found = standing(newest, snapshot(33), damaged=(newest.ref.id,))
    assert (found.verdict, found.age) == ("DAMAGED", timedelta(hours=33))


def test_damage_further_back_is_told_until_it_is_settled() -> None:
    """A disk that rots does not stop at one snapshot; lateness goes before it."""
    assert standing(snapshot(9), snapshot(33, "damaged")).verdict == "DAMAGED"
    assert "pavroto-2/agama@2026-11-22T010000Z is damaged" in standing(snapshot(9), snapshot(33, "damaged")).reason
    two = standing(snapshot(9), snapshot(33, "damaged"), snapshot(57, "damaged"))
    assert "pavroto-2/agama@2026-11-22T010000Z and 1 older one are damaged" in two.reason
    assert standing(snapshot(30), snapshot(33, "damaged")).verdict == "LATE"


def test_a_snapshot_of_the_future_proves_nothing() -> None:
    """A clock that was wrong must not keep the source OK for a year."""
    assert standing(snapshot(-9000)).verdict == "LATE"
    assert "lies in the future" in standing(snapshot(-9000)).reason
    assert standing(snapshot(-9000), snapshot(33)).verdict == "LATE"
    fresh = standing(snapshot(-9000), snapshot(9))
    assert (fresh.verdict, fresh.age) == ("OK", timedelta(hours=9))
    assert "lies in the future" in fresh.reason


def test_a_drill_over_the_objective_is_said() -> None:
    """It does not change the verdict, which is about the backups."""
    slow = standing(snapshot(9), facts=Facts(drilled=Event(ago(100), True, 0, 5400)))
    assert (slow.verdict, slow.brief.partition("; ")[2]) == ("OK", "the last drill took 90 min, over 60 min")
    failed = standing(snapshot(9), facts=Facts(pulled=pull(2, "no route"), drilled=Event(ago(100), True, 0, 5400)))
    assert failed.reason.endswith("the last pull failed 2 h ago: no route; the last drill took 90 min, over 60 min")


def test_the_trend_is_that_of_two_weeks_oldest_first() -> None:
    """Only as many as the screen shows; those without a readable manifest are left out."""
    many = [snapshot(9 + 24 * day, kilobytes=20 - day) for day in range(20)]
    found = standing(*many)
    assert len(found.trend) == TREND
    assert list(found.trend) == sorted(found.trend)
    unreadable = Snapshot(many[0].ref, many[0].folder, "damaged", None)
    assert len(standing(unreadable, *many[1:4]).trend) == 3


def test_a_long_error_is_cut() -> None:
    """One source is one line."""
    assert len(standing(snapshot(9), facts=Facts(pulled=pull(1, "x" * 5000))).reason) < 300


@given(
    ages=st.lists(st.tuples(st.floats(-500, 500), STATES, st.booleans()), max_size=8),
    pulls=st.none() | st.tuples(st.floats(0, 500), st.booleans()),
    rpo=st.floats(0.1, 200),
    grace=st.floats(0, 600),
)
def test_never_ok_without_a_good_snapshot_in_time(
    ages: list[tuple[float, str, bool]], pulls: tuple[float, bool] | None, rpo: float, grace: float
) -> None:
    """Whatever the store and the ledger hold: OK, and the two warnings, need a good snapshot within objective and
    grace; OK needs it to be the newest, and the last pull to have gone well.
    """
    found = sorted(((snapshot(h, s), bad) for h, s, bad in ages), key=lambda pair: pair[0].ref.id, reverse=True)
    snapshots, damaged = [s for s, _ in found], {s.ref.id for s, bad in found if bad}
    facts = Facts(pulled=None if pulls is None else pull(pulls[0], "" if pulls[1] else "broken"))
    objectives = ObjectivesTable(rpo_hours=rpo, grace_minutes=grace)
    verdict = judge(AGAMA, snapshots, damaged, facts, objectives, NOW).verdict
    assert verdict in VERDICTS
    allowed = timedelta(hours=rpo, minutes=grace)
    bad_ids = damaged | {s.ref.id for s in snapshots if s.state == "damaged"}
    past = [s for s in snapshots if s.taken <= NOW + timedelta(minutes=1)]
    good = [s for s in past if s.state == "good" and s.ref.id not in bad_ids and NOW - s.taken <= allowed]
    if verdict not in CRITICAL:
        assert good
    if verdict == "OK":
        assert past[0] == good[0]
        assert facts.pulled is None or facts.pulled.ok or good[0].taken > facts.pulled.time
    if not past or (not good and verdict not in ("DAMAGED", "NEVER")):
        assert verdict in ("LATE", "NEVER")


def test_the_worst_is_the_whole() -> None:
    """One source that is late makes the status late."""
    assert worst([]) == "OK"
    assert worst(["OK", "FAILED", "SHRUNK"]) == "FAILED"
    assert worst(["OK", "LATE", "FAILED"]) == "LATE"
    assert set(VERDICTS[-3:]) == CRITICAL


def test_objectives_have_an_hour_of_grace() -> None:
    """Or every healthy night would look late."""
    assert OBJECTIVES.grace_minutes == 60


def test_a_drill_is_due() -> None:
    """When something can be drilled and was not for `drill_days`; it is told, and changes no verdict."""
    old, new = Facts(drilled=Event(ago(24 * 31), True)), Facts(drilled=Event(ago(24 * 29), True))
    found = [standing(snapshot(9), facts=facts) for facts in (Facts(), old, new)]
    assert [(s.verdict, s.drill_due) for s in found] == [("OK", True), ("OK", True), ("OK", False)]
    assert standing().drill_due is False


def test_a_failed_drill_is_said() -> None:
    """Until one goes well; one that was interrupted proves nothing either way."""
    failed = standing(snapshot(9), facts=Facts(drill_tried=Event(ago(50), False, 1)))
    assert (failed.verdict, failed.brief.partition("; ")[2]) == ("OK", "the last drill FAILED 2 d ago")
    stopped = standing(snapshot(9), facts=Facts(drill_tried=Event(ago(50), False, 130)))
    assert "drill" not in stopped.brief
