"""In which order the sources of a run begin."""

import heapq
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pullagent.model import Observer, SourceName
from pullagent.pull import Puller
from pullagent.store import Store
from pullagent.turns import longest_first
from tests.unit.storing import put
from tests.unit.test_pull import AGAMA, LOGS, Both
from tests.unit.toml import changed, loaded

SECONDS = st.integers(min_value=0, max_value=10_000).map(float)


def names(count: int) -> list[SourceName]:
    """So many sources."""
    return [SourceName("host", f"s{number}") for number in range(count)]


def total_s(durations: Sequence[float], jobs: int) -> float:
    """How long all take when each of so many workers takes the next one as soon as it is free."""
    free = [0.0] * jobs
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def test_the_longest_begins_and_so_does_what_is_not_known() -> None:
    """Among equals the order of hosts.toml stays."""
    a, b, c, d, e = names(5)
    assert longest_first([a, b, c, d, e], {a: 1.0, b: 9.0, d: None, e: 9.0}) == [c, d, b, e, a]


@given(st.lists(SECONDS, min_size=1, max_size=5), st.integers(min_value=1, max_value=3))
def test_the_whole_is_near_the_best_that_can_be(took: list[float], jobs: int) -> None:
    """When all take as long as the last time: at most a third longer than in the best of all orders (Graham, 1969)."""
    known = dict(zip(names(len(took)), took, strict=True))
    order = longest_first(list(known), known)
    best = min(total_s(of_all, jobs) for of_all in permutations(took))
    assert total_s([known[name] for name in order], jobs) <= best * 4 / 3 + 1e-6


class Started(Observer):
    """Keeps which sources began, in order."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def started(self, job: str, step: str, total_bytes: int | None = None) -> None:
        """Keep it."""
        if step == "connecting":
            self.order.append(job)


def test_a_run_begins_with_what_took_longest_and_reports_in_its_own_order(tmp_path: Path) -> None:
    """By the manifests of the newest snapshots."""
    config = loaded(tmp_path, changed("store path", "store"))
    store, begun = Store(config.store), datetime.now(UTC) - timedelta(days=1)
    put(store, begun, AGAMA)
    put(store, begun, LOGS, finished=begun + timedelta(minutes=5))
    heard = Started()
    puller = Puller(config, observer=heard, connect=lambda _: Both(config).opened())
    report = puller.run([AGAMA, LOGS], jobs=1)
    assert heard.order == [str(LOGS), str(AGAMA)]
    assert [o.name for o in report.outcomes] == [AGAMA, LOGS]
