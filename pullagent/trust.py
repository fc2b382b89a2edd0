"""Use case: pin a host's SSH key after somebody has compared its fingerprint."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pullagent.errors import HostKeyError, system_error
from pullagent.host import Limits, Login
from pullagent.host.keys import HostKey, fetch_host_key, lines_without, pinned_keys


@dataclass(frozen=True)
class Trust:
    """What was shown, what was pinned before, and whether anything was written."""

    shown: HostKey
    pinned: tuple[HostKey, ...]
    written: bool


def trust(
    login: Login,
    limits: Limits,
    *,
    confirm: Callable[[HostKey, tuple[HostKey, ...]], bool],
    fingerprint: str | None = None,
    replace: bool = False,
) -> Trust:
    """Fetch the key without logging in; pin it if it has `fingerprint`, or else if `confirm` says so.

    HostKeyError when the fingerprint differs, when another key is pinned and `replace` is not given, or when nobody
    confirmed.
    """
    shown = fetch_host_key(login, limits)
    pinned = tuple(pinned_keys(login))
    if fingerprint is not None and fingerprint != shown.fingerprint:
        raise HostKeyError(
            f"{login.name}: the host shows {shown.fingerprint}, not {fingerprint}",
            "compare on the host's console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        )
    if any(key.line == shown.line for key in pinned):
        return Trust(shown, pinned, written=False)
    if pinned and not replace:
        raise HostKeyError(
            f"{login.name}: another key is pinned\npinned: {pinned[0].fingerprint}\nshown:  {shown.fingerprint}",
            f"rebuilt VM? Compare on its console, then: pullagent trust {login.name} --replace",
        )
    if fingerprint is None and not confirm(shown, pinned):
        raise HostKeyError(f"{login.name}: the key was not confirmed; nothing was pinned")
    _pin(login, shown)
    return Trust(shown, pinned, written=True)


def _pin(login: Login, key: HostKey) -> None:
    """Replace the host's lines in known_hosts, by a rename."""
    path = login.known_hosts
    try:
        kept = lines_without(login, _lines(path))
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with temporary.open("w") as file:
            file.write("".join(f"{line}\n" for line in [*kept, key.line]))
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise system_error(path, error) from error


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []
