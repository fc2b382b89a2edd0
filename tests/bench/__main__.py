"""`make bench`: measure, print a table, write JSON; `python -m tests.bench --help` names the options."""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import growth, link, live, looks, profile, pulls, restores, stored
from tests.bench.contest import Asked
from tests.bench.machine import machine, versions
from tests.bench.results import Curve, Part, Results, Row, Share, read, told_reach, told_result, told_runs
from tests.lab.errors import LabError

GROUPS: dict[str, Callable[[Asked], Iterator[Part]]] = {
    "pull": pulls.pull,
    "profile": profile.profile,
    "four": pulls.four,
    "stored": stored.stored,
    "memory": pulls.memory,
    "looks": looks.looks,
    "link": link.link,
    "live": live.live,
    "restore": restores.restores,
}
GROWTH: dict[str, Callable[[Asked], Iterator[Part]]] = {
    "sizes": growth.sizes,
    "sources": growth.sources,
    "snapshots": looks.grown,
}
_UNITS = {"": 1, "M": 10**6, "G": 10**9}


def main() -> int:
    """Measure what was asked for; 1 when a group could not be measured."""
    asked = _parsed(sys.argv[1:])
    console = Console(width=None if sys.stdout.isatty() else 200)
    results, failed = Results(machine(), versions(), dict([_command(asked)])), 0
    with tempfile.TemporaryDirectory(prefix="pullagent-bench-") as directory:
        wanted = Asked(Path(directory), asked.pairs, asked.size, max(asked.size, asked.largest))
        for name in asked.only:
            begun = time.monotonic()
            console.print(f"{name} …")
            try:
                for part in {**GROUPS, **GROWTH}[name](wanted):
                    results = results.with_part(part)
                    _tell(console, part)
                    _write(asked.out, results)
            except LabError as error:
                failed += 1
                console.print(f"error: {name}: {error}", markup=False)
            console.print(f"{name}: {time.monotonic() - begun:.0f} s")
    console.print(_table(results.rows))
    console.print(f"written to {asked.out}")
    return min(failed, 1)


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), help=", ".join((*GROUPS, *GROWTH)))
    parser.add_argument("--growth", action="store_true", help="measure how cost grows, in place of the comparisons")
    parser.add_argument("--size", type=_bytes, default="1G", help="of the standard stream: 300M, 1G")
    parser.add_argument("--largest", type=_bytes, default="10G", help="of the longest stream")
    parser.add_argument("--pairs", type=int, default=3, help="runs of each contender")
    parser.add_argument("--out", type=Path, default=Path("build/bench/results.json"))
    found = parser.parse_args(argv)
    found.only = found.only or list(GROWTH if found.growth else GROUPS)
    if unknown := set(found.only) - {*GROUPS, *GROWTH}:
        parser.error(f"unknown: {', '.join(unknown)}")
    return found


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)([MG]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"found {text!r}; write 300M or 10G")
    return int(match[1]) * _UNITS[match[2]]


def _command(asked: argparse.Namespace) -> tuple[str, str]:
    """What was asked for, as it is typed, and in full."""
    whole = {tuple(GROUPS): "make bench", tuple(GROWTH): "make bench GROWTH=1"}
    only = ",".join(asked.only)
    line = f"python -m tests.bench --only {only} --size {asked.size} --largest {asked.largest} --pairs {asked.pairs}"
    return whole.get(tuple(asked.only), f"make bench ONLY={only}"), line


def _tell(console: Console, part: Part) -> None:
    if isinstance(part, Row):
        console.print(f"  {part.what} · {part.against}: {told_result(part)}", markup=False, highlight=False)
    elif isinstance(part, Share):
        console.print(f"  {part.whose}: {part.part}: {part.cpu_s:.2f} s", markup=False, highlight=False)
    elif isinstance(part, Curve):
        console.print(f"  {part.name}: {part.points}", markup=False, highlight=False)


def _table(rows: Sequence[Row]) -> Table:
    table = Table("What", "Against", "pullagent", "The other", "Result", "Reach", "", box=None)
    signs = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}
    for row in rows:
        runs = (told_runs(row.ours, row.unit), told_runs(row.theirs, row.unit))
        table.add_row(row.what, row.against, *runs, told_result(row), told_reach(row), signs[row.reached])
    return table


def _write(path: Path, results: Results) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    earlier = read(path) if path.exists() else None
    path.write_text((results.joined(earlier) if earlier else results).to_json())


if __name__ == "__main__":
    sys.exit(main())
