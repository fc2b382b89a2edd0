"""Tests for the socket below an SSH connection: how it is read, and how it sends."""

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.host.bounds import BoundedTransport, ReadAhead


@pytest.fixture
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as here:
        there, _ = listener.accept()
        with there:
            yield here, there


def test_small_requests_do_not_wait(connected: tuple[socket.socket, socket.socket]) -> None:
    """A request is sent at once, also while what went before it is not acknowledged yet."""
    here, _ = connected
    BoundedTransport(here)
    assert here.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@given(st.binary(min_size=1, max_size=400_000), st.lists(st.integers(1, 40_000), min_size=1))
def test_what_is_read_ahead_comes_in_order(data: bytes, counts: list[int]) -> None:
    """However much is asked for at a time, all that was sent comes, never more at once, and then the end."""
    here, there = socket.socketpair()
    with here, there:
        ahead = ReadAhead(here)

        def send() -> None:
            there.sendall(data)
            there.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        found, turn = bytearray(), 0
        while part := ahead.recv(counts[turn % len(counts)]):
            assert len(part) <= counts[turn % len(counts)]
            found += part
            turn += 1
        sender.join()
    assert found == data
