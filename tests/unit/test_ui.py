"""What the verbs share: safe text, sizes, times, tables, errors, and the ledger's line."""

import re
import signal
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pullagent.cli import history, tables, ui
from pullagent.config import Config
from pullagent.errors import Interrupted, LockedError, PullAgentError, UsageError
from pullagent.ledger import Ledger
from pullagent.model import SourceName
from tests.unit.toml import changed, loaded


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x9b31m",
        "\x9d0;x\x9c",
        "\r",
        "\b\b\b",
        "\x7f",
        "\0",
        "\u202etxt.exe",
        "\u2066x\u2069",
        "\u200f",
        "\u061c",
        "\udcff",
    ],
)
def test_what_could_steer_a_terminal_is_shown_as_its_escape(text: str) -> None:
    """Escape sequences, C1 controls, carriage returns, direction marks and broken characters are made visible."""
    shown = ui.clean(f"before{text}after")
    assert shown.startswith("before\\")
    assert shown.endswith("after")
    assert shown.isprintable()
    shown.encode()


@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp"])))
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Letters of all scripts stay as they are."""
    assert ui.clean(text) == text


@given(text=st.text())
def test_any_text_can_be_printed(text: str) -> None:
    """Whatever a host says, it can be written, and holds no control character but line end and tab."""
    shown = ui.clean(text)
    shown.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "?"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (12_345, "12.3 kB"),
        (99_499, "99.5 kB"),
        (123_456, "123 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (309_000_000, "309 MB"),
        (996_000_000, "996 MB"),
        (5_250_000_000, "5.25 GB"),
        (10**13, "10 TB"),
        (5 * 10**16, "50000 TB"),
    ],
)
def test_a_size_has_about_three_digits(count: int | None, shown: str) -> None:
    """In decimal units."""
    assert ui.size(count) == shown


@given(count=st.integers(0, 10**17))
def test_a_size_is_right_to_a_percent(count: int) -> None:
    """What is shown is the size, rounded."""
    number, unit = ui.size(count).split()
    value = float(number) * 1000 ** ["B", "kB", "MB", "GB", "TB"].index(unit)
    assert abs(value - count) <= count * 0.01


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "?"),
        (0, "0.0 s"),
        (3.14, "3.1 s"),
        (9.96, "10 s"),
        (14.4, "14 s"),
        (59.6, "1 min"),
        (250, "4 min 10 s"),
        (300, "5 min"),
        (3599.7, "1 h"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (7140, "1 h 59 min"),
        (86_400, "24 h"),
        (5 * 86_400, "5 d"),
    ],
)
def test_a_duration_has_the_units_that_matter(seconds: float | None, shown: str) -> None:
    """An objective of 90 minutes is not shown as an hour."""
    assert ui.duration(seconds) == shown


@pytest.mark.parametrize(
    ("delta", "shown"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=9, minutes=50), "9 h"),
        (timedelta(hours=33), "33 h"),
        (timedelta(days=2), "2 d"),
        (timedelta(days=13, hours=23), "13 d"),
    ],
)
def test_an_age_has_one_unit(delta: timedelta, shown: str) -> None:
    """How long ago, rounded down, in the largest unit of which there are two."""
    assert ui.span(delta) == shown


LONG = "pavroto-2/" + "x" * 300 + "@2026-11-23T010003Z"


def test_a_plain_table_is_never_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a pipe every cell goes out whole, aligned, one line a row, however narrow a terminal might be."""
    monkeypatch.setenv("COLUMNS", "40")
    ui.table(("Snapshot", "Age"), [(LONG, "9 h"), ("short", "33 h")], right=("Age",))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{LONG}  9 h"
    assert len(lines) == 3
    assert lines[0].index("Age") == lines[1].index("9 h") == lines[2].index("33 h")


