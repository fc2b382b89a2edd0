"""Use case: prove that a held identity opens what is stored, from its first bytes, without writing any of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pullagent.config import Config
from pullagent.errors import PullAgentError, UsageError
from pullagent.keys import asks_each_time
from pullagent.model import Snapshot, SourceName
from pullagent.opened import OpenedSnapshot
from pullagent.seal import Identity
from pullagent.store import Store


@dataclass(frozen=True)
class KeyCheck:
    """Whether the identity opens the newest snapshot of one source; `opens` is None where there is no snapshot.

    `recipient` is the public key that it was opened by, None where it cannot be told.
    """

    name: SourceName
    snapshot: Snapshot | None
    opens: bool | None
    detail: str
    exit_code: int = 0
    recipient: str | None = None


def newest(config: Config, store: Store) -> list[tuple[SourceName, Snapshot | None]]:
    """Each source of hosts.toml and of the store, with its newest snapshot that is not damaged."""
    found: dict[SourceName, Snapshot | None] = dict.fromkeys(config.source_names())
    for snapshot in store.snapshots():
        if snapshot.state != "damaged":
            found[snapshot.ref.name] = found.get(snapshot.ref.name) or snapshot
    return list(found.items())


def check(
    store: Store, name: SourceName, snapshot: Snapshot | None, identity: Identity, public: Sequence[str]
) -> KeyCheck:
    """Open the header and the first chunk of each of the snapshot's artifacts; with an age plugin of the first alone,
    which was sealed for the same recipients: a token may want a PIN or a touch for each.

    `public` are the identity's recipients, as far as they are known. UsageError when it is no identity at all; what
    else is wrong stands in the result.
    """
    if snapshot is None:
        return KeyCheck(name, None, None, "no snapshot yet")
    recipient = _recipient(snapshot, public)
    try:
        with store.reading(snapshot):
            opened = OpenedSnapshot(snapshot, identity)
            count = 1 if asks_each_time(identity.data) else len(opened.manifest.artifacts)
            opened.check_identity(count)
    except UsageError:
        raise
    except PullAgentError as error:
        return KeyCheck(name, snapshot, False, error.message, error.exit_code, recipient)
    return KeyCheck(name, snapshot, True, f"{count} of {len(opened.manifest.artifacts)} files", recipient=recipient)


def exit_code(checks: Sequence[KeyCheck]) -> int:
    """0 all that is stored opens; 12 some does not; else the code of what is wrong; 10 nothing is stored."""
    codes = {c.exit_code for c in checks if c.opens is False}
    if not codes:
        return 0 if any(c.opens for c in checks) else 10
    return 12 if 12 in codes else min(codes)


def _recipient(snapshot: Snapshot, public: Sequence[str]) -> str | None:
    """The identity's recipient that the snapshot was sealed for, else its first."""
    sealed_for = {" ".join(r.split()[:2]) for r in snapshot.manifest.recipients} if snapshot.manifest else set()
    return next((key for key in public if key in sealed_for), public[0] if public else None)
