"""What a message says: who failed, who is backed up again, who is overdue. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pullagent.model import Outcome, RunReport, SourceName
from pullagent.monitoring.chronicle import Event
from pullagent.monitoring.verdicts import Standing

# what is overdue and was told is told again after this
AGAIN = timedelta(hours=24)


@dataclass(frozen=True)
class Bulletin:
    """One message, plain text."""

    title: str
    body: str


def of_run(
    report: RunReport, standings: Sequence[Standing], troubled: Collection[SourceName], *, details: bool
) -> Bulletin | None:
    """The message after a run; None when all went well and nothing was wrong before. `troubled` are the sources that
    were late, or whose last pull had failed, when the run began. Only `details` quote what production hosts said.
    """
    by_name = {s.name: s for s in standings}
    failed = [o for o in report.outcomes if o.outcome != "stored"]
    again = [o for o in report.outcomes if o.outcome == "stored" and o.name in troubled]
    shrunk = [o for o in report.outcomes if o.shrunk]
    pulled = {o.name for o in failed}
    overdue = [s for s in standings if s.critical and s.name not in pulled]
    lines = [_failed(o, by_name.get(o.name), details) for o in failed]
    lines += [_overdue(s, details) for s in overdue]
    lines += [f"{o.ref} is under half of the usual size" for o in shrunk]
    lines += [f"nothing was pruned: {report.refused.reason}"] if report.refused else []
    lines += [f"{o.name} is backed up again: {o.ref}" for o in again]
    if report.exit_code and not lines:
        lines = [f"the run ended with exit code {report.exit_code}"]
    if not lines:
        return None
    return Bulletin(_title(report, failed, overdue, lines), "\n".join(lines) + "\n")


def of_overdue(standings: Sequence[Standing], *, details: bool) -> Bulletin:
    """The message about sources that are late, were never backed up, or are damaged."""
    lines = [_overdue(s, details) for s in standings]
    return Bulletin(_verdicts(standings), "\n".join(lines) + "\n")


def of_error(exit_code: int, error: str, *, details: bool) -> Bulletin:
    """The message about a run that ended before any source was pulled."""
    told = f": {error}" if details and error else ""
    return Bulletin("the run failed", f"nothing was pulled, exit code {exit_code}{told}\n")


def is_news(standings: Sequence[Standing], told: Mapping[str, str], last: Event | None, now: datetime) -> bool:
    """Whether to tell that these are overdue: one is so newly, in another way, or was told a day ago."""
    if not standings:
        return False
    if last is None or now - last.time >= AGAIN:
        return True
    return any(told.get(str(s.name)) != s.verdict for s in standings)


def summary(report: RunReport) -> str:
    """One line for a ping's log."""
    stored = sum(o.outcome == "stored" for o in report.outcomes)
    failed = ", ".join(str(o.name) for o in report.outcomes if o.outcome != "stored")
    text = f"{stored} of {len(report.outcomes)} stored, exit code {report.exit_code}"
    return f"{text}; failed: {failed}" if failed else text


def _title(report: RunReport, failed: Sequence[Outcome], overdue: Sequence[Standing], lines: Sequence[str]) -> str:
    if len(failed) == 1:
        return f"{failed[0].name} failed"
    if failed:
        return f"{len(failed)} of {len(report.outcomes)} sources failed"
    if overdue:
        return _verdicts(overdue)
    return lines[0].partition(": ")[0]


def _verdicts(standings: Sequence[Standing]) -> str:
    return ", ".join(f"{s.name} {s.verdict}" for s in standings)


def _failed(outcome: Outcome, standing: Standing | None, details: bool) -> str:
    text = f"{outcome.name} failed with exit code {outcome.exit_code}"
    if standing is not None:
        text += f". {standing.verdict}: {standing.brief}"
    return f"{text}\n    {outcome.error}" if details and outcome.error else text


def _overdue(standing: Standing, details: bool) -> str:
    return f"{standing.name} {standing.verdict}: {standing.reason if details else standing.brief}"
