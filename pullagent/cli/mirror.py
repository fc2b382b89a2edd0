"""`pullagent mirror`: bring the clear mirrors of git repositories up to what upstream holds."""

from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer

from pullagent.cli import service, ui
from pullagent.errors import PullAgentError
from pullagent.model import Observer, StopSignal
from pullagent.sources.base import Followed

_KEPT_SHOWN = 4


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(mirror)


def mirror(
    context: typer.Context,
    targets: Annotated[list[str] | None, typer.Argument(metavar="HOST[/SOURCE]", help="All mirrors without.")] = None,
) -> None:
    """Compare each mirror of a git repository with its upstream, and bring it up to it."""
    # what a push sent is never read, but must not start the unit once more
    service.discard_datagrams()
    config = ui.config_of(context)
    from pullagent import mirror as mirrors

    names = mirrors.chosen(config, targets or [])
    config = ui.as_store_owner(config)
    with _progress() as observer:
        report = mirrors.mirror(config, names, stop=StopSignal(), observer=observer)
    # a line a minute that says that nothing is new would hide what is
    quiet = service.in_journal()
    for outcome in report.outcomes:
        name = str(outcome.name)
        if outcome.outcome == "failed":
            text = f"{name}: {outcome.error.removeprefix(f'{outcome.name.host}: ')}"
            if quiet and not outcome.news:
                ui.say(f"{name}: still fails: {outcome.error.partition(chr(10))[0]}")
            else:
                ui.fail(PullAgentError(text, outcome.hint))
        elif outcome.outcome == "skipped":
            if not quiet:
                ui.say(f"{name}: skipped: a run or another pass is at it")
        elif outcome.followed is not None and (outcome.news or not quiet):
            _tell(name, outcome.followed, outcome.took_s)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _progress() -> AbstractContextManager[Observer]:
    """Bars on a terminal; each minute's pass shall not even load what draws them."""
    if not ui.err.is_terminal:
        return nullcontext(Observer())
    from pullagent.cli.progress import progress

    return progress()


def _tell(name: str, followed: Followed, took_s: float) -> None:
    if followed.changed:
        counts = ", ".join(f"{what} {number}" for what, number in followed.counts.items() if number)
        ui.say(f"{name}: {followed.changed} changed in {ui.duration(took_s)}; now {counts}")
    else:
        ui.say(f"{name}: as upstream")
    for kept in followed.kept[:_KEPT_SHOWN]:
        ui.say(f"{name}: upstream gave up {kept.split('/', 3)[3]}; it stays as {kept}")
    if len(followed.kept) > _KEPT_SHOWN:
        ui.say(f"{name}: and {len(followed.kept) - _KEPT_SHOWN} more, all below {kept.rpartition('/refs/')[0]}")
    for warning in followed.warnings:
        ui.tell(f"warning: {name}: {warning}")
