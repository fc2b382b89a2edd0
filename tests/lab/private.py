"""A system whose accounts and configuration are copies: what is set up in it leaves the machine as it was."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.processes import Process, plain_environment

# what a host's set-up writes to, beside /etc
_EMPTY = ("/usr/local/lib", "/var/lib", "/var/log")


class PrivateSystem:
    """Mounts of its own over the machine's, for as long as the `with` block lasts; only root can make it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.etc = directory / "etc"
        self._process = Process()

    def __enter__(self) -> "PrivateSystem":
        self._directory.mkdir(parents=True, exist_ok=True)
        shutil.copytree("/etc", self.etc, symlinks=True, copy_function=_copy_with_owner)
        ready = self._directory / "ready"
        mounts = "".join(f"mount -t tmpfs -o mode=755 pullagent-lab {place}; " for place in _EMPTY)
        script = f"set -e; mount --bind '{self.etc}' /etc; {mounts} touch '{ready}'; exec sleep infinity"
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
        self._process.start(argv, self._directory / "log", plain_environment(self._directory))
        self._process.wait_ready(ready.exists, 20, "the private mounts")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()

    @property
    def within(self) -> tuple[str, ...]:
        """What begins a command line that is to run in it."""
        return ("nsenter", f"--mount=/proc/{self._process.pid}/ns/mnt", "--")

    def run(self, script: str, cwd: Path = Path("/")) -> str:
        """Lines for a shell, as root types them; their output, LabError for the first that fails."""
        done = subprocess.run(
            [*self.within, "sh", "-euc", f"cd '{cwd}'\n{script}"],
            env=plain_environment(self._directory),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise LabError(f"status {done.returncode} from {script}: {done.stderr}")
        return done.stdout


def _copy_with_owner(source: str, target: str) -> str:
    shutil.copy2(source, target, follow_symlinks=False)
    found = os.lstat(source)
    os.chown(target, found.st_uid, found.st_gid, follow_symlinks=False)
    return target
