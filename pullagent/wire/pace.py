"""A limit to how fast a host is read, for all its streams together."""

import threading
import time
from collections.abc import Callable, Mapping

from pullagent.model import StopSignal


class Pace:
    """Holds readers back to `bytes_per_s` on average; what was not used is not made up for.

    A reader waits for what it read itself, and for the others' turns before: never long enough for a database server
    to give its dump up (60 s), as long as the rate is at least 0.1 MB/s, and readers are few (a dozen then): the host
    may go on each time that a tenth of SSH's window, 0.4 MiB, was read.
    """

    def __init__(self, bytes_per_s: float, stop: StopSignal, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._stop, self._clock = bytes_per_s, stop, clock
        self._free_at = 0.0
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Wait until `count` bytes that were read may be followed by more; Stopped as soon as a stop is asked for."""
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now) + count / self._rate
            pause = self._free_at - now
        self._stop.wait(pause)
        self._stop.check()


def paces(bytes_per_s: Mapping[str, float | None], stop: StopSignal) -> dict[str, Pace]:
    """A pace for each host, by name, that has a limit."""
    return {name: Pace(rate, stop) for name, rate in bytes_per_s.items() if rate}
