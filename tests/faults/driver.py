"""Runs the real command line in this process, and makes its K-th act on the store its last, or a failing one.

    python -m tests.faults.driver STORE K KIND -- run HOST/SOURCE

An act is a call into the system that the agent makes for a path in STORE, or the start of a program, or the
request of a remote command. KIND: `kill` (SIGKILL just before the act), `eio` (this act fails once), `enospc`
(from this act on everything that needs room fails), `count`. Each act is written to STORE/../acts, a line each.
Nothing in the product knows of this: functions of the standard library are wrapped from outside.
"""

import errno
import fcntl
import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

KINDS = ("count", "kill", "eio", "enospc")
_GROWS = ("open new", "mkdir", "write", "fsync", "rename", "replace")
_CHANGING = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z|\.\d+$")


class Acts:
    """Counts acts, and strikes at the one with `number`."""

    def __init__(self, store: str, number: int, kind: str) -> None:
        self._store, self._number, self._kind = os.path.realpath(store), number, kind
        self._log = os.open(Path(store).parent / "acts", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._count = 0

    def inside(self, path: Any, dir_fd: int | None = None) -> str | None:
        """The path within the store, or None when it lies elsewhere."""
        try:
            if isinstance(path, int):
                whole = str(Path(f"/proc/self/fd/{path}").readlink())
            elif dir_fd is not None:
                whole = str(Path(f"/proc/self/fd/{dir_fd}").readlink() / os.fspath(path))
            else:
                whole = str(Path(os.fspath(path)).absolute())
        except OSError:
            return None
        return os.path.relpath(whole, self._store) if (whole + "/").startswith(self._store + "/") else None

    def reach(self, act: str, place: str) -> None:
        """One more act, done to `place`: dies, raises OSError, or returns."""
        with self._lock:
            self._count += 1
            number = self._count
            os.write(self._log, f"{act} {_CHANGING.sub('*', place)}\n".encode())
        if number == self._number and self._kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if number == self._number and self._kind == "eio":
            raise OSError(errno.EIO, os.strerror(errno.EIO), place)
        if number >= self._number and self._kind == "enospc" and act in _GROWS:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)


def wrap(acts: Acts) -> None:
    """Put `acts` in front of what store, seal, ledger and host use."""
    _wrap_os(acts)
    _wrap_files(acts)
    _wrap_programs(acts)


def _wrap_os(acts: Acts) -> None:
    def counted(name: str, position: int = 0) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            place = acts.inside(arguments[position], options.get("dir_fd"))
            if place is not None:
                acts.reach(name, place)
            return real(*arguments, **options)

        setattr(os, name, call)

    for name in ("mkdir", "fsync", "chmod", "fchmod", "unlink", "rmdir", "scandir"):
        counted(name)
    for name in ("rename", "replace", "link"):
        counted(name, 1)
    real_open, real_flock = os.open, fcntl.flock

    def opened(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        place = acts.inside(path, options.get("dir_fd"))
        if place is not None:
            acts.reach("open new" if flags & os.O_CREAT and not os.path.lexists(path) else "open", place)
        return real_open(path, flags, *rest, **options)

    def locked(descriptor: Any, operation: int) -> None:
        place = acts.inside(descriptor if isinstance(descriptor, int) else descriptor.fileno())
        if place is not None:
            acts.reach("flock", place)
        real_flock(descriptor, operation)

    os.open = opened
    fcntl.flock = locked


def _wrap_files(acts: Acts) -> None:
    real: Callable[..., Any] = os.fdopen

    class CountedRaw(io.FileIO):
        """An unbuffered file whose writes are acts."""

        def write(self, data: Any) -> int:
            """One act."""
            acts.reach("write", acts.inside(self.fileno()) or "?")
            return super().write(data)

    def fdopen(descriptor: int, mode: str = "r", buffering: int = -1, *rest: Any, **options: Any) -> Any:
        place = acts.inside(descriptor)
        if place is None or not set(mode) & set("wa+") or "b" not in mode:
            return real(descriptor, mode, buffering, *rest, **options)
        raw = CountedRaw(descriptor, mode.replace("b", ""))
        return raw if buffering == 0 else io.BufferedWriter(raw)

    setattr(os, "fdopen", fdopen)  # noqa: B010


def _wrap_programs(acts: Acts) -> None:
    import paramiko

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        """A program whose start is an act."""

        def __init__(self, argv: Any, *arguments: Any, **options: Any) -> None:
            # `__del__` of a program that was never started looks for it
            self._child_created = False
            acts.reach("start", str(argv[0]))
            super().__init__(argv, *arguments, **options)

    request = paramiko.Channel.exec_command

    def exec_command(channel: paramiko.Channel, command: str | bytes) -> None:
        text = command.decode() if isinstance(command, bytes) else command
        acts.reach("request", text.splitlines()[0].removeprefix("# pullagent: "))
        request(channel, command)

    setattr(subprocess, "Popen", Popen)  # noqa: B010
    setattr(paramiko.Channel, "exec_command", exec_command)  # noqa: B010


def main(store: str, number: int, kind: str, arguments: list[str]) -> None:
    """Run `pullagent ARGUMENTS` with the fault; ends the process."""
    from pullagent.cli.app import main as run

    wrap(Acts(store, number, kind))
    sys.argv = ["pullagent", *arguments]
    run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[5:])
