"""`pullagent doctor`: look at everything that backups depend on."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from pullagent.cli import diagnoses, ui
from pullagent.diagnosis import Diagnosis
from pullagent.errors import ConfigError, UsageError


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(doctor)


def doctor(
    context: typer.Context,
    host: Annotated[str | None, typer.Argument(metavar="HOST", help="Only this host; else all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at everything that backups depend on, here and on the hosts; 1 when something failed."""
    found = _looked_at(context, host)
    seen = list(found) if as_json else list(_shown(found))
    if as_json:
        ui.print_json(checks=[diagnoses.as_json(one) for one in seen])
    else:
        ui.say(diagnoses.summary(seen))
    if any(one.result == "failed" for one in seen):
        raise typer.Exit(1)


def _looked_at(context: typer.Context, host: str | None) -> Iterator[Diagnosis]:
    from pullagent import doctor as doctors

    try:
        config = ui.config_of(context)
    except ConfigError as error:
        return doctors.without_configuration(error)
    if host is not None and host not in config.hosts:
        config.select([host])
        raise UsageError(f"{host} is a source, not a host", f"pullagent doctor {host.partition('/')[0]}")
    return doctors.doctor(config, [host] if host else list(config.hosts), now=datetime.now(UTC))


def _shown(found: Iterable[Diagnosis]) -> Iterator[Diagnosis]:
    """Each as it comes: on a terminal below the name of its machine, else with that name in its line."""
    place: str | None = None
    for one in found:
        here = one.host or "this machine"
        if ui.out.is_terminal and here != place:
            ui.out.console.print(Text(ui.clean(here), style="bold"))
        place = here
        diagnoses.show(one, "" if ui.out.is_terminal else f"{here}  ")
        yield one
