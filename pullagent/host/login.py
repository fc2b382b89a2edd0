"""Where, as whom and with which keys to log in, and how long anything may take."""

from dataclasses import dataclass
from pathlib import Path

from pullagent.errors import ConfigError
from pullagent.model import Address


@dataclass(frozen=True)
class Limits:
    """Seconds: until a connection stands; without a byte once bytes flow (pulls only); for a whole command."""

    connect_s: float = 10
    stall_s: float = 300
    total_s: float = 12 * 3600


@dataclass(frozen=True)
class Login:
    """Where, as whom and with which keys to log in.

    `name` is what messages and hints call the host. `agent` lets the caller's SSH agent log in too, for operators; the
    timer's pulls use `key_files` alone.
    """

    name: str
    address: Address
    known_hosts: Path
    key_files: tuple[Path, ...] = ()
    agent: bool = False
    gateway: "Login | None" = None

    @property
    def port(self) -> int:
        """The TCP port."""
        return self.address.port or 22

    def __str__(self) -> str:
        return f"{self.address.user}@{self.address.host}:{self.port}"

    @property
    def known_hosts_name(self) -> str:
        """How known_hosts names this host: with its port unless that is 22."""
        return self.address.host if self.port == 22 else f"[{self.address.host}]:{self.port}"


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
