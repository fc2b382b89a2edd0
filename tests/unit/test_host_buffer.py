"""Tests for the buffer between a connection's thread and whoever reads its output."""

import threading
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paramiko.buffered_pipe import PipeTimeout

from pullagent.host.buffer import Pieces


@given(st.lists(st.binary(min_size=1, max_size=40_000), max_size=20), st.integers(1, 300_000))
def test_what_was_fed_is_read_in_order(pieces: list[bytes], at_once: int) -> None:
    """Pieces of any size come out as the same bytes, never more at once than asked for, and then nothing."""
    buffer = Pieces()
    for piece in pieces:
        buffer.feed(piece)
    assert len(buffer) == sum(map(len, pieces))
    buffer.close()
    read = list(iter(lambda: buffer.read(at_once), b""))
    assert b"".join(read) == b"".join(pieces)
    assert all(len(chunk) <= at_once for chunk in read)
    assert len(buffer) == 0
    assert not buffer.read_ready()


def test_an_empty_one_times_out() -> None:
    """Whoever reads gets to look at its limits while nothing comes."""
    begun = time.monotonic()
    with pytest.raises(PipeTimeout):
        Pieces().read(10, 0.05)
    assert time.monotonic() - begun < 5


def test_a_little_is_given_before_long() -> None:
    """A few bytes do not wait for more to come."""
    buffer = Pieces()
    buffer.feed(b"abc")
    begun = time.monotonic()
    assert buffer.read(1 << 20, 60) == b"abc"
    assert time.monotonic() - begun < 5


def test_closing_wakes_whoever_waits() -> None:
    """The end of the output, or of the connection, is met at once."""
    buffer, read = Pieces(), list[bytes]()
    waiting = threading.Thread(target=lambda: read.append(buffer.read(10, 60)), daemon=True)
    waiting.start()
    buffer.close()
    waiting.join(5)
    assert read == [b""]


def test_single_bytes_take_no_more_memory_than_they_are() -> None:
    """A host that sends a byte at a time fills the window with bytes, not with objects."""
    buffer = Pieces()
    tracemalloc.start()
    try:
        for number in range(100_000):
            buffer.feed(bytes([number % 256]))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 200_000
    assert len(buffer) == 100_000
