"""The one checker: what must hold after every fault, and once it is lifted."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults import plan
from tests.faults.bench import Bench
from tests.faults.content import Contents
from tests.faults.plan import Tally
from tests.faults.zygote import HUNG
from tests.integration.agent import Done

GOOD_CODES = (0, 5)


@dataclass
class Place:
    """A bench that holds good snapshots of every source, and what its contents must be."""

    bench: Bench
    contents: Contents


class Judge:
    """Watches one bench over the faults of one test; `verdict` fails the test for all that was found."""

    def __init__(self, bench: Bench, contents: Contents, tally: Tally) -> None:
        self._bench, self._contents, self.tally = bench, contents, tally
        self._problems: list[str] = []
        self._before: dict[str, str] = {}
        self._told: set[str] = set()
        self.remember()

    def remember(self) -> None:
        """The snapshots that are published now must stay as they are."""
        self._before = self._bench.published()

    def blame(self, case: str, problem: str) -> None:
        """Note something wrong; what stays wrong over several faults is blamed on the first."""
        if problem not in self._told:
            self._told.add(problem)
            self._problems.append(f"{case}: {problem}")

    def after(
        self,
        case: str,
        done: Done,
        *,
        publishes: bool | None = False,
        codes: Sequence[int] = (),
        error: str = "",
        hint: bool = False,
        signalled: bool = False,
        sweeps: bool = True,
        sources: int = 1,
    ) -> list[str]:
        """Judge a run that met a fault; returns what it published.

        `publishes`: whether it must (None: it may). `codes`: the exit codes that fit. `error`: a pattern that
        its error must match; `hint`: whether it must say what to do. `signalled`: it died without a word, and
        what it left is for the next run to sweep. `sweeps`: whether it could clean up behind itself.
        """
        self.tally.add(plan.FAULTS)
        new = self._unharmed(case)
        wrong = [problem for ref in new for problem in self._whole(ref)]
        false = done.code in GOOD_CODES and len(new) < sources
        if wrong or false:
            self.tally.add(plan.FALSE)
        for problem in wrong:
            self.blame(case, f"not whole: {problem}")
        if false:
            self.blame(case, f"FALSE SUCCESS: exit {done.code}, and nothing published: {done}")
        if publishes is not None and bool(new) != publishes:
            self.blame(case, f"published {new or 'nothing'}: {done}")
        if codes and done.code not in codes:
            self.blame(case, f"exit {done.code}, not {codes}: {done}")
        if not signalled:
            self._words(case, done, error, hint)
            if sweeps:
                self._left_behind(case)
        self.listed(case)
        self.remember()
        return new

    def lifted(self, case: str, *targets: str) -> None:
        """The fault is gone: the next run succeeds without hand work and leaves nothing behind."""
        self.remember()
        done = self._bench.run("run", *targets)
        new = self._unharmed(case)
        if done.code not in GOOD_CODES or not new:
            self.blame(case, f"THE NEXT RUN FAILED: {done}")
        for problem in (problem for ref in new for problem in self._whole(ref)):
            self.blame(case, f"not whole: {problem}")
        self._left_behind(case)
        if "Traceback" in done.err:
            self.blame(case, f"a traceback in the next run: {done}")
        self.listed(case)
        self._bench.trim()
        self.remember()

    def listed(self, case: str) -> dict[str, str]:
        """`list` does not fail, and what it calls good is whole; the states by reference."""
        done = self._bench.run("list", "--json")
        if done.code != 0:
            self.blame(case, f"list failed: {done}")
            return {}
        listed: list[dict[str, Any]] = json.loads(done.out)["snapshots"]
        states = {str(snapshot["ref"]): str(snapshot["state"]) for snapshot in listed}
        for ref, state in states.items():
            if state in ("good", "shrunk"):
                for problem in self._whole(ref):
                    self.blame(case, f"not whole: {problem}")
        return states

    def verdict(self) -> None:
        """Fail the test if anything was wrong."""
        shown = "\n".join(self._problems[:12])
        assert not self._problems, f"{len(self._problems)} problems (seed {plan.SEED}):\n{shown}"

    def _unharmed(self, case: str) -> list[str]:
        """Note what happened to the snapshots of before; the references of new ones."""
        now = self._bench.published()
        for ref, fingerprint in self._before.items():
            if now.get(ref) != fingerprint:
                self.tally.add(plan.HARMED)
                self.blame(case, f"HARMED: {ref}")
        return sorted(now.keys() - self._before.keys())

    def _left_behind(self, case: str) -> None:
        for left in self._bench.leftovers():
            self.blame(case, left)

    def _whole(self, ref: str) -> list[str]:
        folder = self._bench.path(ref)
        return self._contents.problems(ref, folder, self._bench.published().get(ref, ""))

    def _words(self, case: str, done: Done, error: str, hint: bool) -> None:
        if done.code == HUNG:
            self.blame(case, f"IT HUNG: {done}")
        if "Traceback" in done.err or "Exception" in done.err:
            self.blame(case, f"a traceback: {done}")
        if done.code in GOOD_CODES:
            return
        lines = done.err.splitlines()
        said = "\n".join(line for line in lines if line.startswith(("error: ", "       ")))
        if not re.search(error or ".", said):
            self.blame(case, f"no error that says {error!r}: {done}")
        if hint and not any(line.startswith("hint: ") for line in lines):
            self.blame(case, f"no hint: {done}")
