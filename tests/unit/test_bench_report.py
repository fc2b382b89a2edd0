"""docs/performance.md is made of results alone, and says what was missed and what was not measured."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench import chart
from tests.bench.__main__ import GROUPS as MEASURED_GROUPS
from tests.bench.page import GROUPS
from tests.bench.profile import NEEDED, OURS, PRODUCTION
from tests.bench.pulls import SHELL
from tests.bench.report import DOCS, RESULTS, files, write
from tests.bench.results import Curve, Results, Row, Share, read

ROW = Row("pull", "pull of 1 GB: wall time", SHELL, "s", "times as fast", (2.0, 2.5, 2.0), (3.0, 3.5, 2.0), 1.2)
SLOW = Row("four", "four at once: wall time", SHELL, "s", "times as fast", (2.0,), (1.0,), 1.25)
EMPTY = Results({"processor": "one"}, {"age": "1"}, {"make bench": "python -m tests.bench"})
PROFILE = replace(
    EMPTY,
    shares=(
        *(Share(OURS, part, 1.0) for part in NEEDED),
        Share(OURS, "all else", 2.0),
        Share(PRODUCTION, "sshd", 4.0),
        Share(SHELL, "compress (zstd)", 3.5),
    ),
    facts={"profile: cores": 2.0, f"profile: {OURS}: wall s": 8.0, "profile: bytes": 1e9},
)
SIZES = (
    Curve("sizes", "time", "MB", "s", ((10.0, 0.5), (1000.0, 9.0))),
    Curve("sizes", "memory", "MB", "MiB", ((10.0, 60.0), (1000.0, 70.0))),
)


def rows_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")]


def test_what_was_missed_is_said_first_and_in_its_row() -> None:
    """The summary counts both, names what was missed, and the table holds median, spread, runs and verdict."""
    text = files(replace(EMPTY, rows=(ROW, SLOW)))["performance.md"]
    assert "Reached on the machine below: 1 of 2 figures" in text
    assert f"- four at once: wall time, against `{SHELL}`: 0.50 times as fast; to reach: at least 1.25" in text
    escaped = SHELL.replace("|", "\\|")
    assert (
        f"| pull of 1 GB: wall time | `{escaped}` | 2.00 s (2.00–2.50) | 3.00 s (2.00–3.50) "
        "| 1.40 times as fast (1.00–1.50) | 3 | at least 1.2 | reached |"
    ) in text
    assert next(row for row in rows_of(text) if "four at once" in row).endswith("| **not reached** |")


def test_what_was_not_measured_is_no_success() -> None:
    """A row without runs says why and is not counted; groups without rows are named with the command that measures."""
    missing = replace(ROW, group="link", ours=(), theirs=(), why="only root can make such a link")
    text = files(replace(EMPTY, rows=(missing,)))["performance.md"]
    assert "0 of 0 figures" in text
    assert any("only root can make such a link" in row and row.endswith("| not measured |") for row in rows_of(text))
    assert "`make bench ONLY=live`" in text
    assert "`make bench ONLY=link`" not in text
    assert "`make bench ONLY=profile`" in text
    assert "the number of sources" in text


def test_no_figure_stands_in_the_words() -> None:
    """Without results the page holds no measured number, and no chart."""
    found = files(EMPTY)
    assert set(found) == {"performance.md", "performance/results.json"}
    assert not re.findall(r"\d+\.\d|\d+ (?:s|%|MiB)\b", found["performance.md"])


def test_the_bound_is_the_work_divided_by_the_cores() -> None:
    """Both sides of the connection count; what is needed for each byte is told apart."""
    text = files(PROFILE)["performance.md"]
    assert "8.00 s of CPU above" in text
    assert "4.00 s of the same 2 cores: 12.0 s together" in text
    assert "would take 6.00 s, so the pull was at 75 % of" in text
    assert "it would take 5.00 s" in text
    assert "| all else | 2.00 s | 25 % |  |" in text
    assert "compress (zstd) 3.50 s; all of it 3.50 s" in text


def test_every_group_that_is_measured_has_its_place() -> None:
    """A new part of the benchmark must be given a place on the page; the profile has a section of its own."""
    assert set(GROUPS) == set(MEASURED_GROUPS) - {"profile"}


def test_charts_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    """Each is sound XML and shown on the page; one of earlier results does not stay."""
    (tmp_path / "performance").mkdir()
    (tmp_path / "performance" / "looks.svg").write_text("old")
    write(replace(PROFILE, rows=(ROW, SLOW), curves=SIZES), tmp_path)
    drawn = {file.name for file in (tmp_path / "performance").glob("*.svg")}
    assert drawn == {"ratios.svg", "profile.svg", "pull-time.svg", "pull-memory.svg"}
    text = (tmp_path / "performance.md").read_text()
    for name in drawn:
        ElementTree.parse(tmp_path / "performance" / name)
        assert f"](performance/{name})" in text
    assert "by the number of sources" in text


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    """The results kept beside the page make it again."""
    write(replace(PROFILE, rows=(ROW, SLOW), curves=SIZES), tmp_path)
    again = files(Results.from_json((tmp_path / "performance/results.json").read_text()))
    assert again == {name: (tmp_path / name).read_text() for name in again}


def places(svg: str) -> list[tuple[float, float]]:
    """Where the points of the only line lie."""
    line = re.search(r'points="([^"]+)"', svg)
    assert line is not None
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line[1].split())]


def test_tenfold_is_the_same_distance_everywhere() -> None:
    """Where figures span decades, both axes are of powers, and a straight line means a cost in proportion."""
    points = places(chart.lines("t", "x", "y", {"": [(10, 1), (100, 10), (1000, 100)]}))
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y0 > y1


def test_figures_close_to_each_other_stand_over_nought() -> None:
    """A flat line looks flat: the upright axis begins at nought, and the limit is drawn above the line."""
    svg = chart.lines("t", "x", "y", {"": [(10, 70), (100, 72)]}, 128)
    (_, y0), (_, y1) = places(svg)
    assert abs(y0 - y1) < 6
    assert ">0</text>" in svg
    assert ">limit 128</text>" in svg


def test_bars_are_as_long_as_their_figures() -> None:
    """Twice the figure, twice the bar; names are escaped."""
    svg = chart.bars("t", "x", [chart.Bar("a < b", 1.0, "1"), chart.Bar("c", 2.0, "2", mark=1.5, other=True)])
    first, second = (float(width) for width in re.findall(r'<rect x=.*?width="([\d.]+)" height="20"', svg))
    assert second == pytest.approx(2 * first, abs=0.3)
    assert "a &lt; b" in svg
    assert 'class="mark"' in svg


def test_the_page_is_current() -> None:
    """docs/performance.md and its charts are what `python -m tests.bench.report` makes of the results beside them."""
    found = [DOCS / "performance.md", *(DOCS / "performance").iterdir()]
    assert {str(file.relative_to(DOCS)): file.read_text() for file in found} == files(read(DOCS / RESULTS))
