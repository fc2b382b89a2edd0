"""A private place on this machine for throwaway servers, which run with rights of their own and go with it.

Laid out as `TMPDIR/pullagent-drill.XXXX/`: `data/`, where alone the account may write; `plugins/`, `files/` and `bin/`,
which it may only read. As root the account is one that can read neither the store nor an identity.
"""

import fcntl
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pullagent.drill.local import LocalHost
from pullagent.errors import CommandFailed, HostError, UsageError, system_error
from pullagent.model import StopSignal
from pullagent.privileges import Owner

ACCOUNTS = ("pullagent-drill", "nobody")
_PREFIX = "pullagent-drill."
_READY_S, _TICK_S = 180, 0.1
_END_S = 30
# below those that Linux gives to outgoing connections
_PORTS = range(20_000, 32_000)
# ends the server and removes its data when pullagent is gone, however it went: then its end of the pipe is closed
_GUARD = """exec 3<&0 </dev/null
directory=$1; shift
"$@" 3<&- &
server=$!
{ read -r _ <&3; kill -KILL "$server"; } 2>/dev/null &
reader=$!
exec 3<&-
wait "$server" 2>/dev/null; status=$?
kill "$reader" 2>/dev/null
[ "$status" = 137 ] || exit "$status"
cd / && exec rm -rf -- "$directory"
"""


class Place(LocalHost):
    """Commands here run as the account; see `pullagent.sources.base.Machine`."""

    def __init__(self, top: Path, account: Owner | None, limit_s: float, stop: StopSignal) -> None:
        self._top = top
        self._path = [top / "bin", *_search_path()]
        self.plugins, self.empty = top / "plugins", top / "files"
        environment = {
            "PATH": ":".join(map(str, self._path)),
            "HOME": str(top / "data"),
            "TMPDIR": str(top / "data" / "tmp"),
            "LC_ALL": "C",
        }
        super().__init__("the throwaway server", top / "data", account, environment, limit_s, stop)
        self._guards: list[subprocess.Popen[bytes]] = []

    def prepare(self) -> None:
        """Make the directories. OSError."""
        self._top.chmod(0o711)
        for name in ("bin", "plugins", "files"):
            (self._top / name).mkdir()
            (self._top / name).chmod(0o755)
        for directory in (self.directory, self.directory / "tmp"):
            directory.mkdir(mode=0o700)
            if self.account is not None:
                os.chown(directory, self.account.uid, self.account.gid)

    def programs(self, name: str) -> list[Path]:
        """The programs of this name, in the order of PATH."""
        found = [place / name for place in self._path if os.access(place / name, os.X_OK)]
        return list({file.resolve(): file for file in reversed(found)}.values())[::-1]

    def offer(self, name: str, program: Path) -> None:
        """Have commands find `program` under this name."""
        (self._top / "bin" / name).symlink_to(program)

    def free_port(self) -> int:
        """A loopback TCP port that nothing listens on."""
        for port in random.sample(_PORTS, 100):
            with socket.socket() as probe, suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
        raise HostError("found no free port on 127.0.0.1 between 20000 and 32000")

    def serve(self, argv: Sequence[str], ready: str) -> None:
        """Start a server that ends with this place; returns once the command `ready` ends well. HostError."""
        log = self._top / f"server{len(self._guards)}.log"
        with log.open("wb") as file:
            command = ["/bin/sh", "-c", _GUARD, "guard", str(self.directory), *argv]
            guard = self._start(command, subprocess.PIPE, file, subprocess.STDOUT)
        self._guards.append(guard)
        deadline, said = time.monotonic() + _READY_S, ""
        while guard.poll() is None and time.monotonic() < deadline:
            try:
                self.read(ready)
            except CommandFailed as error:
                said = error.stderr
                time.sleep(_TICK_S)
                continue
            if guard.poll() is None:
                return
        what = "ended at once" if guard.poll() is not None else f"did not answer within {_READY_S} s: {said[-300:]}"
        last = " | ".join(log.read_text(errors="replace").splitlines()[-3:])[-1000:]
        raise HostError(
            f"{Path(argv[0]).name} {what}: {last}",
            "may it use a data directory there? AppArmor may forbid it:  journalctl -k | grep -i apparmor",
        )

    def end(self) -> None:
        """End every server, by the pipe that its guard listens to."""
        for guard in self._guards:
            assert guard.stdin is not None
            with suppress(OSError):
                guard.stdin.close()
        for guard in self._guards:
            try:
                guard.wait(_END_S)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(guard.pid, 9)
                guard.wait()


@contextmanager
def place(limit_s: float, stop: StopSignal) -> Iterator[Place]:
    """A place for servers, gone with all that runs and lies there on every way out.

    UsageError where root has no account to run them as, StoreError where there is no room for it, HostError when
    something of it could not be removed.
    """
    account, base = _account(), Path(os.environ.get("TMPDIR") or "/var/tmp")
    try:
        _sweep(base)
        top = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    except OSError as error:
        raise system_error(base, error) from error
    found = Place(top, account, limit_s, stop)
    lock = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            found.prepare()
        except OSError as error:
            raise system_error(top, error) from error
        yield found
    finally:
        found.end()
        _remove(top)
        os.close(lock)


def _account() -> Owner | None:
    """As whom servers run: as root one of `ACCOUNTS`; None for the caller's own account."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Owner(entry.pw_name, entry.pw_uid, entry.pw_gid, ())
    raise UsageError(
        "there is no account to run a throwaway server as", "useradd --system --shell /usr/sbin/nologin pullagent-drill"
    )


def _search_path() -> list[Path]:
    """Where programs are looked for; servers lie in sbin, which is not on everybody's PATH."""
    named = [p for p in os.environ.get("PATH", os.defpath).split(":") if p.startswith("/")]
    return [Path(p) for p in dict.fromkeys([*named, "/usr/local/sbin", "/usr/sbin", "/sbin"])]


def _sweep(base: Path) -> None:
    """Remove what drills left that were killed, or lost their power."""
    for old in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(old, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(old)
            finally:
                os.close(descriptor)


def _remove(top: Path) -> None:
    for _ in range(20):
        shutil.rmtree(top, ignore_errors=True)
        if not top.exists():
            return
        time.sleep(_TICK_S)
    raise HostError(f"{top} could not be removed, and holds what was restored in clear", f"rm -rf {top}")
