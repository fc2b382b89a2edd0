"""An SSH connection that holds its peer to the protocol's limits, for a host may be hostile or broken.

paramiko buffers what the peer sends beyond its window, packets of up to 4 GB and a greeting without an end, and would
print a server's questions on the operator's terminal. Limits: RFC 4253 section 6.1, RFC 4254 section 5.2, and those of
OpenSSH (packets of 256 KiB).
"""

import logging
import socket
from typing import Any, NoReturn

import paramiko
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA
from paramiko.packet import Packetizer

# without a handler Python prints the library's tracebacks to standard error
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_PACKET_BYTES = 256 << 10
_AHEAD_BYTES = 128 << 10
_GREETING_BYTES = 64 << 10
_EXTENSIONS = 64
_STDERR = 1


class Misbehaved(paramiko.SSHException):
    """The peer does what no SSH server may do; the connection is over."""


class ReadAhead:
    """A socket read in larger parts than the library asks for: a packet would take two waits and two reads."""

    def __init__(self, own: socket.socket) -> None:
        self._own = own
        self._buffer = memoryview(bytearray(_AHEAD_BYTES))
        self._at = self._end = 0

    def recv(self, count: int) -> bytes:
        """At most `count` bytes, none at the end; as the socket's own."""
        if self._at == self._end:
            self._at, self._end = 0, self._own.recv_into(self._buffer)
        data = bytes(self._buffer[self._at : min(self._at + count, self._end)])
        self._at += len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


class _Packets(Packetizer):
    """Refuses packets and greetings that are longer than any server needs."""

    _greeting_bytes = 0

    def __init__(self, channel: Any) -> None:
        ahead: Any = ReadAhead(channel) if isinstance(channel, socket.socket) else channel
        super().__init__(ahead)

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > _PACKET_BYTES:
            raise Misbehaved(f"it sent a packet of {n} bytes")
        return bytes(super().read_all(n, check_rekey))

    def _read_timeout(self, timeout: float) -> bytes:
        # called for the greeting alone
        part = bytes(super()._read_timeout(timeout))  # type: ignore[misc]
        self._greeting_bytes += len(part)
        if self._greeting_bytes > _GREETING_BYTES:
            raise Misbehaved(f"its greeting is longer than {_GREETING_BYTES} bytes")
        return part


def _feed(channel: paramiko.Channel, message: paramiko.Message) -> None:
    channel.in_buffer.feed(_within_window(channel, message.get_binary()))


def _feed_extended(channel: paramiko.Channel, message: paramiko.Message) -> None:
    kind, data = message.get_int(), message.get_binary()
    if kind == _STDERR:
        channel.in_stderr_buffer.feed(_within_window(channel, data))


def _within_window(channel: paramiko.Channel, data: bytes) -> bytes:
    """What waits unread can never pass the window, which grows only by what was read."""
    waiting = len(channel.in_buffer) + len(channel.in_stderr_buffer) + len(data)
    if waiting > channel.in_window_size:
        raise Misbehaved(f"it sent more than the {channel.in_window_size} bytes it was allowed to")
    return data


class BoundedTransport(paramiko.Transport):
    """A transport whose memory is bounded whatever the peer sends, and on which only keys log in."""

    _channel_handler_table = paramiko.Transport._channel_handler_table | {  # type: ignore[attr-defined]
        MSG_CHANNEL_DATA: _feed,
        MSG_CHANNEL_EXTENDED_DATA: _feed_extended,
    }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"packetizer_class": _Packets})
        if isinstance(self.sock, socket.socket):
            # else each command waits 40 ms for the other side's late acknowledgement of what ended the one before it
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    refusal: paramiko.AuthenticationException | None = None
    """What the server said of the last key that it did not take."""

    def auth_publickey(self, *arguments: Any, **options: Any) -> list[str]:
        """Log in with a key, and keep what the server says against it."""
        try:
            return list(super().auth_publickey(*arguments, **options))
        except paramiko.AuthenticationException as error:
            self.refusal = error
            raise

    def _parse_ext_info(self, msg: paramiko.Message) -> None:
        count = msg.get_int()
        if count > _EXTENSIONS:
            raise Misbehaved(f"it claims {count} extensions")
        msg.rewind()
        super()._parse_ext_info(msg)  # type: ignore[misc]

    def _check_banner(self) -> None:
        try:
            super()._check_banner()  # type: ignore[misc]
        except paramiko.SSHException as error:
            if isinstance(error.__context__, Misbehaved):
                raise error.__context__ from None
            raise

    def get_exception(self) -> Exception | None:
        """What ended the connection; what is none of the library's own errors came of a message it could not read."""
        error = super().get_exception()
        if error is None or isinstance(error, paramiko.SSHException | OSError | EOFError):
            return error
        return Misbehaved(f"a message of it cannot be read: {error!r:.200}")

    def auth_interactive_dumb(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: a server's questions would be printed as they are, and answered by whoever sits there."""
        raise paramiko.AuthenticationException("the server asks for more than a key")
