"""The ledger: whole lines, from many processes at once, on disk, and readable after a crash."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pullagent.errors import StoreError
from pullagent.ledger import Ledger
from tests.faults.mounts import needs_root, resize, small_disk

NOW = datetime(2026, 11, 23, 1, 0, 3, tzinfo=UTC)
WRITER = """
import sys
from pathlib import Path
from pullagent.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    ledger.append("pull", ok=True, exit_code=0, took_s=number, detail={"from": sys.argv[2], "pad": "x" * (number * 90)})
    print(number, flush=True)
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


def writers(ledger: Ledger, lines: int, **more: Any) -> list["subprocess.Popen[str]"]:
    """Eight processes that write at once, and say which lines they have written."""
    root = Path(__file__).parents[2]
    argv = [[sys.executable, "-c", WRITER, str(ledger.path), str(number), str(lines)] for number in range(8)]
    return [subprocess.Popen(a, cwd=root, text=True, stdout=subprocess.PIPE, **more) for a in argv]


def told(writer: "subprocess.Popen[str]") -> list[int]:
    """What a writer that has ended said it had written."""
    assert writer.stdout is not None
    with writer.stdout as lines:
        return [int(line) for line in lines.read().split()]


def written(ledger: Ledger, number: int) -> list[float]:
    """The lines of one writer that can be read."""
    return [e["took_s"] for e in ledger.entries() if e["detail"].get("from") == str(number)]


def test_many_processes_at_once_write_whole_lines(ledger: Ledger) -> None:
    """Eight processes with two hundred lines each: sixteen hundred whole lines, each writer's in its order."""
    running = writers(ledger, 200)
    assert [(len(told(w)), w.wait()) for w in running] == [(200, 0)] * 8
    assert len(list(ledger.entries())) == len(ledger.path.read_bytes().splitlines()) == 1600
    for number in range(8):
        assert written(ledger, number) == list(range(200))


def test_killed_writers_lose_nothing_they_had_written(ledger: Ledger) -> None:
    """Kill -9 in the midst of it: every line that was reported is there, and no other line suffers."""
    running = writers(ledger, 100_000)
    deadline = time.monotonic() + 30
    for number, writer in enumerate(running):
        while len(written(ledger, number)) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        writer.kill()
    reported = [told(writer) for writer in running]
    for number, writer in enumerate(running):
        assert writer.wait() == -signal.SIGKILL
        assert len(reported[number]) >= 4
        found = written(ledger, number)
        # a line may be written whole and its writer die before it can say so
        assert found in (reported[number], [*reported[number], len(reported[number])])
    note(ledger, "after")
    assert [e["event"] for e in ledger.entries()][-1] == "after"
    assert ledger.path.read_bytes().endswith(b"\n")


@needs_root
def test_a_full_disk_costs_only_what_it_refused(tmp_path: Path) -> None:
    """Eight writers until the disk is full, which ends them with an error; with room again the next line is whole."""
    with small_disk(tmp_path / "disk", 400):
        ledger = Ledger(tmp_path / "disk" / "ledger.jsonl")
        running = writers(ledger, 100_000, stderr=subprocess.PIPE)
        for number, writer in enumerate(running):
            said = writer.communicate(timeout=60)
            assert "No space left on device" in said[1]
            assert writer.returncode == 1
            assert written(ledger, number) == [int(line) for line in said[0].split()]
        resize(tmp_path / "disk", 1000)
        before = list(ledger.entries())
        note(ledger, "after")
        assert [e["event"] for e in ledger.entries()] == [*(e["event"] for e in before), "after"]


def test_a_long_ledger_is_read_in_a_moment(ledger: Ledger) -> None:
    """A hundred thousand lines, decades of them: well under a second of work; those of one event likewise."""
    note(ledger, "pull")
    line = ledger.path.read_bytes()
    ledger.path.write_bytes((line * 99 + line.replace(b'"pull"', b'"verify"')) * 1000)
    begun = time.process_time()
    assert sum(1 for _ in ledger.entries()) == 100_000
    assert sum(1 for _ in ledger.entries(events=("verify",))) == 1000
    assert time.process_time() - begun < 1


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
