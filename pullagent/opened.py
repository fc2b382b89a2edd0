"""A snapshot opened for reading in clear: its stored hashes are checked before anything of it is used."""

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager

from pullagent import seal
from pullagent.errors import DamageError, StoreError, WrongIdentity
from pullagent.manifest import Manifest
from pullagent.model import Observer, Snapshot
from pullagent.seal import Identity
from pullagent.store.durable import read_plain

_SMALL = 256 << 20


class OpenedSnapshot:
    """The artifacts of one snapshot. The caller holds the store's reading lock."""

    def __init__(self, snapshot: Snapshot, identity: Identity | None, observer: Observer | None = None) -> None:
        self.manifest = readable_manifest(snapshot)
        self._snapshot, self._identity, self._observer = snapshot, identity, observer or Observer()

    def check_stored(self) -> None:
        """Compare every stored file with its hash; DamageError at the first that differs."""
        job = str(self._snapshot.ref)
        self._observer.started(job, "checking", self._snapshot.stored_bytes)
        for entry in self.manifest.artifacts:
            seal.check_stored(self._snapshot.path / entry.file, entry, lambda n: self._observer.advanced(job, n))

    def check_identity(self, limit: int | None = None) -> None:
        """See that the identity opens every artifact, or the first `limit`, from its first bytes. WrongIdentity."""
        for entry in self.manifest.artifacts[:limit]:
            with self.chunks(entry.name) as chunks:
                next(chunks, b"")

    @contextmanager
    def chunks(self, name: str) -> Iterator[Iterator[bytes]]:
        """The plain bytes of an artifact, at most 4 MiB at a time; checked against the manifest at their end."""
        self.step(name, self.manifest.artifact(name).plain_bytes)

        def counted(stream: Iterator[bytes]) -> Iterator[bytes]:
            for chunk in stream:
                self.advanced(len(chunk))
                yield chunk

        with self.quietly(name) as stream:
            yield counted(stream)

    @contextmanager
    def quietly(self, name: str) -> Iterator[Iterator[bytes]]:
        """As `chunks`, without progress; several may be read at once."""
        assert self._identity is not None
        entry = self.manifest.artifact(name)
        with closing(seal.unseal(self._snapshot.path / entry.file, entry, self._identity)) as stream:
            try:
                yield stream
            except WrongIdentity as error:
                error.hint = f"pullagent show {self._snapshot.ref}   names the recipients it was encrypted to"
                raise

    def step(self, text: str, total_bytes: int | None = None) -> None:
        """What is done now, and how many bytes it will be."""
        self._observer.started(str(self._snapshot.ref), text, total_bytes)

    def advanced(self, count: int) -> None:
        """`count` more bytes of it are done."""
        self._observer.advanced(str(self._snapshot.ref), count)

    def read(self, name: str) -> bytes:
        """The whole of a small artifact; StoreError above 256 MiB."""
        if self.manifest.artifact(name).plain_bytes > _SMALL:
            raise StoreError(f"{self._snapshot.ref}: {name} is too large to be read whole")
        with self.chunks(name) as chunks:
            return b"".join(chunks)


def check_description(snapshot: Snapshot) -> None:
    """Compare manifest.json and RESTORE.txt with SHA256SUMS, and that with the manifest; DamageError when one differs.

    For a fetch, whose copy must be right to the last file. A restore does without: it must not stop at 03:00 for a bit
    in a text, and what it uses is checked against the manifest.
    """
    manifest = readable_manifest(snapshot)
    expected = {a.file: a.stored_sha256 for a in manifest.artifacts}
    hint = (
        "look at the disk; its data can still be checked by `pullagent restore`, "
        f"or take another: pullagent list {snapshot.ref.name}"
    )
    try:
        for name in ("RESTORE.txt", "manifest.json"):
            expected[name] = hashlib.sha256(read_plain(snapshot.path / name)).hexdigest()
        found = read_plain(snapshot.path / "SHA256SUMS")
    except OSError as error:
        raise DamageError(f"{error.filename}: {error.strerror}", hint) from error
    if found != "".join(f"{digest}  {name}\n" for name, digest in expected.items()).encode():
        raise DamageError(f"{snapshot.path}: manifest.json, RESTORE.txt and SHA256SUMS do not belong together", hint)


def readable_manifest(snapshot: Snapshot) -> Manifest:
    """The manifest of a snapshot; DamageError when a look at it found it damaged."""
    if snapshot.manifest is None or snapshot.state == "damaged":
        raise DamageError(
            f"{snapshot.ref} is damaged: {snapshot.problem}", f"take another: pullagent list {snapshot.ref.name}"
        )
    return snapshot.manifest
