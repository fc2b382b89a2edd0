"""Turns the libraries' errors into ours, each with what to type next."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pullagent.errors import ConfigError, Denied, HostError, HostKeyError, PullAgentError
from pullagent.host.login import Login

if TYPE_CHECKING:
    import paramiko

# the library's word for a connection that ended, or stayed silent, while a key was being tried
_NO_ANSWER = ("EOF", "timeout")


@contextmanager
def named_errors(login: Login) -> Iterator[None]:
    """Raise what goes wrong on the way to a host, or on its connection, as an error that names it."""
    import paramiko

    try:
        yield
    except paramiko.SSHException as error:
        raise _of_ssh(login, error) from error
    except (OSError, EOFError, UnicodeError) as error:
        raise _of_network(login, error) from error


def misbehaved(name: str, what: Exception) -> HostError:
    """What to tell of a host that breaks the protocol."""
    return HostError(
        f"{name}: the SSH connection was ended, because the server there broke the protocol: {what}",
        "is that still your sshd? Look at that host before you pull from it again",
    )


def _of_ssh(login: Login, error: "paramiko.SSHException") -> PullAgentError:
    import paramiko

    from pullagent.host.bounds import Misbehaved

    name, where = login.name, _place(login)
    if isinstance(error, paramiko.BadHostKeyException):
        return HostKeyError(
            f"{name}: the host key has changed\n"
            f"pinned: {error.expected_key.fingerprint}\nshown:  {error.key.fingerprint}",
            f"rebuilt VM? Compare on its console, then:  pullagent trust {name} --replace\n"
            "not rebuilt? Then somebody stands in between: do not go on",
        )
    if isinstance(error, paramiko.ssh_exception.PasswordRequiredException):
        return ConfigError(f"{name}: the SSH key has a passphrase", "load it into an agent, or use a key without one")
    if isinstance(error, paramiko.AuthenticationException):
        return _of_login(login, str(error))
    if isinstance(error, Misbehaved):
        return misbehaved(name, error)
    said = str(error)
    if "not found in known_hosts" in said:
        return HostKeyError(f"{name}: the host key of {where} is not pinned", f"pullagent trust {name}")
    if unusable := [file for file in login.key_files if not _is_private_key(file)]:
        return ConfigError(f"SSH key {unusable[0]}: it is no private key", "the file without .pub, perhaps")
    hint = f"is it sshd that answers there?  ssh -v {_as_typed(login)}"
    if "No authentication methods" in said:
        hint = "there is no key to log in with: give --ssh-key FILE, or load one into an agent"
    if "banner" in said or "No existing session" in said:
        return HostError(f"{name}: {where} did not answer as an SSH server in time", hint)
    return HostError(f"{name}: SSH failed: {said}", hint)


def _of_login(login: Login, said: str) -> HostError:
    if any(word in said for word in _NO_ANSWER):
        return HostError(
            f"{login.name}: {_place(login)} closed the connection at the login, or did not answer in time",
            f"is it just starting?  ssh -v {_as_typed(login)}",
        )
    keys = ", ".join(map(str, login.key_files)) or "the agent and ~/.ssh"
    return Denied(
        f"{login.name}: login as {login.address.user} was denied (key: {keys})",
        f"is the public key in that account's authorized_keys on {login.name}?",
    )


def _of_network(login: Login, error: Exception) -> HostError:
    import paramiko

    name, where, host = login.name, _place(login), login.address.host
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        return HostError(f"{name}: {where} refused the connection", f"is sshd running there?  ssh {_as_typed(login)}")
    if isinstance(error, UnicodeError):
        return HostError(f"{name}: {host!r} cannot be an address", "check address in hosts.toml")
    if isinstance(error, socket.gaierror):
        return HostError(
            f"{name}: the address {host!r} is not known: {error.strerror}", "check address in hosts.toml, or DNS"
        )
    if isinstance(error, TimeoutError):
        return HostError(f"{name}: no answer from {where} in time", "is the host up?")
    return HostError(f"{name}: {where}: {str(error) or 'the connection was closed'}")


def _place(login: Login) -> str:
    return f"{login.address.host} port {login.port}"


def _as_typed(login: Login) -> str:
    return f"-p {login.port} {login.address.user}@{login.address.host}"


def _is_private_key(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(11) == b"-----BEGIN "
