"""A prune that dies or meets a failing disk at every one of its acts, beside fetches and runs, and at odd clocks."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults import plan
from tests.faults.aging import aged, moved
from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.faults.judge import Judge
from tests.integration.agent import AGAMA, LOGS

SLICES = plan.count(1, 2)
OLD = (20, 30)


@pytest.fixture
def old(bench: Bench) -> Bench:
    """The bench, with a retention that keeps one good snapshot of each source beyond its days."""
    bench.edit("keep_at_least = 3", "keep_at_least = 1")
    return bench


def strike(bench: Bench, judge: Judge, kind: str, part: int) -> None:
    """Strike at this slice of the acts of a prune that has two snapshots to remove, and judge each."""
    aged(bench, AGAMA, *OLD)
    bench.struck(0, "count", "prune").succeeded()
    acts = bench.acts()
    assert sum(act.startswith("rename") for act in acts) == len(OLD), acts
    for number in [index + 1 for index in plan.spread(len(acts), 4, f"prune {kind}")][part::SLICES]:
        judge.remember()
        doomed = aged(bench, AGAMA, *OLD)
        done = bench.struck(number, kind, "prune")
        case = f"{kind} at act {number} ({acts[number - 1]}) of a prune"
        killed = kind == "kill" and number <= len(bench.acts())
        # what it did not remove must be whole: it is judged like new snapshots
        judge.after(case, done, publishes=None, sources=0, signalled=True, codes=(-9,) if killed else (0, 1))
        again = bench.run("prune")
        if again.code != 0 or "Traceback" in done.err + again.err:
            judge.blame(case, f"the next prune: {done} {again}")
        for ref in set(doomed) & set(bench.refs()):
            judge.blame(case, f"the next prune left {ref}")
        for left in bench.leftovers():
            judge.blame(case, left)
        judge.listed(case)
    judge.remember()
    judge.lifted(f"{kind} of prunes", AGAMA)
    judge.verdict()


@fault(
    "prune",
    "SIGKILL of a prune just before each act: open, lock, rename, fsync, unlink, rmdir",
    "what was to go is whole in its place or out of the tree; what stays is untouched; the next prune ends it",
    full="every act",
    sample=4,
)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(SLICES))
def test_a_killed_prune(old: Bench, judge: Judge, part: int) -> None:
    """A prune that is killed at any act harms nothing that stays, and leaves no half snapshot in the tree."""
    strike(old, judge, "kill", part)


@fault(
    "prune",
    "I/O error (EIO), once, at each act of a prune; disk full (ENOSPC) from each act on",
    "exit 1 or 0; the same",
    full="every act",
    sample="4 each",
)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("kind", ["eio", "enospc"])
def test_a_prune_on_a_failing_disk(old: Bench, judge: Judge, kind: str, part: int) -> None:
    """A prune that meets an I/O error or a full disk at any act harms nothing, and the next one ends it."""
    strike(old, judge, kind, part)


@fault(
    "prune",
    "fetches of what a prune removes, at once",
    "each fetch gives a whole snapshot, or ends with 10, 11 or 4 and gives none; the prune ends with 0",
    full=10,
    sample=2,
)
def test_a_prune_beside_fetches(old: Bench, judge: Judge, tmp_path: Path) -> None:
    """A reader keeps its snapshot or is refused; it never gets half of one."""
    for number in range(plan.count(2, 10)):
        judge.remember()
        doomed = aged(old, AGAMA, *OLD)
        fetches = [old.launch("fetch", ref, "-o", tmp_path / f"{number}") for ref in doomed]
        pruned = old.run("prune")
        for ref, fetch in zip(doomed, fetches, strict=True):
            done = fetch.wait(60)
            target = tmp_path / f"{number}" / ref.replace("/", "_").replace("@", "_")
            if done.code not in (0, 4, 10, 11) or target.exists() != (done.code == 0):
                judge.blame("fetch beside a prune", str(done))
        judge.after("prune beside fetches", pruned, publishes=None, sources=0, codes=(0,))
        old.run("prune").succeeded()
        assert not set(doomed) & set(old.refs())
    judge.remember()
    judge.lifted("beside fetches", AGAMA)
    judge.verdict()


@fault("prune", "a prune and runs of two sources at once", "all succeed; what is new is whole, what is old goes")
def test_a_prune_beside_runs(old: Bench, judge: Judge) -> None:
    """Neither hinders the other."""
    judge.remember()
    doomed = aged(old, AGAMA, *OLD) + aged(old, LOGS, *OLD)
    runs = [old.launch("run", source) for source in (AGAMA, LOGS)]
    pruned = [old.run("prune") for _ in range(3)]
    ended = [run.wait(60) for run in runs]
    assert [done.code for done in ended] == [0, 0], ended
    assert {done.code for done in pruned} <= {0, 11}, pruned
    judge.after("runs beside prunes", ended[0], publishes=True, codes=(0,), sources=2)
    old.run("prune").succeeded()
    assert not set(doomed) & set(old.refs())
    judge.lifted("beside runs", AGAMA)
    judge.verdict()


@fault(
    "prune",
    "the clock is a day behind or a year ahead; in prunes and in runs, one after the other",
    "prune: exit 1, run: exit 5 and stored, each time; nothing is removed until an operator vouches for the clock",
    full=8,
    sample=8,
)
@pytest.mark.parametrize("span", [timedelta(days=1), timedelta(days=-365)], ids=["a day behind", "a year ahead"])
def test_an_odd_clock(old: Bench, judge: Judge, span: timedelta) -> None:
    """A clock that moved takes no snapshot along, however much was done since."""
    with moved(old, span):
        doomed = aged(old, AGAMA, 400, 410)
        for _ in range(2):
            judge.remember()
            judge.after("prune", old.run("prune"), codes=(1,), error="nothing was pruned", hint=True)
            done = old.run("run", AGAMA)
            judge.after("run", done, publishes=True, codes=(5,))
            assert "warning: nothing was pruned" in done.err
            assert "hint: is the clock right" in done.err
        vouched = old.run("prune", "--clock-is-right")
        # what lies in the future must be forgotten first, whoever vouches
        assert vouched.code == (1 if span > timedelta() else 0), vouched
        assert bool(set(doomed) & set(old.refs())) == (span > timedelta())
    judge.remember()
    judge.lifted("an odd clock", AGAMA)
    judge.verdict()
