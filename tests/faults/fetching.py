"""Looks at a damaged snapshot through `list` and `fetch`, and judges what they say and give."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults import plan
from tests.faults.bench import Bench
from tests.faults.judge import Judge
from tests.integration.agent import Done, open_sealed

DAMAGED = (4, 10)


class Reader:
    """Fetches one snapshot, which was whole when this was made, in both ways."""

    def __init__(self, bench: Bench, judge: Judge, ref: str, scratch: Path) -> None:
        self._bench, self._judge, self._scratch, self.ref = bench, judge, scratch, ref
        self.folder = bench.path(ref)
        self.sealed = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        self._plain = {
            name.removesuffix(".zst.age"): open_sealed(self.folder / name, bench.identity)
            for name in self.sealed
            if name.endswith(".age")
        } | {"RESTORE.txt": self.sealed["RESTORE.txt"]}
        self._copy = scratch / "copy"
        shutil.copytree(self.folder, self._copy, symlinks=True)

    @contextmanager
    def damaged(self) -> Iterator[Path]:
        """The snapshot's directory, writable for the damage, which is undone afterwards."""
        for path in self.folder.iterdir():
            path.chmod(0o600)
        try:
            yield self.folder
        finally:
            if self.folder.is_symlink() or self.folder.is_file():
                self.folder.unlink()
            shutil.rmtree(self.folder, ignore_errors=True)
            shutil.copytree(self._copy, self.folder, symlinks=True)

    def judged(self, case: str, *, state: str | None, codes: tuple[int, ...] = DAMAGED) -> bool:
        """Fetch sealed and in clear: wrong data with exit 0 is a false success; whether sealed was refused.

        `state`: what `list` must show: a state, `gone`, or None where a look cannot tell. `codes` fit a fetch of
        the sealed files; the one in clear may also succeed, with the right data.
        """
        self._judge.tally.add(plan.FAULTS)
        states = self._states(case)
        if state is not None and states.get(self.ref, "gone") != state:
            self._judge.blame(case, f"list shows {states.get(self.ref, 'gone')}, not {state}")
        for other, shown in states.items():
            if other != self.ref and shown != "good":
                self._judge.blame(case, f"list shows the other snapshot {other} as {shown}")
        sealed, target = self._fetch()
        self._data(case, sealed, target, self.sealed)
        if sealed.code not in codes:
            self._judge.blame(case, f"fetch ended with {sealed.code}, not {codes}: {sealed}")
        clear, target = self._fetch("--decrypt", "--identity", self._bench.identity)
        self._data(case, clear, target, self._plain)
        if clear.code not in (0, *codes):
            self._judge.blame(case, f"fetch --decrypt ended with {clear.code}: {clear}")
        return sealed.code in DAMAGED

    def _states(self, case: str) -> dict[str, str]:
        """What `list` says, its exit judged; that a good one is whole is not asked: a look cannot tell."""
        done = self._bench.run("list", "--json", seconds=30)
        table = self._bench.run("list", seconds=30)
        for told in (done, table):
            if told.code != 0 or "Traceback" in told.err:
                self._judge.blame(case, f"list failed: {told}")
        if done.code != 0:
            return {}
        return {str(s["ref"]): str(s["state"]) for s in done.json["snapshots"]}

    def _fetch(self, *options: str | Path) -> tuple[Done, Path]:
        into = self._scratch / "fetched"
        shutil.rmtree(into, ignore_errors=True)
        done = self._bench.run("fetch", self.ref, "-o", into, *options, seconds=30)
        return done, into / self.ref.replace("/", "_").replace("@", "_")

    def _data(self, case: str, done: Done, target: Path, right: dict[str, bytes]) -> None:
        if "Traceback" in done.err:
            self._judge.blame(case, f"a traceback: {done}")
        if done.code:
            if not any(line.startswith("error: ") for line in done.err.splitlines()):
                self._judge.blame(case, f"no error: {done}")
            if target.exists():
                self._judge.blame(case, f"fetch failed, but left {target.name}: {done}")
            return
        given = {path.name: path.read_bytes() for path in target.iterdir()}
        if given != right:
            wrong = sorted(name for name in given.keys() | right.keys() if given.get(name) != right.get(name))
            self._judge.tally.add(plan.FALSE)
            self._judge.blame(case, f"FALSE SUCCESS: wrong data with exit 0: {', '.join(wrong)}")
