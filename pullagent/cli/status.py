"""`pullagent status`: whether every source keeps its objective. Its exit codes are those of Nagios, in every mode."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from pullagent.cli import nagios, ui
from pullagent.config import Config
from pullagent.errors import PullAgentError, StoreError, UsageError
from pullagent.model import SourceName, rfc3339
from pullagent.monitoring import status as statuses
from pullagent.monitoring.announce import tell_overdue
from pullagent.monitoring.chronicle import Event
from pullagent.monitoring.copies import Copy
from pullagent.monitoring.status import StatusReport
from pullagent.monitoring.verdicts import Standing

_BARS = "▁▂▃▄▅▆▇"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(status)


def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    as_nagios: Annotated[bool, typer.Option("--nagios", help="Print one line with performance data.")] = False,
    notify: Annotated[bool, typer.Option("--notify", help="Send a message where sources are overdue.")] = False,
    prometheus: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a textfile for node_exporter; alone, nothing else.")
    ] = None,
) -> None:
    """Say whether each source keeps its objective; exit 0 OK, 1 warning, 2 critical, 3 unknown."""
    with _unknown(as_nagios):
        if as_json and as_nagios:
            raise UsageError("--json and --nagios exclude each other", "call it once for each")
        config = ui.config_of(context)
        report = statuses.read(config, datetime.now(UTC))
        if notify:
            _notify(config, report)
        if prometheus is not None:
            statuses.write_metrics(report, prometheus)
        if as_json:
            doubted = {"clock": report.doubted.reason} if report.doubted else {}
            ui.print_json(verdict=report.verdict, sources=[_as_json(s, report) for s in report.standings], **doubted)
        elif as_nagios:
            ui.say(nagios.line(report))
        elif prometheus is None:
            _render(report)
    raise typer.Exit(nagios.exit_code(report.verdict))


@contextmanager
def _unknown(as_nagios: bool) -> Iterator[None]:
    """Where no verdict can be had, the exit code must not read as one."""
    try:
        yield
    except PullAgentError as error:
        if as_nagios:
            ui.say(nagios.unknown(error.message))
        error.exit_code = nagios.UNKNOWN
        raise
    except Exception as error:
        if as_nagios:
            ui.say(nagios.unknown("internal error"))
        ui.fail(PullAgentError(f"internal error: {error!r}", "this is a defect: report it, with what stands below"))
        traceback.print_exc()
        raise typer.Exit(nagios.UNKNOWN) from error


def _notify(config: Config, report: StatusReport) -> None:
    """What goes wrong with it must not hide the verdict."""
    try:
        problems = tell_overdue(config, report)
    except StoreError as error:
        problems = [f"not written to the ledger, so it may be told again: {error.message}"]
    for problem in problems:
        ui.tell(f"warning: {problem}")


def _render(report: StatusReport) -> None:
    terminal, objectives = ui.out.is_terminal, report.objectives
    columns = [
        "Source",
        "Last good",
        f"RPO {objectives.rpo_hours:g} h",
        "Size",
        "Verified",
        "Key proved",
        f"Drill (RTO {objectives.rto_minutes:g} min)",
    ]
    rows = [_row(s, report.now, trend=terminal) for s in report.standings]
    needed = sum(max(len(line[i]) for line in [columns, *rows]) + 2 for i in range(len(columns)))
    if terminal and ui.out.width < needed:
        # what was proved and when can wait for a wider window; what is wrong with the backups cannot
        columns, rows = columns[:4], [row[:4] for row in rows]
    ui.table(columns, rows)
    told = [s for s in report.standings if s.verdict != "OK" or s.notes]
    if told:
        ui.facts([(str(s.name), f"{s.verdict}: {s.reason}") for s in told])
    for name, copy in report.copies.items():
        _tell_copy(str(name), copy, report.now)
    due = [str(s.name) for s in report.standings if s.drill_due]
    if due:
        ui.say(f"a drill is due: {', '.join(due)}  (pullagent drill --all --identity FILE)")
    if report.next_run is not None:
        ui.say(f"next run: {report.next_run:%Y-%m-%d %H:%M} UTC, in {ui.span(report.next_run - report.now)}")
    if report.doubted is not None:
        ui.tell(f"warning: nothing is pruned: {report.doubted.reason}")
    for line in [*_hints(report.standings), *(report.doubted.hint.splitlines() if report.doubted else ())]:
        ui.tell(f"hint: {line}")


def _tell_copy(name: str, copy: Copy, now: datetime) -> None:
    """The line that is copied when everything else is lost."""
    age = copy.age(now)
    if age is not None and copy.clone:
        state = "as upstream" if copy.agrees else "NOT as upstream"
        ui.say(f"{name}: mirror {state} {ui.span(age)} ago, to be had by")
        ui.say(f"  {copy.clone}")


def _hints(standings: Sequence[Standing]) -> Iterator[str]:
    """What to type next, once for each host and source."""
    wanting = [s.name for s in standings if s.verdict in ("NEVER", "LATE", "FAILED")]
    for host in dict.fromkeys(name.host for name in wanting):
        names = [str(name) for name in wanting if name.host == host]
        every = len(names) == sum(s.name.host == host for s in standings)
        yield f"what is in the way?  pullagent doctor {host}"
        yield f"then:  pullagent run {host if every else ' '.join(names)}"
    if any(s.verdict in ("LATE", "FAILED") and "its mirror" in s.why for s in standings):
        yield "a mirror:  pullagent mirror   and each minute:  systemctl enable --now pullagent-mirror.timer"
    for standing in standings:
        if standing.verdict == "DAMAGED":
            yield f"how much of it?  pullagent verify {standing.name}"
        elif standing.verdict == "SHRUNK":
            yield f"compare:  pullagent list {standing.name}"


def _row(standing: Standing, now: datetime, *, trend: bool) -> list[str]:
    facts, good = standing.facts, standing.last_good
    drill = _ago(facts.drilled, now)
    if facts.drilled is not None:
        drill += f": {ui.duration(facts.drilled.took_s)}"
    if standing.drill_due:
        drill += ", due"
    bars = f"{_trend(standing.trend)} " if trend and standing.trend else ""
    return [
        str(standing.name),
        "never" if standing.age is None else f"{ui.span(standing.age)} ago",
        standing.verdict,
        bars + (ui.size(good.plain_bytes) if good else ""),
        _ago(facts.verified, now),
        _ago(facts.key_checked, now),
        drill,
    ]


def _ago(event: Event | None, now: datetime) -> str:
    return "never" if event is None else f"{ui.span(now - event.time)} ago"


def _trend(sizes: Sequence[int]) -> str:
    """One bar for each size. Differences under a tenth stay small: noise must not look like growth."""
    low, high = min(sizes), max(sizes)
    reach = max(high - low, high / 10, 1)
    base = (low + high - reach) / 2
    return "".join(_BARS[min(len(_BARS) - 1, int((size - base) / reach * len(_BARS)))] for size in sizes)


def _as_json(standing: Standing, report: StatusReport) -> dict[str, Any]:
    facts, objectives = standing.facts, report.objectives
    return {
        "host": standing.name.host,
        "source": standing.name.source,
        "verdict": standing.verdict,
        "reason": standing.reason,
        "last_good": rfc3339(standing.last_good.taken) if standing.last_good else None,
        "age_s": _seconds(standing.age),
        "rpo_s": objectives.rpo_hours * 3600,
        "sizes_bytes": list(standing.trend),
        "next_run": rfc3339(report.next_run) if report.next_run else None,
        "verified": _time(facts.verified),
        "key_checked": _time(facts.key_checked),
        "drilled": _time(facts.drilled),
        "drill_s": facts.drilled.took_s if facts.drilled else None,
        "rto_s": objectives.rto_minutes * 60,
        **_copy_as_json(report, standing.name),
    }


def _copy_as_json(report: StatusReport, name: SourceName) -> dict[str, Any]:
    """Only of sources that have a clear mirror."""
    copy = report.copies.get(name)
    if copy is None:
        return {}
    compared = copy.note.compared if copy.note else None
    found = {
        "compared": rfc3339(compared) if compared else None,
        "age_s": _seconds(copy.age(report.now)),
        "rpo_s": report.objectives.mirror_rpo_minutes * 60,
        "agree": copy.agrees,
        "error": (copy.note.error if copy.note else "") or None,
        "clone": copy.clone or None,
    }
    return {"mirror": found}


def _seconds(age: timedelta | None) -> float | None:
    return None if age is None else round(age.total_seconds(), 3)


def _time(event: Event | None) -> str | None:
    return rfc3339(event.time) if event else None
