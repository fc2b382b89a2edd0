"""Contenders run in turns, on what the benchmark was asked for."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import Measured

Contender = Callable[[], Measured]
OURS = "pullagent"


@dataclass(frozen=True)
class Asked:
    """`directory` is the run's own; a comparison takes `pairs` runs of each; `size` is the standard stream's, in
    bytes, and `largest` that of the longest one.
    """

    directory: Path
    pairs: int = 3
    size: int = 1_000_000_000
    largest: int = 10_000_000_000

    @contextmanager
    def place(self) -> Iterator[Path]:
        """A directory for one group, gone afterwards."""
        place = Path(tempfile.mkdtemp(dir=self.directory))
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def contest(contenders: Mapping[str, Contender], times: int) -> dict[str, list[Measured]]:
    """Run each contender `times` times, A B, B A, A B: so that a drift of the machine meets all alike."""
    found: dict[str, list[Measured]] = {name: [] for name in contenders}
    for turn in range(times):
        for name in list(contenders) if turn % 2 == 0 else reversed(list(contenders)):
            found[name].append(contenders[name]())
    return found


def walls(runs: list[Measured]) -> tuple[float, ...]:
    """Each run's wall time in seconds."""
    return tuple(round(run.wall_s, 3) for run in runs)


def cpus(runs: list[Measured]) -> tuple[float, ...]:
    """Each run's processor time in seconds."""
    return tuple(round(run.cpu_s, 3) for run in runs)
