"""`pullagent run`: pull all sources, or those named."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from pullagent.cli import ui
from pullagent.cli.progress import progress
from pullagent.cli.service import Priority
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
        with progress(quiet=as_json, sources=len(names)) as observer:
            report = runs.run(config, names, jobs=jobs, wait_s=wait_s, observer=observer, stop=stop)
        detail |= {"exit_code": report.exit_code, "stored": sum(o.outcome == "stored" for o in report.outcomes)}
        detail |= {"sources": len(report.outcomes), "pruned": len(report.pruned)}
        if report.problems:
            detail["problems"] = [*report.problems]
    if as_json:
        ui.print_json(**_as_json(report))
    elif ui.out.is_terminal:
        _show(report)
    _tell(report)
    _tell_failed(report.outcomes, Store(config.store), table=not as_json)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if match is None:
        raise UsageError(f"--wait {text!r} is not a duration", "write 90s, 30m or 2h")
    return int(match[1]) * _UNITS[match[2]]


def _show(report: RunReport) -> None:
    """What came of each source; several that failed have a table of their own at the end."""
    apart = len(_by_cause(report.outcomes)) > 1
    rows = [_row(o) for o in report.outcomes if o.outcome == "stored" or not apart]
    columns = ("Source", "Outcome", "Plain", "Stored", "Took")
    if rows:
        ui.table(columns, rows, right=columns[2:])


def _tell(report: RunReport) -> None:
    warned: dict[str, list[str]] = {}
    for outcome in report.outcomes:
        for warning in outcome.warnings:
            warned.setdefault(warning, []).append(str(outcome.name))
    for warning, names in warned.items():
        ui.tell(f"warning: {', '.join(names)}: {warning}")
    _tell_pruned(report)


def _tell_failed(outcomes: Sequence[Outcome], store: Store, *, table: bool) -> None:
    """Each cause with what to do about it. After several everything that failed stands in one `table`, with what there
    is to fall back on.
    """
    causes = _by_cause(outcomes)
    together = table and len(causes) > 1
    for (error, hint), failed in causes.items():
        left = [] if together else [_left(store, o.name) for o in failed]
        named = ", ".join(str(o.name) for o in failed)
        ui.fail(PullAgentError(f"{named}: {error}", "\n".join(filter(None, [hint, *left]))))
    if not together:
        return
    rows = [
        (str(o.name), _last_good(store, o.name), ui.duration(o.took_s), error.partition("\n")[0])
        for (error, _), failed in causes.items()
        for o in failed
    ]
    if ui.out.is_terminal:
        ui.say()
    ui.table(("Failed", "Last good", "After", "Why"), rows)
    ui.say(f"{len(rows)} of {len(outcomes)} sources failed; what to do about each stands above", Priority.WARNING)


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


def _by_cause(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], list[Outcome]]:
    """Failed sources under what they have in common, so that a host that is down is told once."""
    causes: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.error is not None:
            error = outcome.error.removeprefix(f"{outcome.name}: ").removeprefix(f"{outcome.name.host}: ")
            causes.setdefault((error, outcome.hint or ""), []).append(outcome)
    return causes


def _left(store: Store, name: SourceName) -> str:
    """What there is to fall back on."""
    return f"nothing was stored; last good snapshot of {name}: {_last_good(store, name)}"


def _last_good(store: Store, name: SourceName) -> str:
    good = next((s for s in store.newest(name) if s.state == "good"), None)
    return "none" if good is None else f"{ui.span(datetime.now(UTC) - good.taken)} old"


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
