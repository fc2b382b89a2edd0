"""The ledger: whole lines, from many processes at once, on disk, and readable after a crash."""

import json
import os
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pullagent.errors import StoreError
from pullagent.ledger import Ledger

NOW = datetime(2026, 11, 23, 1, 0, 3, tzinfo=UTC)
WRITER = """
import sys
from pathlib import Path
from pullagent.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(50):
    ledger.append("pull", ok=True, exit_code=0, took_s=number, detail={"from": sys.argv[2], "pad": "x" * (number * 90)})
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger that is not there yet."""
    return Ledger(tmp_path / "ledger.jsonl")


def note(ledger: Ledger, event: str = "fetch") -> None:
    """One line."""
    ledger.append(event, ok=True, exit_code=0, took_s=1.23456, now=NOW)


def test_a_line_has_the_fields_of_the_design(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown is null; the person is the one who called sudo."""
    monkeypatch.setenv("SUDO_USER", "anna")
    ledger.append(
        "fetch", ok=False, exit_code=4, took_s=1.23456, host="h", source="s", ref="r", detail={"a": 1}, now=NOW
    )
    (line,) = ledger.path.read_text().splitlines()
    assert json.loads(line) == {
        "v": 1,
        "time": "2026-11-23T01:00:03Z",
        "event": "fetch",
        "who": "anna",
        "host": "h",
        "source": "s",
        "ref": "r",
        "ok": False,
        "exit_code": 4,
        "took_s": 1.235,
        "detail": {"a": 1},
    }
    note(ledger)
    assert json.loads(ledger.path.read_text().splitlines()[1])["host"] is None


def test_without_sudo_it_is_the_account(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the user the process runs as; its number where it has no name."""
    monkeypatch.delenv("SUDO_USER", raising=False)
    note(ledger)
    monkeypatch.setattr("os.getuid", lambda: 3_999_999_999)
    note(ledger)
    assert [bool(e["who"]) for e in ledger.entries()] == [True, True]
    assert list(ledger.entries())[1]["who"] == "3999999999"


def test_entries_come_in_order(ledger: Ledger) -> None:
    """The oldest first; a ledger that is not there has none."""
    assert list(ledger.entries()) == []
    for event in ("run", "fetch", "restore"):
        note(ledger, event)
    assert [e["event"] for e in ledger.entries()] == ["run", "fetch", "restore"]


def test_it_is_private(ledger: Ledger) -> None:
    """Only its owner may read who did what."""
    note(ledger)
    assert ledger.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_what_root_begins_belongs_to_the_account_that_pulls(ledger: Ledger) -> None:
    """A trust by root must not leave a ledger that the unit's account cannot write."""
    os.chown(ledger.path.parent, 1, 1)
    note(ledger)
    assert (ledger.path.stat().st_uid, ledger.path.stat().st_gid) == (1, 1)


@pytest.mark.parametrize("torn", [b"{", b'{"v": 1, "event": "pu', b'{"v":1}', b"\xff", b"\0" * 4096])
def test_a_torn_line_is_closed_and_passed_over(ledger: Ledger, torn: bytes) -> None:
    """A crash in mid-line costs that line alone: the next one begins on a line of its own."""
    note(ledger, "before")
    with ledger.path.open("ab") as file:
        file.write(torn)
    note(ledger, "after")
    events = [e.get("event") for e in ledger.entries()]
    assert events in (["before", "after"], ["before", None, "after"])
    assert ledger.path.read_bytes().splitlines()[-1].startswith(b'{"v": 1')


@pytest.mark.parametrize("line", ["", "[]", "5", "null", '"v"', '{"v": 2, "event": "x"}', "{}", "not json"])
def test_foreign_lines_are_passed_over(ledger: Ledger, line: str) -> None:
    """Lines of another version, or that are no entries."""
    note(ledger)
    with ledger.path.open("a") as file:
        file.write(f"{line}\n")
    note(ledger)
    assert [e["event"] for e in ledger.entries()] == ["fetch", "fetch"]


def test_a_line_is_one_line_of_ascii(ledger: Ledger) -> None:
    """Whatever an error says, its line cannot break the file or steer a terminal."""
    detail = {"error": "a\nb\x1b[2J\u2028ü🐘\udcff\0"}
    ledger.append("pull", ok=False, exit_code=1, took_s=0, detail=detail, now=NOW)
    raw = ledger.path.read_bytes()
    assert raw.isascii()
    assert raw.count(b"\n") == 1
    assert b"\x1b" not in raw
    assert [e["detail"] for e in ledger.entries()] == [detail]


def test_many_processes_at_once_write_whole_lines(ledger: Ledger) -> None:
    """Eight processes with fifty lines each: four hundred whole lines."""
    root = Path(__file__).parents[2]
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(ledger.path), str(n)], cwd=root) for n in range(8)]
    assert [w.wait() for w in writers] == [0] * 8
    entries = list(ledger.entries())
    assert len(entries) == len(ledger.path.read_bytes().splitlines()) == 400
    for number in range(8):
        assert [e["took_s"] for e in entries if e["detail"]["from"] == str(number)] == list(range(50))


def test_a_short_write_is_an_error(ledger: Ledger) -> None:
    """A disk that takes only half of a line: StoreError, and the next line is whole."""
    note(ledger)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ledger.path.stat().st_size + 20, hard))  # Python ignores the signal
    try:
        with pytest.raises(StoreError, match=r"ledger\.jsonl"):
            note(ledger)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    note(ledger)
    assert len(list(ledger.entries())) == 2


def test_a_ledger_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    """A directory in its place, or no directory around it: StoreError when writing and when reading."""
    for path in (tmp_path, tmp_path / "absent" / "ledger.jsonl"):
        with pytest.raises(StoreError, match=path.name):
            note(Ledger(path))
    with pytest.raises(StoreError):
        list(Ledger(tmp_path).entries())
