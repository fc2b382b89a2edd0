"""Runs git on a repository of this machine: with nothing of anybody's configuration, bounded, and stoppable.

No hook, pager, credential helper, prompt or transport but the one that is asked for can run; see git(1), git-config(1).
"""

import fcntl
import os
import resource
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pullagent.errors import SourceError, system_error
from pullagent.model import StopSignal

_SCRATCH = "pullagent-git."
_TICK_S = 0.2
_CHUNK = 1 << 20
_SAID_BYTES = 64 << 10
_END_S = 5
_ANSWER_BYTES = 64 << 20
# of each git: 140 MB are what one of 1.7 GB with 250,000 objects takes; files it maps do not count (RLIMIT_DATA)
_MEMORY_BYTES = 1 << 30
_NO_MEMORY = ("out of memory", "cannot allocate memory")
# a fetch or an fsck of a large repository; a hung one must not hold the lock for ever
LONG_S, SHORT_S = 6 * 3600.0, 120.0
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
# flaws of old histories that harm nobody: refusing them would mean having no copy of the history at all
_HARMLESS = (
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingTaggerEntry",
    "multipleAuthors",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
)
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.logAllRefUpdates=false",
    "core.fsync=all",
    "core.fsyncMethod=fsync",
    "core.bigFileThreshold=16m",
    "core.packedGitWindowSize=16m",
    "core.packedGitLimit=128m",
    "credential.helper=",
    "fetch.fsckObjects=true",
    *(f"{part}.{name}=warn" for part in ("fetch.fsck", "fsck") for name in _HARMLESS),
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=120",
    "pack.threads=1",
    "pack.windowMemory=64m",
    "pack.deltaCacheSize=32m",
    "protocol.version=2",
    "submodule.recurse=false",
    "transfer.credentialsInUrl=die",
)


class GitFailed(SourceError):
    """git ended with a bad status; `said` is what it wrote to standard error."""

    def __init__(self, message: str, hint: str, said: str) -> None:
        super().__init__(message, hint)
        self.said = said


class Program:
    """git, on the repository at `directory`. `held`: descriptors that each git keeps open, such as a lock's;
    `min_free_bytes`: what it must leave of the file system there.
    """

    def __init__(
        self, directory: Path, stop: StopSignal | None = None, held: tuple[int, ...] = (), min_free_bytes: int = 0
    ) -> None:
        self.directory, self._stop, self._held = directory, stop or StopSignal(), held
        self._min_free_bytes = min_free_bytes

    def ask(
        self,
        *arguments: str,
        data: bytes = b"",
        protocol: str = "",
        descriptors: tuple[int, ...] = (),
        limit_s: float = SHORT_S,
    ) -> bytes:
        """All that git writes to standard output, `data` being its input. `protocol`: the one it may speak."""
        answer = bytearray()
        for chunk in self.stream(*arguments, data=data, protocol=protocol, descriptors=descriptors, limit_s=limit_s):
            answer += chunk
            if len(answer) > _ANSWER_BYTES:
                raise SourceError(f"git {arguments[0]} answers more than {_ANSWER_BYTES >> 20} MiB", "so many refs?")
        return bytes(answer)

    def stream(
        self,
        *arguments: str,
        data: bytes = b"",
        protocol: str = "",
        descriptors: tuple[int, ...] = (),
        limit_s: float = LONG_S,
    ) -> Iterator[bytes]:
        """What git writes, as it comes; GitFailed at its end if that was a bad one, Stopped when told to stop."""
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        argv = ["git", f"--git-dir={self.directory}", *settings, *arguments]
        process = self._start(argv, data, protocol, descriptors)
        try:
            said = yield from self._read(process, time.monotonic() + limit_s, arguments[0])
            status = process.wait()
        finally:
            _end(process)
        if status != 0:
            raise failure(arguments[0], status, said.decode(errors="replace").strip())

    def _start(
        self, argv: list[str], data: bytes, protocol: str, descriptors: tuple[int, ...]
    ) -> "subprocess.Popen[bytes]":
        if shutil.which("git") is None:
            raise SourceError("git cannot be run here: it is not installed", "apt-get install git")
        # not a pipe: whoever reads the answer need not feed the question at the same time
        question = os.memfd_create("question", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(question), "wb") as file:
                file.write(data)
            os.lseek(question, 0, os.SEEK_SET)
            return subprocess.Popen(
                [*_bounded(), *argv],
                stdin=question,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=environment(protocol),
                cwd=self.directory,
                umask=0o077,
                start_new_session=True,
                pass_fds=(*self._held, *descriptors),
            )
        except OSError as error:
            raise SourceError(f"git cannot be run here: {error.filename}: {error.strerror}") from error
        finally:
            os.close(question)

    def _read(self, process: "subprocess.Popen[bytes]", deadline: float, what: str) -> Generator[bytes, None, bytes]:
        """Yields standard output; returns the end of standard error."""
        assert process.stdout is not None
        assert process.stderr is not None
        said = b""
        with selectors.DefaultSelector() as selector:
            for pipe in (process.stdout, process.stderr):
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                self._stop.check()
                self._check_space(what)
                if time.monotonic() > deadline:
                    raise SourceError(f"git {what} did not end in time", "is the other side or the disk stuck?")
                for key, _ in selector.select(_TICK_S):
                    chunk = os.read(key.fd, _CHUNK)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stdout:
                        yield chunk
                    else:
                        said = (said + chunk)[-_SAID_BYTES:]
        return said

    def _check_space(self, what: str) -> None:
        """SourceError when a repository without end, or simply a large one, would fill the disk for all others."""
        if not self._min_free_bytes:
            return
        found = os.statvfs(self.directory)
        free = found.f_bavail * found.f_frsize
        if free < self._min_free_bytes:
            raise SourceError(
                f"git {what} was given up: only {free >> 20} MiB are free in {self.directory}",
                "is it as large as it should be? If so, free space there, or lower [store] min_free_percent",
            )


