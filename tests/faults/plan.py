"""How much is tried: a fixed sample, or everything; the seed; and what is counted on the way."""

import os
import random
from collections import Counter
from typing import Any

import pytest

MODE, SEED_NAME = "PULLAGENT_FAULTS", "PULLAGENT_FAULTS_SEED"
FULL = os.environ.get(MODE) == "all"
SEED = int(os.environ.get(SEED_NAME, "1"))

FAULTS, FALSE, HARMED = "faults", "false successes", "snapshots harmed"
CUTS, CUTS_REFUSED = "truncations", "truncations refused"
FLIPS, FLIPS_FOUND = "bit flips", "bit flips found"


def count(sample: int, full: int) -> int:
    """How many cases to try: `sample` in `make test`, `full` in `make faults`."""
    return full if FULL else sample


def chance(name: str) -> random.Random:
    """A source of chance for one test: the same in every run with the same seed."""
    return random.Random(f"{SEED}/{name}")


def spread(total: int, sample: int, name: str) -> list[int]:
    """All of range(`total`) in full; else `sample` of them, evenly spread, beginning by chance."""
    if FULL or sample >= total:
        return list(range(total))
    step = total / sample
    first = chance(name).uniform(0, step)
    return [int(first + step * number) for number in range(sample)]


class Tally:
    """Counts for the figures; they travel with the test's report, also from another process."""

    def __init__(self, properties: list[tuple[str, Any]]) -> None:
        self._properties = properties

    def add(self, figure: str, number: int = 1) -> None:
        """Count `number` more."""
        self._properties.append((f"fault:{figure}", number))


def figures(reports: list[Any]) -> Counter[str]:
    """The sums over the reports of all tests."""
    found: Counter[str] = Counter()
    for report in reports:
        for name, number in report.user_properties:
            if name.startswith("fault:"):
                found[name.removeprefix("fault:")] += number
    return found


campaign = pytest.mark.campaign
"""Marks what only `make faults` runs."""
