"""Snapshots of other days: whole copies of real ones, and a store whose every time is moved."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pullagent.model import id_time, rfc3339, snapshot_id
from tests.faults.bench import Bench


def aged(bench: Bench, source: str, *days: int) -> list[str]:
    """Copies of the newest snapshot, so many days old; their references."""
    newest = bench.path(bench.latest(source))
    return [_copied(newest, datetime.now(UTC) - timedelta(days=d)) for d in days]


@contextmanager
def moved(bench: Bench, span: timedelta) -> Iterator[None]:
    """Every snapshot and every line of the ledger moved by `span`, as if the clock had moved back by that.

    Afterwards the store is as it was before.
    """
    aside = bench.store.with_name("aside")
    shutil.copytree(bench.store, aside, symlinks=True)
    try:
        for folder in sorted(path for path in bench.store.glob("[!.]*/*/*") if path.is_dir()):
            _copied(folder, id_time(folder.name) + span)
            shutil.rmtree(folder)
        ledger = bench.store / "ledger.jsonl"
        ledger.write_text(re.sub(r'"time": "([^"]+)"', lambda match: _later(match[1], span), ledger.read_text()))
        yield
    finally:
        shutil.rmtree(bench.store)
        aside.rename(bench.store)


def _later(time: str, span: timedelta) -> str:
    return f'"time": "{rfc3339(datetime.fromisoformat(time) + span)}"'


def _copied(folder: Path, taken: datetime) -> str:
    copy = folder.parent / snapshot_id(taken)
    shutil.copytree(folder, copy)
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest |= {"id": copy.name, "taken": rfc3339(taken), "finished": rfc3339(taken + timedelta(seconds=2))}
    text = json.dumps(manifest, indent=2).encode()
    old, new = (hashlib.sha256(data).hexdigest() for data in ((copy / "manifest.json").read_bytes(), text))
    sums = (copy / "SHA256SUMS").read_text().replace(old, new).encode()
    for name, data in (("manifest.json", text), ("SHA256SUMS", sums)):
        (copy / name).chmod(0o600)
        (copy / name).write_bytes(data)
        (copy / name).chmod(0o400)
    return f"{folder.parent.parent.name}/{folder.parent.name}@{copy.name}"
