"""`pullagent prune` and `pullagent forget`: remove what retention lets go, or one snapshot by name."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from pullagent import prune as pruning
from pullagent.cli import ui
from pullagent.clock import VOUCHED, Record
from pullagent.config import Config
from pullagent.errors import PullAgentError, UsageError
from pullagent.ledger import Ledger
from pullagent.model import rfc3339
from pullagent.store import Store


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(prune)
    app.command()(forget)


def prune(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go; remove nothing.")] = False,
    clock_is_right: Annotated[
        bool, typer.Option("--clock-is-right", help="Vouch for the clock, where prune refuses to believe it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Remove the snapshots that retention lets go."""
    config = ui.as_store_owner(ui.config_of(context))
    if dry_run:
        report = pruning.dry_run(config, datetime.now(UTC), record=_record(config, clock_is_right))
    else:
        if clock_is_right:
            # should the disk be full, this warns, and the prune that follows makes room
            with ui.recorded(config, VOUCHED) as detail:
                detail["reason"] = "said to be right"
        with ui.recorded(config, "prune") as detail:
            report = pruning.prune(config, datetime.now(UTC), record=_record(config, clock_is_right))
            detail |= report.detail | {"exit_code": report.exit_code}
    if as_json:
        ui.print_json(
            dry_run=report.dry_run,
            refused=report.refused.reason if report.refused else None,
            decisions=[{"ref": str(d.ref), "action": d.action, "reason": d.reason} for d in report.decisions],
            expired=[*report.expired],
        )
    else:
        _render(report)
    if report.refused:
        raise PullAgentError(f"nothing was pruned: {report.refused.reason}", report.refused.hint)
    if report.failed:
        raise report.failed


def _record(config: Config, clock_is_right: bool) -> Record:
    return Record() if clock_is_right else Ledger(Store(config.store).ledger_path).record()


def _render(report: pruning.PruneReport) -> None:
    if report.decisions:
        ui.table(("Snapshot", "Action", "Reason"), [(str(d.ref), d.action, d.reason) for d in report.decisions])
    if not report.refused:
        removed = len(report.removed)
        verb = "would be removed" if report.dry_run else "removed"
        ui.tell(f"{removed} {verb}, {len(report.decisions) - removed} kept")
        for ref in report.expired:
            ui.say(f"{ref}: upstream gave it up long ago; {verb}")


def forget(
    context: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="HOST/SOURCE@ID or a prefix.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it goes into the ledger.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove one snapshot for good, whatever its age; never a pinned one, nor the last good one of its source."""
    config = ui.as_store_owner(ui.config_of(context))
    if not reason.strip():
        raise UsageError("forget needs a reason", 'say why it goes:  --reason "taken with a wrong clock"')
    _, snapshot = ui.find(config, ref)
    reason = ui.typed(reason)
    size = f", {ui.size(snapshot.stored_bytes)}" if snapshot.stored_bytes is not None else ""
    ui.confirm(f"Remove {snapshot.ref} ({snapshot.state}{size}, taken {rfc3339(snapshot.taken)}) for good.", yes=yes)
    with ui.recorded(config, "forget", snapshot.ref.name, str(snapshot.ref)) as detail:
        detail["reason"] = reason
        pruning.forget(config, snapshot.ref)
    ui.say(f"{snapshot.ref} is gone")
