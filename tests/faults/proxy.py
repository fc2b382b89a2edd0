"""A TCP proxy on loopback that fails at a given byte: between the agent and a production host."""

import select
import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

KINDS = ("close", "reset", "stall", "blackhole")
"""End of file to both sides; a reset to the agent; no byte more; no byte more, and no new connection either."""
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards to `port` on loopback until it has carried `at` bytes to the agent (or from it), then fails as `kind`.

    `at` None: never. With `once`, only the first connection meets the fault. `carried` counts what went to the agent
    and from it.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._target = port
        self._listener = socket.create_server((host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._stuck = threading.Event()
        self.arm(None, "close")

    def arm(self, at: int | None, kind: str, upwards: bool = False) -> None:
        """Fail next at this byte of what the agent is sent, or sends (`upwards`)."""
        self.release()
        self._at, self._kind, self._upwards = at, kind, upwards
        self.carried = {False: 0, True: 0}
        self._stuck = threading.Event()

    def release(self) -> None:
        """End every connection that hangs."""
        self._stuck.set()
        open_now, self._open = self._open, []
        for connection in open_now:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # wakes the thread that waits for connections
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.release()

    def _accept(self) -> None:
        while True:
            try:
                agent, _ = self._listener.accept()
            except OSError:
                return
            if self._kind == "blackhole" and self._failed():
                # taken by the kernel, and never answered
                self._open.append(agent)
                continue
            try:
                host = socket.create_connection(("127.0.0.1", self._target), 10)
            except OSError:
                agent.close()
                continue
            host.settimeout(None)
            self._open += [agent, host]
            for source, sink, upwards in ((host, agent, False), (agent, host, True)):
                threading.Thread(target=self._carry, args=(source, sink, upwards, agent), daemon=True).start()

    def _failed(self) -> bool:
        return self._at is not None and self.carried[self._upwards] >= self._at

    def _carry(self, source: socket.socket, sink: socket.socket, upwards: bool, agent: socket.socket) -> None:
        stuck = self._stuck
        # ValueError: the other thread has just closed it
        with suppress(OSError, ValueError):
            while data := self._receive(source, agent):
                if upwards == self._upwards and self._at is not None:
                    data = data[: max(0, self._at - self.carried[upwards])]
                self.carried[upwards] += len(data)
                sink.sendall(data)
                if self._failed():
                    self._fail(agent, stuck)
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _receive(source: socket.socket, agent: socket.socket) -> bytes:
        """The next bytes; never blocks for long, since a reset is not sent while somebody still reads."""
        while not select.select([source], [], [], 0.02)[0]:
            if agent.fileno() < 0:
                return b""
        return source.recv(65_536)

    def _fail(self, agent: socket.socket, stuck: threading.Event) -> None:
        if self._kind in ("stall", "blackhole"):
            stuck.wait(300)
        elif self._kind == "reset":
            agent.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            agent.close()
