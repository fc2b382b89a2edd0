"""A production host over SSH: pinned keys, binary streams both ways, stderr apart, time limits.

Built on Fabric's Connection, with its raw channel: `Connection.run()` decodes and buffers what it reads. This package
is the only place that imports fabric and paramiko, and does so only when it connects: they take long to load.
"""

import threading
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from pullagent.errors import HostError
from pullagent.host.command import TICK_S, Output, brief
from pullagent.host.connection import close, connect
from pullagent.host.failures import named_errors
from pullagent.host.login import Limits, Login
from pullagent.model import Address, StopSignal

if TYPE_CHECKING:
    import paramiko
    from fabric import Connection

__all__ = ["Host", "Limits", "Login"]

_ASK_TICK_S = 0.2
# what may wait here, or on its way, unread; with more of it sshd's own buffer grows, and is copied for each packet
_WINDOW_BYTES = 4 << 20


class Host:
    """One connection; constructing it does no I/O, `with` connects and closes."""

    def __init__(self, login: Login, limits: Limits, stop: StopSignal) -> None:
        self.name = login.name
        self._login, self._limits, self._stop = login, limits, stop
        self._connection: Connection | None = None

    def __enter__(self) -> "Host":
        self._connection = connect(self._login, self._limits)
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            close(self._connection)
            self._connection = None

    def open(self, command: str, good: tuple[int, ...] = (0,)) -> "Output":
        """Start a command whose output is to be read as it comes."""
        channel = self._channel(command)
        # a program that reads its input must meet its end, not wait
        channel.shutdown_write()
        return Output(channel, command, good, self.name, self._limits, self._stop)

    def read(self, command: str, limit: int = 16 << 20) -> bytes:
        """All that a command writes to its standard output, at most `limit` bytes; HostError when it is more."""
        # not a list of parts: a host may send a byte at a time
        answer = bytearray()
        with self.open(command) as output:
            for chunk in output:
                answer += chunk
                if len(answer) > limit:
                    raise HostError(f"{self.name}: an answer is longer than {limit} bytes: {brief(command)}")
        return bytes(answer)

    def send(self, command: str, chunks: Iterable[bytes], stop: StopSignal | None = None) -> bytes:
        """Run a command with `chunks` as its standard input; what it wrote to standard output (the last 64 KiB).

        `stop` ends this command alone; without it the host's own signal does.
        """
        without_stall = Limits(self._limits.connect_s, self._limits.total_s, self._limits.total_s)
        with Output(self._channel(command), command, (0,), self.name, without_stall, stop or self._stop) as output:
            return output.feed(chunks)

    def converse(self, command: str, chunks: Iterable[bytes], stop: StopSignal | None = None) -> "Output":
        """Start a command that reads `chunks`, as they come, while its output is read."""
        output = Output(self._channel(command), command, (0,), self.name, self._limits, stop or self._stop)
        output.hear(chunks)
        return output

    def to(self, address: Address) -> "AbstractContextManager[Host]":
        """Another account or server, with the same key and the same pinned host keys; itself where it is the same."""
        own = self._login.address
        user, port = address.user or own.user, address.port or 22
        if (address.host, port, user) == (own.host, self._login.port, own.user):
            return nullcontext(self)
        there = Address(address.host, port, user)
        login = replace(self._login, name=there.place, address=there, gateway=None)
        return Host(login, self._limits, self._stop)

    def _channel(self, command: str) -> "paramiko.Channel":
        assert self._connection is not None, "used outside its with block"
        self._stop.check()
        from pullagent.host.buffer import Pieces

        with named_errors(self._login):
            channel: paramiko.Channel = self._connection.transport.open_session(
                window_size=_WINDOW_BYTES, timeout=self._limits.connect_s
            )
            channel.settimeout(TICK_S)
            channel.in_buffer = Pieces()  # type: ignore[assignment]
            self._execute(channel, command)
        return channel

    def _execute(self, channel: "paramiko.Channel", command: str) -> None:
        """Ask for the command; the library waits for the answer without end, and would not hear of a stop."""
        failed: list[Exception] = []

        def ask() -> None:
            try:
                channel.exec_command(command)
            except Exception as error:
                failed.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        deadline = time.monotonic() + self._limits.connect_s
        while asking.is_alive():
            asking.join(_ASK_TICK_S)
            if self._stop.is_set() or (asking.is_alive() and time.monotonic() > deadline):
                channel.close()
                self._stop.check()
                raise HostError(
                    f"{self.name}: sshd does not start the command: {brief(command)}", "is the host overloaded?"
                )
        if failed:
            raise failed[0]
