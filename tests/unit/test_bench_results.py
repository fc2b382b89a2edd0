"""What the benchmark makes of its figures: which way a ratio points, what is reached, what the file keeps."""

import json
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from tests.bench.contest import contest, cpus, walls
from tests.bench.measure import Measured
from tests.bench.results import Command, Curve, Fact, Kind, Results, Row, Share, told_reach, told_result, told_runs

EMPTY = Results({"processor": "one"}, {"age": "1"}, {"benchmark": "make bench"})
ROW = Row("pull", "pull: wall time", "shell", "s", "times as fast", (2.0, 2.0, 4.0), (4.0, 3.0, 4.0), 1.2)


def row(kind: Kind, ours: tuple[float, ...], theirs: tuple[float, ...], reach: float | None, unit: str = "s") -> Row:
    return Row("pull", "pull", "shell", unit, kind, ours, theirs, reach)


@pytest.mark.parametrize(
    ("kind", "ours", "theirs", "reach", "score", "reached"),
    [
        ("times as fast", 2.0, 3.0, 1.2, 1.5, True),
        ("times as fast", 3.0, 2.0, 1.2, 2 / 3, False),
        ("times as fast", 2.0, 2.4, 1.2, 1.2, True),
        ("of its CPU", 2.0, 4.0, 1.0, 0.5, True),
        ("of its CPU", 4.0, 2.0, 1.0, 2.0, False),
        ("of its time", 1.1, 1.0, 1.2, 1.1, True),
        ("of its time", 1.3, 1.0, 1.2, 1.3, False),
        ("margin", 11.0, 10.0, None, 1.0, True),
        ("margin", 12.5, 10.0, None, 2.5, False),
        ("margin", 104.0, 100.0, None, 4.0, True),
        ("margin", 106.0, 100.0, None, 6.0, False),
    ],
)
def test_less_time_is_better_whatever_the_kind(
    kind: Kind, ours: float, theirs: float, reach: float | None, score: float, reached: bool
) -> None:
    """Of a pair, the side that took less is the faster; each kind of row says so in its own direction."""
    found = row(kind, (ours,), (theirs,), reach)
    assert found.score == pytest.approx(score)
    assert found.reached is reached


def test_a_ratio_is_taken_within_each_pair() -> None:
    """A machine that slows down during the runs does not change the result: pairs are divided before the median."""
    drifting = row("times as fast", (1.0, 2.0, 4.0), (1.5, 3.0, 6.0), 1.2)
    assert drifting.each == (1.5, 1.5, 1.5)
    swapped = replace(drifting, theirs=(6.0, 3.0, 1.5))
    assert swapped.each == (6.0, 1.5, 0.375)


def test_the_middle_pair_decides() -> None:
    """One lucky pair reaches nothing, one unlucky pair spoils nothing."""
    assert ROW.each == (2.0, 1.5, 1.0)
    assert ROW.score == 1.5
    assert replace(ROW, theirs=(40.0, 2.0, 4.0)).reached is False


def test_memory_is_judged_by_its_largest_run_and_time_by_its_middle_one() -> None:
    """A promise about memory holds for every run."""
    memory = row("at most", (70.0, 71.0, 129.0), (), 128.0, "MiB")
    assert (memory.score, memory.reached) == (129.0, False)
    time = row("at most", (0.1, 0.2, 0.9), (), 0.25)
    assert (time.score, time.reached) == (0.2, True)


def test_runs_that_do_not_pair_are_refused() -> None:
    """A lost run is an error, not a shift of all the others by one."""
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        _ = row("times as fast", (1.0, 2.0), (1.0,), 1.2).score


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    """It has no score, and its reason is told; without a reach there is no verdict either."""
    missing = replace(ROW, ours=(), theirs=(), why="only root can make such a link")
    assert (missing.score, missing.reached) == (None, None)
    assert told_result(missing) == "only root can make such a link"
    assert (replace(ROW, reach=None).score, replace(ROW, reach=None).reached) == (1.5, None)


