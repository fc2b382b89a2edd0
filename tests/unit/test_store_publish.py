"""Publishing a snapshot: all of it or nothing, on disk before it has its name."""

import errno
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from pullagent import manifest as manifests
from pullagent.errors import StoreError, system_error
from pullagent.model import SnapshotRef
from pullagent.store import Store
from tests.unit.storing import AGAMA, LOGS, START, describe, put, tree, write


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    made = Store(tmp_path / "store")
    made.prepare()
    return made


def test_a_published_snapshot_has_its_files(store: Store) -> None:
    """The directory is HOST/SOURCE/ID and holds the artifacts, the manifest, the sums and the runbook."""
    path = put(store)
    assert path == store.root / "pavroto-2" / "agama" / "2026-11-23T010003Z"
    assert sorted(p.name for p in path.iterdir()) == [
        "RESTORE.txt",
        "SHA256SUMS",
        "dump.sql.zst.age",
        "inventory.json.zst.age",
        "manifest.json",
    ]
    assert manifests.parse((path / "manifest.json").read_bytes()).id == path.name
    assert (path / "RESTORE.txt").read_text() == "how to restore\n"


def test_the_sums_fit_the_stock_program(store: Store) -> None:
    """`sha256sum -c SHA256SUMS` passes and covers every other file."""
    path = put(store)
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=path, capture_output=True, text=True, check=True)
    assert sorted(line.removesuffix(": OK") for line in done.stdout.splitlines()) == sorted(
        p.name for p in path.iterdir() if p.name != "SHA256SUMS"
    )


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_only_the_owner_sees_anything(tmp_path: Path, mask: int) -> None:
    """Directories are 0700 and published files 0400, whatever the umask."""
    store = Store(tmp_path / "store")
    with umask(mask):
        put(store)
        store.keep_copy("hosts.toml", b"secret = 1\n")
        with store.locked(LOGS), store.stage(LOGS, START):
            modes = tree(tmp_path)
    wrong = {
        name: mode
        for name, mode in modes.items()
        if mode not in ("600", "400" if (tmp_path / name).is_file() else "700")
    }
    assert not wrong
    published = {mode for name, mode in modes.items() if "agama/2026" in name and "." in Path(name).name}
    assert published == {"400"}


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Work with another umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_everything_is_on_disk_before_the_name_appears(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are synced, the manifest last, then their directory; then the rename; then the parent directory."""
    events = spy(monkeypatch, store.root)
    path = put(store)
    staged = f".staging/pavroto-2/agama/{path.name}"
    published = f"pavroto-2/agama/{path.name}"
    moved = events.index(f"rename {staged} {published}")
    before, after = events[:moved], events[moved + 1 :]
    files = [e for e in before if e.startswith(f"fsync {staged}/")]
    assert sorted(files) == [f"fsync {staged}/{n}" for n in ("RESTORE.txt", "SHA256SUMS", "manifest.json")]
    assert files[-1].endswith("/manifest.json")
    assert f"fsync {staged}" in before[before.index(files[-1]) :]
    assert {"fsync .", "fsync pavroto-2"} <= set(before)
    assert after[0] == "fsync pavroto-2/agama"


def spy(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[str]:
    """What is synced and renamed from now on, in order, relative to the store."""
    events: list[str] = []
    fsync, rename = os.fsync, os.rename

    def relative(path: str | Path) -> str:
        return str(Path(path).relative_to(root))

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        events.append(f"fsync {relative(Path(f'/proc/self/fd/{descriptor}').readlink())}")

    def noted_rename(old: Path, new: Path) -> None:
        rename(old, new)
        events.append(f"rename {relative(old)} {relative(new)}")

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    return events


@pytest.mark.parametrize(
    "make", [Path.mkdir, Path.touch, lambda p: p.symlink_to("nowhere")], ids=["dir", "file", "link"]
)
def test_an_existing_target_is_refused(store: Store, make: Callable[[Path], None]) -> None:
    """Not even an empty directory, which rename(2) would replace, is replaced."""
    with store.locked(AGAMA), store.stage(AGAMA, START) as staging:
        write(staging)
        target = store.root / "pavroto-2" / "agama" / staging.ref.id
        target.parent.mkdir(parents=True)
        make(target)
        with pytest.raises(StoreError, match="exists already"):
            staging.publish(describe(staging), "x")
    assert os.path.lexists(target)
    assert not (target / "manifest.json").exists()


def test_a_taken_id_gives_the_next_second(store: Store) -> None:
    """Two pulls within one second, or a clock set back: the next free second is taken, in the manifest too."""
    first, second, third = put(store), put(store), put(store)
    assert [first.name[-3:], second.name[-3:], third.name[-3:]] == ["03Z", "04Z", "05Z"]
    manifest = manifests.parse((third / "manifest.json").read_bytes())
    assert manifest.id == third.name
    assert manifest.taken == START + timedelta(seconds=2)


@pytest.mark.parametrize(
    "make", [Path.mkdir, Path.touch, lambda p: p.symlink_to("nowhere")], ids=["dir", "file", "link"]
)
def test_an_id_is_taken_by_anything_of_its_name(store: Store, make: Callable[[Path], None]) -> None:
    """Whatever bears the name of the id, even a dangling link, makes the next second be taken."""
    taken = store.root / "pavroto-2" / "agama" / "2026-11-23T010003Z"
    taken.parent.mkdir(parents=True)
    make(taken)
    assert put(store).name == "2026-11-23T010004Z"


def test_ids_are_utc(store: Store) -> None:
    """A start in another zone gives the same id."""
    east = START.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert put(store, east).name == "2026-11-23T010003Z"


def test_a_failed_pull_leaves_nothing(store: Store) -> None:
    """Whatever ends the work before it is published takes the staged files along."""
    with pytest.raises(KeyboardInterrupt):
        interrupted_pull(store)
    assert store.snapshots() == []
    assert not [name for name in tree(store.root) if "2026" in name]


def interrupted_pull(store: Store) -> None:
    """Ctrl-C after the files were written."""
    with store.locked(AGAMA), store.stage(AGAMA, START) as staging:
        write(staging)
        raise KeyboardInterrupt


def test_leftovers_of_a_dead_run_are_swept(store: Store) -> None:
    """The next run of the same source removes what a killed one left in its staging place, and nothing else."""
    dead = {name: leave_behind(store, str(name)) for name in (AGAMA, LOGS)}
    store.prepare()
    store.keep_copy("hosts.toml", b"")
    assert all(path.exists() for path in dead.values()), "only the holder of the source's lock may sweep"
    put(store, name=AGAMA)
    assert not dead[AGAMA].exists()
    assert dead[LOGS].exists()
    assert [s.ref for s in store.snapshots()] == [SnapshotRef(AGAMA, "2026-11-23T010003Z")]


def leave_behind(store: Store, source: str) -> Path:
    """What a killed run leaves: a read-only file in a private directory."""
    path = store.root / ".staging" / source / "2026-11-22T010000Z" / "dump.sql.zst.age"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    path.chmod(0o400)
    return path


def test_an_artifact_that_is_not_there_is_not_published(store: Store) -> None:
    """A manifest that names a file nobody wrote is refused."""
    with pytest.raises(StoreError), store.stage(AGAMA, START) as staging:
        staging.publish(describe(staging), "x")
    assert store.snapshots() == []


@pytest.mark.parametrize("call", range(6))
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failing_sync_publishes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: int, number: int
) -> None:
    """Each fsync before the rename can fail with a full or broken disk: StoreError, and no snapshot."""
    calls: list[int] = []
    real = os.fsync

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == call + 1:
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StoreError, match=os.strerror(number)):
        put(store)
    assert len(calls) == call + 1
    assert store.snapshots() == []
    assert not [name for name in tree(store.root) if "2026" in name]


def test_a_failing_rename_publishes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rename itself can fail."""

    def failing(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(StoreError) as caught:
        put(store)
    assert "disk is full" in caught.value.hint
    assert store.snapshots() == []


def test_a_failing_write_publishes_nothing(store: Store) -> None:
    """So can a write, here at a limit on the size of files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with store.stage(AGAMA, START) as staging:
        write(staging)
        manifest = describe(staging)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))  # Python ignores SIGXFSZ
        try:
            with pytest.raises(StoreError, match="too large"):
                staging.publish(manifest, "x")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.snapshots() == []


def test_a_failure_harms_no_earlier_snapshot(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was published before stays as it was."""
    before = put(store)
    kept = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in before.iterdir()}
    monkeypatch.setattr(os, "rename", lambda *_: os.open("/nowhere/at/all", os.O_RDONLY))
    with pytest.raises(StoreError):
        put(store, START + timedelta(days=1))
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in before.iterdir()} == kept
    assert [s.state for s in store.snapshots()] == ["good"]


