"""Trees and repositories that are restored or drilled while something breaks: what is left, and the way on."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.catalogue import fault
from tests.faults.mounts import needs_root, small_disk
from tests.faults.plan import FAULTS, Tally, chance, count
from tests.faults.trees import ETC, TreeHost
from tests.integration.agent import Agent
from tests.integration.drills import Drills, _place  # noqa: F401 - a fixture
from tests.integration.forge import ANSIBLE, Backup, Forge
from tests.integration.trees import seen
from tests.lab.processes import wait_until

KILLS = count(2, 20)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """A backup server with a snapshot of a tree."""
    with TreeHost(tmp_path / "host") as host:
        made = Agent(tmp_path / "backup", host)
        made.call("run").succeeded()
        yield made


@pytest.fixture
def backup(tmp_path: Path) -> Iterator[Backup]:
    """One with a snapshot of a repository."""
    with Forge(tmp_path / "forge") as forge:
        made = Backup(tmp_path / "backup", forge)
        made.call("run").succeeded()
        yield made


@fault(
    "restore",
    "a drill of files killed (SIGKILL) at any moment",
    "its data in clear are removed at once; the next drill succeeds and removes the empty rest",
    full=20,
    sample=2,
)
@pytest.mark.timeout(60 + 20 * KILLS)
def test_a_killed_drill_of_files(agent: Agent, place: Path, tally: Tally) -> None:
    """Nothing of the tree stays below the place of drills."""
    _killed(Drills(agent, place), ETC, "tar", tally)


@fault(
    "restore",
    "a drill of a repository killed (SIGKILL) at any moment",
    "the same",
    full=20,
    sample=2,
)
@pytest.mark.timeout(60 + 20 * KILLS)
def test_a_killed_drill_of_a_repository(backup: Backup, place: Path, tally: Tally) -> None:
    """Nothing of the repository stays below the place of drills."""
    _killed(Drills(backup, place), ANSIBLE, "git", tally)


def _killed(drills: Drills, source: str, program: str, tally: Tally) -> None:
    moments = chance(f"drill of {source}")
    # long enough at work for a kill to come between
    drills.put_first(program, 'sleep 0.1; {real} "$@"; s=$?; sleep 0.1; exit $s')

    def data() -> list[Path]:
        return list(drills.place.glob("*/data/*/*"))

    for _ in range(KILLS):
        process = drills.start(f"{source}@latest")
        wait_until(lambda: bool(data()), 30, "something is unpacked")
        time.sleep(moments.uniform(0, 0.4))
        process.kill()
        process.communicate()
        tally.add(FAULTS)
        wait_until(lambda: not drills.processes() and not data(), 30, "all is gone")
    drills.bin.joinpath(program).unlink()
    drills.call(f"{source}@latest").succeeded()
    assert drills.left() == []


_FULL = 'head -c 60M /dev/zero >"$5/filler" 2>/dev/null; /usr/bin/tar "$@"; s=$?; rm "$5/filler"; exit $s'
BREAKS = {
    "killed": 'head -c 1500000 | /usr/bin/tar "$@"; kill -KILL $$',
    "ends early, with status 0": 'head -c 1500000 | /usr/bin/tar "$@" 2>/dev/null; exit 0',
    "finds the disk full": _FULL,
}


@fault(
    "restore",
    "the tar that unpacks is killed, ends early with status 0, finds the disk full",
    "exit 1: what the directory holds, and the command that starts over; that command brings everything back",
    full=len(BREAKS),
    sample=len(BREAKS),
)
@needs_root
@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_restore_of_files(agent: Agent, tally: Tally, tmp_path: Path, how: str) -> None:
    """A restore that breaks does not pass for one that went well, and can be repeated over what it left."""
    there, stored = tmp_path / "there", agent.tree()
    others = 'case "$*" in *--extract*) ;; *) exec /usr/bin/tar "$@" ;; esac'
    with small_disk(there, 50_000):
        agent.host.sshd.put_first("tar", f"#!/bin/bash\n{others}\n{BREAKS[how]}\n")
        done = agent.restore(f"{ETC}@latest", "--into", there)
        tally.add(FAULTS)
        assert done.code == 1, done
        assert "everything came back" not in done.out
        assert "--replace" in done.err or "NOT EQUAL" in done.out, done
        agent.host.sshd.farm.reset()
        agent.restore(f"{ETC}@latest", "--into", there, "--replace").succeeded()
        assert isinstance(agent.host, TreeHost)
        assert seen(there / str(agent.host.tree).lstrip("/")) == seen(agent.host.tree)
        shutil.rmtree(there, ignore_errors=True)
    assert agent.tree() == stored
