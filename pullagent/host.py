"""A production host over SSH: pinned keys, binary streams both ways, stderr apart, time limits.

Built on Fabric's Connection, with its raw channel: `Connection.run()` decodes and buffers what it reads. The
user's own SSH and Fabric configuration is never read. The only place that imports fabric and paramiko.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pullagent.errors import CommandFailed, ConfigError, ConnectionLost, HostError, HostKeyError, Stopped
from pullagent.model import Address, StopSignal

if TYPE_CHECKING:
    import paramiko
    from fabric import Connection

CHUNK = 1 << 20
STDERR_KEPT = 64 << 10
_PACKET = 32 << 10
_TICK_S = 1.0
_KEEPALIVE_S = 15
_DEAD_PEER_MS = 60_000
_GCM = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


@dataclass(frozen=True)
class Limits:
    """Seconds: until a connection stands; without a byte once bytes flow (pulls only); for a whole command."""

    connect_s: float = 10
    stall_s: float = 300
    total_s: float = 12 * 3600


@dataclass(frozen=True)
class Login:
    """Where, as whom and with which keys to log in.

    `name` is what messages and hints call the host. `own_keys` adds the caller's SSH agent and ~/.ssh keys, for
    operators; the timer's pulls use `key_files` alone.
    """

    name: str
    address: Address
    known_hosts: Path
    key_files: tuple[Path, ...] = ()
    own_keys: bool = False
    gateway: "Login | None" = None

    @property
    def port(self) -> int:
        """The TCP port."""
        return self.address.port or 22

    def __str__(self) -> str:
        return f"{self.address.user}@{self.address.host}:{self.port}"


class Host:
    """One connection; constructing it does no I/O, `with` connects and closes."""

    def __init__(self, login: Login, limits: Limits, stop: StopSignal) -> None:
        self.name = login.name
        self._login, self._limits, self._stop = login, limits, stop
        self._connection: Connection | None = None

    def __enter__(self) -> "Host":
        self._connection = _connect(self._login, self._limits)
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            _close(self._connection)
            self._connection = None

    def open(self, command: str, good: tuple[int, ...] = (0,)) -> "Output":
        """Start a command whose output is to be read as it comes."""
        return Output(self._channel(command), command, good, self.name, self._limits, self._stop)

    def read(self, command: str, limit: int = 16 << 20) -> bytes:
        """All that a command writes to its standard output, at most `limit` bytes; HostError when it is more."""
        parts, count = [], 0
        with self.open(command) as output:
            for chunk in output:
                parts.append(chunk)
                count += len(chunk)
                if count > limit:
                    raise HostError(f"{self.name}: an answer is longer than {limit} bytes: {_brief(command)}")
        return b"".join(parts)

    def send(self, command: str, chunks: Iterable[bytes]) -> bytes:
        """Run a command with `chunks` as its standard input; what it wrote to standard output (the last 64 KiB)."""
        without_stall = Limits(self._limits.connect_s, self._limits.total_s, self._limits.total_s)
        with Output(self._channel(command), command, (0,), self.name, without_stall, self._stop) as output:
            return output.feed(chunks)

    def _channel(self, command: str) -> "paramiko.Channel":
        assert self._connection is not None, "used outside its with block"
        self._stop.check()
        with _named_errors(self._login):
            channel: paramiko.Channel = self._connection.transport.open_session(timeout=self._limits.connect_s)
            channel.settimeout(_TICK_S)
            channel.exec_command(command)
        return channel


class Output:
    """A running remote command. Iterating yields its output and ends only if it ended with a good status."""

    def __init__(
        self,
        channel: "paramiko.Channel",
        command: str,
        good: tuple[int, ...],
        name: str,
        limits: Limits,
        stop: StopSignal,
    ) -> None:
        self._channel, self._command, self._good, self._name = channel, command, good, name
        self._limits, self._stop = limits, stop
        self._begun = time.monotonic()
        self._last_byte: float | None = None
        self._stderr = b""
        self.status: int | None = None
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    @property
    def stderr(self) -> str:
        """The last 64 KiB that the command wrote to standard error; whole once the stream has ended."""
        return self._stderr.decode(errors="replace")

    def __iter__(self) -> Iterator[bytes]:
        try:
            while chunk := self._receive():
                self._last_byte = time.monotonic()
                yield chunk
            self._expect_good_end()
        finally:
            self._channel.close()

    def feed(self, chunks: Iterable[bytes]) -> bytes:
        """Write `chunks` to the command's input, close it, wait for the good end; the tail of its output."""
        tail = _Tail(self._receive)
        tail.start()
        try:
            for chunk in chunks:
                self._transmit(memoryview(chunk))
            self._channel.shutdown_write()
        except (OSError, EOFError) as error:
            # the command ended before it had read all: its status says more than the broken pipe
            self._expect_good_end()
            raise ConnectionLost(
                f"{self._name}: the command ended before it had read everything: {_brief(self._command)}"
            ) from error
        tail.join()
        if tail.error is not None:
            raise tail.error
        self._expect_good_end()
        return tail.data

    def _transmit(self, view: memoryview) -> None:
        # in pieces of one packet: Channel.sendall() copies what is left after each packet
        while view:
            try:
                view = view[self._channel.send(bytes(view[:_PACKET])) :]
            except TimeoutError:
                self._check_limits()

    def _receive(self) -> bytes:
        while True:
            try:
                return bytes(self._channel.recv(CHUNK))
            except TimeoutError:
                self._check_limits()

    def _listen(self) -> None:
        while True:
            try:
                text = self._channel.recv_stderr(_PACKET)
            except TimeoutError:
                continue
            except OSError:
                return
            if not text:
                return
            self._last_byte = time.monotonic()
            self._stderr = (self._stderr + text)[-STDERR_KEPT:]

    def _check_limits(self) -> None:
        self._stop.check()
        now = time.monotonic()
        if self._last_byte is not None and now - self._last_byte > self._limits.stall_s:
            raise ConnectionLost(
                f"{self._name}: no byte came for {self._limits.stall_s:.0f} s",
                "is the host or the network stuck? The limit is [ssh] stall_s",
            )
        if now - self._begun > self._limits.total_s:
            raise ConnectionLost(
                f"{self._name}: the command took longer than {self._limits.total_s:.0f} s: {_brief(self._command)}",
                "the limit is [ssh] total_s",
            )

    def _expect_good_end(self) -> None:
        deadline = time.monotonic() + self._limits.stall_s
        while not self._channel.status_event.wait(_TICK_S):
            self._stop.check()
            if time.monotonic() > deadline:
                raise ConnectionLost(
                    f"{self._name}: the command closed its output, but does not end: {_brief(self._command)}"
                )
        self._listener.join(_KEEPALIVE_S)
        self.status = self._channel.exit_status
        if self.status in self._good:
            return
        said = self.stderr.strip()
        words = f": {said[-2000:]}" if said else ""
        if self.status == -1:
            transport = self._channel.get_transport()
            if not transport.is_active():
                raise ConnectionLost(
                    f"{self._name}: the connection was lost{words}",
                    "nothing was stored from it; run again once the host is back",
                )
            raise CommandFailed(
                f"{self._name}: killed by a signal: {_brief(self._command)}{words}", _OOM_HINT, status=-1, stderr=said
            )
        hint = _OOM_HINT if self.status == 137 else ""
        raise CommandFailed(
            f"{self._name}: status {self.status} from {_brief(self._command)}{words}",
            hint,
            status=self.status,
            stderr=said,
        )


