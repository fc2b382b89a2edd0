"""An SSH server on loopback that breaks the protocol, each time in one way."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

import paramiko
from paramiko.common import (
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_EXT_INFO,
    MSG_USERAUTH_BANNER,
    OPEN_SUCCEEDED,
    cMSG_CHANNEL_DATA,
)
from paramiko.server import InteractiveQuery

_PART = bytes(32 << 10)
_LARGEST = 64 << 20

Act = Callable[[paramiko.Transport, paramiko.Channel], None]


def message(kind: int, *fields: int | bytes | str) -> paramiko.Message:
    """An SSH message of these fields."""
    made = paramiko.Message()
    made.add_byte(bytes([kind]))
    for field in fields:
        made.add_int(field) if isinstance(field, int) else made.add_string(field)
    return made


def ignores_window(transport: paramiko.Transport, channel: paramiko.Channel) -> None:
    """Output without end, whatever the client has room for."""
    while transport.is_active():
        transport._send_user_message(message(MSG_CHANNEL_DATA, channel.remote_chanid, _PART))  # type: ignore[attr-defined]


def ignores_window_of_stderr(transport: paramiko.Transport, channel: paramiko.Channel) -> None:
    """The same on standard error, after one byte that the client waits to see followed."""
    while transport.is_active():
        transport._send_user_message(message(MSG_CHANNEL_EXTENDED_DATA, channel.remote_chanid, 1, _PART))  # type: ignore[attr-defined]


def lies_about_lengths(transport: paramiko.Transport, channel: paramiko.Channel) -> None:
    """Small messages that claim to hold almost a mebibyte each."""
    claim = struct.pack(">I", (1 << 20) - 1)
    while transport.is_active():
        lie = paramiko.Message(cMSG_CHANNEL_DATA + struct.pack(">I", channel.remote_chanid) + claim + b"x")
        lie.packet.seek(0, 2)
        transport._send_user_message(lie)  # type: ignore[attr-defined]


def sends_a_huge_packet(transport: paramiko.Transport, channel: paramiko.Channel) -> None:
    """One message of 64 MiB."""
    transport._send_user_message(message(MSG_CHANNEL_DATA, channel.remote_chanid, bytes(_LARGEST)))  # type: ignore[attr-defined]


def claims_extensions(transport: paramiko.Transport, _: paramiko.Channel) -> None:
    """A list of four billion extensions, which is empty."""
    transport._send_user_message(message(MSG_EXT_INFO, 0xFFFFFFFF))  # type: ignore[attr-defined]


def sends_an_unknown_message(transport: paramiko.Transport, _: paramiko.Channel) -> None:
    """A message of a type that there is not."""
    transport._send_user_message(message(250))  # type: ignore[attr-defined]


def writes_a_byte_at_a_time(transport: paramiko.Transport, channel: paramiko.Channel) -> None:
    """Output that keeps the window, in messages of one byte."""
    while transport.is_active():
        channel.send(b"x")


class _Server(paramiko.ServerInterface):
    """Lets every key in, or only half-way with `questions`, or `hangs_up` on it; answers a command by `act`."""

    def __init__(self, transport: paramiko.Transport, act: Act | None, questions: str, hangs_up: bool) -> None:
        self._transport, self._act, self._questions, self._hangs_up = transport, act, questions, hangs_up

    def get_allowed_auths(self, username: str) -> str:
        return "keyboard-interactive" if self._questions else "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if self._hangs_up:
            self._transport.sock.close()
        if self._questions:
            return paramiko.AUTH_PARTIALLY_SUCCESSFUL  # type: ignore[attr-defined, no-any-return]
        for _ in range(200):
            self._transport._send_message(message(MSG_USERAUTH_BANNER, b"\x1b]0;owned\x07" + _PART, ""))  # type: ignore[attr-defined]
        return paramiko.AUTH_SUCCESSFUL  # type: ignore[attr-defined, no-any-return]

    def check_auth_interactive(self, username: str, submethods: str) -> "int | InteractiveQuery":
        return InteractiveQuery(self._questions, self._questions, f"{self._questions}: ")

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if self._act is not None:
            threading.Thread(target=self._run, args=(channel,), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel) -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            assert self._act is not None
            self._act(self._transport, channel)


class HostileSshd:
    """One server: `raw` is said in place of SSH over and over; else every command is answered by `act`.

    With `questions` a key is not enough: the client is asked that text. With `hangs_up` a key ends the connection.
    """

    def __init__(
        self,
        act: Act | None = None,
        *,
        raw: tuple[bytes, bytes] | None = None,
        questions: str = "",
        hangs_up: bool = False,
    ) -> None:
        self._act, self._raw, self._questions, self._hangs_up = act, raw, questions, hangs_up
        self._key = paramiko.ECDSAKey.generate()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._open: list[socket.socket | paramiko.Transport] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def known_hosts_line(self) -> str:
        """The line that pins it."""
        return f"[127.0.0.1]:{self.port} {self._key.get_name()} {self._key.get_base64()}\n"

    def __enter__(self) -> "HostileSshd":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._open:
            connection.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if self._raw is None:
                self._speak_ssh(connection)
            else:
                threading.Thread(target=self._flood, args=(connection, *self._raw), daemon=True).start()

    def _speak_ssh(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(self._key)
        self._open.append(transport)
        with suppress(OSError, EOFError, paramiko.SSHException):
            transport.start_server(threading.Event(), _Server(transport, self._act, self._questions, self._hangs_up))

    def _flood(self, connection: socket.socket, first: bytes, then: bytes) -> None:
        self._open.append(connection)
        with suppress(OSError):
            connection.sendall(first)
            while True:
                connection.sendall(then)
