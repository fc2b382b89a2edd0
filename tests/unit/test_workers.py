"""Threads that end with whoever waits for them."""

import threading
import time
from typing import cast

import pytest

from pullagent.errors import Interrupted
from pullagent.model import StopSignal
from pullagent.sources.base import Remote
from pullagent.sources.mysql import compare
from pullagent.sources.mysql.commands import Commands
from pullagent.workers import workers


def test_they_are_waited_for() -> None:
    """At the end of the block, without a word to stop."""
    stop = StopSignal()
    with workers(2, "test", stop) as pool:
        futures = [pool.submit(stop.wait, 0.2) for _ in range(4)]
    assert [future.result() for future in futures] == [False] * 4


def test_an_early_end_stops_them() -> None:
    """Those at work hear of it, those that wait for their turn never begin, and then they are waited for."""
    stop, begun = StopSignal(), threading.Semaphore(0)
    at_work = list[str]()

    def work() -> None:
        begun.release()
        at_work.append("begun")
        assert stop.wait(60)
        at_work.append("ended")

    def interrupted() -> None:
        with workers(2, "test", stop) as pool:
            for _ in range(5):
                pool.submit(work)
            for _ in range(2):
                assert begun.acquire(timeout=20)
            raise Interrupted(15)

    before = time.monotonic()
    with pytest.raises(Interrupted):
        interrupted()
    assert sorted(at_work) == ["begun", "begun", "ended", "ended"]
    assert time.monotonic() - before < 30


def test_a_session_that_fails_ends_the_counting() -> None:
    """Of large tables each session may count for minutes."""

    class Failing:
        """Its first session fails while the second one counts."""

        def __init__(self) -> None:
            self.second, self.heard = threading.Event(), False
            self.asked = iter("12")

        def send(self, _command: str, _chunks: object, stop: StopSignal) -> bytes:
            """As a host's."""
            if next(self.asked) == "1":
                assert self.second.wait(20)
                raise ConnectionError
            self.second.set()
            self.heard = stop.wait(60)
            return b"1\n"

    host = Failing()
    commands = cast("Commands", type("None", (), {"load": lambda _: "mysql"})())
    with pytest.raises(ConnectionError):
        compare._rows(cast("Remote", host), commands, [("a", "b"), ("a", "c")], 2)
    assert host.heard
