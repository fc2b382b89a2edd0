"""What is done with what is stored: verify it, and push it back."""

import shlex
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.bench.contest import OURS, Asked, Contender, contest, cpus, walls
from tests.bench.ground import ROOT, Ground
from tests.bench.measure import Measured, measure
from tests.bench.pulls import size
from tests.bench.results import Part, Row
from tests.integration.agent import AGAMA

_SINK = "exec cat >/dev/null"
_SNAPSHOTS = 3


def stored(asked: Asked) -> Iterator[Part]:
    """A few snapshots of the standard stream, then both."""
    with asked.place() as place, Ground(place) as there:
        there.serve(there.record(asked.size))
        for _ in range(_SNAPSHOTS):
            there.pullagent("run", AGAMA)
        yield from _pushed(asked, there)
        yield from _verified(asked, there)


def _pushed(asked: Asked, there: Ground) -> Iterator[Part]:
    ref = there.agent.latest(AGAMA)
    file = there.agent.path(ref) / "dump.sql.zst.age"
    against = "age -d | zstd -d | ssh cat"
    opened = f"age -d -i {there.agent.identity} {shlex.quote(str(file))} | zstd -q -d"
    contenders: dict[str, Contender] = {
        OURS: partial(_push, there, ref),
        against: lambda: there.shell(f"{opened} | {there.ssh} {shlex.quote(_SINK)}"),
    }
    found = contest(contenders, asked.pairs)
    what, ours, theirs = f"decrypt, decompress and push {size(asked.size)}", found[OURS], found[against]
    yield Row("stored", f"{what}: wall time", against, "s", "times as fast", walls(ours), walls(theirs), 1.0)
    yield Row("stored", f"{what}: CPU", against, "s", "of its CPU", cpus(ours), cpus(theirs))


def _push(there: Ground, ref: str) -> Measured:
    arguments: list[str | Path] = [there.agent.config_file, ref, there.agent.identity, _SINK]
    environment = there.agent.environment({"PYTHONPATH": str(ROOT)})
    return measure([sys.executable, "-m", "tests.bench.push", *arguments], env=environment, cwd=there.agent.home)


def _verified(asked: Asked, there: Ground) -> Iterator[Part]:
    bytes_ = sum(file.stat().st_size for file in there.agent.store.glob("*/*/*/*.age"))
    hashed = f"find {shlex.quote(str(there.agent.store))} -name '*.age' -exec sha256sum {{}} + >/dev/null"
    contenders: dict[str, Contender] = {
        OURS: lambda: there.pullagent("verify"),
        "sha256sum": lambda: there.shell(hashed),
    }
    found = contest(contenders, asked.pairs)
    what, ours, theirs = f"verify {size(bytes_)} without a key", found[OURS], found["sha256sum"]
    yield Row("stored", f"{what}: wall time", "sha256sum", "s", "of its time", walls(ours), walls(theirs), 1.2)
    yield Row("stored", f"{what}: CPU", "sha256sum", "s", "of its CPU", cpus(ours), cpus(theirs), 1.2)
