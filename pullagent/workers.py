"""Threads that work side by side, and end with whoever waits for them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from pullagent.model import StopSignal


@contextmanager
def workers(count: int, name: str, stop: StopSignal) -> Iterator[ThreadPoolExecutor]:
    """A pool of `count` threads; the block's end waits for what they do.

    Whatever ends the block early first sets `stop`, of which they must hear, and begins nothing more.
    """
    with ThreadPoolExecutor(max_workers=count, thread_name_prefix=name) as pool:
        try:
            yield pool
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
