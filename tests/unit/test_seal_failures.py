"""Sealing when something fails: the age program, the disk. No false success."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pullagent import seal
from pullagent.errors import SealError, StoreError
from tests.unit.sealing import IDENTITY_FILE, RECIPIENT, FalseAge, nothing_left, sealed, unsealed

MUCH = os.urandom(3 << 20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where to seal to."""
    return tmp_path / "dump.sql.zst.age"


@pytest.fixture
def age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FalseAge:
    """The age program's place, to put something else there."""
    return FalseAge(tmp_path / "bin", monkeypatch)


LIARS = {
    "fails at once": ("echo 'age: error: no such luck' >&2; exit 1", "no such luck"),
    "fails at the end": ("$AGE \"$@\"; echo 'age: error: no luck' >&2; exit 3", "status 3: no luck"),
    "fails without a word": ("cat >/dev/null; exit 1", "no word"),
    "says a lot": ("head -c 300000 /dev/zero | tr '\\0' 'x' >&2; cat >/dev/null; exit 1", "status 1"),
    "writes nothing": ("cat >/dev/null", "age wrote 0 bytes"),
    "does not even read": ("exit 0", "age (wrote 0|stopped)"),
    "closes its output": ("exec >&-; cat >/dev/null", "age wrote 0 bytes"),
    "writes half a header": ("cat >/dev/null; echo age-encryption.org/v1", "age wrote"),
    "loses the last byte": ('$AGE "$@" | head -c -1', "age wrote"),
    "loses the last block": ('$AGE "$@" | head -c -65536', "age wrote"),
    "stops after the header": ('$AGE "$@" | head -c 190', "age (wrote 190|stopped)"),
    "adds a byte": ('$AGE "$@"; echo', "age wrote"),
    "writes everything twice": ('$AGE "$@" >"$0.out"; cat "$0.out" "$0.out"', "age wrote"),
    "does not encrypt": ("cat", "age (wrote|header)"),
    "writes garbage": ("cat >/dev/null; head -c 3000000 /dev/urandom", "age header"),
    "is killed": ("head -c 1000 >/dev/null; kill -9 $$", "killed by signal 9"),
    "is terminated": ("kill -TERM $$", "killed by signal 15"),
}


@pytest.mark.parametrize("data", [b"little", MUCH], ids=["little", "much"])
@pytest.mark.parametrize(("script", "message"), LIARS.values(), ids=LIARS)
def test_a_false_age_program_is_found_out(path: Path, age: FalseAge, script: str, message: str, data: bytes) -> None:
    """However the age program fails or lies about it, sealing fails, and says so."""
    if "65536" in script and data != MUCH:
        pytest.skip("there is no second block")
    age.install(script)
    with nothing_left(), pytest.raises(SealError, match=message):
        sealed(path, data)


def test_without_an_age_program_the_hint_says_how_to_get_it(path: Path, age: FalseAge) -> None:
    """Sealing, opening and asking for the version all name the package."""
    entry = sealed(path, b"x")
    age.remove()
    with nothing_left():
        for attempt in (
            lambda: sealed(path.with_name("other"), b"x"),
            lambda: unsealed(path, entry),
            lambda: seal.check_recipients([RECIPIENT]),
            seal.age_version,
        ):
            with pytest.raises(SealError, match="not installed") as caught:
                attempt()
            assert "apt-get install age" in caught.value.hint


@pytest.mark.parametrize(("content", "mode"), [("exit 0", 0o644), (b"\x7fELF nonsense", 0o755)])
def test_an_age_program_that_cannot_be_started(
    path: Path, age: FalseAge, monkeypatch: pytest.MonkeyPatch, content: str | bytes, mode: int
) -> None:
    """A file without the right to execute, or of another machine, is an error of ours like any other."""
    age.remove()
    only = os.environ["PATH"]
    age.install(content, mode)
    monkeypatch.setenv("PATH", only)
    with nothing_left(), pytest.raises(SealError, match="age"):
        sealed(path, b"x")


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes (Python ignores the signal)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", [0, 100, 1_000_000])
def test_a_disk_that_takes_no_more_is_reported(path: Path, limit: int) -> None:
    """A write that fails, at the first byte or in the middle, ends the sealing with the disk's own words."""
    with nothing_left(), file_limit(limit), pytest.raises(StoreError, match="too large"):
        sealed(path, MUCH)


def test_a_full_disk_under_an_endless_stream_ends_it(path: Path) -> None:
    """The stream is not read on for hours when nothing can be written any more."""
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += len(MUCH)
            yield MUCH

    with nothing_left(), file_limit(500_000), pytest.raises(StoreError):
        sealed(path, endless())
    assert read < 200 << 20


def test_a_full_disk_has_its_hint(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delayed allocation may report the full disk only when the file is synced."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with nothing_left(), pytest.raises(StoreError, match="No space left") as caught:
        sealed(path, b"x")
    assert "df -h" in caught.value.hint


def test_a_directory_that_is_not_there_is_named(path: Path) -> None:
    """A staging directory that vanished."""
    with nothing_left(), pytest.raises(StoreError, match="No such file"):
        sealed(path / "below", b"x")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'age: error: no luck' >&2; exit 1", "no luck"),
        ('$AGE "$@"; exit 2', "status 2"),
        ('$AGE "$@" | head -c 100', "content is not what"),
        ("exit 0", "content is not what"),
        ("kill -9 $$", "signal 9"),
        ("head -c 5000 /dev/urandom", "not a sound zstd stream"),
    ],
)
def test_a_false_age_program_opens_nothing(path: Path, age: FalseAge, script: str, message: str) -> None:
    """On the way back its exit status, and the size and hash of what comes, are all looked at."""
    entry = sealed(path, MUCH[:100_000])
    age.install(script)
    with nothing_left(), pytest.raises((SealError, StoreError), match=message):
        unsealed(path, entry, IDENTITY_FILE)
