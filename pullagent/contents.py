"""Use case: list what a snapshot holds, file by file."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pullagent.checks.tree import Member
from pullagent.errors import UsageError
from pullagent.model import Observer, Snapshot
from pullagent.opened import OpenedSnapshot
from pullagent.seal import Identity
from pullagent.sources.base import Listing, Source
from pullagent.store import Store


@contextmanager
def members(
    store: Store,
    kinds: Mapping[str, type[Source]],
    snapshot: Snapshot,
    identity: Identity,
    observer: Observer | None = None,
) -> Iterator[Iterator[Member]]:
    """The members of a snapshot as they are read, once its stored hashes are proven.

    UsageError for a kind without files; DamageError, WrongIdentity, ContentError.
    """
    opened = OpenedSnapshot(snapshot, identity, observer)
    kind = kinds.get(opened.manifest.kind)
    if kind is None or not issubclass(kind, Listing):
        raise UsageError(
            f"{snapshot.ref} is of kind {opened.manifest.kind}, which holds no files to list",
            f"to look into it:  pullagent fetch {snapshot.ref} -o DIR --decrypt --identity FILE",
        )
    with store.reading(snapshot):
        opened.check_stored()
        yield kind.members(opened)
