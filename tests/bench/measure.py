"""Runs one command and tells what it took: wall time, processor time and memory of all its processes."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError

_TICK_S = 0.1


@dataclass(frozen=True)
class Measured:
    """One run. `cpu_s` is user and system time of the command and all that it started and waited for: what a host on
    the other end of a connection does is not in it. `peaks_mib`: the largest process of each program.
    """

    wall_s: float
    cpu_s: float
    peaks_mib: Mapping[str, float]

    @property
    def peak_mib(self) -> float:
        """The largest process."""
        return max(self.peaks_mib.values(), default=0.0)


def measure(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    good: tuple[int, ...] = (0,),
    output: Path | None = None,
) -> Measured:
    """Run `argv` to its end; LabError unless its status is one of `good`. Its output goes to `output`."""
    with tempfile.TemporaryFile() as errors, (output or Path(os.devnull)).open("wb") as out:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in argv], env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=errors
        )
        watch = _Watch(process.pid)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        watch.ended.set()
        watch.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in good:
            errors.seek(0)
            said = errors.read()[-4000:].decode(errors="replace")
            raise LabError(f"{argv[0]} {argv[1:6]} ended with {process.returncode}: {said}")
    return Measured(wall, usage.ru_utime + usage.ru_stime, watch.peaks)


class _Watch(threading.Thread):
    """Looks at a process and all below it ten times a second; a peak is the kernel's own, so that none is missed."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.peaks: dict[str, float] = {}
        self._pid = pid

    def run(self) -> None:
        """Until `ended` is set."""
        while not self.ended.wait(_TICK_S):
            self._look(self._pid)

    def _look(self, pid: int) -> None:
        try:
            name, peak = _name_and_peak(Path(f"/proc/{pid}/status").read_text())
            children = [
                int(child)
                for task in Path(f"/proc/{pid}/task").iterdir()
                for child in (task / "children").read_text().split()
            ]
        except (FileNotFoundError, ProcessLookupError):
            return
        self.peaks[name] = max(peak, self.peaks.get(name, 0.0))
        for child in children:
            self._look(child)


def _name_and_peak(status: str) -> tuple[str, float]:
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return fields["Name"].strip(), int(fields.get("VmHWM", "0 kB").split()[0]) / 1024
