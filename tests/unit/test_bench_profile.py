"""Where the benchmark says that processor time goes: nothing is counted twice, and nothing is left out."""

import threading
import time

import pytest

from tests.bench.profile import NEEDED, parted
from tests.bench.profiled import Meter, ThreadClocks, kind_of

TOLD = {
    "threads": {"native": 5.0, "transport": 1.5, "writer": 0.5, "start": 0.4, "pull": 1.2, "measuring": 0.1},
    "within": {
        "transport/decrypt": 0.3,
        "pull/receive": 0.2,
        "pull/check": 0.4,
        "pull/hash": 0.3,
        "pull/compress": 0.1,
        "pull/send": 0.1,
        "writer/hash": 0.2,
    },
    "process": 8.8,
    "children": 0.6,
}


def burn(seconds: float) -> None:
    """Use that much of this thread's time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_the_parts_are_all_that_the_processes_took() -> None:
    """Their sum is the time of the program and of what it started, without that of the measurement."""
    parts = parted(TOLD)
    assert sum(parts.values()) == pytest.approx(8.8 + 0.6 - 0.1)
    assert parts["SSH: socket, packets"] == pytest.approx(1.2)
    assert parts["read from age, write the file"] == pytest.approx(0.3)
    assert parts["all else"] == pytest.approx(0.2)


def test_what_each_byte_needs_is_among_the_parts() -> None:
    """The bound is made of parts that are measured."""
    assert set(NEEDED) < set(parted(TOLD))


def test_time_in_a_function_that_another_calls_is_its_own() -> None:
    """Of a function and one within it, each has its share alone."""
    meter = Meter()
    inner = meter.timed("inner", lambda: burn(0.04))

    def both() -> None:
        burn(0.02)
        inner()

    meter.timed("outer", both)()
    here = kind_of(threading.current_thread())
    assert meter.spent[f"{here}/inner"] == pytest.approx(0.04, abs=0.015)
    assert meter.spent[f"{here}/outer"] == pytest.approx(0.02, abs=0.015)


def test_each_thread_has_its_own_clock() -> None:
    """A thread that works has the time, one that waits has none, and the measurement does not count for them."""
    clocks, waits = ThreadClocks(), threading.Event()

    def work() -> None:
        burn(0.1)
        waits.wait(10)

    busy = threading.Thread(target=work, name="pull_7")
    busy.start()
    clocks.start()
    try:
        while clocks.totals().get("pull", 0.0) < 0.1:
            time.sleep(0.02)
    finally:
        waits.set()
        busy.join()
        clocks.ended.set()
        clocks.join()
    assert clocks.totals()["pull"] < 0.15
    assert "measuring" in clocks.totals()
    assert kind_of(busy) == "pull"
