"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from pullagent.store.durable import add_durably, make_durable_directory, replace_durably


@pytest.fixture(autouse=True)
def narrow_umask() -> Iterator[None]:
    """As the program runs."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """The new content with the mode that was asked for, whatever the umask; nothing lies beside it."""
    path = tmp_path / "known_hosts"
    path.write_text("old")
    held = path.open()
    replace_durably(path, b"new", mode=0o644)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o644)
    assert held.read() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_added_but_never_over_another(tmp_path: Path) -> None:
    """What is there stays as it is, also a link that leads nowhere; nothing lies beside it."""
    path, link = tmp_path / "hosts.toml", tmp_path / "link"
    add_durably(path, b"first", mode=0o640)
    assert (path.read_bytes(), path.stat().st_mode & 0o777, path.stat().st_nlink) == (b"first", 0o640, 1)
    link.symlink_to("nowhere")
    for taken in (path, link):
        with pytest.raises(FileExistsError):
            add_durably(taken, b"second", mode=0o640)
    assert path.read_bytes() == b"first"
    assert not (tmp_path / "nowhere").exists()
    assert sorted(tmp_path.iterdir()) == [path, link]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk at the last moment: the old content stands, and nothing lies beside it."""
    path = tmp_path / "known_hosts"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_durably(path, b"new", mode=0o644)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("made", ["as a directory", "as a file"])
def test_another_makes_the_directory_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str) -> None:
    """Two sources of a new host are published at the same moment; a file of that name is still in the way."""
    real, path = os.mkdir, tmp_path / "pavroto-2" / "agama"

    def faster(name: str | Path, mode: int = 0o777) -> None:
        if Path(name) == path:
            real(name) if made == "as a directory" else path.touch()
        real(name, mode)

    monkeypatch.setattr(os, "mkdir", faster)
    with nullcontext() if made == "as a directory" else pytest.raises(FileExistsError):
        make_durable_directory(path)
    assert path.is_dir() == (made == "as a directory")
