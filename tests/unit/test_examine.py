"""A look at one snapshot: every kind of damage by its name, each of them, and nothing else."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent import seal
from pullagent.examine import Look, examine
from pullagent.store import Store
from tests.unit.storing import START, put, replace

FILES = ["RESTORE.txt", "SHA256SUMS", "dump.sql.zst.age", "inventory.json.zst.age", "manifest.json"]
DATA = {"dump.sql.zst.age", "inventory.json.zst.age", "manifest.json"}
DUMP = "dump.sql.zst.age"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path)


@pytest.fixture
def path(store: Store) -> Path:
    """The directory of the one snapshot."""
    return put(store)


def look(store: Store) -> Look:
    """A look at the newest snapshot."""
    return examine(store.snapshots()[0])


def found(store: Store) -> list[tuple[str, str]]:
    """File and kind of each problem."""
    return [(p.file, p.problem) for p in look(store).problems]


def test_a_sound_snapshot_has_no_problem(store: Store, path: Path) -> None:
    """Everything is read, once."""
    seen = look(store)
    assert (seen.problems, seen.damaged, seen.opened) == ([], False, None)
    assert seen.bytes == sum(file.stat().st_size for file in path.iterdir())


def test_progress_counts_what_the_manifest_counts(store: Store, path: Path) -> None:
    """The bar ends where its total is: at the artifacts' size."""
    counts: list[int] = []
    snapshot = store.snapshots()[0]
    examine(snapshot, counts.append)
    assert sum(counts) == snapshot.stored_bytes


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_found(store: Store, path: Path, name: str) -> None:
    """A bit anywhere in any file; only one in a text beside the data leaves the snapshot usable."""
    whole = (path / name).read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 200)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        replace(path / name, bytes(changed))
        seen = look(store)
        assert seen.problems, f"byte {place}"
        # a line of the sums that differs from a text's hash may blame either; a manifest may name other files
        blamed = {p.file for p in seen.problems}
        assert blamed <= {name, "SHA256SUMS", "manifest.json", "RESTORE.txt"} or "manifest.json" in blamed
        assert seen.damaged or name not in DATA
        assert not (seen.damaged and name == "RESTORE.txt")
    replace(path / name, whole)
    assert found(store) == []


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_missing(store: Store, path: Path, name: str) -> None:
    """Each of the files that belong there."""
    (path / name).unlink()
    assert found(store) == [(name, "missing")]
    assert look(store).damaged == (name in DATA)


def link(path: Path) -> None:
    """A link to the same content."""
    path.rename(path.parents[3] / "elsewhere")
    path.symlink_to(path.parents[3] / "elsewhere")


def folder(path: Path) -> None:
    """A directory."""
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    """A pipe that nobody writes to."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", [link, folder, pipe])
def test_what_is_no_plain_file_is_unreadable(store: Store, path: Path, name: str, harm: Callable[[Path], None]) -> None:
    """A link is not followed, even to the same content; a directory and a pipe are not waited for."""
    harm(path / name)
    assert found(store) == [(name, "unreadable")]


def test_a_link_is_called_one(store: Store, path: Path) -> None:
    """Not `too many levels of symbolic links`."""
    link(path / DUMP)
    assert [p.detail for p in look(store).problems] == ["a link, which is not followed"]


@pytest.mark.parametrize("name", FILES)
def test_a_disk_that_cannot_be_read_stops_nothing(
    store: Store, path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input/output error of one file is told, and the rest is still looked at."""
    real = seal.hash_file
    other = DUMP if name != DUMP else "inventory.json.zst.age"
    replace(path / other, b"changed")

    def failing(file: Path, *more: Callable[[int], None]) -> tuple[int, str]:
        if file.name == name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(file, *more)

    monkeypatch.setattr(seal, "hash_file", failing)
    problems = {p.file: (p.problem, p.detail) for p in look(store).problems}
    assert problems[name] == ("unreadable", "Input/output error")
    assert problems[other][0] == "changed"


@pytest.mark.parametrize("data", [b"", b"\0" * 900, b"{}", b"[", b'{"format": 2}'])
def test_a_manifest_that_is_none_is_unreadable(store: Store, path: Path, data: bytes) -> None:
    """And the files are still compared with SHA256SUMS."""
    replace(path / "manifest.json", data)
    assert found(store) == [("manifest.json", "unreadable")]
    replace(path / DUMP, b"changed dump")
    assert sorted(found(store)) == [(DUMP, "changed"), ("manifest.json", "unreadable")]


