"""`make bench`: measure, print a table, write JSON; `python -m tests.bench --help` names the options."""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import growth, link, live, looks, profile, pulls, restores, stored
from tests.bench.contest import Asked
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
    results, failed = Results(_machine(), _versions(), {"benchmark": "make bench"}), 0
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


def _machine() -> dict[str, str]:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024**2
    return {
        "processor": f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _versions() -> dict[str, str]:
    commands = {
        "age": ["age", "--version"],
        "zstd": ["zstd", "--version"],
        "OpenSSH": ["ssh", "-V"],
        "restic": ["restic", "version"],
        "borg": ["borg", "--version"],
    }
    told = {name: _first_line(argv) for name, argv in commands.items()}
    libraries = {name: version(name) for name in ("paramiko", "cryptography", "zstandard")}
    return {"Python": platform.python_version(), **libraries, **told}


def _first_line(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    except FileNotFoundError:
        return "not installed"
    return (done.stdout + done.stderr).strip().splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
