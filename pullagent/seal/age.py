"""The reference `age` program: started, fed, stopped, and its end judged. Format: https://age-encryption.org/v1"""

import fcntl
import os
import select
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from pullagent.errors import SealError, UsageError, WrongIdentity
from pullagent.model import StopSignal

_PIPE_BYTES = 1 << 20
_STOP_TICK_S = 0.5
_CHUNK, _TAG, _NONCE = 1 << 16, 16, 16


def check_recipients(recipients: Sequence[str]) -> None:
    """Have age encrypt nothing to `recipients`; SealError in age's words when it refuses them."""
    with running(["-e", *recipient_flags(recipients)]) as age:
        with age.feeding(lambda: None):
            age.send(b"")
        while age.stdout.read(_PIPE_BYTES):
            pass
        age.expect_success(lambda: None)


def age_version() -> str:
    """The installed age program's version, as it prints it; SealError when there is none."""
    with running(["--version"], feed=False) as age:
        text = age.stdout.read(200).decode(errors="replace").strip()
        age.expect_success(lambda: None)
    return text


def recipient_flags(recipients: Sequence[str]) -> list[str]:
    if any("SECRET-KEY-" in r.upper() or "PRIVATE KEY" in r.upper() for r in recipients):
        # age would repeat it in its message, and any user here could read it in the process list
        raise SealError("a secret key (not shown) stands among the recipients", "write public keys there: age1…, ssh-…")
    return [part for recipient in recipients for part in ("-r", recipient)]


def sealed_size(header_bytes: int, plain_bytes: int) -> int:
    """How long an age v1 file is for `plain_bytes`: header, nonce, and a tag for each 64 KiB or part of it."""
    chunks = max(1, -(-plain_bytes // _CHUNK))
    return header_bytes + _NONCE + plain_bytes + chunks * _TAG


class Age:
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
def running(
    arguments: Sequence[str],
    *,
    pass_fds: tuple[int, ...] = (),
    feed: bool = True,
    source: IO[bytes] | None = None,
    stop: StopSignal | None = None,
) -> Iterator[Age]:
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
    age = Age(process, stop or StopSignal())
    try:
        yield age
    finally:
        age.end()
