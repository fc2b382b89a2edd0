"""How what came back is shown: on a terminal what differs or must be read in full, the rest a line for each kind."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pullagent.cli import ui

if TYPE_CHECKING:
    from pullagent.sources.base import Restored

_COUNTED = {"table": "rows", "field values": "values"}
_PLURAL = {
    "field values": "measurements",
    "next dump": "next dumps",
    "continuous query": "continuous queries",
    "sequence": "sequences",
}


def show(objects: Sequence["Restored"]) -> None:
    """All of it; elsewhere than on a terminal each object has its line."""
    told = [o for o in objects if o.expected is None]
    compared = sorted((o for o in objects if o.expected is not None), key=lambda o: (o.equal, o.kind, o.name))
    shown = [o for o in compared if not o.equal] if ui.out.is_terminal else compared
    if shown:
        rows = [(o.name, o.kind, _shown(o.expected), _shown(o.found), "yes" if o.equal else "NO") for o in shown]
        ui.table(("Object", "Kind", "Expected", "Found", "Equal"), rows)
        ui.say()
    for line in [] if shown == compared else summary(compared):
        ui.say(line)
    # passwords and differences of files: never in a column, where they would be broken
    for item in told:
        ui.say(f"{item.kind} {item.name}: {_shown(item.found)}".replace("\n", "\n    "))
    if told or shown != compared:
        ui.say()


def as_json(item: "Restored") -> dict[str, Any]:
    """One of them."""
    return {name: getattr(item, name) for name in ("name", "kind", "expected", "found", "equal")}


def summary(compared: Sequence["Restored"]) -> list[str]:
    """Those that are equal, a line for each kind: `44 tables, 44,018 rows: equal`."""
    kinds = dict.fromkeys(o.kind for o in compared if o.equal)
    return [_line(kind, [o for o in compared if o.equal and o.kind == kind]) for kind in kinds]


def _line(kind: str, equal: Sequence["Restored"]) -> str:
    if kind == "next dump":
        return "the next dump: possible"
    one = {"field values": "measurement"}.get(kind, kind)
    text = f"{len(equal):,} {one if len(equal) == 1 else _PLURAL.get(kind, f'{kind}s')}"
    numbers = [o.found for o in equal if isinstance(o.found, int)]
    if kind in _COUNTED and numbers:
        text += f", {sum(numbers):,} {_COUNTED[kind]}"
    return f"{text}: equal"


def _shown(value: str | int | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else value
