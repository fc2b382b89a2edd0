"""Keys, sealed files and false age programs for the tests of `seal`."""

import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pullagent import seal
from pullagent.manifest import ArtifactEntry
from pullagent.seal import Identity
from tests.vectors import SEALED

IDENTITY_FILE = SEALED / "test-identity.txt"
SSH_IDENTITY_FILE = SEALED / "test-ssh-key"
SECRET = IDENTITY_FILE.read_text().splitlines()[-1]
RECIPIENT = IDENTITY_FILE.read_text().splitlines()[1].removeprefix("# public key: ")
SSH_RECIPIENT = " ".join((SEALED / "test-ssh-key.pub").read_text().split()[:2])


def sealed(path: Path, data: bytes | Iterable[bytes], recipients: Iterable[str] = (RECIPIENT,)) -> ArtifactEntry:
    """Seal `data` into `path`; the manifest's entry for it."""
    chunks = [data] if isinstance(data, bytes) else data
    return ArtifactEntry.of(seal.seal("dump.sql", chunks, path, recipients=tuple(recipients), level=3))


def unsealed(path: Path, entry: ArtifactEntry, identity: Path = IDENTITY_FILE) -> bytes:
    """The plain content, once all of it was judged good."""
    with Identity.read(identity) as opened:
        return b"".join(seal.unseal(path, entry, opened))


def encrypted(path: Path, compressed: bytes, plain: bytes) -> ArtifactEntry:
    """A file that holds `compressed` whatever it is, and an entry that promises `plain`."""
    subprocess.run(["age", "-r", RECIPIENT, "-o", str(path)], input=compressed, check=True)
    stored = path.read_bytes()
    return ArtifactEntry(
        name="dump.sql",
        file=path.name,
        plain_bytes=len(plain),
        plain_sha256=hashlib.sha256(plain).hexdigest(),
        stored_bytes=len(stored),
        stored_sha256=hashlib.sha256(stored).hexdigest(),
    )


class FalseAge:
    """Puts shell scripts in the place of the age program."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._directory, self._monkeypatch = directory, monkeypatch
        self.real = shutil.which("age")

    def install(self, script: str | bytes, mode: int = 0o755) -> None:
        """From now on `age` is this script; `$AGE` is the true program."""
        self._directory.mkdir(exist_ok=True)
        program = self._directory / "age"
        text = f"#!/bin/sh\nAGE={self.real}\n{script}\n".encode() if isinstance(script, str) else script
        program.write_bytes(text)
        program.chmod(mode)
        self._monkeypatch.setenv("PATH", f"{self._directory}:{os.environ['PATH']}")

    def remove(self) -> None:
        """From now on there is no age program."""
        self._directory.mkdir(exist_ok=True)
        self._monkeypatch.setenv("PATH", str(self._directory))


@contextmanager
def nothing_left() -> Iterator[None]:
    """See that no process, zombie, thread or descriptor is left of the work within."""
    before, children = _descriptors(), _children()  # servers of other tests are children of this process, too
    yield
    assert _children() - children == set()
    assert [t.name for t in threading.enumerate() if "_Writer" in type(t).__name__ or "_listen" in t.name] == []
    assert _descriptors() == before


def _children() -> set[str]:
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread may end meanwhile
            found.update((task / "children").read_text().split())
    return found


def _descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}
