"""Whether a snapshot is suspiciously small, or a stream suspiciously large, next to their predecessors. Pure."""

from collections.abc import Sequence
from statistics import median

PREDECESSORS = 5
SHARE = 0.5


def shrunk_from(plain_bytes: int, earlier: Sequence[int]) -> int | None:
    """The usual size in bytes if `plain_bytes` is under half of it, else None.

    `earlier` are the plain sizes of the source's good snapshots, newest first; the median of up to five counts.
    """
    if not earlier:
        return None
    usual = int(median(earlier[:PREDECESSORS]))
    return usual if plain_bytes < usual * SHARE else None


def must_stay_free(capacity: int, percent: float, written: int, largest: int) -> int:
    """How many bytes of a store's `capacity` a stream must leave free when it has `written` so many.

    `largest` is the largest stored snapshot of its source so far. What is more than twice as large must leave twice as
    much: so that of several streams it is the odd one that ends, while the others still find room.
    """
    share = int(capacity * percent / 100)
    return 2 * share if written > 2 * largest else share
