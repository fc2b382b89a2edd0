"""Ten thousand snapshots: what an operator waits for."""

import os
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pullagent.store import Store
from tests.many import many
from tests.unit.toml import changed, document

COUNT = 10_000


@pytest.fixture(scope="module")
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hosts.toml beside a store with so many snapshots."""
    folder = tmp_path_factory.mktemp("many")
    many(folder / "store", COUNT, datetime.now(UTC) - timedelta(hours=3))
    (folder / "hosts.toml").write_text(document(changed("store path", "store")))
    return folder / "hosts.toml"


def seconds_of(*argv: str | Path) -> tuple[float, str]:
    """What a command takes of a processor, start of Python included, and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pullagent", "--config", *map(str, argv)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


@pytest.mark.parametrize("verb", [["list"], ["prune", "--dry-run"]], ids=" ".join)
def test_ten_thousand_take_less_than_a_second(config_file: Path, verb: list[str]) -> None:
    """The best of five; other work on the same cores makes each of them slower."""
    busy = os.getloadavg()[0] > (os.cpu_count() or 1)
    taken = []
    for _ in range(5):
        seconds, out = seconds_of(config_file, *verb)
        assert len(out.splitlines()) == COUNT + 1
        taken.append(seconds)
        if seconds < 1:
            break
    assert min(taken) < (2.5 if busy else 1.2), taken


def test_they_are_whole_to_a_look(config_file: Path) -> None:
    """What the generator makes is listed as good, source by source."""
    found = Store(config_file.parent / "store").snapshots("host-0", "source-0")
    assert {s.state for s in found} == {"good"}
    assert len(found) == COUNT // 20
