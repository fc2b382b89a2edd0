"""A small parent for one server: `python -I -S guard.py LOG PROGRAM ARGUMENT…`.

It starts the program in a session of its own, writes the program's pid as the first line of stdout, and
then waits. When the program ends, or when whoever started the guard is gone (end of file on stdin, or
another parent), it kills everything below it, orphans included, and ends with the program's status (128 +
signal number if a signal ended it).

A process of its own, because PR_SET_PDEATHSIG alone fires when the *thread* that started the program ends,
and because only a subreaper still finds the commands that a dead sshd session left behind. Standard library
only, no site packages: it must start in milliseconds.
"""

import ctypes
import os
import select
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CANNOT_EXECUTE = 127


def prctl(option: int, value: int) -> None:
    """prctl(2) for the calling process; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def descendants(ancestor: int) -> list[int]:
    """The pids of all processes below `ancestor`, nearest first; zombies are left out."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The second field is the program's name, in parentheses, and may itself hold any byte.
            state, parent = (entry / "stat").read_bytes().rpartition(b")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != b"Z":
            children.setdefault(int(parent), []).append(int(entry.name))
    found: list[int] = []
    generation = [ancestor]
    while generation:
        generation = [child for parent in generation for child in children.get(parent, [])]
        found += generation
    return found


def launch(log: str, argv: list[str]) -> int:
    """Fork and execute `argv` with its output appended to `log`; returns the pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.execvp(argv[0], argv)
    except BaseException as error:
        os.write(2, f"cannot start {argv[0]}: {error}\n".encode())
    os._exit(CANNOT_EXECUTE)


def reap(program: int) -> int | None:
    """Collect every child that has ended; returns the program's status once it is among them."""
    status: int | None = None
    while True:
        try:
            pid, raw = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == program:
            code = os.waitstatus_to_exitcode(raw)
            status = code if code >= 0 else 128 - code


def watch(program: int, parent: int) -> int:
    """Wait for the end of the program or of the guard's own parent; returns the program's status."""
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while (status := reap(program)) is None:
        # The second is a net under the pipe: a forked copy of the parent may hold its other end open.
        ready, _, _ = select.select([0, wake_read], [], [], 1.0)
        if wake_read in ready:
            os.read(wake_read, 4096)
        if (0 in ready and not os.read(0, 4096)) or os.getppid() != parent:
            return 128 + signal.SIGKILL
    return status


def sweep(seconds: float = 5.0) -> None:
    """Kill everything below the guard, again until nothing is left or `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while (left := descendants(os.getpid())) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.005)
        reap(0)


def main() -> int:
    """Run one program under guard."""
    parent = os.getppid()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    program = launch(sys.argv[1], sys.argv[2:])
    print(program, flush=True)
    try:
        return watch(program, parent)
    finally:
        sweep()


if __name__ == "__main__":
    sys.exit(main())
