"""One line for Nagios and its kin: the verdict, what is wrong, and performance data."""

from collections.abc import Iterator
from datetime import timedelta

from pullagent.monitoring.status import StatusReport
from pullagent.monitoring.verdicts import CRITICAL, Standing

NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
UNKNOWN = 3


def exit_code(verdict: str) -> int:
    """0 for OK, 2 where an objective is broken, 1 for what is wrong besides."""
    if verdict == "OK":
        return 0
    return 2 if verdict in CRITICAL else 1


def line(report: StatusReport) -> str:
    """`PULLAGENT STATE - text | performance data`. What remote programs said is left out: it goes far."""
    state = NAMES[exit_code(report.verdict)]
    bad = [s for s in report.standings if s.verdict != "OK"]
    text = "; ".join(f"{s.name} {s.verdict}: {_within(s)}" for s in sorted(bad, key=_by_weight))
    oldest = max((s.age for s in report.standings if s.age is not None), default=None)
    if not bad and oldest is not None:
        count = len(report.standings)
        text = f"{count} source{'s' * (count > 1)}, the oldest last good snapshot is {_minutes(oldest)} old"
    data = " ".join(part for s in report.standings for part in _data(s, report))
    return f"PULLAGENT {state} - {text} | {data}"


def unknown(message: str) -> str:
    """The line where no verdict can be had."""
    return f"PULLAGENT UNKNOWN - {_plain(message)}"


def _by_weight(standing: Standing) -> int:
    return -exit_code(standing.verdict)


def _within(standing: Standing) -> str:
    return _plain(standing.brief).replace(";", ",")


def _data(standing: Standing, report: StatusReport) -> Iterator[str]:
    rpo, grace = report.objectives.rpo_hours * 3600, report.objectives.grace_minutes * 60
    age = "U" if standing.age is None else f"{standing.age.total_seconds():.0f}s"
    size = standing.last_good.plain_bytes if standing.last_good else None
    yield f"'{standing.name} age'={age};{rpo:.0f};{rpo + grace:.0f};0"
    yield f"'{standing.name} size'={'U' if size is None else f'{size}B'};;;0"
    if standing.name in report.copies:
        since = report.copies[standing.name].age(report.now)
        limit = f"{report.objectives.mirror_rpo_minutes * 60:.0f}"
        yield f"'{standing.name} mirror'={'U' if since is None else f'{since.total_seconds():.0f}s'};{limit};{limit};0"


def _minutes(age: timedelta) -> str:
    return f"{age // timedelta(hours=1)} h {age % timedelta(hours=1) // timedelta(minutes=1)} min"


def _plain(text: str) -> str:
    """On one line, without the sign that begins performance data."""
    return " ".join(text.split()).replace("|", "/")