def test_a_cell_cannot_make_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """A name with a line end or an escape in it stays within its row."""
    ui.table(("Name", "Equal"), [("a\ncustomer  yes\x1b[1A", "NO")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("NO")
    assert "\x1b" not in lines[1]


def test_a_fact_cannot_make_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What a host says of itself stays behind the name of it."""
    ui.facts([("tool", "zstd 1\nstate:     good"), ("path", "/srv")])
    assert capsys.readouterr().out.splitlines() == ["tool: zstd 1\\nstate:     good", "path: /srv"]


def test_an_error_and_its_hint_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """`error:` with the message, `hint:` with what to do; long lines whole, further lines indented."""
    ui.fail(PullAgentError("first " + "x" * 300 + "\nsecond", "do this"))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["error: first " + "x" * 300, "       second", "hint: do this"]


def test_an_error_without_a_hint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """No empty hint; markup in a message is text; no escape gets through."""
    ui.fail(PullAgentError("[bold]x[/bold] \x1b[31m"))
    assert capsys.readouterr().err == "error: [bold]x[/bold] \\x1b[31m\n"


def test_json_is_one_object_with_its_format(capsys: pytest.CaptureFixture[str]) -> None:
    """In ASCII, so that no locale can break it."""
    ui.print_json(name="ü🐘\x1b")
    out = capsys.readouterr().out
    assert out.startswith('{\n  "format": 1,')
    assert out.isascii()
    assert "\x1b" not in out


def test_a_question_without_a_terminal_needs_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job without a terminal is refused at once, and never hangs."""
    monkeypatch.setattr("sys.stdin", StringIO("yes\n"))
    ui.confirm("Really?", yes=True)
    with pytest.raises(UsageError) as caught:
        ui.confirm("Really?", yes=False)
    assert "--yes" in caught.value.hint


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration whose store was made by an earlier run."""
    made = loaded(tmp_path, changed("store path", "store"))
    made.store.mkdir()
    return made


def lines(config: Config) -> list[dict[str, Any]]:
    """What the ledger holds."""
    return list(Ledger(config.store / "ledger.jsonl").entries())


def test_a_verb_that_succeeds_is_recorded(config: Config) -> None:
    """Its line says what, on what, how it ended and what it found."""
    with ui.recorded(config, "fetch", SourceName("h", "s"), "h/s@x") as detail:
        detail["bytes"] = 5
    (line,) = lines(config)
    assert (line["event"], line["host"], line["source"], line["ref"]) == ("fetch", "h", "s", "h/s@x")
    assert (line["ok"], line["exit_code"], line["detail"]) == (True, 0, {"bytes": 5})
    assert line["took_s"] >= 0


def test_a_verb_that_ends_with_a_code_is_recorded_with_it(config: Config) -> None:
    """A run of which a part failed is not ok."""
    with ui.recorded(config, "run", host="h") as detail:
        detail["exit_code"] = 3
    (line,) = lines(config)
    assert (line["ok"], line["exit_code"], line["detail"], line["host"]) == (False, 3, {}, "h")


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (LockedError("busy"), 11, {"error": "busy"}),
        (PullAgentError("x", exit_code=7), 7, {"error": "x"}),
        (Interrupted(signal.SIGINT), 130, {}),
        (Interrupted(signal.SIGTERM), 143, {}),
        (ZeroDivisionError("a defect"), 1, {"error": "ZeroDivisionError('a defect')"}),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_verb_that_fails_is_recorded_and_still_fails(
    config: Config, error: BaseException, code: int, detail: dict[str, str]
) -> None:
    """However it ends, its line is written with its exit code, and the error passes on."""
    with pytest.raises(type(error)):
        fail_within(config, error)
    (line,) = lines(config)
    assert (line["ok"], line["exit_code"], line["detail"]) == (False, code, detail)


def fail_within(config: Config, error: BaseException) -> None:
    """A verb that ends with `error`."""
    with ui.recorded(config, "restore"):
        raise error


def test_no_verb_makes_a_store_by_the_way(config: Config) -> None:
    """Before the first run there is no ledger: `trust` by another user must not make a store that is his."""
    config.store.rmdir()
    with ui.recorded(config, "trust"):
        pass
    assert not config.store.exists()


def test_a_ledger_that_cannot_be_written_is_a_warning(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """The verb's own result stands; the operator hears that it was not recorded."""
    config.store.rmdir()
    config.store.write_text("a file where the store should be")
    with ui.recorded(config, "fetch"):
        pass
    assert "not written to the ledger" in capsys.readouterr().err


@pytest.mark.parametrize("width", [30, 60, 100])
def test_no_window_is_too_narrow_for_a_reference(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """On a terminal of any width the first column and the sizes stand whole, and nothing is left out."""
    console = Console(force_terminal=True, color_system=None, width=width, soft_wrap=True)
    monkeypatch.setattr(ui.out, "console", console)
    ui.table(("Snapshot", "Stored", "State"), [(LONG, "10.8 kB", "good and verified")], right=("Stored",))
    shown = capsys.readouterr().out
    assert all(word in shown for word in (LONG, "10.8 kB", "good", "verified"))
    assert "…" not in shown


@pytest.mark.parametrize("colours", [None, "standard", "truecolor"])
def test_a_table_that_fits_looks_like_one_that_is_wrapped(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    colours: Literal["standard", "truecolor"] | None,
) -> None:
    """What we draw ourselves, for rich takes long over many rows, is what rich draws, but for blanks at the ends."""
    console = Console(force_terminal=True, color_system=colours, width=100, soft_wrap=True, no_color=False)
    monkeypatch.setattr(ui.out, "console", console)
    columns, right = ("Snapshot", "Stored", "State", "Goes"), ("Stored",)
    rows = [
        ("pavroto-2/agama@2026-11-23T010003Z", "10.8 kB", "good · verified 2 d", "in 3 d"),
        ("x", "1 B", "damaged", ""),
        ("y", "", "shrunk", "pinned"),
    ]
    ui.table(columns, rows, right)
    drawn = capsys.readouterr().out
    monkeypatch.setattr(tables, "_is_narrow", lambda _: False)
    ui.table(columns, rows, right)
    wrapped = capsys.readouterr().out
    assert shapes(drawn) == shapes(wrapped)
    assert ("\x1b[" in drawn) == (colours is not None)


def shapes(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each line's plain text, and its coloured words with their colours."""
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in text.splitlines()]
    inks = [re.findall(r"\x1b\[([0-9;]+)m *([^ \x1b].*?) *\x1b\[0m", line) for line in text.splitlines()]
    return list(zip(plain, inks, strict=True))


def test_the_history_says_what_was_not_delivered() -> None:
    """A message that nobody got has failed, and for what."""
    detail = {"told": {"pavroto-2/agama": "LATE"}, "problems": ["the message was not delivered: Connection refused"]}
    text = history._ended({"event": "notify", "ok": False, "exit_code": 1, "detail": detail})
    assert text == "failed (1): the message was not delivered: Connection refused"
