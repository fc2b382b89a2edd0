"""How to log in: the timer's pull login for a host of hosts.toml, an operator's own for a restore target."""

import getpass
import os
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
    gateway = _gateway(config, host.gateway, host.user, keys) if host.gateway else None
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
    agent = ssh_key is None
    if agent:
        keys += _own_keys(config)
    user = user or _caller()
    jump = _gateway(config, gateway, user, tuple(keys), agent) if gateway else None
    at = Address(host, port, user)
    # `pullagent trust` must reach the same place by the name that messages give
    same = known is not None and (port or 22) == known.port
    name = typed.host if same else at.place
    return Login(name, at, config.known_hosts, tuple(keys), agent, jump)


def _gateway(config: Config, at: Address, user: str, keys: tuple[Path, ...], agent: bool = False) -> Login:
    """The login to a jump host, called by its name in hosts.toml where it has one, with its own key there."""
    named = next((h for h in config.hosts.values() if (h.address, h.port) == (at.host, at.port or 22)), None)
    name = named.name if named else (at.host if at.port in (None, 22) else f"{at.host}:{at.port}")
    if named is not None and not agent:
        keys = (named.identity_file,)
    return Login(name, Address(at.host, at.port, at.user or user), config.known_hosts, keys, agent)


def _own_keys(config: Config) -> list[Path]:
    """The operator's own keys in ~/.ssh, but never the pull key, should it lie there."""
    pull_keys = {_content(file) for file in config.pull_keys()}
    places = [Path.home() / ".ssh" / name for name in ("id_ed25519", "id_ecdsa", "id_rsa")]
    return [file for file in places if os.access(file, os.R_OK) and _content(file) not in pull_keys]


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _caller() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise UsageError("this user has no name", "say as whom to log in: USER@HOST") from error


def trust_login(config: Config, target: str) -> Login:
    """Where `trust` looks for a host's key; nobody logs in there, except to a gateway on the way."""
    known = config.hosts.get(target)
    if known is not None:
        return pull_login(config, known)
    try:
        address = Address.parse(target)
    except UsageError as error:
        raise ConfigError(error.message, f"hosts in {config.path}: {', '.join(config.hosts)}") from error
    return Login(target, Address(address.host, address.port, address.user or "root"), config.known_hosts)


def limits(config: Config) -> Limits:
    """The time limits of hosts.toml."""
    return Limits(config.ssh.connect_timeout_s, config.ssh.stall_s, config.ssh.total_s)
