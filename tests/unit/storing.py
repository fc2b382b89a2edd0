"""Snapshots for tests of the store: real files, but not encrypted."""

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pullagent.manifest import ArtifactEntry, Manifest
from pullagent.model import SourceName
from pullagent.store import Staging, Store

AGAMA = SourceName("pavroto-2", "agama")
LOGS = SourceName("pavroto-2", "logs")
START = datetime(2026, 11, 23, 1, 0, 3, tzinfo=UTC)
FILES = {"dump.sql": b"sealed dump", "inventory.json": b"sealed inventory"}


def entry(name: str, data: bytes) -> ArtifactEntry:
    """The entry of a stored file that holds `data`."""
    digest = hashlib.sha256(data).hexdigest()
    return ArtifactEntry(
        name=name,
        file=f"{name}.zst.age",
        plain_bytes=len(data) * 3,
        plain_sha256=digest,
        stored_bytes=len(data),
        stored_sha256=digest,
    )


def describe(staging: Staging, files: Mapping[str, bytes] = FILES, **more: Any) -> Manifest:
    """A manifest of what was staged."""
    fields: dict[str, Any] = {
        "id": staging.ref.id,
        "host": staging.ref.name.host,
        "source": staging.ref.name.source,
        "kind": "mysql",
        "taken": staging.start,
        "finished": staging.start,
        "agent_version": "1",
        "recipients": ("age1x",),
        "artifacts": tuple(entry(name, data) for name, data in files.items()),
    }
    return Manifest(**(fields | more))


def write(staging: Staging, files: Mapping[str, bytes] = FILES) -> None:
    """Put files where `seal` would."""
    for name, data in files.items():
        staging.path(f"{name}.zst.age").write_bytes(data)


def put(
    store: Store,
    start: datetime = START,
    name: SourceName = AGAMA,
    files: Mapping[str, bytes] = FILES,
    **more: Any,
) -> Path:
    """Publish a snapshot; its directory."""
    store.prepare()
    with store.locked(name), store.stage(name, start) as staging:
        write(staging, files)
        return staging.publish(describe(staging, files, **more), "how to restore\n")


def replace(path: Path, data: bytes) -> None:
    """Write over a read-only file, as damage does."""
    path.chmod(0o600)
    path.write_bytes(data)


def tree(root: Path) -> dict[str, str]:
    """Every path below `root` with its permissions."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            found[str(path.relative_to(root))] = f"{path.lstat().st_mode & 0o7777:o}"
    return found
