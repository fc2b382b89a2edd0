"""Whether a snapshot is suspiciously small, or a stream suspiciously large, next to their predecessors. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

PREDECESSORS = 5
SHARE = 0.5

State = Literal["good", "shrunk"]


@dataclass(frozen=True)
class Size:
    """A snapshot's state by its size, and what to tell of it; empty for nothing."""

    state: State
    warning: str = ""


def judge(plain_bytes: int, earlier: Sequence[tuple[State, int]]) -> Size:
    """Under half the usual size is shrunk. `earlier`: the source's sound snapshots, newest first, sizes in bytes.

    The usual size is the median of up to five good ones. When the last five are all shrunk, and they and this one
    agree, this is the usual size from now on.
    """
    usual = _usual(earlier)
    if usual is None or plain_bytes >= usual * SHARE:
        return Size("good")
    last = [size for state, size in earlier[:PREDECESSORS] if state == "shrunk"]
    if len(last) == PREDECESSORS and min(plain_bytes, *last) >= max(plain_bytes, *last) * SHARE:
        return Size("good", f"smaller than the {usual} bytes of before, but like the last {PREDECESSORS}: good again")
    return Size("shrunk", f"shrunk: under half of the usual {usual} bytes; was something deleted there?")


def _usual(earlier: Sequence[tuple[State, int]]) -> int | None:
    """The median of the newest good sizes; those from before five shrunk ones in a row belong to another time."""
    good: list[int] = []
    shrunk = 0
    for state, size in earlier:
        if state == "shrunk":
            shrunk += 1
            continue
        if good and shrunk >= PREDECESSORS:
            break
        good.append(size)
        shrunk = 0
    return int(median(good[:PREDECESSORS])) if good else None


def must_stay_free(capacity: int, percent: float, written: int, largest: int) -> int:
    """How many bytes of a store's `capacity` a stream must leave free when it has `written` so many.

    `largest` is the largest stored snapshot of its source so far. What is more than twice as large must leave twice as
    much: so that of several streams it is the odd one that ends, while the others still find room.
    """
    share = int(capacity * percent / 100)
    return 2 * share if written > 2 * largest else share
