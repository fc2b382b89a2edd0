"""How to log in: the timer's pull login for a host of hosts.toml, an operator's own for a restore target."""

import getpass
from pathlib import Path

from pullagent import config as configs
from pullagent.config import Config
from pullagent.errors import ConfigError, UsageError
from pullagent.host import Limits, Login
from pullagent.host.login import read_ssh_config
from pullagent.model import Address


def pull_login(config: Config, host: configs.Host) -> Login:
    """The pull login of a host: its account, the pull key, pinned keys, and its gateway with the same key."""
    keys = (host.identity_file,)
    gateway = None
    if host.gateway is not None:
        jump = Address(host.gateway.host, host.gateway.port, host.gateway.user or host.user)
        gateway = Login(host.gateway.host, jump, config.known_hosts, keys)
    return Login(host.name, Address(host.address, host.port, host.user), config.known_hosts, keys, gateway=gateway)


def operator_login(config: Config, target: str, ssh_key: Path | None, ssh_config: Path | None) -> Login:
    """Login to `[USER@]HOST[:PORT]` as an operator: `ssh_key`, or the agent and ~/.ssh; HOST may be a hosts.toml name.

    The pull key is never used unless it is given as `ssh_key`. What stands in `target` goes before hosts.toml, and
    that before `ssh_config`.
    """
    typed = Address.parse(target)
    known = config.hosts.get(typed.host)
    host, port, gateway = typed.host, typed.port, None
    if known is not None:
        host, port, gateway = known.address, typed.port or known.port, known.gateway
    user, keys = typed.user, [ssh_key] if ssh_key else []
    if ssh_config is not None:
        settings = read_ssh_config(ssh_config, typed.host)
        host = host if known is not None else settings.host
        port, user = port or settings.port, user or settings.user
        keys += settings.key_files
        gateway = gateway or settings.gateway
    own = ssh_key is None
    user = user or getpass.getuser()
    jump = None
    if gateway is not None:
        at = Address(gateway.host, gateway.port, gateway.user or user)
        jump = Login(gateway.host, at, config.known_hosts, tuple(keys), own)
    return Login(typed.host, Address(host, port, user), config.known_hosts, tuple(keys), own, jump)


def trust_login(config: Config, target: str) -> Login:
    """Where `trust` looks for a host's key; nobody logs in there, except to a gateway on the way."""
    known = config.hosts.get(target)
    if known is not None:
        return pull_login(config, known)
    try:
        address = Address.parse(target)
    except UsageError as error:
        raise ConfigError(error.message, f"hosts in {config.path}: {', '.join(config.hosts)}") from error
    return Login(target, Address(address.host, address.port, address.user or getpass.getuser()), config.known_hosts)


def limits(config: Config) -> Limits:
    """The time limits of hosts.toml."""
    return Limits(config.ssh.connect_timeout_s, config.ssh.stall_s, config.ssh.total_s)
