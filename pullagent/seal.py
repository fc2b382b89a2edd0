"""Chunks -> zstd -> age -> SHA-256 -> file, and back, in constant memory.

The reference `age` program encrypts and decrypts; its exit status, and the size that its format prescribes for
what went in, are both part of the result. Format: https://age-encryption.org/v1
"""

import errno
import fcntl
import hashlib
import os
import select
import stat
import subprocess
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import zstandard

from pullagent.errors import DamageError, SealError, UsageError, WrongIdentity, store_error
from pullagent.manifest import ArtifactEntry
from pullagent.model import Packed, Sealed, StopSignal

# long enough that decompression and what is done with it, one thread each, seldom wait for each other
CHUNK = 4 << 20
SUFFIX = ".zst.age"
_PIPE_BYTES = 1 << 20
# fits the cache of a core: larger reads hash no faster
_READ_BYTES = 256 << 10
_SEALED_READ_BYTES = 128 << 10
_STOP_TICK_S = 0.5
# two threads, for compression is three quarters of the work; jobs of a quarter of the library's size keep them small
_THREADS, _JOB = 2, 2 << 20
_HEADER_LIMIT = 1 << 20
IDENTITY_LIMIT = 1 << 20
_ANOTHER = "take another snapshot: pullagent list"
_DEFECT = "this is a defect: report it"
_AGE_CHUNK, _AGE_TAG, _AGE_NONCE = 1 << 16, 16, 16


class Identity:
    """An age identity (or SSH private key) in memory only, to be handed to the age program by descriptor."""

    def __init__(self, data: bytes) -> None:
        if not data.strip():
            raise UsageError(
                "the identity is empty", "give the file that holds AGE-SECRET-KEY-1…, or - for standard input"
            )
        if len(data) > IDENTITY_LIMIT:
            raise UsageError("what was given is too long to be an identity", "give the file with AGE-SECRET-KEY-1…")
        self._descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
        with os.fdopen(os.dup(self._descriptor), "wb") as file:
            file.write(data)

    @classmethod
    def read(cls, path: Path) -> "Identity":
        """Read an identity file once; UsageError when it cannot be read."""
        try:
            with path.open("rb") as file:
                return cls(file.read(IDENTITY_LIMIT + 1))
        except OSError as error:
            raise UsageError(
                f"identity {path}: {error.strerror}", "give the file that holds AGE-SECRET-KEY-1…"
            ) from error

    @property
    def data(self) -> bytes:
        """What it was made from."""
        return os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)

    @property
    def descriptor(self) -> int:
        """The descriptor to pass to age; open until the object is closed."""
        return self._descriptor

    def __enter__(self) -> "Identity":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def seal(
    name: str,
    chunks: Iterable[bytes],
    path: Path,
    *,
    recipients: Sequence[str],
    level: int,
    stop: StopSignal | None = None,
) -> Sealed:
    """Compress and encrypt `chunks` into the new file `path`, read-only and on disk when this returns.

    Errors of `chunks` pass through; SealError and StoreError for everything on this side.
    """
    compressor = _Compressor(level)
    digest, plain_bytes, compressed_bytes = hashlib.sha256(), 0, 0
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    except OSError as error:
        raise store_error(path, error) from error
    with (
        os.fdopen(descriptor, "wb", buffering=0) as file,
        _age(["-e", *_recipient_flags(recipients)], stop=stop) as age,
    ):
        writer = _Writer(age.stdout, file)
        with age.outlived_by(writer), age.feeding(writer.failure):
            for chunk in chunks:
                digest.update(chunk)
                plain_bytes += len(chunk)
                compressed_bytes += age.send(compressor.compress(chunk))
            compressed_bytes += age.send(compressor.flush())
        age.expect_success(writer.failure)
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise store_error(path, error) from error
    if writer.count != _age_size(writer.header_bytes, compressed_bytes):
        raise SealError(
            f"age wrote {writer.count} bytes, not what its format takes for {compressed_bytes}",
            "is the age program sound?",
        )
    return Sealed(name, path.name, plain_bytes, digest.hexdigest(), writer.count, writer.digest.hexdigest())


