"""`verify` and `history` on the store of a real run, by the real command line."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.mounts import needs_root, read_only, small_disk
from tests.integration.agent import AGAMA, LOGS, Agent, changes
from tests.integration.test_damage import flip, rewrite

FLIPS = 12


@pytest.fixture
def whole(agent: Agent) -> Iterator[Agent]:
    """The module's backup server; its snapshots are whole again afterwards."""
    copy = agent.directory / "copy-of-the-store"
    shutil.copytree(agent.store, copy, symlinks=True)
    yield agent
    shutil.rmtree(agent.store)
    copy.rename(agent.store)


def states(agent: Agent) -> dict[str, str]:
    """Reference to state."""
    return {s["ref"]: s["state"] for s in agent.call("list", "--json").succeeded().json["snapshots"]}


def test_a_real_store_is_sound(agent: Agent) -> None:
    """Without a key and with one; the store stays as it was, and the list says when it was verified."""
    before = agent.tree()
    stored = sum(f.stat().st_size for ref in agent.refs() for f in agent.path(ref).iterdir())
    plain = agent.call("verify", "--json").succeeded().json
    assert plain | {"bytes": 0} == {
        "format": 1,
        "checked": len(agent.refs()),
        "bytes": 0,
        "problems": [],
    }
    assert plain["bytes"] == stored
    deep = agent.call("verify", "--identity", agent.identity).succeeded()
    assert "no problem" in deep.out
    assert f"{len(agent.refs())} of them down to their content" in deep.out
    agent.call("verify", "--identity", "-", stdin=agent.identity.read_bytes()).succeeded()
    assert changes(before, agent.tree()) == {}
    lines = [e for e in agent.ledger() if e["event"] == "verify"]
    assert {(e["host"] + "/" + e["source"], e["ok"]) for e in lines} == {(AGAMA, True), (LOGS, True)}
    listed = agent.call("list", "--json").succeeded().json["snapshots"]
    last = {f"{e['host']}/{e['source']}@{i}": e["time"] for e in lines for i in e["detail"]["ids"]}
    assert {s["ref"]: s["verified"] for s in listed} == last
    assert "good · verified" in agent.call("list").succeeded().out


def test_every_flipped_bit_is_found(whole: Agent) -> None:
    """Bits of stored files at random places: each is found, by the name of its file, and only there."""
    chance = random.Random(7)
    files = [file for ref in whole.refs() for file in whole.path(ref).glob("*.zst.age")]
    for _ in range(FLIPS):
        file = chance.choice(files)
        place = chance.randrange(file.stat().st_size)
        flip(file, place)
        found = whole.call("verify", "--json")
        assert found.code == 4, (file, place)
        (problem,) = found.json["problems"]
        assert (problem["file"], problem["problem"]) == (file.name, "changed")
        assert problem["ref"].replace("@", "/") == str(file.parent.relative_to(whole.store))
        flip(file, place)
    whole.call("verify").succeeded()


def test_all_damage_is_told_at_once(whole: Agent) -> None:
    """Missing, changed, foreign and unreadable, apart; the damaged are marked, and whole again once they are mended."""
    agama, logs = whole.path(whole.latest(AGAMA)), whole.path(whole.latest(LOGS))
    lost = (agama / "grants.sql.zst.age").read_bytes()
    (agama / "grants.sql.zst.age").unlink()
    flip(agama / "dump.sql.zst.age", 1000)
    (agama / "core").write_text("x")
    rewrite(logs / "manifest.json", b"{")
    (whole.store / "stranger").mkdir()
    (whole.store / "stranger" / "file").write_text("x")
    done = whole.call("verify")
    done.failed(4, "damaged: ", "pullagent run")
    for words in ("missing", "changed", "foreign", "unreadable"):
        assert f" {words} " in done.out
    found = whole.call("verify", "--json").json["problems"]
    assert sorted((p["ref"] and p["ref"].partition("@")[0], p["file"], p["problem"]) for p in found if p["ref"]) == [
        (AGAMA, "core", "foreign"),
        (AGAMA, "dump.sql.zst.age", "changed"),
        (AGAMA, "grants.sql.zst.age", "missing"),
        (LOGS, "manifest.json", "unreadable"),
    ]
    assert [(p["file"], p["problem"]) for p in found if not p["ref"]] == [("stranger/file", "foreign")]
    assert states(whole)[whole.latest(AGAMA)] == "damaged"
    (agama / "grants.sql.zst.age").write_bytes(lost)
    (agama / "core").unlink()
    flip(agama / "dump.sql.zst.age", 1000)
    assert states(whole)[whole.latest(AGAMA)] == "damaged"
    whole.call("verify", whole.latest(AGAMA)).succeeded()
    assert states(whole)[whole.latest(AGAMA)] == "good"


