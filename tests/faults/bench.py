"""The campaign's backup server: the real command line on a host with real servers, and faults on demand."""

import hashlib
import os
import random
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.faults.zygote import Running, Strike, Zygote
from tests.integration.agent import Agent, Done
from tests.lab.database import DatabaseServer
from tests.lab.errors import LabError
from tests.lab.processes import wait_until
from tests.lab.production import ProductionHost

SECONDS = 120
MARK = "PULLAGENT_FAULTS_BENCH"
"""Variable by which the processes of a bench's commands are known."""


class Bench(Agent):
    """An Agent whose commands are forked from a zygote, and which can be struck by a fault."""

    def __init__(self, directory: Path, host: ProductionHost, zygote: Zygote) -> None:
        super().__init__(directory, host)
        self._zygote = zygote

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """As an Agent's, with the mark."""
        return super().environment({MARK: str(self.directory), **(extra or {})})

    def launch(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, strike: Strike | None = None
    ) -> Running:
        """Start `pullagent --config … ARGUMENTS`."""
        argv = ["--config", str(self.config_file), *map(str, arguments)]
        return self._zygote.start(argv, self.environment(env), self.home, strike)

    def run(self, *arguments: str | Path, env: Mapping[str, str] | None = None, seconds: float = SECONDS) -> Done:
        """`pullagent --config … ARGUMENTS` to its end."""
        return self.launch(*arguments, env=env).wait(seconds)

    def struck(self, number: int, kind: str, *arguments: str) -> Done:
        """A command with the driver's fault `kind` at its act `number`."""
        return self.launch(*arguments, strike=Strike(self.store, number, kind)).wait(SECONDS)

    def acts(self) -> list[str]:
        """The acts of the last command that was struck, or only counted."""
        return (self.directory / "acts").read_text().splitlines()

    def latest(self, name: str) -> str:
        """The reference of the newest snapshot that `list` shows of `HOST/SOURCE`."""
        return str(self.run("list", name, "--json").succeeded().json["snapshots"][0]["ref"])

    def published(self) -> dict[str, str]:
        """Every published snapshot by its reference, with one hash over names, modes and contents."""
        return {ref: fingerprint(self.path(ref)) for ref in self.refs()}

    def trim(self, keep: int = 2) -> None:
        """Remove all but the newest snapshots of each source, to keep the campaign fast."""
        for source in self.store.glob("[!.]*/*"):
            for old in sorted(source.iterdir())[:-keep]:
                shutil.rmtree(old)

    def processes(self) -> list[int]:
        """The processes of this bench's commands that still run, and whatever they started."""
        mark = f"{MARK}={self.directory}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes() + b"\0":
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found

    def leftovers(self) -> list[str]:
        """What a run that has ended must not leave: here or on the host. Waits a moment for what is just ending."""
        try:
            wait_until(lambda: not self.processes() and not self._remote(), 15, "")
        except LabError:
            pids = [f"process {pid}: {_command(pid)}" for pid in self.processes()]
            return [*pids, *self._remote(), *self._staging()]
        return self._staging()

    def _staging(self) -> list[str]:
        places = [self.store / ".staging", self.store / ".trash"]
        return [
            f"left in the store: {path.relative_to(self.store)}"
            for place in places
            for path in place.rglob("*")
            if not (path.is_dir() and path.parent == place)
        ]

    def _remote(self) -> list[str]:
        found = [f"left on the host: {path.name}" for path in self.host.staging.glob("pullagent-*")]
        return found + [f"session on the host: {_command(pid)}" for pid in self.host.sshd.sessions()]

    @contextmanager
    def mended(self) -> Iterator[None]:
        """Afterwards programs, servers, hosts.toml and the store's size are as they were."""
        try:
            yield
        finally:
            self.host.sshd.farm.reset()
            self.host.start()
            self.reset()
            self.trim()
            for stray in (self.store / ".staging").glob(".*"):
                stray.unlink()


def fingerprint(folder: Path) -> str:
    """One hash over the names, kinds, modes and contents of everything in `folder`."""
    digest = hashlib.sha256()
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        digest.update(f"{path.relative_to(folder)} {status.st_mode:o}\n".encode())
        if stat.S_ISLNK(status.st_mode):
            digest.update(os.fsencode(path.readlink()))
        elif stat.S_ISREG(status.st_mode):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def add_bulk(server: DatabaseServer, kilobytes: int = 300) -> None:
    """A table of bytes that do not compress, so that a dump is long enough to be cut in many ways."""
    chance = random.Random(11)
    rows = ", ".join(f"({number}, X'{chance.randbytes(1000).hex()}')" for number in range(kilobytes))
    server.load(f"CREATE TABLE bulk (id INT PRIMARY KEY, data BLOB); INSERT INTO bulk VALUES {rows}", "agama")


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return "(ended)"
    return b" ".join(words).decode(errors="replace")[:120].replace("\n", " ")
