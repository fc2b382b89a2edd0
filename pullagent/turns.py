"""Whose turn it is: the longest first; sources of one host wait for one another while other hosts go ahead. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pullagent.model import SourceName


def pick(waiting: Sequence[SourceName], running: Iterable[SourceName], at_once: Mapping[str, int]) -> SourceName | None:
    """The first of `waiting` whose host has fewer sources in `running` than `at_once` allows; None where none has."""
    busy = Counter(name.host for name in running)
    return next((name for name in waiting if busy[name.host] < at_once[name.host]), None)


def longest_first(names: Sequence[SourceName], took_s: Mapping[SourceName, float | None]) -> list[SourceName]:
    """`names` by how long the last pull of each took, so that no long one is left for the end, when it would run alone.

    What is not known may be long.
    """

    def known(name: SourceName) -> float:
        took = took_s.get(name)
        return math.inf if took is None else took

    return sorted(names, key=known, reverse=True)
