"""Use case: pin a host's SSH key after somebody has compared its fingerprint."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pullagent.errors import HostKeyError
from pullagent.host import Limits, Login
from pullagent.host.keys import HostKey, fetch_host_key, lines_without, pinned_keys
from pullagent.store.durable import replace_durably, storing
from pullagent.store.locks import alone_in


@dataclass(frozen=True)
class Trust:
    """What was shown, what was pinned before, and whether anything was written."""

    shown: HostKey
    pinned: tuple[HostKey, ...]
    written: bool

    @property
    def replaced(self) -> tuple[HostKey, ...]:
        """The keys that are no longer pinned."""
        return self.pinned if self.written else ()


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
    pinned = tuple(pinned_keys(login))
    shown = fetch_host_key(login, limits, [key.kind for key in pinned])
    if fingerprint is not None and fingerprint != shown.fingerprint:
        raise HostKeyError(
            f"{login.name}: the host shows {shown.kind} {shown.fingerprint}, not {fingerprint}",
            f"compare on the host's console:  {shown.compare}",
        )
    if any(key.line == shown.line for key in pinned):
        return Trust(shown, pinned, written=False)
    if pinned and not replace:
        old = "\n".join(f"pinned: {key.kind} {key.fingerprint}" for key in pinned)
        raise HostKeyError(
            f"{login.name}: another key is pinned\n{old}\nshown:  {shown.kind} {shown.fingerprint}",
            f"rebuilt VM? Compare on its console ({shown.compare}), then:  pullagent trust {login.name} --replace",
        )
    if fingerprint is None and not confirm(shown, pinned):
        raise HostKeyError(f"{login.name}: the key was not confirmed; nothing was pinned")
    _pin(login, shown)
    return Trust(shown, pinned, written=True)


def _pin(login: Login, key: HostKey) -> None:
    """Replace the host's lines in known_hosts, by a rename; two at once wait for each other."""
    path = login.known_hosts
    with storing(path), alone_in(path.parent):
        kept = lines_without(login, _lines(path))
        replace_durably(path, "".join(f"{line}\n" for line in [*kept, key.line]).encode(), mode=0o644)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []
