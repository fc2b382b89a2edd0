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
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return
        fields = dict(line.split(":", 1) for line in lines)
        if "VmHWM" in fields:
            self.mib[fields["Name"].strip(), pid] = int(fields["VmHWM"].split()[0]) / 1024