_OOM_HINT = "out of memory there?  journalctl -k | grep -i 'killed process'"


class _Tail(threading.Thread):
    """Reads a command's output to its end while its input is being written; keeps the last 64 KiB."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        super().__init__(daemon=True)
        self._receive = receive
        self.data = b""
        self.error: Exception | None = None

    def run(self) -> None:
        """Read until the end."""
        try:
            while chunk := self._receive():
                self.data = (self.data + chunk)[-STDERR_KEPT:]
        except (OSError, HostError, Stopped) as error:
            self.error = error


@dataclass(frozen=True)
class HostKey:
    """A host's public key: its type, its SHA-256 fingerprint (`SHA256:…`), and its line for known_hosts."""

    kind: str
    fingerprint: str
    line: str


def fetch_host_key(login: Login, limits: Limits) -> HostKey:
    """The key a host shows, without logging in. HostError when it cannot be reached."""
    import paramiko

    with _named_errors(login), _gateway_connection(login, limits) as gateway:
        if gateway is None:
            sock: Any = socket.create_connection((login.address.host, login.port), timeout=limits.connect_s)
        else:
            sock = gateway.transport.open_channel(
                "direct-tcpip", (login.address.host, login.port), ("", 0), timeout=limits.connect_s
            )
        transport = paramiko.Transport(sock)
        try:
            transport.banner_timeout = limits.connect_s
            transport.start_client(timeout=limits.connect_s)
            key = transport.get_remote_server_key()
        finally:
            transport.close()
    return HostKey(key.get_name(), key.fingerprint, f"{known_hosts_name(login)} {key.get_name()} {key.get_base64()}")


def pinned_keys(login: Login) -> list[HostKey]:
    """The keys pinned for this host in known_hosts; none when the file does not exist."""
    import paramiko

    if not login.known_hosts.exists():
        return []
    found: Mapping[str, paramiko.PKey] = paramiko.HostKeys(str(login.known_hosts)).lookup(known_hosts_name(login)) or {}
    return [
        HostKey(k, key.fingerprint, f"{known_hosts_name(login)} {k} {key.get_base64()}") for k, key in found.items()
    ]


def known_hosts_name(login: Login) -> str:
    """How known_hosts names this host: with its port unless that is 22."""
    return login.address.host if login.port == 22 else f"[{login.address.host}]:{login.port}"


@dataclass(frozen=True)
class SshSettings:
    """What an OpenSSH client configuration says of one host."""

    host: str
    port: int | None
    user: str | None
    key_files: list[Path]
    gateway: Address | None


