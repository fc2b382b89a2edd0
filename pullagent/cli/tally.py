"""What every kind of progress says alike."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from pullagent.cli import ui
from pullagent.model import Observer, Outcome, SourceName

# what failed is named one by one as it fails: a line about further attempts names no more than these
_NAMED = 4


class Warnings(Observer):
    """What must be said even where progress is not wanted."""

    def warned(self, text: str) -> None:
        """One line."""
        ui.tell(f"warning: {text}")

    def paused(self) -> AbstractContextManager[None]:
        """Out of the way meanwhile, of a question for instance."""
        return nullcontext()


class Tally:
    """How many sources ended in which way."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All that are over."""
        return self._counts.total()

    def ended(self, outcome: Outcome) -> None:
        """Count one."""
        self._counts["shrunk" if outcome.shrunk else outcome.outcome] += 1

    def again(self, names: Sequence[SourceName]) -> None:
        """These had failed, and are not over."""
        self._counts["failed"] -= len(names)

    def __str__(self) -> str:
        return ", ".join(f"{count} {outcome}" for outcome, count in self._counts.items() if count)


def retry(names: Sequence[SourceName], pause_s: float, attempt: int, attempts: int) -> str:
    """That these have failed, and when they are tried again."""
    failed = ", ".join(map(str, names[:_NAMED])) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return f"{failed}: failed; attempt {attempt} of {attempts} in {ui.duration(pause_s)}"