def test_a_manifest_that_was_changed_well_is_changed(store: Store, path: Path) -> None:
    """One that still parses differs from SHA256SUMS; another snapshot's is told whose it is."""
    manifest = json.loads((path / "manifest.json").read_text())
    replace(path / "manifest.json", json.dumps(manifest | {"kind": "influxdb"}).encode())
    assert found(store) == [("manifest.json", "changed")]


def test_a_moved_snapshot_is_told_whose_it_is(store: Store, path: Path) -> None:
    """Whole in itself, but under another id."""
    path.rename(path.with_name("2026-11-23T010004Z"))
    (problem,) = look(store).problems
    assert (problem.file, problem.problem) == ("manifest.json", "changed")
    assert "pavroto-2/agama@2026-11-23T010003Z" in problem.detail


def test_without_manifest_and_sums_nothing_is_called_foreign(store: Store, path: Path) -> None:
    """What would name the files is lost itself."""
    (path / "manifest.json").unlink()
    (path / "SHA256SUMS").unlink()
    assert sorted(found(store)) == [("SHA256SUMS", "missing"), ("manifest.json", "missing")]


@pytest.mark.parametrize(
    "harm",
    [
        lambda lines: lines[::-1],
        lambda lines: lines[:-1],
        lambda lines: lines[1:],
        lambda lines: [*lines, lines[0]],
        lambda lines: [*lines, "0" * 64 + "  no-such-file"],
        lambda lines: ["0" * 64 + "  dump.sql.zst.age", *lines[1:]],
        lambda lines: [*lines, ""],
    ],
)
def test_sums_that_are_not_those_of_the_manifest(
    store: Store, path: Path, harm: Callable[[list[str]], list[str]]
) -> None:
    """Every difference is noticed, and the data is none the worse for it."""
    lines = (path / "SHA256SUMS").read_text().splitlines()
    replace(path / "SHA256SUMS", "".join(f"{line}\n" for line in harm(lines)).encode())
    assert ("SHA256SUMS", "changed") in found(store)


def test_strangers_are_foreign(store: Store, path: Path) -> None:
    """Files, links, directories and pipes that nothing names; they do the data no harm and are not opened."""
    (path / "dump.sql.zst.age~").write_text("")
    (path / "link").symlink_to("/etc/passwd")
    (path / "folder").mkdir()
    os.mkfifo(path / "pipe")
    (path / "\udcff\n").write_text("")
    seen = look(store)
    assert sorted(p.file for p in seen.problems) == ["dump.sql.zst.age~", "folder", "link", "pipe", "\udcff\n"]
    assert {p.problem for p in seen.problems} == {"foreign"}
    assert not seen.damaged


@pytest.mark.parametrize("name", ["PINNED.json", "DAMAGED.json"])
def test_notes_of_our_own_are_not_foreign(store: Store, path: Path, name: str) -> None:
    """But a link that bears their name is."""
    (path / name).write_text("{}")
    assert found(store) == []
    (path / name).unlink()
    (path / name).symlink_to("/etc/passwd")
    assert found(store) == [(name, "foreign")]


@given(st.dictionaries(st.sampled_from([*FILES, "stranger"]), st.sampled_from(["gone", "other", "longer", "cut"])))
def test_any_harm_is_found_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, harm: dict[str, str]) -> None:
    """Whatever is done to whichever files: each is named, and one that is whole is named only beside those."""
    store = Store(tmp_path_factory.mktemp("store"))
    path = put(store, START)
    for name, what in harm.items():
        data = (path / name).read_bytes() if name != "stranger" else b""
        if what == "gone":
            (path / name).unlink(missing_ok=True)
        else:
            (path / name).touch()
            replace(path / name, {"other": b"?" * len(data), "longer": data + b"x", "cut": data[:-2]}[what])
    harmed = {name for name, what in harm.items() if name != "stranger" or what != "gone"}
    seen = {p.file for p in look(store).problems}
    if {"manifest.json", "SHA256SUMS"} <= harmed:
        # what names the other files is lost
        harmed &= {"manifest.json", "SHA256SUMS"} | seen
    if "SHA256SUMS" in harmed:
        # it alone speaks for this text, unless the text is not there
        harmed -= {"RESTORE.txt"} - seen
        harmed -= {"manifest.json"} - seen if harm.get("manifest.json") == "longer" else set()
    assert harmed <= seen
    assert seen <= harmed | {"SHA256SUMS"}
