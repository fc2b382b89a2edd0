"""How the cost of a pull grows: with the length of the stream, and with the number of sources."""

from collections.abc import Iterator

from tests.bench.contest import Asked
from tests.bench.ground import Ground
from tests.bench.pulls import pulled
from tests.bench.results import Curve, Part
from tests.integration.agent import HOST

LENGTHS = (10_000_000, 100_000_000, 1_000_000_000)
COUNTS = (1, 2, 4, 8, 16, 32)
_JOBS = "4"
_EACH = 30_000_000


def sizes(asked: Asked) -> Iterator[Part]:
    """Wall time and the largest process by the length of the stream."""
    walls, peaks = [], []
    with asked.place() as place, Ground(place) as there:
        for length in sorted({*LENGTHS, asked.largest}):
            there.serve(there.record(min(length, LENGTHS[1])), length)
            found = pulled(there)
            walls.append((length / 1e6, round(found.wall_s, 2)))
            peaks.append((length / 1e6, round(found.peak_mib, 1)))
    yield Curve("sizes", "time", "MB", "s", tuple(walls))
    yield Curve("sizes", "memory", "MB", "MiB", tuple(peaks))


def sources(asked: Asked) -> Iterator[Part]:
    """Wall time by the number of sources of 30 MB, four at once."""
    points = []
    with asked.place() as place, Ground(place) as there:
        recorded = there.record(_EACH)
        for count in COUNTS:
            there.serve_many(recorded, count)
            points.append((float(count), round(pulled(there, "--jobs", _JOBS, HOST).wall_s, 2)))
    yield Curve("sources", "sources of 30 MB", "sources", "s", tuple(points))
