"""`pullagent history`: who did what, when, and how it ended."""

from typing import Annotated, Any

import typer

from pullagent.cli import ui
from pullagent.ledger import Ledger
from pullagent.store import Store

_WIDE = 120
_SCREENFUL = 50


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(history)


def history(
    context: typer.Context,
    limit: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Only the newest N; 0: all. Without: 50 on a terminal, else all."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what was done: every run, pull, fetch, restore, verification and so on; who, when, how it ended."""
    store = Store(ui.config_of(context).store)
    if limit is None:
        limit = _SCREENFUL if ui.out.is_terminal and not as_json else 0
    entries = list(Ledger(store.ledger_path).entries())
    shown = entries[-limit:] if limit else entries
    if as_json:
        ui.print_json(events=shown)
    elif shown:
        _render(shown)
        if len(shown) < len(entries):
            ui.tell(f"{len(entries) - len(shown)} earlier: pullagent history --limit 0")
    else:
        ui.tell(f"nothing has been done yet in {store.root}: pullagent run")


def _render(entries: list[dict[str, Any]]) -> None:
    columns = ["When (UTC)", "Who", "What", "Of", "Ended", "Took"]
    rows = [[_when(e), str(e.get("who")), str(e.get("event")), _subject(e), _ended(e), _took(e)] for e in entries]
    if ui.out.is_terminal and ui.out.width < _WIDE:
        # who and how long matter less than how it ended
        keep = (0, 2, 3, 4)
        columns, rows = [columns[i] for i in keep], [[row[i] for i in keep] for row in rows]
    ui.table(columns, rows, right=("Took",))


def _when(entry: dict[str, Any]) -> str:
    return str(entry.get("time")).replace("T", " ").removesuffix("Z")[:16]


def _took(entry: dict[str, Any]) -> str:
    took = entry.get("took_s")
    return ui.duration(took) if isinstance(took, int | float) else "?"


def _subject(entry: dict[str, Any]) -> str:
    if entry.get("ref"):
        return str(entry["ref"])
    return "/".join(str(entry[key]) for key in ("host", "source") if entry.get(key))


def _ended(entry: dict[str, Any]) -> str:
    detail = entry.get("detail")
    known = detail if isinstance(detail, dict) else {}
    if entry.get("ok"):
        return " ".join(filter(None, ["ok", _told(known)]))
    why = known.get("error") or known.get("reason") or _told(known)
    return f"failed, {entry.get('exit_code')}" + (f": {why}" if why else "")


def _told(detail: dict[str, Any]) -> str:
    """The few details that say more than `ok`."""
    told = []
    if isinstance(detail.get("stored_bytes"), int):
        told.append(ui.size(detail["stored_bytes"]))
    for key, word in (("ids", "sound"), ("damaged", "damaged"), ("removed", "removed")):
        if isinstance(detail.get(key), list) and (detail[key] or key == "ids"):
            told.append(f"{len(detail[key])} {word}")
    if isinstance(detail.get("reason"), str):
        told.append(detail["reason"])
    return ", ".join(told)
