"""docs/faults.md says what the tests do."""

from tests.faults.catalogue import faults
from tests.faults.report import TARGET, document


def test_the_table_is_up_to_date() -> None:
    """docs/faults.md is what `python -m tests.faults.report` writes."""
    assert TARGET.read_text() == document(), "run: python -m tests.faults.report"


def test_every_fault_says_how_it_ends() -> None:
    """Every entry names a fault and an outcome, and no two tests are the same entry."""
    entries = list(faults())
    assert len(entries) > 25
    assert all(entry.fault and entry.outcome for entry in entries)
    assert len({(entry.fault, entry.where) for entry in entries}) == len(entries)
