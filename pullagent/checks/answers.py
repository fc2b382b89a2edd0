"""Reads what a host answers in bounded memory: a few bytes of JSON can stand for many of memory. Pure."""

import json
import re
from collections.abc import Iterator
from typing import Any

from pullagent.errors import ContentError

_VALUES, _CONTAINERS = 400_000, 100_000
_COLUMN_BYTES = 1 << 20


def read_json(text: str) -> Any:
    """The value of a JSON text; ValueError when it is none, ContentError when it holds too much to be honest."""
    if text.count(",") > _VALUES or text.count("[") + text.count("{") > _CONTAINERS:
        raise ContentError(f"an answer holds more than {_VALUES} values", "what does that server hold so many of?")
    return json.loads(text)


def rows(answer: bytes, columns: int) -> Iterator[list[str]]:
    """The lines of tab-separated `columns`, one at a time; ValueError for a line of any other number."""
    # not splitlines(): a name may hold what Unicode takes for a line's end
    for line in re.finditer(rb"[^\n]+", answer):
        found = line[0].split(b"\t", columns)
        if len(found) != columns:
            raise ValueError(f"a line has {len(found)} columns, not {columns}: {line[0][:80]!r}")
        if max(map(len, found)) > _COLUMN_BYTES:
            raise ContentError("an answer holds a name or definition of more than a mebibyte")
        yield [column.decode(errors="replace") for column in found]
