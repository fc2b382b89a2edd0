"""`pullagent status` over a real store: what it reads, shows, and ends with."""

import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pullagent.cli import app
from pullagent.cli import status as screen
from pullagent.config import Config
from pullagent.ledger import Ledger
from pullagent.model import rfc3339
from pullagent.monitoring import status
from pullagent.store import Store
from tests.many import SOURCES, many
from tests.unit.sealing import RECIPIENT
from tests.unit.storing import AGAMA, LOGS, START, put, replace
from tests.unit.toml import changed, document, loaded

NOW = START + timedelta(hours=9)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Last night's snapshots of both sources, and those of a source that hosts.toml no longer names."""
    store = Store(tmp_path / "store")
    for name in (AGAMA, LOGS):
        put(store, START - timedelta(days=1), name)
        put(store, START, name)
    return store


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """hosts.toml beside the store."""
    return loaded(tmp_path, changed("store path", "store"))


def verdicts(config: Config, now: datetime = NOW) -> list[tuple[str, str]]:
    """Each source's verdict."""
    return [(s.name.source, s.verdict) for s in status.read(config, now).standings]


def call(config: Config, *arguments: str | Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The verb as the command line runs it: exit code, standard output and error."""
    code = app._run(["--config", str(config.path), "status", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_a_good_night_is_ok(store: Store, config: Config) -> None:
    """Both sources were pulled nine hours ago."""
    assert verdicts(config) == [("agama", "OK"), ("logs", "OK")]
    assert status.read(config, NOW).verdict == "OK"


def test_a_store_that_is_not_there_holds_nothing(config: Config) -> None:
    """Before the first run every source stands as never backed up, and the look makes no store."""
    assert verdicts(config) == [("agama", "NEVER"), ("logs", "NEVER")]
    assert not config.store.exists()


def test_a_source_that_was_taken_out_does_not_count(store: Store, tmp_path: Path) -> None:
    """Its snapshots stay in the store; nothing is owed to it."""
    value = changed("store path", "store")
    del value["hosts"]["pavroto-2"]["sources"]["logs"]
    assert verdicts(loaded(tmp_path, value), NOW) == [("agama", "OK")]


def test_damage_in_the_store_is_seen(store: Store, config: Config) -> None:
    """A cut file by its size; other damage by what the last verification wrote into the ledger."""
    replace(store.root / "pavroto-2" / "agama" / "2026-11-23T010003Z" / "dump.sql.zst.age", b"cut")
    detail = {"ids": ["2026-11-23T010003Z"], "damaged": ["2026-11-22T010003Z", "2026-10-01T010003Z"]}
    Ledger(store.ledger_path).append(
        "verify", ok=False, exit_code=4, took_s=1, host="pavroto-2", source="logs", detail=detail
    )
    found = status.read(config, NOW)
    assert [s.verdict for s in found.standings] == ["DAMAGED", "DAMAGED"]
    assert found.standings[0].age == timedelta(hours=33)
    assert found.standings[1].brief == "pavroto-2/logs@2026-11-22T010003Z is damaged; the last good snapshot is 9 h old"


def test_the_last_good_one_is_found_behind_many_bad_ones(store: Store, config: Config) -> None:
    """However far back it lies."""
    for night in range(1, 30):
        put(store, START + timedelta(days=night), AGAMA, state="shrunk")
    found = status.read(config, START + timedelta(days=29, hours=9)).standings[0]
    assert (found.verdict, found.age) == ("LATE", timedelta(days=29, hours=9))


def test_json_has_the_agreed_fields(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """Names, units and nulls; the exit code is the verdict's."""
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=33)
    put(Store(config.store), begun - timedelta(days=1))
    put(Store(config.store), begun)
    code, out, err = call(config, "--json", capsys=capsys)
    answer: dict[str, Any] = json.loads(out)
    assert (code, err) == (2, "")
    assert list(answer) == ["format", "verdict", "sources"]
    source = answer["sources"][0]
    assert list(source) == [
        "host", "source", "verdict", "reason", "last_good", "age_s", "rpo_s", "sizes_bytes", "next_run", "verified",
        "key_checked", "drilled", "drill_s", "rto_s",
    ]  # fmt: skip
    assert source["verdict"] == "LATE"
    assert source["last_good"] == rfc3339(begun)
    assert 33 * 3600 <= source["age_s"] < 34 * 3600
    assert source["sizes_bytes"] == [81, 81]
    assert (source["rpo_s"], source["rto_s"], source["drilled"], source["drill_s"]) == (86400, 3600, None, None)


