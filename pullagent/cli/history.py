"""`pullagent history`: who did what, when, and how it ended."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from pullagent.cli import ui
from pullagent.ledger import Ledger
from pullagent.store import Store

_WIDE = 120
_SCREENFUL = 50
_WORDS = {
    3: "some failed",
    4: "damage",
    11: "locked",
    12: "wrong key",
    13: "host key",
    129: "interrupted",
    130: "interrupted",
    143: "terminated",
}


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
    store = Store(ui.as_store_owner(ui.config_of(context)).store)
    store.expect()
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
    if ui.out.is_terminal and ui.out.width < _WIDE:
        # in one column, so that a reference stays whole; who and how long matter less than how it ended
        rows = [[_when(e), str(e.get("event")), ": ".join(filter(None, [_subject(e), _ended(e)]))] for e in entries]
        ui.table(("When (UTC)", "What", "Of, and how it ended"), rows)
        return
    rows = [
        [_when(e), str(e.get("who")), str(e.get("event")), _subject(e) or "-", _took(e), _ended(e)] for e in entries
    ]
    ui.table(("When (UTC)", "Who", "What", "Of", "Took", "Ended"), rows, right=("Took",))


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
    code = entry.get("exit_code", 1)
    word = "ok" if entry.get("ok") else f"{_WORDS.get(code, 'failed')} ({code})"
    return ": ".join(filter(None, [word, ", ".join(_told(known))]))


def _told(detail: dict[str, Any]) -> Iterator[str]:
    """The few details that an operator looks for here; `--json` has all."""
    for key in ("error", "refused", "reason", "target", "fingerprint", "recipient"):
        if isinstance(detail.get(key), str) and detail[key]:
            yield detail[key]
    # of what was to be told: what did not arrive
    problems = detail.get("problems")
    yield from (str(problem) for problem in problems) if isinstance(problems, list) else ()
    if isinstance(detail.get("stored_bytes"), int):
        yield ui.size(detail["stored_bytes"])
    if isinstance(detail.get("stored"), int):
        yield f"{detail['stored']} of {detail.get('sources')} stored"
    if isinstance(detail.get("changed"), int) and detail["changed"]:
        yield f"{detail['changed']} ref{'s' * (detail['changed'] > 1)} changed"
    for key, word in (("ids", "sound"), ("damaged", "damaged"), ("removed", "removed"), ("expired", "expired")):
        if isinstance(detail.get(key), list) and detail[key]:
            yield f"{len(detail[key])} {word}"
