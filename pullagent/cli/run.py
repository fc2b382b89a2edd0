"""`pullagent run`: pull all sources, or those named."""

import re
from typing import Annotated, Any

import typer

from pullagent.cli import ui
from pullagent.errors import PullAgentError, UsageError
from pullagent.model import Outcome, RunReport, StopSignal, rfc3339

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
    from pullagent.pull import Puller

    with ui.recorded(config, "run") as detail:
        stop = StopSignal()
        with ui.progress(quiet=as_json) as observer:
            report = Puller(config, observer=observer, stop=stop).run(names, jobs=jobs, wait_s=wait_s)
        detail |= {"exit_code": report.exit_code, "stored": sum(o.outcome == "stored" for o in report.outcomes)}
        detail |= {"sources": len(report.outcomes)}
    if as_json:
        ui.print_json(**_as_json(report))
    else:
        _render(report)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if match is None:
        raise UsageError(f"--wait {text!r} is not a duration", "write 90s, 30m or 2h")
    return int(match[1]) * _UNITS[match[2]]


def _render(report: RunReport) -> None:
    rows = [
        (
            str(o.ref or o.name),
            o.outcome,
            ui.size(o.plain_bytes) if o.ref else "",
            ui.size(o.stored_bytes) if o.ref else "",
            ui.duration(o.took_s),
        )
        for o in report.outcomes
    ]
    ui.table(("Source", "Outcome", "Plain", "Stored", "Took"), rows, right=("Plain", "Stored", "Took"))
    for outcome in report.outcomes:
        for warning in outcome.warnings:
            ui.tell(f"warning: {outcome.name}: {warning}")
        if outcome.error is not None:
            ui.fail(PullAgentError(_with_name(outcome), outcome.hint or ""))


def _with_name(outcome: Outcome) -> str:
    error = outcome.error or ""
    return (
        error
        if error.startswith(str(outcome.name))
        else f"{outcome.name}: {error.removeprefix(outcome.name.host + ': ')}"
    )


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
        "pruned": [],
    }
