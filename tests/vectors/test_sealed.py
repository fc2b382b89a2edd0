"""Files sealed by an earlier version stay readable for ever: with pullagent, and with the stock programs alone."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from pullagent import manifest as manifests
from pullagent import seal
from pullagent.model import RefQuery
from pullagent.opened import OpenedSnapshot
from pullagent.seal import Identity
from pullagent.store import Store
from tests.vectors import SEALED

SNAPSHOTS = sorted(path.parent for path in SEALED.glob("store/*/*/*/manifest.json"))
FILES = sorted(SEALED.glob("store/*/*/*/*.zst.age"))
IDENTITY, SSH_IDENTITY = SEALED / "test-identity.txt", SEALED / "test-ssh-key"
each_file = pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.parent.name}-{path.name}")
each_snapshot = pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda path: path.parent.name)


def entry_of(file: Path) -> manifests.ArtifactEntry:
    """What the manifest beside a file says of it."""
    manifest = manifests.parse((file.parent / "manifest.json").read_bytes())
    return manifest.artifact(file.name.removesuffix(".zst.age"))


def test_nothing_was_lost_from_the_vectors() -> None:
    """Two snapshots with nine files between them, as they were published."""
    assert len(SNAPSHOTS) == 2
    assert len(FILES) == 9


@each_file
def test_it_opens(file: Path) -> None:
    """Stored hash, decryption and content are what the manifest says."""
    entry = entry_of(file)
    seal.check_stored(file, entry)
    with Identity.read(IDENTITY) as identity:
        plain = b"".join(seal.unseal(file, entry, identity))
    assert (len(plain), hashlib.sha256(plain).hexdigest()) == (entry.plain_bytes, entry.plain_sha256)


@each_file
def test_the_stock_programs_open_it(file: Path) -> None:
    """`age -d -i KEY FILE | zstd -d` is all that is needed."""
    age = subprocess.run(["age", "-d", "-i", str(IDENTITY), str(file)], capture_output=True, check=True)
    zstd = subprocess.run(["zstd", "-d", "-c"], input=age.stdout, capture_output=True, check=True)
    assert hashlib.sha256(zstd.stdout).hexdigest() == entry_of(file).plain_sha256


@each_snapshot
def test_the_sums_still_fit(snapshot: Path) -> None:
    """`sha256sum -c SHA256SUMS`, which the runbook begins with."""
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=snapshot, check=True)


def test_the_store_is_still_listed() -> None:
    """The store's layout, ids, manifests and states are understood as they were."""
    found = Store(SEALED / "store").snapshots()
    assert [(str(s.ref), s.state, s.problem) for s in found] == [
        ("pavroto-2/agama@2026-11-23T010003Z", "good", ""),
        ("pavroto-2/edges@2026-11-23T010003Z", "good", ""),
    ]


def test_a_snapshot_is_still_opened_by_an_ssh_key(tmp_path: Path) -> None:
    """Through the whole way that a restore takes, with the second recipient's key."""
    shutil.copytree(SEALED / "store", tmp_path / "store")
    store = Store(tmp_path / "store")
    snapshot = store.resolve(RefQuery.parse("pavroto-2/agama@latest"))
    with store.reading(snapshot), Identity.read(SSH_IDENTITY) as identity:
        opened = OpenedSnapshot(snapshot, identity)
        opened.check_stored()
        opened.check_identity()
        assert opened.read("accounts.sql").startswith(b"SET SESSION sql_mode='';\nCREATE ROLE")
        assert opened.read("dump.sql").rstrip().splitlines()[-1].startswith(b"-- Dump completed")
