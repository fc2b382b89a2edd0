"""The verbs of retention as an operator types them: tables, JSON, exit codes, the ledger."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, LOGS, Agent
from tests.many import many

DAY = timedelta(days=1)


@pytest.fixture
def old(agent: Agent) -> Iterator[Agent]:
    """The module's backup server with seven snapshots of AGAMA that are 20 to 26 days old."""
    names = [tuple(AGAMA.split("/"))]
    many(agent.store, 7, datetime.now(UTC) - 20 * DAY, sources=[(host, source) for host, source in names])
    yield agent
    for ref in agent.refs():
        path = agent.path(ref)
        if path.name < f"{datetime.now(UTC) - 10 * DAY:%Y-%m-%d}" or path.name > f"{datetime.now(UTC) + DAY:%Y-%m-%d}":
            for file in path.iterdir():
                file.unlink()
            path.rmdir()


def events(agent: Agent, verb: str) -> list[dict[str, object]]:
    """The ledger's lines of one verb."""
    return [line for line in agent.ledger() if line["event"] == verb]


def test_prune(old: Agent) -> None:
    """The dry run and the real one show the same decisions; the second time there is nothing to do."""
    before = old.tree()
    told = old.call("prune", "--dry-run", "--json").succeeded().json
    assert old.tree() == before
    assert (told["dry_run"], told["refused"]) == (True, None)
    due = [d["ref"] for d in told["decisions"] if d["action"] == "remove"]
    listed = old.call("list", "--json").succeeded().json["snapshots"]
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    assert [s["ref"] for s in listed if s["expires"] and s["expires"] < now] == due
    done = old.call("prune", "--json").succeeded().json
    assert done["decisions"] == told["decisions"]
    assert done["dry_run"] is False
    assert 3 <= len(due) <= 6
    assert not set(due) & set(old.refs())
    line = events(old, "prune")[-1]
    assert line["ok"]
    assert line["detail"] == {"removed": due, "kept": len(done["decisions"]) - len(due), "refused": None, "swept": []}
    again = old.call("prune").succeeded()
    assert "0 removed" in again.err
    assert "Reason" in again.out.splitlines()[0]


def test_prune_refuses(old: Agent) -> None:
    """A snapshot of tomorrow: exit 1, the reason as error and in the JSON, and the way out works."""
    many(old.store, 1, datetime.now(UTC) + 2 * DAY, sources=[("pavroto-2", "agama")])
    future = old.latest(AGAMA)
    before = old.tree()
    for option in ([], ["--dry-run"]):
        done = old.call("prune", *option).failed(1, "lies in the future", "date -u")
        assert f"pullagent forget {future}" in done.err
    done = old.call("prune", "--json").failed(1, "lies in the future")
    assert future in done.json["refused"]
    assert {d["action"] for d in done.json["decisions"]} == {"keep"}
    assert old.tree() == before
    run = old.call("run", LOGS)
    assert run.code == 5, run
    assert "warning: nothing was pruned" in run.err
    run = old.call("run", LOGS, "--json")
    assert (run.code, run.json["pruned"], run.json["exit_code"]) == (5, [], 5)
    old.call("forget", future, "--reason", "a wrong clock").failed(2, "no terminal", "--yes")
    old.call("forget", future, "--reason", " ", "--yes").failed(2, "reason")
    old.call("forget", future, "--reason", "a wrong clock", "--yes").succeeded()
    assert future not in old.refs()
    line = events(old, "forget")[-1]
    assert (line["ref"], line["ok"], line["detail"]) == (future, True, {"reason": "a wrong clock"})
    old.call("prune").succeeded()


def test_run_prunes(old: Agent) -> None:
    """A run tells what it removed; a source that failed keeps everything."""
    for name in ("mysqldump", "mariadb-dump"):
        old.host.sshd.hide(name)
    before = set(old.refs())
    done = old.call("run", "--json")
    assert done.code == 3, done
    assert done.json["pruned"] == []
    assert before < set(old.refs())
    old.host.sshd.farm.reset()
    done = old.call("run", AGAMA, "--json").succeeded()
    assert 3 <= len(done.json["pruned"]) <= 6
    assert not set(done.json["pruned"]) & set(old.refs())


def test_pins(old: Agent) -> None:
    """A pinned snapshot is told as such, stays, and is left again."""
    ref = next(r for r in old.refs() if r.startswith(AGAMA))
    old.call("pin", ref).failed(2, "reason")
    old.call("pin", ref, "--reason", "before the migration").succeeded()
    old.call("pin", ref, "--reason", "other").failed(2, "pinned already", f"pullagent show {ref}")
    shown = old.call("show", ref).succeeded().out
    assert "before the migration" in shown
    told = old.call("show", ref, "--json").succeeded()
    assert (told.json["pinned"], list(told.json)) == (True, ["format", "ref", "state", "pinned", "path", "manifest"])
    assert "before the migration" in told.err
    listed = {s["ref"]: s for s in old.call("list", "--json").succeeded().json["snapshots"]}
    assert (listed[ref]["pinned"], listed[ref]["expires"]) == (True, None)
    assert next(line for line in old.call("list").out.splitlines() if ref in line).endswith("pinned")
    old.call("forget", ref, "--reason", "x", "--yes").failed(2, "is pinned", f"pullagent unpin {ref}")
    old.call("prune").succeeded()
    assert ref in old.refs()
    old.call("unpin", ref).succeeded()
    old.call("unpin", ref).failed(2, "not pinned")
    assert [line["ref"] for verb in ("pin", "unpin") for line in events(old, verb) if line["ok"]] == [ref, ref]
    old.call("prune").succeeded()
    assert ref not in old.refs()


def test_the_last_good_one_cannot_be_forgotten(lone_agent: Agent) -> None:
    """Whatever is said."""
    lone_agent.call("run", AGAMA).succeeded()
    ref = lone_agent.latest(AGAMA)
    lone_agent.call("forget", ref, "--reason", "x", "--yes").failed(2, "last good snapshot", f"pullagent run {AGAMA}")
    assert lone_agent.refs() == [ref]


def test_an_unreadable_manifest(old: Agent, tmp_path: Path) -> None:
    """It stops every prune until it is mended or forgotten, and the hint names both."""
    ref = old.latest(AGAMA)
    manifest = old.path(ref) / "manifest.json"
    text = manifest.read_bytes()
    manifest.chmod(0o600)
    manifest.write_bytes(text[:100])
    old.call("prune").failed(1, "cannot be read", f"pullagent show {ref}")
    manifest.write_bytes(text)
    manifest.chmod(0o400)
    assert json.loads(text)["id"] == manifest.parent.name
    old.call("prune").succeeded()
