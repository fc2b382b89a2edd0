"""What monitoring systems read: one line for Nagios, a textfile for Prometheus."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pullagent.cli import nagios
from pullagent.errors import UsageError
from pullagent.monitoring import metrics
from pullagent.monitoring.status import StatusReport, write_metrics
from pullagent.monitoring.verdicts import VERDICTS
from tests.unit.standing import NOW, OBJECTIVES, mixed

GOLDEN = Path(__file__).parent / "golden"


def prometheus(report: StatusReport) -> str:
    """The textfile's content."""
    return metrics.text(report.now, report.next_run, report.objectives, report.standings)


def fine() -> StatusReport:
    """Only the source that is as it should be."""
    return StatusReport(NOW, None, OBJECTIVES, mixed().standings[:1])


def test_the_nagios_line_is_as_agreed() -> None:
    """Worst first, one line, thresholds in the performance data, and no word of a remote program's."""
    assert nagios.line(mixed()) + "\n" == (GOLDEN / "nagios.txt").read_text()


def test_a_good_nagios_line_is_short() -> None:
    """It says how old the oldest last good snapshot is."""
    line = nagios.line(fine())
    assert line == (
        "PULLAGENT OK - 1 source, the oldest last good snapshot is 9 h 0 min old | "
        "'pavroto-2/agama age'=32400s;86400;90000;0 'pavroto-2/agama size'=120000B;;;0"
    )


def test_the_nagios_line_follows_the_guidelines() -> None:
    """One bar only; every datum is 'label'=value[unit];warn;crit;min."""
    line = nagios.line(mixed())
    assert "\n" not in line
    assert line.count("|") == 1
    data = line.partition(" | ")[2]
    parsed = re.findall(r"'[^'=]+'=(?:U|\d+(?:s|B));\d*;\d*;\d*(?: |$)", data)
    assert "".join(parsed) == data
    assert len(parsed) == 8


@pytest.mark.parametrize(("verdict", "code"), list(zip(VERDICTS, (0, 1, 1, 2, 2, 2), strict=True)))
def test_exit_codes_are_those_of_nagios(verdict: str, code: int) -> None:
    """OK 0, warnings 1, a broken objective 2."""
    assert nagios.exit_code(verdict) == code


def test_the_textfile_is_as_agreed() -> None:
    """Byte for byte: dashboards and alerts are written against these names."""
    assert prometheus(mixed()) == (GOLDEN / "metrics.prom").read_text()


def test_the_reference_parser_reads_the_textfile() -> None:
    """Names, labels and values come back as they were meant."""
    families = {family.name: family for family in text_string_to_metric_families(prometheus(mixed()))}
    assert all(family.type == "gauge" and family.documentation for family in families.values())
    verdicts = families["pullagent_verdict"].samples
    holding = {(s.labels["host"], s.labels["source"]): s.labels["verdict"] for s in verdicts if s.value == 1}
    assert holding == {
        ("pavroto-2", "agama"): "OK",
        ("pavroto-2", "logs"): "LATE",
        ("pavroto-1", "wiki"): "FAILED",
        ("pavroto-1", "mail"): "NEVER",
    }
    ages = {s.labels["source"]: s.value for s in families["pullagent_last_success_age_seconds"].samples}
    assert ages == {"agama": 32400, "logs": 118800, "wiki": 72000}
    assert families["pullagent_last_drill_duration_seconds"].samples[0].value == 250.4


def test_labels_are_escaped() -> None:
    """As the exposition format wants it."""
    assert metrics._escaped('a\\b"c\nd') == 'a\\\\b\\"c\\nd'


def test_the_textfile_can_be_read_by_others_and_is_replaced_whole(tmp_path: Path) -> None:
    """node_exporter runs as another user, and must never see half of it."""
    file = tmp_path / "pullagent.prom"
    file.write_text("old")
    with file.open() as reader:
        write_metrics(mixed(), file)
        assert reader.read() == "old"
    assert file.read_text() == prometheus(mixed())
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_a_textfile_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """Neither half a file nor a temporary one."""
    (tmp_path / "pullagent.prom").mkdir()
    with pytest.raises(UsageError, match="a directory"):
        write_metrics(mixed(), tmp_path / "pullagent.prom")
    assert [path.name for path in tmp_path.iterdir()] == ["pullagent.prom"]
    with pytest.raises(UsageError, match="not there"):
        write_metrics(mixed(), tmp_path / "missing" / "pullagent.prom")