def test_each_mode_ends_with_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shown or machine-read, 0, 1 and 2 mean the same."""
    config = loaded(tmp_path, changed("store path", "store"))
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    for name in (AGAMA, LOGS):
        put(Store(config.store), begun, name)
    modes: list[list[str | Path]] = [[], ["--json"], ["--nagios"], ["--prometheus", tmp_path / "p.prom"]]
    assert [call(config, *mode, capsys=capsys)[0] for mode in modes] == [0, 0, 0, 0]
    put(Store(config.store), begun + timedelta(hours=1), LOGS, state="shrunk")
    assert [call(config, *mode, capsys=capsys)[0] for mode in modes] == [1, 1, 1, 1]
    line = call(config, "--nagios", capsys=capsys)[1]
    assert line.startswith("PULLAGENT WARNING - pavroto-2/logs SHRUNK: ")
    assert 'source="logs",verdict="SHRUNK"} 1' in (tmp_path / "p.prom").read_text()


def test_plain_output_is_complete(store: Store, config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each source with all columns and no drawings; then what is wrong, in a line each."""
    config = loaded(config.path.parent, changed("store path", "nothing"))
    _, out, err = call(config, capsys=capsys)
    lines = out.splitlines()
    assert re.split("  +", lines[0]) == [
        "Source", "Last good", "RPO 24 h", "Size", "Verified", "Key proved", "Drill (RTO 60 min)",
    ]  # fmt: skip
    assert re.split("  +", lines[1])[:3] == ["pavroto-2/agama", "never", "NEVER"]
    assert "pavroto-2/agama: NEVER: never backed up" in lines
    assert err.splitlines()[:2] == [
        "hint: what is in the way?  pullagent doctor pavroto-2",
        "hint: then:  pullagent run pavroto-2",
    ]


