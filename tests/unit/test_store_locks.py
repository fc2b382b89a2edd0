"""Locks of the store between processes: one writer of a source, many readers of a snapshot, none stale."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pullagent.errors import LockedError, NoSuchSnapshot, Stopped, StoreError
from pullagent.model import StopSignal
from pullagent.store import Store
from tests.unit.storing import AGAMA, LOGS, put

HOLD = """
import sys
from pathlib import Path
from pullagent.model import SourceName
from pullagent.store import Store
with Store(Path(sys.argv[1])).locked(SourceName("pavroto-2", "agama")):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    made = Store(tmp_path)
    made.prepare()
    return made


@contextmanager
def holder(store: Store) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the lock of AGAMA until its input is closed."""
    argv = [sys.executable, "-c", HOLD, str(store.root)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_process_holds_the_lock(store: Store) -> None:
    """While one run pulls a source another is refused at once with its own exit code; other sources are free."""
    with holder(store):
        with pytest.raises(LockedError, match="pavroto-2/agama") as caught, store.locked(AGAMA):
            pytest.fail("both hold it")
        assert caught.value.exit_code == 11
        assert "--wait" in caught.value.hint
        with store.locked(LOGS):
            pass


def test_a_killed_holder_leaves_no_lock(store: Store) -> None:
    """The kernel releases the lock of a process that dies: none goes stale."""
    with holder(store) as process:
        process.kill()
        process.wait()
        with store.locked(AGAMA):
            pass


def test_waiting_gets_the_lock_when_it_is_free(store: Store) -> None:
    """With a time to wait, the lock is taken as soon as the other run ends."""
    with holder(store) as process:
        assert process.stdin is not None
        threading.Timer(0.3, process.stdin.close).start()
        begun = time.monotonic()
        with store.locked(AGAMA, wait_s=20):
            assert 0.2 < time.monotonic() - begun < 10


def test_waiting_ends_when_the_time_is_over(store: Store) -> None:
    """The wait is bounded."""
    begun = time.monotonic()
    with holder(store), pytest.raises(LockedError), store.locked(AGAMA, wait_s=0.3):
        pytest.fail("both hold it")
    assert time.monotonic() - begun > 0.3


def test_a_stop_ends_the_wait(store: Store) -> None:
    """Ctrl-C does not have to wait for a lock's time to run out."""
    stop = StopSignal()
    threading.Timer(0.2, stop.set).start()
    begun = time.monotonic()
    with holder(store), pytest.raises(Stopped), store.locked(AGAMA, wait_s=60, stop=stop):
        pytest.fail("both hold it")
    assert time.monotonic() - begun < 10


def test_the_lock_is_free_after_an_error(store: Store) -> None:
    """However the work under a lock ends, the lock is released."""
    with pytest.raises(RuntimeError), store.locked(AGAMA):
        raise RuntimeError
    with store.locked(AGAMA):
        pass


def test_a_program_started_meanwhile_does_not_keep_the_lock(store: Store) -> None:
    """Programs started under the lock do not inherit it, even if they outlive the run."""
    with store.locked(AGAMA):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with store.locked(AGAMA):
            pass
    finally:
        child.kill()
        child.wait()


def test_readers_share_a_snapshot_and_keep_a_remover_away(store: Store) -> None:
    """Two readers hold it at once; an exclusive lock is to be had only after both."""
    path = put(store)
    (snapshot,) = store.snapshots()
    remover = os.open(path, os.O_RDONLY)
    try:
        with store.reading(snapshot), store.reading(snapshot), pytest.raises(BlockingIOError):
            fcntl.flock(remover, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(remover, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(LockedError, match="is being removed"), store.reading(snapshot):
            pytest.fail("read while it is removed")
    finally:
        os.close(remover)


def test_a_snapshot_that_has_gone_is_said_to_have_gone(store: Store) -> None:
    """Between list and fetch prune may have removed it."""
    path = put(store)
    (snapshot,) = store.snapshots()
    path.rename(store.root / "elsewhere")
    with pytest.raises(NoSuchSnapshot, match="has gone"), store.reading(snapshot):
        pytest.fail("read what is not there")


def test_a_lock_that_the_system_refuses_is_an_error_of_ours(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error while locking is told as one."""

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(StoreError, match="a lock cannot be taken: Input/output error"), store.locked(AGAMA):
        pass
