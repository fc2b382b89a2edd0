"""`pullagent run`: pull all sources, or those named."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from pullagent.cli import ui
from pullagent.cli.progress import progress
from pullagent.errors import PullAgentError, UsageError
from pullagent.model import Outcome, RunReport, SourceName, StopSignal, rfc3339
from pullagent.store import Store

_UNITS = {"s": 1, "m": 60, "h": 3600, "": 1}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(run)


def run(
    context: typer.Context,
    targets: Annotated[list[str] | None, typer.Argument(metavar="HOST[/SOURCE]", help="All sources without.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Sources pulled side by side.")] = 2,
    wait: Annotated[str, typer.Option(metavar="DUR", help="Wait this long for a lock, such as 30m.")] = "0s",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Pull sources into the store: all, a host's, or those named."""
    wait_s = _seconds(wait)
    config = ui.config_of(context)
    names = config.select(targets or [])
    config = ui.as_store_owner(config)
    from pullagent import run as runs

    with ui.recorded(config, "run") as detail:
        stop = StopSignal()
        with progress(quiet=as_json) as observer:
            report = runs.run(config, names, jobs=jobs, wait_s=wait_s, observer=observer, stop=stop)
        detail |= {"exit_code": report.exit_code, "stored": sum(o.outcome == "stored" for o in report.outcomes)}
        detail |= {"sources": len(report.outcomes), "pruned": len(report.pruned)}
        if report.problems:
            detail["problems"] = [*report.problems]
    if as_json:
        ui.print_json(**_as_json(report))
    elif ui.out.is_terminal:
        columns = ("Source", "Outcome", "Plain", "Stored", "Took")
        ui.table(columns, [_row(o) for o in report.outcomes], right=columns[2:])
    _tell(report, Store(config.store))
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if match is None:
        raise UsageError(f"--wait {text!r} is not a duration", "write 90s, 30m or 2h")
    return int(match[1]) * _UNITS[match[2]]


def _tell(report: RunReport, store: Store) -> None:
    for outcome in report.outcomes:
        for warning in outcome.warnings:
            ui.tell(f"warning: {outcome.name}: {warning}")
    _tell_pruned(report)
    for (error, hint), names in _by_cause(report.outcomes).items():
        ui.fail(
            PullAgentError(
                f"{', '.join(map(str, names))}: {error}", "\n".join(filter(None, [hint, _left(store, names)]))
            )
        )


def _tell_pruned(report: RunReport) -> None:
    if report.pruned:
        shown = ", ".join(map(str, report.pruned[:4])) + (" …" if len(report.pruned) > 4 else "")
        ui.tell(f"pruned {len(report.pruned)}: {shown}")
    if report.refused:
        ui.tell(f"warning: nothing was pruned: {report.refused.reason}")
        for line in report.refused.hint.splitlines():
            ui.tell(f"hint: {line}")


def _row(outcome: Outcome) -> tuple[str, ...]:
    state = "shrunk" if outcome.shrunk else outcome.outcome
    sizes = (ui.size(outcome.plain_bytes), ui.size(outcome.stored_bytes)) if outcome.ref else ("", "")
    return (str(outcome.ref or outcome.name), state, *sizes, ui.duration(outcome.took_s))


def _by_cause(outcomes: tuple[Outcome, ...]) -> dict[tuple[str, str], list[SourceName]]:
    """Failed sources under what they have in common, so that a host that is down is told once."""
    causes: dict[tuple[str, str], list[SourceName]] = {}
    for outcome in outcomes:
        if outcome.error is not None:
            error = outcome.error.removeprefix(f"{outcome.name}: ").removeprefix(f"{outcome.name.host}: ")
            causes.setdefault((error, outcome.hint or ""), []).append(outcome.name)
    return causes


def _left(store: Store, names: list[SourceName]) -> str:
    """What there is to fall back on."""
    lines = []
    for name in names:
        good = next((s for s in store.snapshots(name.host, name.source) if s.state == "good"), None)
        age = "there is none" if good is None else f"{ui.span(datetime.now(UTC) - good.taken)} old"
        lines.append(f"nothing was stored; last good snapshot of {name}: {age}")
    return "\n".join(lines)


def _as_json(report: RunReport) -> dict[str, Any]:
    return {
        "id": report.id,
        "started": rfc3339(report.started),
        "ended": rfc3339(report.ended),
        "exit_code": report.exit_code,
        "sources": [
            {
                "host": o.name.host,
                "source": o.name.source,
                "outcome": o.outcome,
                "ref": str(o.ref) if o.ref else None,
                "error": o.error,
                "hint": o.hint,
                "exit_code": o.exit_code,
                "plain_bytes": o.plain_bytes,
                "stored_bytes": o.stored_bytes,
                "took_s": round(o.took_s, 3),
                "warnings": [*o.warnings],
            }
            for o in report.outcomes
        ],
        "pruned": [str(ref) for ref in report.pruned],
    }