def test_a_marked_snapshot_is_passed_over(whole: Agent) -> None:
    """Once a look found a flipped bit, `@latest` is the one before, and `fetch` of the marked one ends with 4."""
    whole.call("run", AGAMA).succeeded()
    *_, before, newest = [ref for ref in whole.refs() if ref.startswith(AGAMA)]
    flip(whole.path(newest) / "dump.sql.zst.age", -1)
    assert whole.call("verify", newest).code == 4
    assert whole.call("show", f"{AGAMA}@latest", "--json").succeeded().json["ref"] == before
    whole.call("fetch", newest).failed(4, "verify found", "take another")
    assert "verify found" in whole.call("show", newest).succeeded().out


def test_exit_codes(agent: Agent, tmp_path: Path) -> None:
    """No such snapshot 10, a wrong command line 2, an identity that opens nothing 12."""
    agent.call("verify", f"{AGAMA}@2001").failed(10, "there is no snapshot")
    agent.call("verify", "pavroto-9").failed(10, "no snapshots of pavroto-9", "pullagent list")
    agent.call("verify", "--sample", "0%").failed(2, "--sample", "10%")
    agent.call("verify", "--since", "soon").failed(2, "--since", "2026-11-22")
    agent.call("verify", "--identity", tmp_path / "none").failed(2, "identity")
    subprocess.run(["age-keygen", "-o", tmp_path / "other"], check=True, capture_output=True)
    agent.call("verify", "--identity", tmp_path / "other").failed(12, "does not open")


def test_samples_and_dates(agent: Agent) -> None:
    """A share is rounded up; dates in the future leave nothing to do."""
    assert agent.call("verify", "--sample", "10%", "--json").succeeded().json["checked"] == 1
    assert agent.call("verify", "--since", "2999-01-01", "--json").succeeded().json["checked"] == 0
    assert agent.call("verify", LOGS, "--since", "2020-01-01", "--json").succeeded().json["checked"] >= 1


@needs_root
def test_a_read_only_store_is_verified_all_the_same(agent: Agent, tmp_path: Path) -> None:
    """Its damage is told with 4; that it could not be noted down is a warning."""
    disk = tmp_path / "disk"
    with small_disk(disk, 50_000):
        shutil.copytree(agent.store, disk / "store")
        agent.edit(str(agent.store), str(disk / "store"))
        flip(next((disk / "store" / AGAMA).glob("*/dump.sql.zst.age")), 0)
        before = sorted(disk.rglob("*"))
        read_only(disk)
        done = agent.call("verify")
        done.failed(4, "damaged")
        warnings = [line for line in done.err.splitlines() if line.startswith("warning: ")]
        assert len(warnings) == 2, "one for the ledger, one for the mark"
        assert all("Read-only file system" in line for line in warnings)
        assert sorted(disk.rglob("*")) == before


def test_history_shows_what_was_done(agent: Agent) -> None:
    """Every line of the ledger, in order; piped all of them, with --limit the newest."""
    agent.call("verify").succeeded()
    agent.call("fetch", f"{AGAMA}@2001").failed(10, "no snapshot")
    ledger = agent.ledger()
    assert agent.call("history", "--json").succeeded().json["events"] == ledger
    assert agent.call("history", "--json", "--limit", "2").succeeded().json["events"] == ledger[-2:]
    table = agent.call("history").succeeded().out.splitlines()
    assert len(table) == len(ledger) + 1
    assert table[0].split()[:2] == ["When", "(UTC)"]
    assert all(e["event"] in line and e["who"] in line for e, line in zip(ledger, table[1:], strict=True))
    with (agent.store / "ledger.jsonl").open("ab") as file:
        file.write(b'{"v": 1, "event": "pu')
    assert agent.call("history", "--json").succeeded().json["events"] == ledger
    agent.call("verify", LOGS).succeeded()
    events = agent.call("history", "--json").succeeded().json["events"]
    assert events[:-1] == ledger
    assert events[-1]["event"] == "verify"


def test_history_of_nothing(lone_agent: Agent) -> None:
    """Before the first run there is none, and looking makes no store."""
    done = lone_agent.call("history").succeeded()
    assert "pullagent run" in done.err
    assert lone_agent.call("history", "--json").succeeded().json["events"] == []
    assert not lone_agent.store.exists()
