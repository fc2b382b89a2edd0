"""Opens Fabric connections: pinned keys only, AES-GCM first, nothing of the user's own configuration."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pullagent.errors import ConfigError
from pullagent.host.failures import named_errors
from pullagent.host.login import Limits, Login

if TYPE_CHECKING:
    import paramiko
    from fabric import Connection

_KEEPALIVE_S = 15
_DEAD_PEER_MS = 60_000
_GCM = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


@contextmanager
def gateway_connection(login: Login, limits: Limits) -> "Iterator[Connection | None]":
    if login.gateway is None:
        yield None
        return
    connection = connect(login.gateway, limits)
    try:
        yield connection
    finally:
        connection.close()


def connect(login: Login, limits: Limits) -> "Connection":
    connection = _connection(login, limits)
    with named_errors(login):
        try:
            if connection.gateway is not None and login.gateway is not None:
                with named_errors(login.gateway):
                    _open(connection.gateway)
                    _keep_alive(connection.gateway)
            _open(connection)
            _keep_alive(connection)
        except BaseException:
            close(connection)
            raise
    return connection


def _open(connection: "Connection") -> None:
    """Connect and log in. What the server said of a key goes before what the library says of its file afterwards, for
    it also tries to read it as keys of the other types.
    """
    import paramiko

    from pullagent.host.bounds import BoundedTransport

    try:
        connection.open()
    except paramiko.SSHException as error:
        transport = connection.client.get_transport()
        refused = isinstance(transport, BoundedTransport) and transport.refusal
        if refused and not isinstance(error, paramiko.AuthenticationException):
            raise refused from error
        raise


def _connection(login: Login, limits: Limits) -> "Connection":
    import paramiko
    from fabric import Config, Connection

    for file in login.key_files:
        if not os.access(file, os.R_OK):
            if os.access(file, os.F_OK):
                hint = (
                    "run it as root, who becomes the store's owner with the key in hand; or systemctl start pullagent"
                )
                raise ConfigError(f"SSH key {file}: this user cannot read it", hint)
            raise ConfigError(
                f"SSH key {file}: it does not exist or cannot be read",
                f"make one: ssh-keygen -t ed25519 -N '' -f {file}",
            )
    connection = Connection(
        host=login.address.host,
        user=login.address.user,
        port=login.port,
        # lazy: neither ~/.fabric.yml nor ~/.ssh/config may redirect a backup
        config=Config(lazy=True),
        gateway=_connection(login.gateway, limits) if login.gateway else None,
        forward_agent=False,
        connect_timeout=max(1, round(limits.connect_s)),
        connect_kwargs={
            "key_filename": [str(file) for file in login.key_files],
            "allow_agent": login.agent,
            # the library would also take what lies in ~/.ssh, were it the key that may only pull
            "look_for_keys": False,
            "banner_timeout": limits.connect_s,
            "auth_timeout": limits.connect_s,
            "channel_timeout": limits.connect_s,
            "transport_factory": _prefer_gcm,
        },
    )
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    load_known_hosts(login, connection.client.get_host_keys())
    return connection


def load_known_hosts(login: Login, into: "paramiko.HostKeys") -> None:
    """Read the pinned keys; none when the file does not exist, ConfigError when it cannot be read."""
    try:
        into.load(str(login.known_hosts))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"known_hosts {login.known_hosts}: {error}", "it is a file of lines as `ssh-keyscan` writes them"
        ) from error


def _prefer_gcm(*arguments: Any, **options: Any) -> "paramiko.Transport":
    """A bounded transport that offers AES-GCM first: half as fast again as paramiko's own first choice."""
    from pullagent.host.bounds import BoundedTransport

    transport = BoundedTransport(*arguments, **options)
    security = transport.get_security_options()
    security.ciphers = (*_GCM, *(c for c in security.ciphers if c not in _GCM and not c.endswith("-cbc")))
    return transport


def _keep_alive(connection: "Connection") -> None:
    """Have a dead peer noticed within about 75 s, even when nothing is expected from it for long."""
    connection.transport.set_keepalive(_KEEPALIVE_S)
    if isinstance(connection.transport.sock, socket.socket):
        connection.transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_MS)


def close(connection: "Connection") -> None:
    """End a connection, and that to its gateway, also one on which nobody came to be logged in."""
    for each in (connection, connection.gateway):
        if each is not None:
            with suppress(OSError, EOFError):
                each.close()
                # the former leaves open what did not come as far as the login
                each.client.close()
