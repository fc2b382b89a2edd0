"""How what came back is shown: on a terminal what differs or must be read in full, the rest a line for each kind."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pullagent.cli import ui

if TYPE_CHECKING:
    from pullagent.sources.base import Restored

_COUNTED = {"table": "rows", "field values": "values", "tree": "entries", "working copy": "files"}
_PLURAL = {
    "field values": "measurements",
    "continuous query": "continuous queries",
    "directory": "directories",
    "working copy": "working copies",
}
_NEXT = "next dump"


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
    for line in news(told):
        ui.say(line)
    if told or shown != compared:
        ui.say()


def as_json(item: "Restored") -> dict[str, Any]:
    """One of them."""
    return {name: getattr(item, name) for name in ("name", "kind", "expected", "found", "equal")}


def summary(compared: Sequence["Restored"]) -> list[str]:
    """What is equal in few lines: `44 tables, 44,018 rows: equal`, and the kinds that are only there or not in one."""
    equal = [o for o in compared if o.equal and o.kind != _NEXT]
    kinds = list(dict.fromkeys(o.kind for o in equal))
    counts = {kind: _count(kind, [o for o in equal if o.kind == kind]) for kind in kinds}
    lines = [f"{counts[kind]}: equal" for kind in kinds if kind in _COUNTED]
    if others := [counts[kind] for kind in kinds if kind not in _COUNTED]:
        lines.append(f"{', '.join(others)}: equal")
    return lines + [f"the next dump: {o.found}" for o in compared if o.equal and o.kind == _NEXT]


def figures(objects: Sequence["Restored"]) -> str:
    """How much was compared: `31 objects, 1,482,300 rows`."""
    compared = [o for o in objects if o.expected is not None]
    text = f"{len(compared):,} object{'' if len(compared) == 1 else 's'}"
    for kind, unit in _COUNTED.items():
        counts = [o.found for o in compared if o.kind == kind and isinstance(o.found, int)]
        text += f", {sum(counts):,} {unit}" if counts else ""
    return text


def news(told: Sequence["Restored"]) -> list[str]:
    """What is only told, a line for each thing that is said; its objects together where it is said of several."""
    said: dict[tuple[str, str], list[str]] = {}
    for item in told:
        said.setdefault((item.kind, _shown(item.found)), []).append(item.name)
    lines = [
        f"{kind} {names[0]}: {text}" if len(names) == 1 else f"{_plural(kind)} {text}: {', '.join(names)}"
        for (kind, text), names in said.items()
    ]
    return [line.replace("\n", "\n    ") for line in lines]


def _count(kind: str, equal: Sequence["Restored"]) -> str:
    one = "measurement" if kind == "field values" else kind
    text = f"{len(equal):,} {one if len(equal) == 1 else _plural(kind)}"
    numbers = [o.found for o in equal if isinstance(o.found, int)]
    return f"{text}, {sum(numbers):,} {_COUNTED[kind]}" if kind in _COUNTED and numbers else text


def _plural(kind: str) -> str:
    return _PLURAL.get(kind, f"{kind}s")


def _shown(value: str | int | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else value
