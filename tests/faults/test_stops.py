"""Signals that ask a verb to end, at moments spread over all of it; every fourth is followed by another one."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.faults.judge import Judge
from tests.faults.plan import chance, count
from tests.faults.zygote import HUNG
from tests.integration.agent import AGAMA, HOST, Done
from tests.lab.processes import wait_until

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# none of them may take longer, on a machine that has much else to do
ENDS_S = 30
VERBS: dict[str, Callable[[Bench, Path], tuple[str | Path, ...]]] = {
    "run": lambda *_: ("run",),
    "run, both at once": lambda *_: ("run", "--jobs", "2"),
    "fetch": lambda bench, into: (
        "fetch", bench.refs()[0], "--decrypt", "--identity", bench.identity, "-o", into
    ),
    "verify": lambda bench, _: ("verify", "--identity", bench.identity),
    "doctor": lambda *_: ("doctor", HOST),
    "list": lambda *_: ("list",),
    "prune": lambda *_: ("prune",),
}  # fmt: skip
CASES = count(1, 40) * len(VERBS)


@fault(
    "verbs",
    "SIGTERM, SIGINT or SIGHUP at any moment of run, fetch, verify, doctor, list and prune; every fourth time two",
    "128 + the signal's number, or what the verb would have ended with; without a traceback, and nothing half done",
    full=280,
    sample=7,
)
@pytest.mark.timeout(120 + 10 * CASES)
def test_a_stop_at_any_moment(bench: Bench, judge: Judge, tmp_path: Path) -> None:
    """The program itself, started anew each time: its imports are moments of it too."""
    moments, lasts = chance("stops"), dict[str, float]()
    for verb, argv in VERBS.items():
        begun = time.monotonic()
        done = _ended(bench.start(*argv(bench, tmp_path / verb)))
        assert done.code == (1 if verb == "doctor" else 0), done
        lasts[verb] = time.monotonic() - begun
    judge.remember()
    for number in range(CASES):
        verb, into = list(VERBS)[number % len(VERBS)], tmp_path / f"{number}"
        sent = [moments.choice(SIGNALS) for _ in range(2 if number % 4 == 3 else 1)]
        process = bench.start(*VERBS[verb](bench, into))
        wait_until(partial(_hears, process), ENDS_S, "it does not handle signals")
        time.sleep(moments.uniform(0, lasts[verb]))
        for one in sent:
            process.send_signal(one)
            time.sleep(moments.choice((0, 0.005, 0.1)))
        _judged(judge, f"{[one.name for one in sent]} to {verb}", _ended(process), sent)
        with suppress(FileNotFoundError):
            assert [path.name for path in into.iterdir() if path.name.startswith(".")] == []
        bench.trim()
        judge.remember()
    judge.lifted("stops", AGAMA)
    judge.verdict()


def _ended(process: "subprocess.Popen[bytes]") -> Done:
    try:
        out, err = process.communicate(timeout=ENDS_S)
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        code = HUNG
    return Done(tuple(map(str, process.args[3:])), code, out.decode(), err.decode(), 0.0)  # type: ignore[index]


def _hears(process: "subprocess.Popen[bytes]") -> bool:
    """Whether it has got so far that signals are its own to answer, or has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = next((line for line in status.splitlines() if line.startswith("SigCgt:")), None)
        return (
            caught is None or bool(int(caught.split()[1], 16) >> signal.SIGTERM - 1 & 1) or process.poll() is not None
        )
    return True


def _judged(judge: Judge, case: str, done: Done, sent: Sequence[int]) -> None:
    assert "Traceback" not in done.err, done
    # doctor ends with 1 where it finds something wrong, and says so among what it found: here, an identity in the store
    found = done.code == 1 and "doctor" in done.argv
    codes = (0, *([1] if found else []), *(128 + one for one in sent))
    judge.after(case, done, publishes=None, codes=codes, sources=0, signalled=found)
