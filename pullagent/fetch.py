"""Use case: copy a snapshot out of the store, sealed as it is or decrypted."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pullagent import seal
from pullagent.errors import DamageError, UsageError, system_error
from pullagent.manifest import ArtifactEntry
from pullagent.model import Observer, Snapshot, StopSignal
from pullagent.opened import OpenedSnapshot, check_description, readable_manifest
from pullagent.seal import Identity
from pullagent.store import Store
from pullagent.store.durable import read_plain


def fetch(
    store: Store,
    snapshot: Snapshot,
    into: Path,
    *,
    identity: Identity | None = None,
    observer: Observer | None = None,
    stop: StopSignal | None = None,
) -> Path:
    """Write `into`/HOST_SOURCE_ID/ and return it; with `identity` the artifacts are decrypted and decompressed.

    Every file is checked, and the directory appears under its name only when all of it is there. UsageError when it
    exists already, DamageError when a stored file differs from its hash, WrongIdentity.
    """
    manifest = readable_manifest(snapshot)
    ref = snapshot.ref
    target = into / f"{ref.name.host}_{ref.name.source}_{ref.id}"
    if os.path.lexists(target):
        raise UsageError(f"{target} exists already", "remove it, or give another directory: -o DIR")
    if into.exists() and not into.is_dir():
        raise UsageError(f"{into} is not a directory", "name one, or one that is to be made: -o DIR")
    opened = OpenedSnapshot(snapshot, identity, observer)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    with store.reading(snapshot):
        check_description(snapshot)
        if identity is not None:
            opened.check_stored()
        try:
            into.mkdir(parents=True, exist_ok=True)
            try:
                temporary.mkdir(mode=0o700)
                for entry in manifest.artifacts:
                    if identity is None:
                        _write(temporary / entry.file, _stored(snapshot, entry, observer or Observer()), stop)
                    else:
                        with opened.chunks(entry.name) as chunks:
                            _write(temporary / entry.name, chunks, stop)
                for name in ("RESTORE.txt",) if identity else ("manifest.json", "SHA256SUMS", "RESTORE.txt"):
                    _write(temporary / name, iter([read_plain(snapshot.path / name)]), stop)
                temporary.rename(target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise system_error(into, error) from error
    return target


def _stored(snapshot: Snapshot, entry: ArtifactEntry, observer: Observer) -> Iterator[bytes]:
    """A stored file's bytes; DamageError at their end when they are not those of the manifest."""
    job, digest = str(snapshot.ref), hashlib.sha256()
    observer.started(job, entry.file, entry.stored_bytes)
    with seal.stored_file(snapshot.path / entry.file) as file:
        while chunk := file.read(seal.CHUNK):
            digest.update(chunk)
            observer.advanced(job, len(chunk))
            yield chunk
    if digest.hexdigest() != entry.stored_sha256:
        raise DamageError(
            f"{snapshot.path / entry.file}: differs from what was stored", "take another snapshot: pullagent list"
        )


def _write(path: Path, chunks: Iterator[bytes], stop: StopSignal | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for chunk in chunks:
            if stop is not None:
                stop.check()
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
