"""What a source will come to, if it grows on as it has grown so far. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pullagent.model import Snapshot

HORIZON = timedelta(days=90)
# a shorter history says more of one day than of growth
_LEAST_HISTORY = timedelta(days=2)
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Growth:
    """Bytes a day of a source's plain size; None where its history is too short to tell."""

    bytes_a_day: float | None

    def projected(self, size: int, ahead: timedelta = HORIZON) -> int:
        """What `size` bytes come to after `ahead`. A source that shrinks is taken to stay as it is."""
        return size + round(max(0.0, self.bytes_a_day or 0.0) * ahead.total_seconds() / _DAY_S)


def growth_of(snapshots: Iterable[Snapshot]) -> Growth:
    """The straight line that fits the plain sizes of good snapshots best (least squares)."""
    sizes = [(s.taken, s.plain_bytes) for s in snapshots if s.state == "good"]
    return _fitted([(moment, size) for moment, size in sizes if size is not None])


def _fitted(sizes: list[tuple[datetime, int]]) -> Growth:
    if not sizes:
        return Growth(None)
    first = min(moment for moment, _ in sizes)
    days = [(moment - first).total_seconds() / _DAY_S for moment, _ in sizes]
    if max(days) < _LEAST_HISTORY.total_seconds() / _DAY_S:
        return Growth(None)
    middle, mean = sum(days) / len(days), sum(size for _, size in sizes) / len(sizes)
    spread = sum((day - middle) ** 2 for day in days)
    return Growth(sum((day - middle) * (size - mean) for day, (_, size) in zip(days, sizes, strict=True)) / spread)
