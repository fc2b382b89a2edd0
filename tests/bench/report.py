"""docs/performance.md and its charts: `python -m tests.bench.report [RESULTS]` writes them, of the newest results.

The results lie beside the charts, so that a test can make the page again and compare.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench import chart
from tests.bench.page import ordered, page, parts_of
from tests.bench.profile import NEEDED, OURS
from tests.bench.pulls import STREAM_MIB
from tests.bench.results import Curve, Results, number, read

DOCS = Path(__file__).parents[2] / "docs"
MEASURED = Path("build/bench/results.json")
RESULTS = "performance/results.json"
# name of a curve, by its section: title and what stands on the upright axis
_GROWN = {
    "time": ("sizes", "pull-time", "A pull by the length of its stream", "seconds"),
    "memory": ("sizes", "pull-memory", "The largest process of a pull by the length of its stream", "MiB resident"),
    "sources of 30 MB": (
        "sources",
        "run-time",
        "A run by the number of its sources, each 30 MB, four at once",
        "seconds",
    ),
}
Drawn = tuple[str, str, str, str]
"""Section, file, what it shows, and the SVG."""


def files(results: Results) -> dict[str, str]:
    """Everything that is written, by its path in docs/."""
    drawn = list(_drawn(results))
    text = page(results, [(section, file, title) for section, file, title, _ in drawn])
    charts = {f"performance/{file}": svg for _, file, _, svg in drawn}
    return {"performance.md": text, RESULTS: results.to_json(), **charts}


def write(results: Results, docs: Path = DOCS) -> None:
    """Write all of it, and leave no chart of earlier results behind."""
    found = files(results)
    (docs / "performance").mkdir(exist_ok=True)
    for stale in (docs / "performance").iterdir():
        if f"performance/{stale.name}" not in found:
            stale.unlink()
    for name, text in found.items():
        (docs / name).write_text(text)


def _drawn(results: Results) -> Iterator[Drawn]:
    yield from _ratios(results)
    yield from _profile(results)
    for name, (section, file, title, unit) in _GROWN.items():
        for curve in _curves(results, name):
            limit = STREAM_MIB if name == "memory" else None
            across = "length of the stream, MB" if section == "sizes" else curve.against
            yield section, f"{file}.svg", title, chart.lines(title, across, unit, {name: curve.points}, limit)
    looks = {curve.name: curve.points for name in ("list", "status") for curve in _curves(results, name)}
    if looks:
        title = "list and status by the number of snapshots"
        yield "snapshots", "looks.svg", title, chart.lines(title, "snapshots", "seconds of CPU", looks)


def _curves(results: Results, name: str) -> list[Curve]:
    return [curve for curve in results.curves if curve.name == name and curve.points]


def _ratios(results: Results) -> Iterator[Drawn]:
    rows = [row for row in ordered(results) if row.kind == "times as fast" and row.reach is not None]
    bars = [
        chart.Bar(
            f"{row.what.removesuffix(': wall time').removesuffix(', all checks on')} · {row.against}",
            row.score,
            f"{row.score:.2f}{'' if row.reached else ', not reached'}",
            row.reach,
            other=not row.reached,
        )
        for row in rows
        if row.score is not None
    ]
    if bars:
        title = "How many times as fast as the other (wall time; the mark is what to reach)"
        yield "ratios", "ratios.svg", title, chart.bars(title, "times as fast", bars)


def _profile(results: Results) -> Iterator[Drawn]:
    parts = sorted(parts_of(results.shares, OURS).items(), key=lambda part: -part[1])
    if parts:
        title = "CPU seconds of a pull, by part (orange: not needed for each byte)"
        bars = [chart.Bar(name, spent, f"{number(spent)} s", other=name not in NEEDED) for name, spent in parts]
        yield "profile", "profile.svg", title, chart.bars(title, "seconds of CPU", bars)


if __name__ == "__main__":
    write(read(Path(sys.argv[1]) if len(sys.argv) > 1 else MEASURED))
