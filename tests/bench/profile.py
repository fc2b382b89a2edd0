"""Where the processor seconds of a pull go, and of the shell's pipeline over the same stream."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.contest import Asked
from tests.bench.ground import ROOT, Ground
from tests.bench.measure import measure
from tests.bench.pulls import SHELL
from tests.bench.results import Fact, Part, Share
from tests.integration.agent import AGAMA

OURS, PRODUCTION = "pullagent", "production, while pullagent pulls"
PRODUCTION_SHELL = "production, while the pipeline runs"
# what has to be done to each byte, whatever program does it; the rest is a program's own way
NEEDED = (
    "compress (zstd's threads)",
    "encrypt (age)",
    "SSH: decrypt",
    "content check",
    "SHA-256 of the plain stream",
    "SHA-256 of the stored file",
)
_SETTLED_S = 5


@dataclass(frozen=True)
class Profile:
    """One run: its parts' processor seconds, those of the host that it read from, and its wall time."""

    parts: dict[str, float]
    production_s: float
    wall_s: float


def profile(asked: Asked) -> Iterator[Part]:
    """The run of middle length of each, in turns."""
    with asked.place() as place, Ground(place) as there:
        there.serve(there.record(asked.size))
        ours, shell = list[Profile](), list[Profile]()
        for _ in range(asked.pairs):
            ours.append(_watched(there, _pull))
            shell.append(_watched(there, _pipe))
        yield from _told(OURS, PRODUCTION, _middle(ours))
        yield from _told(SHELL, PRODUCTION_SHELL, _middle(shell))
        yield Fact("profile: bytes", float(asked.size))
        yield Fact("profile: cores", float(os.cpu_count() or 1))


def _told(whose: str, production: str, found: Profile) -> Iterator[Part]:
    for part, spent in found.parts.items():
        yield Share(whose, part, round(spent, 3))
    yield Share(production, "sshd and the dump program", round(found.production_s, 3))
    yield Fact(f"profile: {whose}: wall s", round(found.wall_s, 3))


def _middle(runs: list[Profile]) -> Profile:
    return sorted(runs, key=lambda run: run.wall_s)[len(runs) // 2]


def _watched(there: Ground, run: Callable[[Ground], tuple[dict[str, float], float]]) -> Profile:
    there.forget()
    before = there.host.sshd.sessions_cpu_s
    parts, wall = run(there)
    # a session is counted when it has ended
    deadline = time.monotonic() + _SETTLED_S
    while there.host.sshd.sessions() and time.monotonic() < deadline:
        time.sleep(0.05)
    return Profile(parts, there.host.sshd.sessions_cpu_s - before, wall)


def _pull(there: Ground) -> tuple[dict[str, float], float]:
    out = there.directory / "profile.json"
    arguments = there.agent.argv("run", AGAMA)[3:]
    argv: list[str | Path] = [sys.executable, "-m", "tests.bench.profiled", out, *arguments]
    done = measure(argv, env=there.agent.environment({"PYTHONPATH": str(ROOT)}), cwd=there.agent.home)
    return parted(json.loads(out.read_text())), done.wall_s


def parted(told: dict[str, Any]) -> dict[str, float]:
    """The parts of a pull, of what `tests.bench.profiled` wrote; together they are all that its processes took."""
    threads, within = dict[str, float](told["threads"]), dict[str, float](told["within"])
    measuring = threads.pop("measuring", 0.0)
    parts = {
        "compress (zstd's threads)": threads.get("native", 0.0),
        "encrypt (age)": told["children"],
        "SSH: decrypt": within.get("transport/decrypt", 0.0),
        "SSH: socket, packets": threads.get("transport", 0.0) - within.get("transport/decrypt", 0.0),
        "take from the channel": within.get("pull/receive", 0.0),
        "content check": within.get("pull/check", 0.0),
        "SHA-256 of the plain stream": within.get("pull/hash", 0.0),
        "hand to the compressor": within.get("pull/compress", 0.0),
        "hand to age": within.get("pull/send", 0.0),
        "SHA-256 of the stored file": within.get("writer/hash", 0.0),
        "read from age, write the file": threads.get("writer", 0.0) - within.get("writer/hash", 0.0),
        "start, imports, end of the program": threads.get("start", 0.0),
    }
    parts["all else"] = told["process"] + told["children"] - measuring - sum(parts.values())
    return parts


def _pipe(there: Ground) -> tuple[dict[str, float], float]:
    stages = {"SSH (ssh)": there.ssh_dump(), "compress (zstd)": "zstd -q -3 -T1"}
    stages["encrypt, write the file (age)"] = f"age -r {there.agent.recipient} >agama.zst.age"
    files = [there.agent.directory / f"stage-{number}" for number in range(len(stages))]
    timed = [f"{{ time {stage}; }} 2>{file}" for stage, file in zip(stages.values(), files, strict=True)]
    done = there.shell("export TIMEFORMAT='%U %S'; " + " | ".join(timed))
    return {name: _spent(file) for name, file in zip(stages, files, strict=True)}, done.wall_s


def _spent(file: Path) -> float:
    """User and system seconds, the last line that bash wrote."""
    return sum(float(word) for word in file.read_text().splitlines()[-1].split())