def test_contenders_take_turns_and_keep_their_own_figures() -> None:
    """A B, B A, A B; the n-th figures of both are of the same turn."""
    clock, order = count(1), list[str]()

    def contender(name: str) -> Measured:
        order.append(name)
        tick = next(clock)
        return Measured(float(tick), tick / 10, {})

    found = contest({"a": lambda: contender("a"), "b": lambda: contender("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert walls(found["a"]) == (1.0, 4.0, 5.0)
    assert walls(found["b"]) == (2.0, 3.0, 6.0)
    assert cpus(found["a"]) == (0.1, 0.4, 0.5)


def test_results_come_back_from_their_file_as_they_were() -> None:
    """Every part survives the JSON, and the file holds each row's result for a reader without this code."""
    results = EMPTY
    parts = (
        ROW,
        Curve("sizes", "time", "MB", "s", ((10.0, 0.5), (100.0, 1.5))),
        Share("backup server", "age", 0.4),
        Fact("profile: wall s", 7.5),
        Command("shell", "ssh HOST … | zstd"),
    )
    for part in parts:
        results = results.with_part(part)
    assert Results.from_json(results.to_json()) == results
    told = json.loads(results.to_json())
    assert (told["rows"][0]["score"], told["rows"][0]["reached"]) == (1.5, True)
    assert results.commands == {"benchmark": "make bench", "shell": "ssh HOST … | zstd"}


def test_a_part_measured_anew_replaces_what_it_was() -> None:
    """Of one group all earlier rows go, of the others none; the same holds for curves, shares and facts."""
    link = replace(ROW, group="link")
    curve = Curve("sizes", "time", "MB", "s", ((1.0, 1.0),))
    earlier = replace(
        EMPTY, rows=(ROW, link), curves=(curve,), shares=(Share("a", "b", 1.0),), facts={"x": 1.0, "y": 1.0}
    )
    faster = replace(ROW, ours=(1.0, 1.0, 1.0))
    joined = replace(EMPTY, rows=(faster,), facts={"x": 2.0}).joined(earlier)
    assert joined.rows == (link, faster)
    assert (joined.curves, joined.shares, joined.facts) == ((curve,), earlier.shares, {"x": 2.0, "y": 1.0})


def test_parts_measured_with_two_versions_name_both() -> None:
    """Each once, however often the file is written."""
    newer = replace(EMPTY, versions={"age": "2"})
    joined = newer.joined(EMPTY)
    assert joined.versions == {"age": "1 and 2"}
    assert newer.joined(joined).versions == {"age": "1 and 2"}


def test_a_file_in_place_is_read_before_it_is_written(tmp_path: Path) -> None:
    """Measuring one part keeps the others in the file."""
    from tests.bench.__main__ import _write

    file = tmp_path / "build" / "results.json"
    _write(file, replace(EMPTY, rows=(ROW,)))
    _write(file, replace(EMPTY, rows=(replace(ROW, group="link"),)))
    assert [found.group for found in Results.from_json(file.read_text()).rows] == ["pull", "link"]


@pytest.mark.parametrize(
    ("kind", "reach", "result", "reaching"),
    [
        ("times as fast", 1.2, "1.50 times as fast", "at least 1.2"),
        ("of its CPU", 1.0, "0.67 of its CPU", "at most 1"),
        ("at most", 4.0, "2.00 s", "at most 4 s"),
        ("margin", None, "-1.0 s (1.50 times as fast)", "at most 5 % or 2 s slower"),
        ("of its CPU", None, "0.67 of its CPU", ""),
    ],
)
def test_results_are_told_in_words(kind: Kind, reach: float | None, result: str, reaching: str) -> None:
    """The words say which way is good."""
    found = row(kind, (2.0,), (3.0,), reach)
    assert (told_result(found), told_reach(found)) == (result, reaching)


def test_runs_are_told_with_their_spread() -> None:
    """The median first, then the least and the most; one run alone has no spread."""
    assert told_runs((7.0, 5.9, 6.123), "s") == "6.12 s (5.90–7.00)"
    assert told_runs((12.34,), "MiB") == "12.3 MiB"
    assert told_runs((), "s") == ""
