"""Whether a snapshot is suspiciously small next to its predecessors. Pure."""

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