def unseal(path: Path, entry: ArtifactEntry, identity: Identity) -> Generator[bytes, None, None]:
    """Decrypt and decompress a stored file into chunks of at most 4 MiB.

    After the last chunk the size and SHA-256 of the plain stream are compared with `entry`: DamageError when they
    differ, or the file is none, WrongIdentity when the identity does not open it, SealError when age fails otherwise.
    """
    digest, count = hashlib.sha256(), 0
    arguments = ["-d", "-i", f"/proc/self/fd/{identity.descriptor}"]
    # age is given what was opened here: by the path it would follow a link
    with stored_file(path) as file, _age(arguments, pass_fds=(identity.descriptor,), source=file) as age:
        reader = zstandard.ZstdDecompressor().stream_reader(
            age.stdout, read_size=_SEALED_READ_BYTES, read_across_frames=True
        )
        try:
            while chunk := reader.read(CHUNK):
                digest.update(chunk)
                count += len(chunk)
                if count > entry.plain_bytes:
                    raise DamageError(f"{path}: its content is longer than its manifest says", _ANOTHER)
                yield chunk
        except zstandard.ZstdError as error:
            age.expect_success(lambda: None)
            raise DamageError(f"{path}: not a sound zstd stream: {error}", _ANOTHER) from error
        age.expect_success(lambda: None)
    if (count, digest.hexdigest()) != (entry.plain_bytes, entry.plain_sha256):
        raise DamageError(f"{path}: its content is not what its manifest says", _ANOTHER)


def hash_file(path: Path, advanced: Callable[[int], None] = lambda _: None) -> tuple[int, str]:
    """Size in bytes and SHA-256 in hex of a file; OSError. A link is not followed, and only a plain file is read."""
    digest, count, buffer = hashlib.sha256(), 0, bytearray(_READ_BYTES)
    view = memoryview(buffer)
    with _plain_file(path) as file:
        while length := os.readv(file.fileno(), [buffer]):
            digest.update(view[:length])
            count += length
            advanced(length)
    return count, digest.hexdigest()


def stored_file(path: Path) -> IO[bytes]:
    """A stored file, opened for reading; DamageError when it is missing, a link, or anything else but a plain file."""
    try:
        return _plain_file(path)
    except OSError as error:
        raise DamageError(f"{path}: {error.strerror}", _ANOTHER) from error


def _plain_file(path: Path) -> IO[bytes]:
    try:
        # no waiting at a pipe
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "a link, which is not followed", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "rb", buffering=0)


def check_stored(path: Path, entry: ArtifactEntry, advanced: Callable[[int], None] = lambda _: None) -> None:
    """Compare a stored file with its manifest's size and SHA-256; DamageError when it differs."""
    try:
        count, digest = hash_file(path, advanced)
    except OSError as error:
        raise DamageError(f"{path}: {error.strerror}", _ANOTHER) from error
    if (count, digest) != (entry.stored_bytes, entry.stored_sha256):
        raise DamageError(
            f"{path}: differs from what was stored: {count} bytes, SHA-256 {digest[:16]}…; "
            f"expected {entry.stored_bytes} bytes, {entry.stored_sha256[:16]}…",
            "this snapshot is damaged: take another (pullagent list), and look at the disk it lies on",
        )


def check_recipients(recipients: Sequence[str]) -> None:
    """Have age encrypt nothing to `recipients`; SealError in age's words when it refuses them."""
    with _age(["-e", *_recipient_flags(recipients)]) as age:
        with age.feeding(lambda: None):
            age.send(b"")
        while age.stdout.read(CHUNK):
            pass
        age.expect_success(lambda: None)


