"""Files sealed by an earlier version stay readable for ever: with pullagent, and with the stock programs alone."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pullagent import manifest as manifests
from pullagent import seal
from pullagent.model import RefQuery
from pullagent.opened import OpenedSnapshot
from pullagent.seal import Identity
from pullagent.sources import KINDS
from pullagent.sources.files import Files
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
    """A snapshot of each kind, and one of odd sizes: fourteen files, as they were published."""
    kinds = [manifests.parse((path / "manifest.json").read_bytes()).kind for path in SNAPSHOTS]
    assert sorted(kinds) == sorted([*KINDS, "edges"])
    assert len(FILES) == 14


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
        ("pavroto-1/ansible@2026-11-23T010003Z", "good", ""),
        ("pavroto-2/agama@2026-11-23T010003Z", "good", ""),
        ("pavroto-2/edges@2026-11-23T010003Z", "good", ""),
        ("pavroto-2/etc@2026-11-23T010003Z", "good", ""),
        ("pavroto-2/logs@2026-11-23T010003Z", "good", ""),
    ]


@contextmanager
def opened_again(directory: Path, name: str, key: Path = IDENTITY) -> Iterator[OpenedSnapshot]:
    """A snapshot by the whole way that a restore takes; in a copy of the store, for its locks."""
    shutil.copytree(SEALED / "store", directory / "store")
    store = Store(directory / "store")
    snapshot = store.resolve(RefQuery.parse(f"{name}@latest"))
    with store.reading(snapshot), Identity.read(key) as identity:
        opened = OpenedSnapshot(snapshot, identity)
        opened.check_stored()
        opened.check_identity()
        yield opened


@pytest.mark.parametrize("name", ["pavroto-2/agama", "pavroto-2/logs", "pavroto-2/etc", "pavroto-1/ansible"])
def test_its_content_still_passes_the_checks_of_its_kind(tmp_path: Path, name: str) -> None:
    """A check may not become so strict that it refuses what an earlier version stored."""
    with opened_again(tmp_path, name) as opened:
        checks = KINDS[opened.manifest.kind].checks(opened)
        assert checks
        for artifact, check in checks.items():
            with opened.chunks(artifact) as chunks:
                for chunk in chunks:
                    check.feed(chunk)
            check.finish()


def test_files_are_still_listed(tmp_path: Path) -> None:
    """Every type of member, with owner, size and attributes."""
    with opened_again(tmp_path, "pavroto-2/etc") as opened:
        found = {member.name: member for member in Files.members(opened)}
    assert [(name, member.kind) for name, member in found.items() if "long" not in name] == [
        ("etc", "directory"),
        ("etc/empty", "directory"),
        ("etc/fifo", "fifo"),
        ("etc/hostname", "file"),
        ("etc/localtime", "symbolic link"),
        ("etc/mailname", "hard link"),
        ("etc/shadow", "file"),
        ("etc/sparse", "file"),
    ]
    assert found["etc/hostname"].attributes == {b"SCHILY.xattr.user.note": b"kept \xff"}
    assert (found["etc/shadow"].mode, found["etc/sparse"].size, found["etc/sparse"].sparse) == (0o640, 50 << 20, True)


def test_a_bundle_is_still_cloned(tmp_path: Path) -> None:
    """By stock git, with its branch checked out."""
    bundle = tmp_path / "repo.bundle"
    with opened_again(tmp_path, "pavroto-1/ansible") as opened, opened.chunks("repo.bundle") as chunks:
        bundle.write_bytes(b"".join(chunks))
    subprocess.run(["git", "clone", "--quiet", bundle, tmp_path / "work"], check=True)
    assert (tmp_path / "work/site.yml").read_text().startswith("- hosts: all\n")


def test_a_snapshot_is_still_opened_by_an_ssh_key(tmp_path: Path) -> None:
    """With the second recipient's key."""
    with opened_again(tmp_path, "pavroto-2/agama", SSH_IDENTITY) as opened:
        assert opened.read("accounts.sql").startswith(b"SET SESSION sql_mode='';\nCREATE ROLE")
        assert opened.read("dump.sql").rstrip().splitlines()[-1].startswith(b"-- Dump completed")
