"""Single bits flipped anywhere in a stored snapshot."""

from pathlib import Path

import pytest

from tests.faults import plan
from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.faults.fetching import Reader
from tests.faults.judge import Judge
from tests.integration.agent import AGAMA, LOGS

PARTS = plan.count(1, 4)
FLIPS_IN_PART = plan.count(10, 25)


@fault(
    "stored",
    "one bit flipped, anywhere in any file of a snapshot",
    "fetch ends with 4, or `list` shows it damaged; the right data or none",
    full=200,
    sample=20,
)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("source", [AGAMA, LOGS])
def test_a_flipped_bit(bench: Bench, judge: Judge, tmp_path: Path, source: str, part: int) -> None:
    """A bit flipped anywhere in a snapshot is found by fetch, which never gives wrong data with exit 0."""
    chance = plan.chance(f"flip {source} {part}")
    reader = Reader(bench, judge, bench.latest(source), tmp_path)
    for _ in range(FLIPS_IN_PART):
        name = chance.choice(sorted(reader.sealed))
        position, bit = chance.randrange(len(reader.sealed[name])), chance.randrange(8)
        with reader.damaged() as folder:
            data = bytearray(reader.sealed[name])
            data[position] ^= 1 << bit
            (folder / name).write_bytes(data)
            judge.tally.add(plan.FLIPS)
            if reader.judged(f"bit {bit} of byte {position} of {name}", state=None):
                judge.tally.add(plan.FLIPS_FOUND)
    judge.lifted("after the flips", source)
    judge.verdict()
