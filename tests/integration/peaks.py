"""How much memory a command and its children take."""

import subprocess
import time
from pathlib import Path

from tests.lab.guard import descendants


class Peaks:
    """The peak resident size of a process and of each of its children, in MiB by program and pid."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.mib: dict[tuple[str, int], float] = {}
        while process.poll() is None:
            for pid in (process.pid, *descendants(process.pid)):
                self._look(pid)
            time.sleep(0.02)

    def _look(self, pid: int) -> None:
        if (found := peak(pid)) is not None:
            self.mib[found[0], pid] = found[1]


def peak(pid: int) -> tuple[str, float] | None:
    """A process's name, and its peak resident size in MiB; None when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = dict(line.split(":", 1) for line in lines)
    return (fields["Name"].strip(), int(fields["VmHWM"].split()[0]) / 1024) if "VmHWM" in fields else None
