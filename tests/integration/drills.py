"""Drills of one backup server, where servers of another account can reach, and what they leave behind."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest

from tests.integration.agent import Agent, Done


class Drills:
    """Drills of one backup server, in a directory that other accounts can reach; `bin` goes first on their PATH."""

    def __init__(self, agent: Agent, place: Path) -> None:
        self.agent, self.place, self.bin = agent, place, place.with_name(f"{place.name}-bin")

    @property
    def environment(self) -> dict[str, str]:
        """What a drill is started with."""
        usual = self.agent.environment()["PATH"]
        return {"TMPDIR": str(self.place), "PATH": f"{self.bin}:{usual}"}

    def call(self, *arguments: str | Path) -> Done:
        """One drill to its end."""
        opening = ("--identity", self.agent.identity)
        return self.agent.call("drill", *arguments, *opening, env=self.environment, seconds=300)

    def start(self, *arguments: str | Path) -> "Popen[bytes]":
        """One drill; the caller waits for it."""
        argv = self.agent.argv("drill", *arguments, "--identity", self.agent.identity)
        environment = self.agent.environment(self.environment)
        return Popen(argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment, cwd=self.agent.home)

    def put_first(self, name: str, script: str) -> None:
        """A program that servers and clients of drills find first; `{real}` stands for the true one."""
        self.bin.mkdir(exist_ok=True)
        self.bin.chmod(0o755)
        file = self.bin / name
        real = shutil.which(name, path="/usr/sbin:/usr/bin")
        file.write_text(f"#!/bin/bash\n{script.replace('{real}', str(real))}\n")
        file.chmod(0o755)

    def processes(self) -> dict[int, str]:
        """The command lines that name the place, but for pullagent's own."""
        return {pid: line for pid, line in _command_lines() if str(self.place) in line}

    def left(self) -> list[str]:
        """Files below the place, and command lines of processes that name it."""
        return [*(str(path) for path in self.place.rglob("*")), *self.processes().values()]

    def evidence(self) -> dict[str, Any]:
        """The ledger's last line."""
        return self.agent.ledger()[-1]


def _command_lines() -> Iterator[tuple[int, str]]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield int(file.parent.name), file.read_bytes().replace(b"\0", b" ").decode(errors="replace")


@pytest.fixture(name="place")
def _place() -> Iterator[Path]:
    """A directory for drills alone: pytest's own are closed to other accounts."""
    made = Path(tempfile.mkdtemp(prefix="pa-drill-", dir="/tmp"))
    made.chmod(0o711)
    yield made
    for directory in (made, made.with_name(f"{made.name}-bin")):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(name="drills")
def _drills(agent: Agent, place: Path) -> Drills:
    """Drills of the module's backup server, whose snapshots are of MariaDB and InfluxDB."""
    return Drills(agent, place)
