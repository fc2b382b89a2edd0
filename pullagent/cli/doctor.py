"""`pullagent doctor`: look at everything that backups depend on."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from pullagent.cli import ui
from pullagent.diagnosis import Diagnosis
from pullagent.errors import ConfigError, UsageError

_WORDS = {"ok": ("OK", "green"), "warn": ("WARN", "bold yellow"), "failed": ("FAILED", "bold red")}
_RESULT, _NAME = 8, 25


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
        ui.print_json(checks=[_as_json(one) for one in seen])
    else:
        ui.say(_summary(seen))
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
            ui.out.print(Text(ui.clean(here), style="bold"))
        place = here
        _show(one, "" if ui.out.is_terminal else f"{here}  ")
        yield one


def _show(one: Diagnosis, place: str) -> None:
    word, style = _WORDS[one.result]
    name = f"{one.name}  ".ljust(_NAME)
    first, *others = _lines(one.detail, len(name))
    body = "dim" if one.result == "ok" else ""
    ui.out.print(Text.assemble((f"{word:{_RESULT}}", style), (ui.clean(place + name), body), (first, body)))
    for line in others:
        ui.out.print(Text(" " * (_RESULT + _NAME) + line, style=body))
    # what is to be copied is never broken
    for line in one.hint.splitlines():
        ui.out.print(Text.assemble((" " * _RESULT + "hint: ", "bold cyan"), ui.clean(line)))


def _lines(detail: str, taken: int) -> list[str]:
    """The detail in lines: on a terminal broken between words to fit beside the name, else one."""
    lines = [ui.clean(line) for line in detail.splitlines()] or [""]
    if not ui.out.is_terminal:
        return ["; ".join(lines)]
    width = max(20, ui.out.width - _RESULT - max(taken, _NAME))
    return [part for line in lines for part in textwrap.wrap(line, width, break_on_hyphens=False) or [""]]


def _summary(seen: list[Diagnosis]) -> str:
    counts = Counter(one.result for one in seen)
    said = f"{len(seen)} checks: {counts['ok']} OK"
    return said + "".join(f", {counts[key]} {_WORDS[key][0]}" for key in ("warn", "failed") if counts[key])


def _as_json(one: Diagnosis) -> dict[str, Any]:
    return {
        "name": one.name,
        "host": one.host,
        "result": one.result,
        "detail": one.detail,
        "hint": one.hint or None,
    }
