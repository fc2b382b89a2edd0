"""A store with many snapshots, made in seconds: what is listed, pruned and judged is real, what is sealed is not."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pullagent.model import rfc3339, snapshot_id

SOURCES = tuple((f"host-{number // 5}", f"source-{number % 5}") for number in range(20))
_ARTIFACTS = ("dump.sql", "accounts.sql", "grants.sql", "inventory.json")


def many(
    root: Path,
    count: int,
    newest: datetime,
    *,
    sources: Sequence[tuple[str, str]] = SOURCES,
    every: timedelta = timedelta(days=1),
) -> None:
    """Fill the store at `root` with `count` good snapshots, spread over `sources`, every so often back from `newest`.

    Their files have the right names and sizes, so that a look finds them whole; their content opens with no key.
    """
    for name in (".staging", ".trash", ".locks"):
        (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(count):
        round_, place = divmod(number, len(sources))
        _snapshot(root, *sources[place], newest - round_ * every)


def _snapshot(root: Path, host: str, source: str, taken: datetime) -> None:
    folder = root / host / source / snapshot_id(taken)
    folder.mkdir(mode=0o700, parents=True)
    entries = []
    for size, name in enumerate(_ARTIFACTS, 100):
        entries.append(_write(folder / f"{name}.zst.age", b"x" * size, name))
    manifest = {
        "format": 1,
        "id": folder.name,
        "host": host,
        "source": source,
        "kind": "mysql",
        "state": "good",
        "taken": rfc3339(taken),
        "finished": rfc3339(taken + timedelta(seconds=14)),
        "agent_version": "1",
        "tools": {"age": "v1.1.1", "mysqldump": "mysqldump from 11.8.2, client 10.19 for debian-linux-gnu (x86_64)"},
        "server": {"kind": "mariadb", "version": "11.8.2-MariaDB-1"},
        "recipients": ["age1x"],
        "warnings": [],
        "artifacts": entries,
    }
    for name, data in (("manifest.json", json.dumps(manifest, indent=2)), ("SHA256SUMS", ""), ("RESTORE.txt", "")):
        (folder / name).write_text(data)


def _write(path: Path, data: bytes, name: str) -> dict[str, Any]:
    path.write_bytes(data)
    digest = "0" * 64
    return {
        "name": name,
        "file": path.name,
        "plain_bytes": len(data) * 3,
        "plain_sha256": digest,
        "stored_bytes": len(data),
        "stored_sha256": digest,
    }
