"""The key that a host shows, and those pinned for it."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pullagent.host.connection import gateway_connection, load_known_hosts
from pullagent.host.failures import named_errors
from pullagent.host.login import Limits, Login


@dataclass(frozen=True)
class HostKey:
    """A host's public key: its type, its SHA-256 fingerprint (`SHA256:…`), and its line for known_hosts."""

    kind: str
    fingerprint: str
    line: str

    @property
    def compare(self) -> str:
        """What shows the same fingerprint when typed on the host's own console."""
        return f"ssh-keygen -lf /etc/ssh/ssh_host_{_file_kind(self.kind)}_key.pub"


def _file_kind(kind: str) -> str:
    """How sshd's files call a type of key: `ecdsa` for `ecdsa-sha2-nistp256`."""
    return kind.removeprefix("ssh-").split("-")[0]


def fetch_host_key(login: Login, limits: Limits, kinds: Sequence[str] = ()) -> HostKey:
    """The key a host shows, without logging in: of one of `kinds` if it has such, as a host may have several.

    HostError when it cannot be reached.
    """
    from pullagent.host.bounds import BoundedTransport

    with named_errors(login), gateway_connection(login, limits) as gateway:
        if gateway is None:
            sock: Any = socket.create_connection((login.address.host, login.port), timeout=limits.connect_s)
        else:
            sock = gateway.transport.open_channel(
                "direct-tcpip", (login.address.host, login.port), ("", 0), timeout=limits.connect_s
            )
        transport = BoundedTransport(sock)
        try:
            transport.banner_timeout = limits.connect_s
            security = transport.get_security_options()
            # rsa-sha2-… are signatures by an ssh-rsa key
            first = [k for k in security.key_types if k in kinds or (k.startswith("rsa-sha2-") and "ssh-rsa" in kinds)]
            security.key_types = (*first, *(k for k in security.key_types if k not in first))
            transport.start_client(timeout=limits.connect_s)
            key = transport.get_remote_server_key()
        finally:
            transport.close()
    return HostKey(key.get_name(), key.fingerprint, f"{login.known_hosts_name} {key.get_name()} {key.get_base64()}")


def pinned_keys(login: Login) -> list[HostKey]:
    """The keys pinned for this host in known_hosts; none when the file does not exist."""
    import paramiko

    keys = paramiko.HostKeys()
    load_known_hosts(login, keys)
    found: Mapping[str, paramiko.PKey] = keys.lookup(login.known_hosts_name) or {}
    return [HostKey(k, key.fingerprint, f"{login.known_hosts_name} {k} {key.get_base64()}") for k, key in found.items()]


def lines_without(login: Login, lines: list[str]) -> list[str]:
    """Lines of known_hosts less what they pin for this host: by its name among others, or by its hash."""
    import paramiko

    kept = []
    for line in lines:
        keys = paramiko.HostKeys()
        try:
            entry = paramiko.hostkeys.HostKeyEntry.from_line(line)
        except paramiko.hostkeys.InvalidHostKey:
            entry = None
        if entry is None:
            kept.append(line)
            continue
        others = []
        for name in entry.hostnames:
            keys.clear()
            keys.add(name, entry.key.get_name(), entry.key)
            if not keys.lookup(login.known_hosts_name):
                others.append(name)
        if others:
            kept.append(f"{','.join(others)} {line.split(None, 1)[1]}")
    return kept
