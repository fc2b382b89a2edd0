"""Whose turn it is: sources of one host wait for one another, other hosts go ahead meanwhile. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pullagent.model import SourceName


def pick(waiting: Sequence[SourceName], running: Iterable[SourceName], at_once: Mapping[str, int]) -> SourceName | None:
    """The first of `waiting` whose host has fewer sources in `running` than `at_once` allows; None where none has."""
    busy = Counter(name.host for name in running)
    return next((name for name in waiting if busy[name.host] < at_once[name.host]), None)
