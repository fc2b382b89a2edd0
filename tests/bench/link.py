"""A slow link between production and the backup server: what compression on the wire is worth there."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import fields
from functools import partial

from pullagent.tables import HostTable
from tests.bench.contest import OURS, Asked, Contender, contest, cpus, walls
from tests.bench.ground import Ground
from tests.bench.measure import Measured
from tests.bench.pulls import SHELL, pulled, size
from tests.bench.results import Part, Row
from tests.faults.netns import cable

MEGABITS = 100
_PLAIN = "the same, plain stream"


def link(asked: Asked) -> Iterator[Part]:
    """Needs root and namespaces."""
    length = asked.size // 5
    what = f"pull of {size(length)} over a link of {MEGABITS} Mbit/s"
    if os.getuid() != 0 or shutil.which("tc") is None:
        yield Row("link", what, _PLAIN, "s", "times as fast", reach=2.5, why="only root can make such a link")
        return
    with asked.place() as place, cable() as line:
        line.slow_down(MEGABITS)
        with Ground(place, link=line) as there:
            there.serve(there.record(length))
            yield from _compared(asked, there, what)


def _compared(asked: Asked, there: Ground, what: str) -> Iterator[Part]:
    contenders: dict[str, Contender] = {
        OURS: partial(_with_wire, there, "zstd"),
        _PLAIN: partial(_with_wire, there, "plain"),
        SHELL: lambda: there.shell(there.pipeline()),
    }
    found = contest(contenders, asked.pairs)
    ours = found[OURS]
    for against, reach in ((_PLAIN, 2.5), (SHELL, None)):
        theirs = found[against]
        yield Row("link", f"{what}: wall time", against, "s", "times as fast", walls(ours), walls(theirs), reach)
        yield Row("link", f"{what}: CPU", against, "s", "of its CPU", cpus(ours), cpus(theirs))


def _with_wire(there: Ground, wire: str) -> Measured:
    text = there.agent.config_file.read_text()
    if any(field.name == "wire" for field in fields(HostTable)):
        lines = [line for line in text.splitlines() if not line.startswith("wire = ")]
        there.agent.configure("\n".join(lines).replace('user = "', f'wire = "{wire}"\nuser = "', 1) + "\n")
    return pulled(there)
