"""The age program: killed, lying, missing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import plan
from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.faults.judge import Judge
from tests.integration.agent import AGAMA, LOGS
from tests.lab.processes import plain_environment, run

USUAL = plain_environment(Path("/"))["PATH"]
# Its calls are counted, and honest but the one of that number: the first is the trial of the recipients.
SCRIPT = """#!/bin/bash
case "$*" in *--version*) exec {real} "$@" ;; esac
n=$(cat {count} 2>/dev/null); n=$((n + 1)); echo "$n" >{count}
[ "$n" = {call} ] || exec {real} "$@"
"""
CALLS = {AGAMA: 3, LOGS: 2}
"""The call that encrypts the dump, or the backup."""

LIES = [
    ("all but 1 byte, status 0", '{real} "$@" | head -c -1; exit 0'),
    ("all but 16 bytes, status 0", '{real} "$@" | head -c -16; exit 0'),
    ("all but 17 bytes, status 0", '{real} "$@" | head -c -17; exit 0'),
    ("all but a chunk (65552 bytes), status 0", '{real} "$@" | head -c -65552; exit 0'),
    ("a byte more, status 0", '{real} "$@"; printf x; exit 0'),
    ("another empty file more, status 0", '{real} "$@"; {real} "$@" </dev/null; exit 0'),
    ("what holds half of its input, status 0", 'head -c 10000 | {real} "$@"; cat >/dev/null; exit 0'),
    ("only its header, status 0", '{real} "$@" | head -c 200; exit 0'),
    ("nothing, status 0", "cat >/dev/null; exit 0"),
    ("nothing, without reading, status 0", "exit 0"),
    ("its input, status 0", "exec cat"),
    ("what has no header, without end", "exec yes"),
    ("all, status 1", '{real} "$@"; exit 1'),
    ("all, then killed", '{real} "$@"; kill -KILL $$'),
    ("the beginning, then killed", 'head -c 10000 | {real} "$@"; kill -KILL $$'),
    ("the beginning, then TERM", 'head -c 10000 | {real} "$@"; kill -TERM $$'),
    ("nothing, killed at once", "kill -KILL $$"),
]


def fake_age(directory: Path, body: str, call: int) -> dict[str, str]:
    """An environment in which the `call`-th call of age runs the script `body`."""
    directory.mkdir(exist_ok=True)
    count = directory / "count"
    count.unlink(missing_ok=True)
    real = run(["sh", "-c", "command -v age"], env=plain_environment(directory)).decode().strip()
    for name, value in (("{real}", real), ("{count}", str(count)), ("{call}", str(call))):
        body = body.replace(name, value)
    head = SCRIPT.replace("{real}", real).replace("{count}", str(count)).replace("{call}", str(call))
    (directory / "age").write_text(head + body + "\n")
    (directory / "age").chmod(0o755)
    return {"PATH": f"{directory}:{USUAL}"}


@fault(
    "seal",
    "age writes too little (by 1, 16, 17, 65552 bytes), too much, nothing, its own input, with status 0; "
    "status 1; killed",
    "exit 1; nothing is stored",
    full=2 * len(LIES),
    sample=6,
)
@pytest.mark.timeout(400)
@pytest.mark.parametrize("source", [AGAMA, LOGS])
def test_a_lying_age(bench: Bench, judge: Judge, tmp_path: Path, source: str) -> None:
    """An age program that writes something else than it should is not believed, whatever its status."""
    for case, body in (LIES[number] for number in plan.spread(len(LIES), 3, f"age {source}")):
        environment = fake_age(tmp_path / "bin", body, CALLS[source])
        judge.after(f"age writes {case}", bench.run("run", source, env=environment), codes=(1,), error="age")
    judge.lifted("after the lies of age", source)
    judge.verdict()


def nothing(place: Path) -> None:
    """No age at all."""


def directory(place: Path) -> None:
    """A directory of this name."""
    place.mkdir()


def not_executable(place: Path) -> None:
    """A file that may not be executed."""
    place.write_text("#!/bin/sh\n")
    place.chmod(0o644)


def not_a_program(place: Path) -> None:
    """A file that is no program."""
    place.write_bytes(b"\x7fELF but not really")
    place.chmod(0o755)


def without_interpreter(place: Path) -> None:
    """A script whose interpreter is not there."""
    place.write_text("#!/nowhere/bash\n")
    place.chmod(0o755)


@fault(
    "seal",
    "age is missing, a directory, not executable, no program, a script without interpreter",
    "exit 1, before anything is pulled; what to install",
    full=5,
    sample=5,
)
@pytest.mark.parametrize("make", [nothing, directory, not_executable, not_a_program, without_interpreter])
def test_no_usable_age(bench: Bench, judge: Judge, tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Without an age program that can be started, a run says so and what to install, and stores nothing."""
    make(tmp_path / "age")
    done = bench.run("run", AGAMA, env={"PATH": str(tmp_path)})
    judge.after(make.__name__, done, codes=(1,), error="age", hint=True)
    judge.lifted(make.__name__, AGAMA)
    judge.verdict()
