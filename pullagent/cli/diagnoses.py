"""How things that were looked at are shown: a line each, with what to do about it below."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from pullagent.cli import ui
from pullagent.diagnosis import Diagnosis

_WORDS = {"ok": ("OK", "green"), "warn": ("WARN", "bold yellow"), "failed": ("FAILED", "bold red")}
_RESULT, _NAME = 8, 25


def show(one: Diagnosis, place: str = "") -> None:
    """One line, more where the detail is long, and its hints; `place` goes before its name."""
    word, style = _WORDS[one.result]
    name = f"{one.name}  ".ljust(_NAME)
    first, *others = _lines(one.detail, len(name))
    body = "dim" if one.result == "ok" else ""
    ui.out.console.print(Text.assemble((f"{word:{_RESULT}}", style), (ui.clean(place + name), body), (first, body)))
    for line in others:
        ui.out.console.print(Text(" " * (_RESULT + _NAME) + line, style=body))
    # what is to be copied is never broken
    for line in one.hint.splitlines():
        ui.out.console.print(Text.assemble((" " * _RESULT + "hint: ", "bold cyan"), ui.clean(line)))


def _lines(detail: str, taken: int) -> list[str]:
    """The detail in lines: on a terminal broken between words to fit beside the name, else one."""
    lines = [ui.clean(line) for line in detail.splitlines()] or [""]
    if not ui.out.is_terminal:
        return ["; ".join(lines)]
    width = max(20, ui.out.width - _RESULT - max(taken, _NAME))
    return [part for line in lines for part in textwrap.wrap(line, width, break_on_hyphens=False) or [""]]


def summary(seen: Sequence[Diagnosis]) -> str:
    """How many, and how they turned out."""
    counts = Counter(one.result for one in seen)
    said = f"{len(seen)} checks: {counts['ok']} OK"
    return said + "".join(f", {counts[key]} {_WORDS[key][0]}" for key in ("warn", "failed") if counts[key])


def as_json(one: Diagnosis) -> dict[str, Any]:
    """Its fields."""
    return {
        "name": one.name,
        "host": one.host,
        "result": one.result,
        "detail": one.detail,
        "hint": one.hint or None,
    }
