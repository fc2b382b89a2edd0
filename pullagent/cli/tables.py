"""Tables: aligned plain lines, or columns that fit a terminal. rich is loaded for a terminal alone."""

import sys
from collections.abc import Sequence
from itertools import chain

from pullagent.cli.screen import Screen, clean
from pullagent.cli.service import Priority, mark

# a word longer than this may be broken
_WORD = 12


def table(out: Screen, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """A table on a terminal; else aligned plain lines, never cut. The first column is never cut or wrapped."""
    lines = [[cell if cell.isprintable() else one_line(cell) for cell in row] for row in [columns, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    wide = sum(widths) + 2 * (len(widths) - 1) > out.width if out.is_terminal else True
    if not wide and all(map(_is_narrow, chain.from_iterable(lines))):
        _draw(out, lines, widths, [column in right for column in columns])
    # in a very narrow window complete lines that the terminal wraps are better than references cut short
    elif out.is_terminal and out.width >= _narrowest(columns, rows, right):
        _wrap(out, columns, lines[1:], right)
    else:
        form = "  ".join(f"{{:{width}}}" for width in widths)
        prefix = mark(sys.stdout, Priority.INFO)
        sys.stdout.write("".join(f"{prefix}{form.format(*line).rstrip()}\n" for line in lines))


def _draw(out: Screen, lines: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[bool]) -> None:
    """A table that fits. To find that out rich takes the better part of a millisecond a row, and a list is long."""
    inks = {style: _ink(out, style) for style in ("", "bold", "green", "bold red", "yellow")}
    for number, line in enumerate(lines):
        cells = []
        for cell, width, at_right in zip(line, widths, right, strict=True):
            before, after = inks[_style(cell) if number else "bold"]
            gap = " " * (width - len(cell))
            cells.append(f"{gap}{before}{cell}{after}" if at_right else f"{before}{cell}{after}{gap}")
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _ink(out: Screen, style: str) -> tuple[str, str]:
    """What begins a style on this terminal, and what ends it."""
    from rich.text import Text

    with out.console.capture() as drawn:
        out.console.print(Text("|", style=style), end="")
    before, _, after = drawn.get().partition("|")
    return before, after


def _is_narrow(cell: str) -> bool:
    """Whether a cell is as wide on a terminal as it has characters."""
    return cell.replace("·", ".").isascii()


def _wrap(out: Screen, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    """A table whose words go on below where they do not fit."""
    from rich.table import Table
    from rich.text import Text

    view = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        view.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=number == 0 or column in right,
            overflow="fold",
        )
    for row in rows:
        view.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    out.console.print(view, soft_wrap=False)


def _narrowest(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> int:
    """How wide a table is when it wraps what may be wrapped, and cuts nothing."""
    whole = [number == 0 or column in right for number, column in enumerate(columns)]
    widths = [
        max(
            len(part) if whole[i] else min(len(part), _WORD)
            for row in [columns, *rows]
            for part in _parts(row[i], whole[i])
        )
        for i in range(len(columns))
    ]
    return sum(widths) + 2 * (len(columns) - 1)


def _parts(cell: str, whole: bool) -> Sequence[str]:
    return [cell] if whole else cell.split() or [""]


def facts(out: Screen, pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values, each of one line and cleaned, on a terminal, where long values go on below their beginning; one
    word that is too long is left to the terminal, from which it can then be copied whole.
    """
    from rich.table import Table
    from rich.text import Text

    width = max(len(name) for name, _ in pairs) + 1
    for name, value in pairs:
        text = Text(value, style=_style(value))
        if " " not in value and width + 1 + text.cell_len > out.width:
            out.console.print(Text(f"{name + ':':{width}} ") + text, soft_wrap=True)
            continue
        view = Table.grid(padding=(0, 1, 0, 0))
        view.add_column(no_wrap=True, min_width=width)
        view.add_column(overflow="fold")
        view.add_row(f"{name}:", text)
        out.console.print(view, soft_wrap=False)


def one_line(text: str) -> str:
    """A cell's text on one line: a name must not be able to make a row of its own."""
    return clean(text).replace("\n", "\\n").replace("\t", "\\t")


def _style(cell: str) -> str:
    if cell.startswith("good") or cell in ("stored", "yes", "OK"):
        return "green"
    if cell.startswith(("damaged", "failed", "NO")) or cell in ("LATE", "NEVER", "DAMAGED"):
        return "bold red"
    return "yellow" if cell.startswith("shrunk") or cell in ("remove", "FAILED", "SHRUNK") else ""
