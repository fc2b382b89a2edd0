"""Sealing and unsealing: what goes in comes out, with pullagent and with the stock programs, and only with the key."""

import fcntl
import hashlib
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullagent import seal
from pullagent.errors import ConnectionLost, DamageError, SealError, StoreError, UsageError, WrongIdentity
from pullagent.model import Packed
from pullagent.seal import Identity
from tests.unit.memory import peak_growth
from tests.unit.sealing import (
    IDENTITY_FILE,
    RECIPIENT,
    SECRET,
    SSH_IDENTITY_FILE,
    SSH_RECIPIENT,
    FalseAge,
    nothing_left,
    sealed,
    unsealed,
)

SIZES = [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 1 << 20, (5 << 20) + 3]
each_size = pytest.mark.parametrize("size", SIZES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where to seal to."""
    return tmp_path / "dump.sql.zst.age"


@each_size
def test_what_goes_in_comes_out(path: Path, size: int) -> None:
    """Contents of every size around age's and zstd's block sizes come back as they were, and are described."""
    data = random.Random(size).randbytes(size)
    with nothing_left():
        entry = sealed(path, data)
        assert unsealed(path, entry) == data
    assert (entry.plain_bytes, entry.plain_sha256) == (size, hashlib.sha256(data).hexdigest())
    stored = path.read_bytes()
    assert (entry.stored_bytes, entry.stored_sha256) == (len(stored), hashlib.sha256(stored).hexdigest())


def test_the_disk_begins_early(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored is given to the disk as it comes: little is left for the end, which waits for it."""
    given = list[tuple[int, int]]()
    monkeypatch.setattr(os, "posix_fadvise", lambda _, start, count, __: given.append((start, start + count)))
    entry = sealed(path, random.Random(1).randbytes(40 << 20))
    assert [start for start, _ in given] == [0, *(end for _, end in given[:-1])]
    assert entry.stored_bytes - given[-1][1] < 9 << 20


@each_size
def test_the_stock_programs_open_it(path: Path, size: int) -> None:
    """`age -d -i KEY FILE | zstd -d` gives the content, and zstd finds its checksum."""
    data = random.Random(size).randbytes(size)
    sealed(path, data)
    age = subprocess.run(["age", "-d", "-i", str(IDENTITY_FILE), str(path)], capture_output=True, check=True)
    zstd = subprocess.run(["zstd", "-d", "-c"], input=age.stdout, capture_output=True, check=True)
    assert zstd.stdout == data


@given(chunks=st.lists(st.binary(max_size=3000), max_size=8))
@settings(max_examples=12)
def test_any_chunks_come_back(tmp_path: Path, chunks: list[bytes]) -> None:
    """How the content is cut into chunks does not matter, not even empty ones."""
    path = tmp_path / "any"
    path.unlink(missing_ok=True)
    assert unsealed(path, sealed(path, chunks)) == b"".join(chunks)


def test_the_file_is_read_only_and_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When seal returns, the file is on disk and nobody can write to it."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append((Path(f"/proc/self/fd/{fd}").readlink(), os.fstat(fd))))
    entry = sealed(path, b"x" * 100_000)
    ((name, status),) = synced
    assert (name, status.st_size) == (path, entry.stored_bytes)
    assert path.stat().st_mode & 0o777 == 0o400


def test_an_existing_file_is_not_overwritten(path: Path) -> None:
    """A file that is there already is left as it is."""
    path.write_bytes(b"mine")
    with pytest.raises(StoreError, match="File exists"):
        sealed(path, b"x")
    assert path.read_bytes() == b"mine"


def test_sealing_takes_constant_memory(path: Path) -> None:
    """256 MiB pass in less than 64 MiB."""
    chunk = random.Random(1).randbytes(1 << 19) + bytes(1 << 19)
    assert peak_growth(lambda: sealed(path, (chunk for _ in range(256)))) < 64 << 20


def test_unsealing_takes_constant_memory(path: Path) -> None:
    """So do they on the way back."""
    entry = sealed(path, (bytes(1 << 20) for _ in range(256)))

    def work() -> None:
        with Identity.read(IDENTITY_FILE) as identity:
            assert max(len(c) for c in seal.unseal(path, entry, identity)) <= seal.CHUNK

    assert peak_growth(work) < 48 << 20


def test_streams_side_by_side(tmp_path: Path) -> None:
    """Several threads seal and unseal at once without touching each other's processes."""

    def work(number: int) -> bool:
        data = random.Random(number).randbytes(700_000)
        path = tmp_path / str(number)
        return unsealed(path, sealed(path, data)) == data

    with nothing_left(), ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


def test_streams_side_by_side_need_no_large_pipes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gives an account without rights 64 of them: the 22nd age at once must start all the same."""
    real = fcntl.fcntl

    def refusing(file: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETPIPE_SZ:
            raise PermissionError(1, "Operation not permitted")
        return real(file, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", refusing)
    data = random.Random(9).randbytes(700_000)
    with nothing_left():
        assert unsealed(path, sealed(path, data)) == data


def test_an_ssh_key_is_a_recipient(path: Path) -> None:
    """An ssh-ed25519 public key serves, its private key opens, and so does the other recipient's identity."""
    entry = sealed(path, b"content", [SSH_RECIPIENT, RECIPIENT])
    assert unsealed(path, entry, SSH_IDENTITY_FILE) == b"content"
    assert unsealed(path, entry, IDENTITY_FILE) == b"content"


def test_a_wrong_identity_is_said_to_be_wrong(path: Path) -> None:
    """An identity of nobody the file was sealed for: WrongIdentity with its own exit code."""
    entry = sealed(path, b"content")
    with nothing_left(), pytest.raises(WrongIdentity, match="does not open") as caught:
        unsealed(path, entry, SSH_IDENTITY_FILE)
    assert caught.value.exit_code == 12


@pytest.mark.parametrize("text", [SECRET[:-1], SECRET[:20], f"{SECRET} {SECRET}", "no key at all"])
def test_a_broken_identity_is_refused_and_not_repeated(path: Path, text: str) -> None:
    """What cannot be read as an identity is refused, without a word of it in any message."""
    entry = sealed(path, b"content")
    with nothing_left(), pytest.raises(UsageError) as caught, Identity(text.encode()) as identity:
        b"".join(seal.unseal(path, entry, identity))
    assert text[:30] not in words(caught.value)
    assert SECRET[18:30] not in words(caught.value)


def words(error: BaseException | None) -> str:
    """Everything that an error and those behind it say."""
    said = []
    while error is not None:
        said.append(f"{error} {error.args} {getattr(error, 'hint', '')}")
        error = error.__cause__ or error.__context__
    return "\n".join(said)


@pytest.mark.parametrize("text", [b"", b" \n\t\n"])
def test_an_empty_identity_is_refused(text: bytes) -> None:
    """Nothing on standard input is no identity."""
    with nothing_left(), pytest.raises(UsageError, match="empty"):
        Identity(text)


def test_an_identity_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere."""
    with pytest.raises(UsageError, match="absent"):
        Identity.read(tmp_path / "absent")


def test_an_identity_lives_in_memory_alone(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a memory file, gone at the end; age gets its descriptor, and the key stands in no argument or variable."""
    entry = sealed(path, b"content")
    log = tmp_path / "log"
    false_age = FalseAge(tmp_path / "bin", monkeypatch)
    false_age.install(f'echo "$0 $*" >>{log}; env >>{log}; exec $AGE "$@"')
    with Identity(f"{SECRET}\n".encode()) as identity:
        descriptor = identity.descriptor
        assert str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith("/memfd:")
        for _ in range(2):  # it can be used again
            assert b"".join(seal.unseal(path, entry, identity)) == b"content"
    assert not Path(f"/proc/self/fd/{descriptor}").exists()
    said = log.read_text()
    assert "/proc/self/fd/" in said
    assert "SECRET-KEY" not in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bin", "dump.sql.zst.age", "log"]


def test_an_error_of_the_stream_passes_through(path: Path) -> None:
    """A lost connection in mid-dump is raised as it is, and no age process stays behind."""

    def lost() -> Iterator[bytes]:
        yield b"x" * 3_000_000
        raise ConnectionLost("gone")

    with nothing_left(), pytest.raises(ConnectionLost, match="gone"):
        sealed(path, lost())


def test_an_interrupt_passes_through(path: Path) -> None:
    """So is Ctrl-C."""

    def interrupted() -> Iterator[bytes]:
        yield b"x"
        raise KeyboardInterrupt

    with nothing_left(), pytest.raises(KeyboardInterrupt):
        sealed(path, interrupted())


def test_a_reader_may_stop_early(path: Path) -> None:
    """A stream that is closed after its first chunk leaves no age process behind."""
    entry = sealed(path, random.Random(2).randbytes(5 << 20))
    with nothing_left(), Identity.read(IDENTITY_FILE) as identity:
        stream = seal.unseal(path, entry, identity)
        assert next(stream)
        stream.close()


def test_a_sound_file_passes_its_check(path: Path) -> None:
    """`check_stored` reads all of a file and reports its progress in bytes."""
    entry, seen = sealed(path, random.Random(2).randbytes(3 << 20)), list[int]()
    seal.check_stored(path, entry, seen.append)
    assert sum(seen) == entry.stored_bytes


def test_a_changed_file_fails_its_check(path: Path) -> None:
    """One bit, one byte less, one more, or no file: DamageError with its own exit code."""
    entry = sealed(path, b"content")
    whole = path.read_bytes()
    path.chmod(0o600)
    for changed in (whole[:-1], whole + b"x", whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        path.write_bytes(changed)
        with pytest.raises(DamageError) as caught:
            seal.check_stored(path, entry)
        assert caught.value.exit_code == 4
    path.unlink()
    with pytest.raises(DamageError, match="No such file"):
        seal.check_stored(path, entry)


def test_good_recipients_pass() -> None:
    """age itself judges the recipients, of both kinds."""
    with nothing_left():
        seal.check_recipients([RECIPIENT, SSH_RECIPIENT])


@pytest.mark.parametrize("bad", ["age1notakey", "ssh-ed25519 AAAA", RECIPIENT[:-1], RECIPIENT + "q", "-p", ""])
def test_a_bad_recipient_is_refused(bad: str) -> None:
    """What age does not take ends the run before anything is pulled."""
    with nothing_left(), pytest.raises(SealError):
        seal.check_recipients([RECIPIENT, bad])


@pytest.mark.parametrize("secret", [SECRET, SECRET.lower(), f" {SECRET}", SSH_IDENTITY_FILE.read_text()])
def test_a_secret_in_place_of_a_recipient_is_not_repeated(secret: str) -> None:
    """age repeats what it refuses; a secret key must not get into a message or a log that way."""
    with pytest.raises(SealError) as caught:
        seal.check_recipients([secret])
    said = words(caught.value).lower()
    for part in secret.lower().split():
        assert len(part) < 20 or part[15:] not in said


def test_ages_version_is_known() -> None:
    """It goes into the manifest."""
    assert seal.age_version().lstrip("v")[0].isdigit()


def packed(data: bytes, size: int = 50_000) -> list[Packed]:
    """What comes of a host that compresses: plain chunks, each with a part of the frame."""
    frame = subprocess.run(["zstd", "-q", "-c", "--check"], input=data, capture_output=True, check=True).stdout
    plain = [data[at : at + size] for at in range(0, len(data), size)]
    share = len(frame) // (len(plain) + 1)
    parts = [Packed.of(chunk, frame[n * share : (n + 1) * share], n * share) for n, chunk in enumerate(plain)]
    at = share * len(plain)
    return [*parts, Packed.of(b"", frame[at:], at, last=True)]


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_what_came_compressed_is_stored_as_it_came(path: Path, size: int) -> None:
    """Not compressed again: the very frame is in the file; size and hash are those of the plain bytes."""
    data = random.Random(size).randbytes(size)
    chunks = packed(data)
    entry = sealed(path, chunks)
    assert (entry.plain_bytes, entry.plain_sha256) == (size, hashlib.sha256(data).hexdigest())
    age = subprocess.run(["age", "-d", "-i", str(IDENTITY_FILE), str(path)], capture_output=True, check=True)
    assert age.stdout == b"".join(chunk.packed for chunk in chunks)
    assert unsealed(path, entry) == data


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c[1:],
        lambda c: c[:-1],
        lambda c: [*c[:2], *c[3:]],
        lambda c: [c[1], c[0], *c[2:]],
        lambda c: [*c, c[-1]],
        lambda c: [*c[:2], bytes(c[2]), *c[3:]],
        lambda c: [*c, b"more"],
    ],
    ids=["no beginning", "no end", "a gap", "order", "twice", "one in clear", "more in clear"],
)
def test_a_compressed_stream_that_is_not_whole(path: Path, spoil: Callable[[list[bytes]], list[bytes]]) -> None:
    """Whoever passes chunks on may not leave any out: what is stored would not be what was hashed."""
    with pytest.raises(SealError, match="came compressed"):
        sealed(path, spoil([*packed(random.Random(1).randbytes(300_000))]))


def test_what_is_changed_on_the_way_is_compressed_here(path: Path) -> None:
    """Chunks that a source cut or rewrote have lost what they came as, and are like any other."""
    data = random.Random(2).randbytes(300_000)
    entry = sealed(path, [chunk[:10] + chunk[10:] for chunk in packed(data)])
    assert unsealed(path, entry) == data
