"""What the campaign holds: each test says which fault it makes, at which stage, and how that must end."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

STAGES = ("connect", "pull", "seal", "publish", "store", "prune", "stored", "restore", "verbs")
_STAGE_TEXT = {
    "connect": "between agent and host",
    "pull": "on the production host",
    "seal": "compressing and encrypting",
    "publish": "at every act on the store",
    "store": "the store's disk and directory",
    "prune": "while snapshots are removed",
    "stored": "in stored snapshots",
    "restore": "while something is restored",
    "verbs": "at any moment of a verb",
}
_Test = TypeVar("_Test", bound=Callable[..., object])


@dataclass(frozen=True)
class Fault:
    """A line of the table. `full` and `sample`: how many cases `make faults` and `make test` try."""

    stage: str
    fault: str
    outcome: str
    full: str
    sample: str
    test: str

    @property
    def where(self) -> str:
        """The stage in the table's words."""
        return _STAGE_TEXT[self.stage]


_found: list[Fault] = []


def fault(
    stage: str, fault: str, outcome: str, *, full: int | str = 1, sample: int | str = 1
) -> Callable[[_Test], _Test]:
    """Enter a test in the catalogue. `sample=0`: only `make faults` tries it."""
    assert stage in STAGES

    def enter(test: _Test) -> _Test:
        module = test.__module__.rpartition(".")[2]
        _found.append(Fault(stage, fault, outcome, str(full), str(sample), f"{module}.py::{test.__name__}"))
        return test

    return enter


def faults() -> Iterator[Fault]:
    """Every fault, by stage and then as the tests stand in their files."""
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        importlib.import_module(f"tests.faults.{file.stem}")
    # pytest may have imported the same test under another name before
    unique = {entry.test + entry.fault: entry for entry in _found}
    return iter(sorted(unique.values(), key=lambda entry: (STAGES.index(entry.stage), entry.test.partition("::")[0])))