def age_version() -> str:
    """The installed age program's version, as it prints it; SealError when there is none."""
    with _age(["--version"], feed=False) as age:
        text = age.stdout.read(200).decode(errors="replace").strip()
        age.expect_success(lambda: None)
    return text


def _recipient_flags(recipients: Sequence[str]) -> list[str]:
    if any("SECRET-KEY-" in r.upper() or "PRIVATE KEY" in r.upper() for r in recipients):
        # age would repeat it in its message, and any user here could read it in the process list
        raise SealError("a secret key (not shown) stands among the recipients", "write public keys there: age1…, ssh-…")
    return [part for recipient in recipients for part in ("-r", recipient)]


def _age_size(header_bytes: int, plain_bytes: int) -> int:
    """How long an age v1 file is for `plain_bytes`: header, nonce, and a tag for each 64 KiB or part of it."""
    chunks = max(1, -(-plain_bytes // _AGE_CHUNK))
    return header_bytes + _AGE_NONCE + plain_bytes + chunks * _AGE_TAG


class _Compressor:
    """Compresses chunks. What came compressed is passed on as it came: all of an artifact, or nothing of it."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._own: Any = None
        self._passed, self._ended = 0, False

    def compress(self, chunk: bytes) -> bytes:
        """What the next chunk adds to the frame."""
        if isinstance(chunk, Packed) and self._own is None:
            return self._pass(chunk)
        if self._passed:
            raise SealError("a stream that came compressed has lost a part", _DEFECT)
        if self._own is None:
            self._own = self._begin()
        return bytes(self._own.compress(chunk))

    def flush(self) -> bytes:
        """The end of the frame."""
        if self._ended:
            return b""
        if self._passed:
            raise SealError("a stream that came compressed has lost its end", _DEFECT)
        return bytes((self._own or self._begin()).flush())

    def _begin(self) -> Any:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            self._level, threads=_THREADS, job_size=_JOB, write_checksum=1
        )
        return zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def _pass(self, chunk: Packed) -> bytes:
        if chunk.at != self._passed or self._ended:
            raise SealError("a stream that came compressed has lost a part", _DEFECT)
        self._passed += len(chunk.packed)
        self._ended = chunk.last
        return chunk.packed


class _Age:
    """One running age program."""

    def __init__(self, process: "subprocess.Popen[bytes]", stop: StopSignal) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdout = process.stdout
        self._process, self._stop = process, stop
        self._messages = b""
        self._listener = threading.Thread(target=self._listen, args=(process.stderr,), daemon=True)
        self._listener.start()

    def _listen(self, stderr: IO[bytes]) -> None:
        while True:
            if self._stop.is_set():
                # it may be stuck, and with it whoever feeds it
                self._process.kill()
            if not select.select([stderr], [], [], _STOP_TICK_S)[0]:
                continue
            text = os.read(stderr.fileno(), 4096)
            if not text:
                return
            self._messages = (self._messages + text)[-4096:]

    def send(self, data: bytes) -> int:
        """Write all of `data` to age; the number of bytes."""
        assert self._process.stdin is not None
        if data:
            self._process.stdin.write(data)
        return len(data)

    @contextmanager
    def outlived_by(self, writer: threading.Thread) -> Iterator[None]:
        """Run `writer` beside it, and let it end before the file that it writes is closed."""
        writer.start()
        try:
            yield
        except BaseException:
            self._process.kill()
            raise
        finally:
            writer.join()

    @contextmanager
    def feeding(self, failure: Callable[[], Exception | None]) -> Iterator[None]:
        """Close age's input afterwards; a broken pipe is reported as what broke it."""
        assert self._process.stdin is not None
        try:
            yield
            self._process.stdin.close()
        except BrokenPipeError as error:
            self.expect_success(failure)
            raise SealError("age stopped reading before the end") from error

    def expect_success(self, failure: Callable[[], Exception | None]) -> None:
        """Wait for the end; raise what `failure` returns, else SealError or WrongIdentity on a bad status."""
        status = self._process.wait()
        self._listener.join()
        cause = failure()
        if cause is not None:
            raise cause
        if status == 0:
            return
        said = self._messages.decode(errors="replace")
        lines = [
            line.removeprefix("age: ").removeprefix("error: ")
            for line in said.splitlines()
            if "report unexpected" not in line
        ]
        text = "; ".join(lines) or ("no word" if status > 0 else f"killed by signal {-status}")
        if (
            any(words in said for words in ("unknown identity type", "no secret keys found", "malformed"))
            and "fd/" in said
        ):
            # age's words may repeat a part of the file
            hint = "it has a line AGE-SECRET-KEY-1…, or is an SSH private key"
            raise UsageError("the identity file holds no identity that age can read", hint)
        if "no identity matched" in said or "incorrect passphrase" in said:
            raise WrongIdentity(
                f"the identity does not open this snapshot (age: {text})",
                "`pullagent show` names the recipients it was encrypted to",
            )
        if "/dev/tty is not available" in said:
            raise UsageError("age has a question, and there is no terminal to ask it on", "on a terminal:  ssh -t …")
        if "start plugin" in said:
            hint = "install the program that it names where PATH leads; `age` runs it for identities of its kind"
            raise SealError(f"age cannot run a plugin: {text}", hint)
        raise SealError(f"age failed with status {status}: {text}")

    def end(self) -> None:
        """Leave no process, no thread and no descriptor behind."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


@contextmanager
def _age(
    arguments: Sequence[str],
    *,
    pass_fds: tuple[int, ...] = (),
    feed: bool = True,
    source: IO[bytes] | None = None,
    stop: StopSignal | None = None,
) -> Iterator[_Age]:
    """The program at work. It reads `source`, else what it is fed, else nothing."""
    try:
        process = subprocess.Popen(
            ["age", *arguments],
            stdin=source or (subprocess.PIPE if feed else subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
        )
    except FileNotFoundError as error:
        raise SealError("the age program is not installed here", "apt-get install age") from error
    except OSError as error:
        raise SealError(f"the age program cannot be run: {error.strerror}", "which age; apt-get install age") from error
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            # faster, no more: the kernel lets an account have 64 such pipes, and a run may have more streams
            with suppress(OSError):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    age = _Age(process, stop or StopSignal())
    try:
        yield age
    finally:
        age.end()


class _Writer(threading.Thread):
    """Takes what age puts out, hashes it, writes it to the file; keeps the first error."""

    def __init__(self, source: IO[bytes], file: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._source, self._file = source, file
        self._error: Exception | None = None
        self._head = b""
        self.digest, self.count, self.header_bytes = hashlib.sha256(), 0, 0

    def failure(self) -> Exception | None:
        """The error that ended it, once it has ended; None if all was written."""
        self.join()
        return self._error

    def run(self) -> None:
        """Copy until age closes its output."""
        try:
            buffer = bytearray(_READ_BYTES)
            view = memoryview(buffer)
            while length := os.readv(self._source.fileno(), [buffer]):
                self._take(view[:length])
        except OSError as error:
            self._error = store_error(Path(str(self._file.name)), error)
        except SealError as error:
            self._error = error
        finally:
            # age meets a closed pipe, ends, and so ends the thread that feeds it
            self._source.close()

    def _take(self, view: memoryview) -> None:
        if not self.header_bytes:
            self._find_header_end(bytes(view))
        self.digest.update(view)
        self.count += len(view)
        while view:
            view = view[self._file.write(view) :]

    def _find_header_end(self, chunk: bytes) -> None:
        self._head += chunk
        mac = self._head.find(b"\n--- ")
        end = self._head.find(b"\n", mac + 5) if mac >= 0 else -1
        if end >= 0:
            self.header_bytes, self._head = end + 1, b""
        elif len(self._head) > _HEADER_LIMIT:
            raise SealError("what age writes does not begin with an age header", "is the age program sound?")