def test_the_copies_of_a_run_replace_the_last_ones(store: Store) -> None:
    """hosts.toml and known_hosts lie beside the snapshots, private, those of the last run alone."""
    for text in (b"one", b"two"):
        store.keep_copy("hosts.toml", text)
    copy = store.root / "hosts.toml"
    assert copy.read_bytes() == b"two"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert list((store.root / ".staging").iterdir()) == []


def test_a_half_written_copy_is_no_obstacle(store: Store) -> None:
    """A run killed while it wrote its copy does not stop a later run that has the same process id."""
    for name in ("hosts.toml", "known_hosts"):
        (store.root / ".staging" / f".{name}.{os.getpid()}").write_bytes(b"half")
    store.keep_copy("hosts.toml", b"whole")
    assert (store.root / "hosts.toml").read_bytes() == b"whole"


def test_a_place_that_cannot_be_a_store_is_named(tmp_path: Path) -> None:
    """A file where the store should be: StoreError with its path."""
    place = tmp_path / "file"
    place.touch()
    with pytest.raises(StoreError, match=str(place)):
        Store(place).prepare()


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "df -h"),
        (errno.EDQUOT, "df -h"),
        (errno.EACCES, "ls -ld"),
        (errno.EROFS, "findmnt"),
        (errno.EIO, ""),
    ],
)
def test_the_systems_errors_come_with_a_hint(number: int, hint: str) -> None:
    """A full disk and a refused access say what to look at next."""
    error = system_error(Path("/srv/x"), OSError(number, os.strerror(number)))
    assert os.strerror(number) in error.message
    assert hint in error.hint