def read_ssh_config(path: Path, name: str) -> SshSettings:
    """HostName, Port, User, IdentityFile and ProxyJump of `name`; ConfigError for what cannot be followed."""
    import paramiko

    try:
        found = paramiko.SSHConfig.from_path(str(path)).lookup(name)
    except (OSError, paramiko.SSHException) as error:
        raise ConfigError(f"{path}: {error}") from error
    if "proxycommand" in found:
        raise ConfigError(f"{path}: ProxyCommand is not supported", "use ProxyJump")
    jump = found.get("proxyjump")
    return SshSettings(
        host=found["hostname"],
        port=int(found["port"]) if "port" in found else None,
        user=found.get("user"),
        key_files=[Path(file) for file in found.get("identityfile", [])],
        gateway=None if jump in (None, "none") else Address.parse(jump),
    )


@contextmanager
def _gateway_connection(login: Login, limits: Limits) -> "Iterator[Connection | None]":
    if login.gateway is None:
        yield None
        return
    connection = _connect(login.gateway, limits)
    try:
        yield connection
    finally:
        connection.close()


def _connect(login: Login, limits: Limits) -> "Connection":
    connection = _connection(login, limits)
    with _named_errors(login):
        try:
            if connection.gateway is not None and login.gateway is not None:
                with _named_errors(login.gateway):
                    connection.gateway.open()
            connection.open()
            _keep_alive(connection)
        except BaseException:
            _close(connection)
            raise
    return connection


def _connection(login: Login, limits: Limits) -> "Connection":
    import paramiko
    from fabric import Config, Connection

    # without a handler Python prints the library's tracebacks to standard error
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    for file in login.key_files:
        if not os.access(file, os.R_OK):
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
            "allow_agent": login.own_keys,
            "look_for_keys": login.own_keys,
            "banner_timeout": limits.connect_s,
            "auth_timeout": limits.connect_s,
            "channel_timeout": limits.connect_s,
            "transport_factory": _prefer_gcm,
        },
    )
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    if login.known_hosts.exists():
        connection.client.load_host_keys(str(login.known_hosts))
    return connection


def _prefer_gcm(*arguments: Any, **options: Any) -> "paramiko.Transport":
    """A transport that offers AES-GCM first: half as fast again as paramiko's own first choice."""
    import paramiko

    transport = paramiko.Transport(*arguments, **options)
    security = transport.get_security_options()
    security.ciphers = (*_GCM, *(c for c in security.ciphers if c not in _GCM and not c.endswith("-cbc")))
    return transport


def _keep_alive(connection: "Connection") -> None:
    """Have a dead peer noticed within about 75 s, even when nothing is expected from it for long."""
    connection.transport.set_keepalive(_KEEPALIVE_S)
    if isinstance(connection.transport.sock, socket.socket):
        connection.transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_MS)


def _close(connection: "Connection") -> None:
    with suppress(OSError, EOFError):
        connection.close()
        if connection.gateway is not None:
            connection.gateway.close()


@contextmanager
def _named_errors(login: Login) -> Iterator[None]:
    """Turn the libraries' errors into ours, each with what to type next."""
    import paramiko

    name, where = login.name, f"{login.address.host} port {login.port}"
    try:
        yield
    except paramiko.BadHostKeyException as error:
        raise HostKeyError(
            f"{name}: the host key has changed: pinned {error.expected_key.fingerprint}, shown {error.key.fingerprint}",
            f"rebuilt VM? Compare on its console, then: pullagent trust {name} --replace.  If not: somebody is in between",
        ) from error
    except paramiko.AuthenticationException as error:
        keys = ", ".join(map(str, login.key_files)) or "the agent and ~/.ssh"
        raise HostError(
            f"{name}: login as {login.address.user} was denied (key: {keys})",
            f"is the public key in that account's authorized_keys on {name}?",
        ) from error
    except paramiko.ssh_exception.NoValidConnectionsError as error:
        raise HostError(
            f"{name}: {where} refused the connection",
            f"is sshd running there?  ssh -p {login.port} {login.address.host}",
        ) from error
    except socket.gaierror as error:
        raise HostError(
            f"{name}: the address {login.address.host!r} is not known: {error.strerror}",
            "check address in hosts.toml, or DNS",
        ) from error
    except TimeoutError as error:
        raise HostError(f"{name}: no answer from {where} in time", "is the host up?") from error
    except paramiko.ssh_exception.PasswordRequiredException as error:
        raise ConfigError(
            f"{name}: the SSH key has a passphrase", "load it into an agent, or use a key without one"
        ) from error
    except paramiko.SSHException as error:
        if "not found in known_hosts" in str(error):
            raise HostKeyError(f"{name}: the host key of {where} is not pinned", f"pullagent trust {name}") from error
        raise HostError(f"{name}: SSH failed: {error}") from error
    except (OSError, EOFError) as error:
        raise HostError(f"{name}: {where}: {str(error) or 'the connection was closed'}") from error


def _brief(command: str) -> str:
    """A command's first line, where sources say what it is for."""
    first = command.strip().splitlines()[0].removeprefix("# pullagent: ")
    return first if len(first) <= 70 else first[:69] + "…"
