"""Whether a clear mirror keeps its own objective: decided from its note, the time and the snapshots' verdict."""

from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pullagent.cli import nagios
from pullagent.monitoring import metrics
from pullagent.monitoring.copies import Copy, with_copy
from pullagent.monitoring.status import StatusReport
from pullagent.monitoring.verdicts import Standing
from pullagent.store.mirrors import Note
from tests.unit.standing import NOW, OBJECTIVES, snapshot, standing
from tests.unit.storing import AGAMA, LOGS


def seen(seconds: float, *, agree: bool = True, error: str = "") -> Copy:
    """A mirror that was compared so many seconds ago."""
    return Copy(Note(NOW - timedelta(seconds=seconds), agree, error), "git clone /mirror.git")


@pytest.mark.parametrize(
    ("copy", "verdict", "why"),
    [
        (seen(60), "OK", "the last good snapshot is"),
        (seen(299), "OK", "the last good snapshot is"),
        (seen(301), "LATE", "its mirror was last compared with upstream 5 min ago, over 5 min"),
        (seen(60, agree=False), "FAILED", "its mirror does not hold what upstream shows"),
        (seen(60, error="p: no answer"), "FAILED", "could not be compared just now; 60 s ago it could"),
        (seen(600, error="p: no answer"), "LATE", "10 min ago, over 5 min"),
        (seen(-3600), "LATE", "in the future"),
        (Copy(None), "LATE", "never compared"),
        (replace(seen(60), clone=""), "LATE", "its mirror is not there any more"),
        (Copy(Note(None, False, "p: no answer")), "LATE", "never compared"),
    ],
)
def test_a_mirror_has_an_objective_of_its_own(copy: Copy, verdict: str, why: str) -> None:
    """Fresh snapshots do not make up for a mirror that nobody compares."""
    found = with_copy(standing(snapshot(9)), copy, OBJECTIVES, NOW)
    assert (found.verdict, why in found.why) == (verdict, True), found.why
    assert ("no answer" in found.reason) == bool(copy.note and copy.note.error)


def test_the_worse_of_both_counts_and_both_are_told() -> None:
    """A mirror that was compared just now does not make up for lost snapshots either."""
    late: Standing = standing(snapshot(40))
    assert with_copy(late, seen(1), OBJECTIVES, NOW) == late
    both = with_copy(late, seen(1, agree=False), OBJECTIVES, NOW)
    assert both.verdict == "LATE"
    assert "its mirror does not hold" in both.why
    assert late.why in both.why


def test_programs_hear_of_mirrors_too() -> None:
    """Prometheus gets the time and the objective, Nagios the age; of sources without a mirror they hear nothing."""
    agama, logs = standing(snapshot(9)), standing(snapshot(9, name=LOGS))
    report = StatusReport(NOW, None, OBJECTIVES, (agama, replace(logs, name=LOGS)), {AGAMA: seen(60)})
    text = metrics.text(NOW, None, OBJECTIVES, report.standings, report.copies)
    seconds = int(NOW.timestamp()) - 60
    assert f'pullagent_mirror_compared_timestamp_seconds{{host="{AGAMA.host}",source="agama"}} {seconds}\n' in text
    assert f'pullagent_mirror_agrees{{host="{AGAMA.host}",source="agama"}} 1\n' in text
    assert "pullagent_mirror_rpo_seconds 300\n" in text
    families = {family.name for family in text_string_to_metric_families(text)}
    assert {"pullagent_mirror_compared_timestamp_seconds", "pullagent_mirror_agrees"} <= families
    assert f"'{AGAMA} mirror'=60s;300;300;0" in nagios.line(report)
    assert f"'{LOGS} mirror'" not in nagios.line(report)
    assert "mirror" not in metrics.text(NOW, None, OBJECTIVES, report.standings)
