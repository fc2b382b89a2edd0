"""What messages say, and when there are any."""

from datetime import timedelta

from pullagent.model import Outcome, RunReport, SnapshotRef
from pullagent.monitoring.bulletin import is_news, of_error, of_overdue, of_run, summary
from pullagent.monitoring.chronicle import Event
from tests.unit.standing import NOW, ago, mixed, pull, snapshot, standing
from tests.unit.storing import AGAMA, LOGS

REMOTE = "mysqldump: Couldn't execute 'SELECT salary FROM agama.payroll'"
STORED = Outcome(AGAMA, "stored", 1.0, ref=SnapshotRef(AGAMA, "2026-11-23T095900Z"))
FAILED = Outcome(LOGS, "failed", 1.0, error=REMOTE, exit_code=1)
FINE = [standing(snapshot(1)), standing(snapshot(1, name=LOGS))]
LATE = [FINE[0], mixed().standings[1]]


def report(*outcomes: Outcome) -> RunReport:
    """A run that came to this."""
    return RunReport("id", NOW, NOW, outcomes)


def test_a_good_run_is_no_news() -> None:
    """Nobody is woken for it."""
    assert of_run(report(STORED), FINE, (), details=True) is None


def test_a_failure_is_told_without_what_the_host_said() -> None:
    """Messages travel far: errors quote remote programs only on demand."""
    told = of_run(report(STORED, FAILED), FINE, (), details=False)
    assert told is not None
    assert told.title == "pavroto-2/logs failed"
    assert told.body == "pavroto-2/logs failed with exit code 1. OK: the last good snapshot is 60 min old\n"
    full = of_run(report(STORED, FAILED), FINE, (), details=True)
    assert full is not None
    assert full.body.endswith(f"\n    {REMOTE}\n")


def test_several_failures_are_one_message() -> None:
    """The title counts them."""
    told = of_run(report(Outcome(AGAMA, "failed", 1.0, exit_code=13), FAILED), FINE, (), details=False)
    assert told is not None
    assert told.title == "2 of 2 sources failed"
    assert len(told.body.splitlines()) == 2


def test_a_recovery_is_told_once() -> None:
    """The first success after trouble; the next one is no news."""
    told = of_run(report(STORED), FINE, {AGAMA}, details=False)
    assert told is not None
    assert told.title == "pavroto-2/agama is backed up again"
    assert told.body == "pavroto-2/agama is backed up again: pavroto-2/agama@2026-11-23T095900Z\n"


def test_others_that_are_overdue_are_told_too() -> None:
    """A run of one source sees what became of the rest; what the host said is left out there as well."""
    told = of_run(report(STORED), LATE, (), details=False)
    assert told is not None
    assert told.title == "pavroto-2/logs LATE"
    assert "33 h old, 9 h over 24 h; the last pull failed 9 h ago\n" in told.body
    assert "refused" not in told.body


def test_what_shrank_and_what_else_ended_badly_is_told() -> None:
    """No exit code but 0 passes in silence."""
    shrunk = Outcome(AGAMA, "stored", 1.0, ref=STORED.ref, shrunk=True)
    told = of_run(report(shrunk), FINE, (), details=False)
    assert told is not None
    assert told.title == "pavroto-2/agama@2026-11-23T095900Z is under half of the usual size"


def test_a_run_that_could_not_begin_is_told() -> None:
    """The full disk's own words only on demand: they name paths."""
    assert of_error(1, "/srv/pullagent: No space left", details=False).body == "nothing was pulled, exit code 1\n"
    assert "No space left" in of_error(1, "/srv/pullagent: No space left", details=True).body


def test_the_summary_is_one_line() -> None:
    """For the log of the pinged server."""
    assert summary(report(STORED, FAILED)) == "1 of 2 stored, exit code 3; failed: pavroto-2/logs"


def test_overdue_names_each() -> None:
    """One line for each source."""
    told = of_overdue([s for s in mixed().standings if s.critical], details=False)
    assert told.title == "pavroto-2/logs LATE, pavroto-1/mail NEVER"
    assert len(told.body.splitlines()) == 2


def test_overdue_is_told_when_it_is_new_and_once_a_day() -> None:
    """An hourly check must not send an hourly message."""
    late = [LATE[1]]
    told = {"pavroto-2/logs": "LATE"}
    assert not is_news([], {}, None, NOW)
    assert is_news(late, {}, None, NOW)
    assert not is_news(late, told, Event(ago(23), True), NOW)
    assert is_news(late, told, Event(ago(24), True), NOW)
    assert is_news(late, {"pavroto-2/logs": "NEVER"}, Event(ago(1), True), NOW)
    assert is_news([*late, standing(snapshot(40))], told, Event(ago(1), True), NOW)
    assert pull(1).time == NOW - timedelta(hours=1)
