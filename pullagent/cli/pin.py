"""`pullagent pin` and `pullagent unpin`: keep a snapshot from being removed."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from pullagent import prune as pruning
from pullagent.cli import ui


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(pin)
    app.command()(unpin)


def pin(
    context: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="HOST/SOURCE@ID, @latest or a prefix.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; `show` and the ledger tell it.")],
) -> None:
    """Keep a snapshot, whatever its age, until it is unpinned."""
    config = ui.as_store_owner(ui.config_of(context))
    _, snapshot = ui.find(config, ref)
    reason = ui.typed(reason)
    with ui.recorded(config, "pin", snapshot.ref.name, str(snapshot.ref)) as detail:
        detail["reason"] = reason
        pruning.pin(config, snapshot, reason, datetime.now(UTC))
    ui.say(f"{snapshot.ref} is pinned")


def unpin(
    context: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="HOST/SOURCE@ID, @latest or a prefix.")],
) -> None:
    """Leave a pinned snapshot to retention again."""
    config = ui.as_store_owner(ui.config_of(context))
    _, snapshot = ui.find(config, ref)
    with ui.recorded(config, "unpin", snapshot.ref.name, str(snapshot.ref)):
        pruning.unpin(config, snapshot)
    ui.say(f"{snapshot.ref} is no longer pinned")
