"""A booted Debian: systemd as its first process, in namespaces of its own but on this machine's network."""

import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.errors import LabError
from tests.lab.guard import descendants
from tests.lab.processes import Process, plain_environment, wait_until

# Joins control groups of its own, so that the container's systemd finds an empty tree, and becomes systemd-nspawn.
_START = 'for group in $GROUPS_OF_ITS_OWN; do echo $$ >"$group/cgroup.procs" || exit; done; exec systemd-nspawn "$@"'


class Container:
    """The system below `root`, booted by `with` and shut down at its end. `log` holds what its console says."""

    def __init__(self, root: Path, log: Path) -> None:
        self.root, self._log = root, log
        self._groups = [mount / f"pullagent-lab-{os.getpid()}" for mount in _hierarchies()]
        self._process = Process()
        self._first = 0

    def __enter__(self) -> Self:
        try:
            self._boot()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def call(
        self, *argv: str, seconds: float = 60, env: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program inside as root, to its end, however that is."""
        enter = ["nsenter", f"--target={self._first}", "--mount", "--uts", "--ipc", "--pid", "--root", "--wd"]
        return subprocess.run(
            [*enter, "--", *argv],
            env=plain_environment(Path("/root"), env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def run(self, *argv: str, seconds: float = 60, env: dict[str, str] | None = None) -> str:
        """Its output; LabError unless it ends with 0."""
        done = self.call(*argv, seconds=seconds, env=env)
        if done.returncode:
            raise LabError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def _boot(self) -> None:
        for group in self._groups:
            group.mkdir(exist_ok=True)
        options = ["--boot", "--register=no", "--keep-unit", "--settings=no", "--link-journal=no", "--console=pipe"]
        options += [f"--machine=pullagent-lab-{os.getpid()}", "--resolv-conf=off", "--timezone=off"]
        groups = {"GROUPS_OF_ITS_OWN": " ".join(map(str, self._groups)), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        argv = ["sh", "-c", _START, "sh", *options, f"--directory={self.root}"]
        self._process.start(argv, self._log, plain_environment(Path("/root"), groups))
        self._process.wait_ready(self._is_up, 60, "the container has booted")

    def _is_up(self) -> bool:
        time.sleep(0.2)
        first = [pid for pid in descendants(self._process.pid) if _name(pid) == "systemd"]
        if not first:
            return False
        self._first = first[0]
        return self.call("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def _end(self) -> None:
        self._process.stop(30)
        for group in self._groups:
            wait_until(lambda group=group: _removed(group), 10, f"{group} is empty")  # type: ignore[misc]


def _hierarchies() -> list[Path]:
    """Where control groups of the unified kind are mounted, and systemd's own of the old kind."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place, (kind, _, options) = line.split()[4], line.partition(" - ")[2].split(maxsplit=2)
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options):
            found.append(Path(place))
    return found


def _removed(group: Path) -> bool:
    """Remove a control group and all below it; False while a process is still in one."""
    if not group.exists():
        return True
    for inner in (*(path for path in group.iterdir() if path.is_dir()),):
        _removed(inner)
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
