"""What the ledger's lines come to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.monitoring.chronicle import Facts, facts_of, last_told
from tests.unit.standing import ago, line
from tests.unit.storing import AGAMA, LOGS


def test_the_newest_line_of_each_sort_counts() -> None:
    """Each source has its own; other events are passed over."""
    found = facts_of(
        [
            line("pull", 33),
            line("verify", 30, detail={"ids": ["a"], "damaged": []}),
            line("key check", 20),
            line("drill", 19, took_s=250.4),
            line("fetch", 12),
            line("pull", 9, ok=False, exit_code=13, detail={"error": "the host key has changed\npinned: …"}),
            line("pull", 9, name=LOGS),
        ]
    )
    assert set(found) == {AGAMA, LOGS}
    facts = found[AGAMA]
    assert facts.pulled is not None
    assert facts.stored is not None
    assert (facts.pulled.ok, facts.pulled.exit_code, facts.pulled.error) == (False, 13, "the host key has changed")
    assert (facts.pulled.time, facts.stored.time) == (ago(9), ago(33))
    assert [e.time for e in (facts.verified, facts.key_checked, facts.drilled) if e] == [ago(30), ago(20), ago(19)]
    assert facts.drilled is not None
    assert facts.drilled.took_s == 250.4


@pytest.mark.parametrize("event", ["verify", "key check", "drill"])
def test_what_failed_proves_nothing(event: str) -> None:
    """The last time it went well stays."""
    facts = facts_of([line(event, 30), line(event, 9, ok=False)])[AGAMA]
    assert [e.time for e in (facts.verified, facts.key_checked, facts.drilled) if e] == [ago(30)]


def test_damage_stays_until_a_later_verification_finds_it_sound() -> None:
    """A verification of other snapshots says nothing of it."""
    lines = [line("verify", 30, ok=False, detail={"ids": ["a"], "damaged": ["b", "c"]})]
    assert facts_of(lines)[AGAMA].damaged == {"b", "c"}
    lines.append(line("verify", 20, detail={"ids": ["a"], "damaged": []}))
    assert facts_of(lines)[AGAMA].damaged == {"b", "c"}
    lines.append(line("verify", 10, detail={"ids": ["b"], "damaged": []}))
    assert facts_of(lines)[AGAMA].damaged == {"c"}


@pytest.mark.parametrize(
    "wrong",
    [{"time": None}, {"time": "yesterday"}, {"time": "2026-11-23T01:00:00"}, {"host": 5}, {"took_s": "long"}],
)
def test_lines_of_another_shape_are_passed_over(wrong: dict[str, Any]) -> None:
    """A ledger edited by hand does not end the status."""
    assert facts_of([line("pull", 9) | wrong]) == {}


@given(st.lists(st.dictionaries(st.sampled_from(["event", "host", "source", "time", "ok", "detail"]), st.text())))
def test_no_line_is_fatal(entries: list[dict[str, Any]]) -> None:
    """Whatever stands there."""
    facts_of(entries)
    facts_of([line("verify", 1) | {"detail": entry} for entry in entries])


def test_what_was_last_told_is_remembered() -> None:
    """Only what was delivered counts; a line of another shape tells of nothing."""
    assert last_told([]) == (None, {})
    lines = [line("notify", 9, detail={"told": {"pavroto-2/logs": "LATE"}}), line("notify", 8, ok=False)]
    event, told = last_told(lines)
    assert event is not None
    assert (event.time, told) == (ago(9), {"pavroto-2/logs": "LATE"})
    assert last_told([line("notify", 7, detail={"told": "nobody"})])[1] == {}
    assert last_told([line("notify", 7) | {"detail": None, "time": 5}]) == (None, {})


def test_nothing_is_known_at_first() -> None:
    """An empty ledger."""
    assert facts_of([]) == {}
    assert Facts().damaged == frozenset()


def test_a_failed_drill_is_the_last_tried() -> None:
    """A drill that failed does not count as one, but is known until one goes well."""
    facts = facts_of([line("drill", 40), line("drill", 20, ok=False)])[AGAMA]
    assert facts.drilled is not None
    assert facts.drill_tried is not None
    assert (facts.drilled.time, facts.drill_tried.time, facts.drill_tried.ok) == (ago(40), ago(20), False)
    mended = facts_of([line("drill", 20, ok=False), line("drill", 10)])[AGAMA]
    assert mended.drill_tried == mended.drilled
