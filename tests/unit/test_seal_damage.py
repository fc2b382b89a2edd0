"""Opening damaged files: whatever was changed is refused, to the last bit."""

import os
import random
import re
from pathlib import Path

import pytest
import zstandard

from pullagent import seal
from pullagent.errors import DamageError, SealError, WrongIdentity
from pullagent.fetch import fetch
from pullagent.manifest import ArtifactEntry
from pullagent.seal import Identity
from pullagent.store import Store
from tests.unit.sealing import IDENTITY_FILE, encrypted, nothing_left, sealed, unsealed
from tests.unit.storing import put

REFUSED = (DamageError, SealError, WrongIdentity)
CONTENT = random.Random(6).randbytes(200_000) + b"repeated " * 9000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, ArtifactEntry]:
    """A sealed file's bytes and entry."""
    path = tmp_path_factory.mktemp("whole") / "dump.sql.zst.age"
    entry = sealed(path, CONTENT)
    return path.read_bytes(), entry


def refused(path: Path, data: bytes, entry: ArtifactEntry) -> bool:
    """Whether a file with `data` is refused; what else is raised passes."""
    path.write_bytes(data)
    try:
        unsealed(path, entry)
    except REFUSED:
        return True
    return False


def test_the_whole_file_opens(tmp_path: Path, whole: tuple[bytes, ArtifactEntry]) -> None:
    """Unchanged it is not refused: the tests below each change one thing."""
    assert not refused(tmp_path / "x", *whole)


def test_a_flipped_bit_is_refused_anywhere(tmp_path: Path, whole: tuple[bytes, ArtifactEntry]) -> None:
    """In the header, in any block, in the last tag."""
    data, entry = whole
    chance = random.Random(9)
    places = [0, 21, 22, 30, 100, 165, 190, len(data) - 1, len(data) - 17, *chance.sample(range(len(data)), 50)]
    with nothing_left():
        for place in places:
            changed = bytearray(data)
            changed[place] ^= 1 << chance.randrange(8)
            assert refused(tmp_path / "x", bytes(changed), entry), place


def test_a_truncated_file_is_refused_anywhere(tmp_path: Path, whole: tuple[bytes, ArtifactEntry]) -> None:
    """At every length, also at the borders of age's 64 KiB blocks."""
    data, entry = whole
    header = data.index(b"\n", data.index(b"\n--- ") + 5) + 1
    borders = [header, header + 16, header + 16 + 65_552, header + 16 + 2 * 65_552]
    with nothing_left():
        for length in [0, 1, len(data) - 1, *borders, *random.Random(10).sample(range(len(data)), 50)]:
            assert refused(tmp_path / "x", data[:length], entry), length


@pytest.mark.parametrize("tail", [b"\0", b"garbage" * 20_000], ids=["a byte", "much"])
def test_bytes_behind_the_end_are_refused(tmp_path: Path, whole: tuple[bytes, ArtifactEntry], tail: bytes) -> None:
    """Nothing may follow the last block, not even the same file again."""
    data, entry = whole
    assert refused(tmp_path / "x", data + tail, entry)
    assert refused(tmp_path / "x", data + data, entry)


def test_blocks_in_another_order_are_refused(tmp_path: Path, whole: tuple[bytes, ArtifactEntry]) -> None:
    """Two blocks that changed places, or one that is there twice."""
    data, entry = whole
    start = data.index(b"\n", data.index(b"\n--- ") + 5) + 17
    first, second, rest = data[start : start + 65_552], data[start + 65_552 :][:65_552], data[start + 131_104 :]
    for blocks in (second + first + rest, first + first + rest, second + rest):
        assert refused(tmp_path / "x", data[:start] + blocks, entry)


def test_another_artifacts_file_is_refused(tmp_path: Path, whole: tuple[bytes, ArtifactEntry]) -> None:
    """A sound file that belongs to another entry: the content is not what the manifest says."""
    other = sealed(tmp_path / "other", b"something else")
    with pytest.raises(DamageError, match="not what its manifest says"):
        unsealed(tmp_path / "other", whole[1])
    assert unsealed(tmp_path / "other", other) == b"something else"


def frame(data: bytes) -> bytes:
    """One zstd frame with its checksum."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


INNER = {
    "a second frame": frame(CONTENT) + frame(b"more"),
    "a second empty frame and garbage": frame(CONTENT) + frame(b"") + b"x",
    "garbage behind": frame(CONTENT) + b"garbage",
    "cut short": frame(CONTENT)[:-20],
    "cut in the middle": frame(CONTENT)[:70_000],
    "nothing": b"",
    "not compressed": CONTENT,
    "a wrong checksum": frame(CONTENT)[:-1] + bytes([frame(CONTENT)[-1] ^ 1]),
}


@pytest.mark.parametrize("compressed", INNER.values(), ids=INNER)
def test_a_wrong_stream_within_is_refused(tmp_path: Path, compressed: bytes) -> None:
    """What age opens soundly must still be the one zstd stream of the content."""
    entry = encrypted(tmp_path / "x", compressed, CONTENT)
    with nothing_left(), pytest.raises(DamageError):
        unsealed(tmp_path / "x", entry)


def test_more_than_the_manifest_says_is_not_given_out(tmp_path: Path) -> None:
    """A small file that unpacks to more than its manifest says ends there, before a disk or a server is full of it."""
    entry = encrypted(tmp_path / "x", frame(bytes(64 << 20)), CONTENT)
    given: list[int] = []

    def take() -> None:
        with Identity.read(IDENTITY_FILE) as identity:
            for chunk in seal.unseal(tmp_path / "x", entry, identity):
                given.append(len(chunk))

    with nothing_left(), pytest.raises(DamageError, match="longer than its manifest says"):
        take()
    assert sum(given) <= len(CONTENT)


@pytest.mark.parametrize("what", ["link", "pipe", "directory", "nothing"])
def test_only_a_plain_file_is_opened(tmp_path: Path, what: str) -> None:
    """However sound the file is that a link leads to: it was not stored there. age itself would follow it."""
    path, aside = tmp_path / "dump.sql.zst.age", tmp_path / "aside"
    stored = sealed(path, b"content")
    path.rename(aside)
    if what == "link":
        path.symlink_to(aside)
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    with nothing_left(), pytest.raises(DamageError, match=re.escape(str(path))) as caught:
        unsealed(path, stored)
    assert caught.value.exit_code == 4
    assert ("a link, which" in caught.value.message) == (what == "link")


def test_a_fetch_follows_no_link(tmp_path: Path) -> None:
    """Put there after the look at the snapshot: the copy would be of somebody else's file."""
    store = Store(tmp_path / "store")
    file = put(store) / "dump.sql.zst.age"
    (found,) = store.snapshots()
    file.rename(tmp_path / "aside")
    file.symlink_to(tmp_path / "aside")
    with pytest.raises(DamageError, match="a link, which is not followed"):
        fetch(store, found, tmp_path / "copies")
    assert list((tmp_path / "copies").iterdir()) == []
