"""The programs that a session finds, of which any can be replaced, hidden and shown again."""

import fnmatch
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

USUAL = tuple(Path(name) for name in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"))


class Farm:
    """A PATH of two directories: `first` (what a test puts there) and `programs` (links to the rest).

    `ahead`: directories whose programs win over the usual ones. `without`: patterns of program names that
    are left out of the usual ones, as though their package were not installed. Changes take effect at once,
    for the next command.
    """

    def __init__(self, directory: Path, ahead: Sequence[Path] = (), without: Sequence[str] = ()) -> None:
        self._first = directory / "first"
        self._programs = directory / "programs"
        self._targets = _programs(ahead, without)
        self.reset()

    @property
    def path(self) -> str:
        """The value for PATH."""
        return f"{self._first}:{self._programs}"

    def put_first(self, name: str, script: str) -> Path:
        """Write an executable `name` that wins over every other; a script without `#!` is run by /bin/sh."""
        target = self._first / name
        staged = target.with_name(f".{name}.new")
        staged.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        staged.chmod(0o755)
        staged.rename(target)
        return target

    def real(self, name: str) -> Path:
        """Where the true program lies, for a script that wraps it; KeyError if there is none."""
        return self._targets[name]

    def hide(self, name: str) -> None:
        """Make `name` missing ("command not found"), whatever provided it."""
        for folder in (self._first, self._programs):
            (folder / name).unlink(missing_ok=True)

    def reset(self) -> None:
        """Forget everything put first or hidden."""
        for folder in (self._first, self._programs):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        for name, target in self._targets.items():
            (self._programs / name).symlink_to(target)


def _programs(ahead: Sequence[Path], without: Sequence[str]) -> dict[str, Path]:
    """Program name to file; the first directory that has a name wins, as on PATH."""
    found: dict[str, Path] = {}
    for folder in (*ahead, *USUAL):
        if not folder.is_dir():
            continue
        for entry in os.scandir(folder):
            unwanted = folder in USUAL and any(fnmatch.fnmatch(entry.name, pattern) for pattern in without)
            if not unwanted:
                found.setdefault(entry.name, Path(entry.path))
    return found
