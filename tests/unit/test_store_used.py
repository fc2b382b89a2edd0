"""A store whose disk is not mounted: an empty directory where snapshots were must not look like a new store."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pullagent.errors import StoreError
from pullagent.ledger import Ledger
from pullagent.model import RefQuery, SourceName
from pullagent.store import Store, used

NAME = SourceName("pavroto-2", "agama")


@pytest.fixture
def unmounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store that was in use, and now is the empty directory below its mount point."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    store = Store(tmp_path / "store")
    store.prepare()
    shutil.rmtree(store.root)
    store.root.mkdir(mode=0o700)
    return store


@pytest.mark.parametrize(
    "use",
    [
        Store.prepare,
        Store.snapshots,
        lambda store: store.ids(NAME),
        lambda store: list(store.newest(NAME)),
        lambda store: store.resolve(RefQuery.parse(f"{NAME}@latest")),
    ],
)
def test_nothing_takes_it_for_a_new_one(unmounted: Store, use: Callable[[Store], object]) -> None:
    """Whoever reads or writes is told, and nothing is written below the mount point."""
    with pytest.raises(StoreError, match="empty, but was in use: is its disk mounted") as caught:
        use(unmounted)
    assert f"mount {unmounted.root}" in caught.value.hint
    assert not unmounted.there
    assert list(unmounted.root.iterdir()) == []


def test_a_mount_point_that_is_gone_too(unmounted: Store) -> None:
    """It is not made anew either."""
    unmounted.root.rmdir()
    with pytest.raises(StoreError, match="is its disk mounted"):
        unmounted.prepare()
    assert not unmounted.root.exists()


def test_a_new_store_is_begun_by_what_the_hint_says(unmounted: Store) -> None:
    """The file that it names is the whole memory."""
    with pytest.raises(StoreError) as caught:
        unmounted.prepare()
    note = Path(caught.value.hint.partition("rm ")[2])
    assert str(unmounted.root) in note.read_text()
    note.unlink()
    unmounted.prepare()
    assert unmounted.there
    assert note.exists()


def test_a_store_that_is_mounted_again(unmounted: Store) -> None:
    """All is as ever, and another store beside it was never suspected."""
    unmounted.root.rmdir()
    other = Store(unmounted.root.with_name("other"))
    other.prepare()
    other.root.rename(unmounted.root)
    unmounted.prepare()
    assert unmounted.snapshots() == []


@pytest.mark.parametrize("named", ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"])
def test_where_the_note_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    """In the unit's state directory, else the caller's; what one of them noted the other need not know."""
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(used, "_SYSTEM", tmp_path / "none")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(named, str(tmp_path / "named"))
    Store(tmp_path / "store").prepare()
    (note,) = [path for path in (tmp_path / "named").rglob("*") if path.is_file()]
    assert note.stat().st_uid == os.geteuid()
    assert used.noted(tmp_path / "store")


def test_no_state_directory_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is noticed; doctor says so."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(used, "_SYSTEM", tmp_path / "file")
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "file"))
    store = Store(tmp_path / "store")
    store.prepare()
    assert not used.noted(store.root)
    Ledger(store.ledger_path).append("run", ok=True, exit_code=0, took_s=1, now=datetime.now(UTC))
    shutil.rmtree(store.root)
    store.prepare()