def _bounded() -> list[str]:
    """What begins a git whose memory is bounded, and that of each that it starts: an upstream may send anything."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, _MEMORY_BYTES)
    return ["/bin/sh", "-c", f'ulimit -d {limit >> 10} && exec "$@"', "sh"]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Leave none of it running. Told to end, git removes its locks and half-written files."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def failure(what: str, status: int, said: str) -> GitFailed:
    """Why git ended with `status`, and what to do about it."""
    lines = [line.removeprefix("fatal: ").removeprefix("error: ") for line in said.splitlines() if line.strip()]
    text = "; ".join(lines[:6]) or f"status {status}"
    hint = ""
    if any(words in said.lower() for words in _NO_MEMORY):
        text = f"it needs more memory than the {_MEMORY_BYTES >> 20} MiB that it is given: {text}"
        hint = (
            "upstream holds an object, or so many, as no source repository does; the largest, there:  git cat-file"
            " --batch-all-objects --batch-check='%(objectsize) %(objecttype) %(objectname)' | sort -n | tail"
        )
    elif "dubious ownership" in said:
        hint = (
            "the repository belongs to another account; as root there:  git config --system --add safe.directory PATH"
        )
    elif "No space left" in said:
        hint = "free space on the store's disk: pullagent prune --dry-run"
    elif "not appear to be a git repository" in said or "not a git repository" in said:
        hint = "check url in hosts.toml: is it the repository itself (the bare one, or the directory that holds .git)?"
    elif "fsck error" in said or "fsckObjects" in said:
        hint = "upstream holds an object that could harm whoever checks it out: what, says  git fsck  there"
    elif "bad line length" in said or "protocol error" in said:
        hint = "does a login script (.bashrc, .profile) print something for every SSH login? It must be silent"
    elif "certificate" in said.lower():
        hint = (
            "this machine does not know who signed it: put the authority's certificate into"
            " /usr/local/share/ca-certificates/NAME.crt, then: update-ca-certificates"
        )
    elif "could not read Username" in said or "Authentication failed" in said:
        hint = "the server asks for a login, which a URL cannot carry: let a key log in, by ssh://HOST/PATH"
    return GitFailed(f"git {what}: {text}"[:2000], hint, said)


@contextmanager
def scratch() -> Iterator[Path]:
    """A private directory for what must not stay, gone afterwards; what a killed one left goes first. StoreError.

    It lies in TMPDIR, else in /var/tmp: on a disk, for a repository may be larger than the memory, and under the
    unit's PrivateTmp= in a place that goes with the unit.
    """
    base = Path(os.environ.get("TMPDIR") or "/var/tmp")
    try:
        _sweep(base)
        directory = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=base))
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise system_error(base, error) from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def _sweep(base: Path) -> None:
    for old in base.glob(f"{_SCRATCH}*"):
        with suppress(OSError):
            descriptor = os.open(old, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(old)
            finally:
                os.close(descriptor)


def environment(protocol: str) -> dict[str, str]:
    """Of every git that is started: nothing of the caller's but where programs are, and the proxies of the network."""
    kept = {name: os.environ[name] for name in _PROXIES if name in os.environ}
    return kept | {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": "/bin/false",
        "GIT_NO_REPLACE_OBJECTS": "1",
        # a colon alone allows none
        "GIT_ALLOW_PROTOCOL": protocol or ":",
    }
