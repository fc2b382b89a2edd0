"""A pull that dies, or meets a failing disk, at every one of its acts on the store."""

import pytest

from tests.faults import plan
from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.faults.judge import Judge
from tests.integration.agent import AGAMA, LOGS

SLICES = plan.count(1, 4)
# a run that fails with words sweeps behind itself: after so many the next run proves it
FAILURES_BETWEEN_RUNS = 4


def acts_of(bench: Bench, source: str) -> list[int]:
    """The numbers of the acts of a pull of `source`; of a row of writes to one file the first and the last."""
    bench.struck(0, "count", "run", source).succeeded()
    acts = bench.acts()
    assert len(acts) > 50, acts
    return [
        number
        for number, act in enumerate(acts, 1)
        if not (act.startswith("write ") and acts[number - 2 : number - 1] == [act] == acts[number : number + 1])
    ]


def strike(bench: Bench, judge: Judge, source: str, kind: str, part: int) -> None:
    """Strike at this slice of the acts of a pull of `source`, and judge each."""
    numbers = acts_of(bench, source)
    chosen = [numbers[i] for i in plan.spread(len(numbers), 3, f"{kind} {source}")][part::SLICES]
    judge.remember()
    for position, number in enumerate(chosen, 1):
        done = bench.struck(number, kind, "run", source)
        acts = bench.acts()
        # how many writes a file takes is not the same every time: the last numbers may not be reached
        reached = number <= len(acts)
        case = f"{kind} at act {number} ({acts[number - 1] if reached else 'none'}) of {source}"
        killed = kind == "kill" and reached
        # where removing is what fails, something is left for the next run
        sweeps = not (reached and acts[number - 1] in (f"rmdir .staging/{source}", f"open .staging/{source}"))
        codes = (-9,) if killed else (0, 1, 5)
        judge.after(case, done, publishes=None, signalled=killed, codes=codes, sweeps=sweeps)
        if killed or not sweeps or position == len(chosen) or position % FAILURES_BETWEEN_RUNS == 0:
            judge.lifted(case, source)
        else:
            judge.remember()
    judge.verdict()


@fault(
    "publish",
    "SIGKILL of the agent just before each act: open, mkdir, write, fsync, chmod, rename, lock, start of age, request",
    "no snapshot, or a whole one; the next run sweeps what was left",
    full="every act",
    sample="3 each",
)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("source", [AGAMA, LOGS])
def test_killed_at_every_act(bench: Bench, judge: Judge, source: str, part: int) -> None:
    """A pull that is killed at any act leaves no snapshot or a whole one, and the next run needs no hand."""
    strike(bench, judge, source, "kill", part)


@fault(
    "publish",
    "I/O error (EIO), once, at each act",
    "the run fails and names the file, or has stored all the same",
    full="every act",
    sample="3 each",
)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("source", [AGAMA, LOGS])
def test_an_io_error_at_every_act(bench: Bench, judge: Judge, source: str, part: int) -> None:
    """A pull that meets an I/O error at any act fails with words, or stores a whole snapshot."""
    strike(bench, judge, source, "eio", part)


@fault(
    "publish",
    "disk full (ENOSPC) from each act on",
    "the run fails and says that the disk is full, or has stored all the same",
    full="every act",
    sample="3 each",
)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("source", [AGAMA, LOGS])
def test_a_full_disk_at_every_act(bench: Bench, judge: Judge, source: str, part: int) -> None:
    """A pull whose disk is full from any act on fails with words, or has stored a whole snapshot."""
    strike(bench, judge, source, "enospc", part)