def test_the_next_command_is_told(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside what is wrong stands what to type: by source where others of its host are well."""
    store = Store(config.store)
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    put(store, begun, LOGS)
    assert "hint: then:  pullagent run pavroto-2/agama\n" in call(config, capsys=capsys)[2]
    put(store, begun, AGAMA)
    assert call(config, capsys=capsys)[2] == ""
    put(store, begun + timedelta(hours=1), LOGS, state="shrunk")
    assert call(config, capsys=capsys)[2] == "hint: compare:  pullagent list pavroto-2/logs\n"


def test_no_verdict_is_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong hosts.toml, a wrong option and a store that cannot be read end with 3, and tell Nagios so."""
    config = loaded(tmp_path, changed("store path", "store"))
    assert call(config, "--bogus", capsys=capsys)[0] == 3
    assert call(config, "--json", "--nagios", capsys=capsys)[0] == 3
    config.store.write_text("a file")
    code, out, err = call(config, "--nagios", capsys=capsys)
    assert (code, out) == (3, f"PULLAGENT UNKNOWN - {config.store}/ledger.jsonl: Not a directory\n")
    assert err.startswith("error: ")
    config.path.write_text("nonsense")
    code, out, err = call(config, "--nagios", capsys=capsys)
    assert code == 3
    assert out.startswith("PULLAGENT UNKNOWN - ")
    assert call(config, capsys=capsys)[0] == 3


def test_a_textfile_that_cannot_be_written_is_unknown(
    store: Store, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody would read the verdict."""
    code, _, err = call(config, "--prometheus", config.store / "missing" / "file", capsys=capsys)
    assert code == 3
    assert "its directory is not there" in err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tue 2026-11-24 01:00:00 UTC\n", datetime(2026, 11, 24, 1, 0, tzinfo=UTC)),
        ("", None),
        ("n/a\n", None),
        ("Tue 2026-11-24 01:00:00 CET\n", None),
    ],
)
def test_the_next_run_is_read_as_systemctl_prints_it(text: str, expected: datetime | None) -> None:
    """Anything else is unknown."""
    assert status.elapse(text) == expected


def test_a_service_manager_that_hangs_does_not_hang_the_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question is bounded; what is not known is null."""
    program = tmp_path / "systemctl"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(Path, "is_dir", lambda _: True)
    begun = time.monotonic()
    assert status.next_run() is None
    assert time.monotonic() - begun < 20
    program.write_text("#!/bin/sh\n[ $TZ = UTC ] && echo Tue 2026-11-24 01:00:00 UTC\n")
    assert status.next_run() == datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


def test_trends_show_growth_and_hide_noise() -> None:
    """A tenth more is growth; a hundredth is not."""
    assert screen._trend([100, 120, 140, 160, 180, 200]) == "▁▂▃▅▆▇"
    assert set(screen._trend([1000, 1001, 1002])) == {"▄"}
    assert screen._trend([5]) == "▄"
    assert screen._trend([0, 0]) == "▄▄"
    assert screen._trend([100, 100, 10]) == "▇▇▁"


def test_ten_thousand_snapshots_are_judged_in_a_second(tmp_path: Path) -> None:
    """By the processor's time, as this machine may be busy: with a ledger that has a line for each."""
    newest = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    many(tmp_path / "store", 10_000, newest)
    ledger = Ledger(tmp_path / "store" / "ledger.jsonl")
    ledger.append("pull", ok=True, exit_code=0, took_s=1, host=SOURCES[0][0], source=SOURCES[0][1])
    ledger.path.write_bytes(ledger.path.read_bytes() * 10_000)
    hosts: dict[str, Any] = {}
    for host, source in SOURCES:
        sources = hosts.setdefault(host, {"user": "pullagent", "sources": {}})["sources"]
        sources[source] = {"kind": "mysql", "databases": [source]}
    file = tmp_path / "hosts.toml"
    file.write_text(document({"store": {"path": "store"}, "encryption": {"recipients": [RECIPIENT]}, "hosts": hosts}))
    argv = [sys.executable, "-m", "pullagent", "--config", str(file), "status", "--json"]
    before = os.times()
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=60)
    after = os.times()
    answer = json.loads(done.stdout)
    assert (answer["verdict"], len(answer["sources"])) == ("OK", 20)
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < 1.0


def test_a_verification_settles_what_the_status_says(
    store: Store, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damage that no look at sizes shows counts from the verification that finds it until one that finds it mended."""
    file = store.root / "pavroto-2" / "agama" / "2026-11-22T010003Z" / "dump.sql.zst.age"
    sound = file.read_bytes()
    verify = ["--config", str(config.path), "verify"]
    replace(file, bytes(reversed(sound)))
    assert verdicts(config) == [("agama", "OK"), ("logs", "OK")]
    assert app._run(verify) == 4
    assert verdicts(config) == [("agama", "DAMAGED"), ("logs", "OK")]
    replace(file, sound)
    assert app._run(verify) == 0
    assert verdicts(config) == [("agama", "OK"), ("logs", "OK")]
    capsys.readouterr()


def test_a_clock_that_is_not_believed_is_told(store: Store, config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """Backups go on, so the verdict is theirs; that nothing is pruned any more, and what to do, must not go unsaid."""
    now, ledger = datetime.now(UTC), Ledger(store.ledger_path)
    for name in (AGAMA, LOGS):
        put(store, now - timedelta(hours=1), name)
    code, out, err = call(config, "--json", capsys=capsys)
    assert (code, err, "clock" in json.loads(out)) == (0, "", False)
    for moment in (now + timedelta(days=3), now):
        ledger.append("fetch", ok=True, exit_code=0, took_s=0, now=moment)
    code, _, err = call(config, capsys=capsys)
    assert code == 0
    assert "warning: nothing is pruned: the clock went back by 3 d, from" in err
    assert "pullagent prune --clock-is-right\n" in err
    assert json.loads(call(config, "--json", capsys=capsys)[1])["clock"].startswith("the clock went back by 3 d")


def test_a_textfile_goes_along_with_a_line_or_an_object(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One call serves both monitoring systems; alone it prints nothing."""
    file = tmp_path / "p.prom"
    for option, begins in (("--nagios", "PULLAGENT "), ("--json", "{")):
        assert call(config, option, "--prometheus", file, capsys=capsys)[1].startswith(begins)
        assert file.read_text()
        file.unlink()
    assert call(config, "--prometheus", file, capsys=capsys)[1] == ""
