"""Drills: real servers that come and go on this machine, what they find, and what is recorded of them."""

import shutil
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, HOST, LOGS, Agent, is_root
from tests.integration.drills import Drills, _drills, _place  # noqa: F401 - fixtures
from tests.lab.keys import age_identity
from tests.lab.mysql import MySQL, mysql_root
from tests.lab.mysql_root import wrappers
from tests.lab.processes import run
from tests.lab.production import ProductionHost


def test_a_drill_of_mariadb(drills: Drills) -> None:
    """A snapshot of MariaDB comes back on a throwaway server; the ledger says so, and nothing else has changed."""
    before = drills.agent.tree()
    done = drills.call(f"{AGAMA}@latest", "--json").succeeded().json
    assert (done["ref"], done["target"], done["ok"]) == (drills.agent.latest(AGAMA), "this machine", True)
    assert done["took_s"] >= done["evidence"]["load_s"] > 0
    assert done["rto_s"] == 3600
    assert {o["kind"] for o in done["objects"]} >= {"database", "table", "view", "procedure", "trigger", "next dump"}
    assert "mariadb" in done["evidence"]["server"]
    line = drills.evidence()
    assert (line["event"], line["ref"], line["ok"], line["exit_code"]) == ("drill", done["ref"], True, 0)
    assert line["took_s"] == done["took_s"]
    detail = line["detail"]
    assert detail["objects"] == len(done["objects"])
    assert detail["rows"] == sum(o["found"] for o in done["objects"] if isinstance(o["found"], int)) > 60
    assert detail["sha256"].keys() == {"dump.sql", "accounts.sql", "grants.sql", "inventory.json"}
    assert drills.left() == []
    assert drills.agent.tree() == before


def test_a_drill_of_influxdb(drills: Drills) -> None:
    """A snapshot of InfluxDB comes back on a throwaway server, with every point."""
    done = drills.call(f"{LOGS}@latest")
    done.succeeded()
    assert "everything came back" in done.out
    assert "field values" in done.out
    assert drills.left() == []


def test_the_source_drilled_longest_ago(drills: Drills) -> None:
    """Without a reference the source is drilled whose last good drill lies longest back."""
    for name in (AGAMA, LOGS):
        drills.call(f"{name}@latest").succeeded()
    assert drills.call("--json").succeeded().json["ref"].startswith(AGAMA)
    assert drills.call("--json").succeeded().json["ref"].startswith(LOGS)


def test_every_source(drills: Drills) -> None:
    """`--all` drills each source, whatever becomes of the others: here of one without a snapshot."""
    agent = drills.agent
    agent.configure(
        agent.config_file.read_text()
        + agent.config_file.read_text().partition(f"[hosts.{HOST}.sources.agama]")[1].replace("agama]", "more]")
        + '\nkind = "mysql"\ndatabases = ["more"]\n'
    )
    done = drills.call("--all", "--json")
    assert done.code == 10, done
    found = {(d["ref"] or d["source"]).partition("@")[0]: d for d in done.json["drills"]}
    assert {name: d["ok"] for name, d in found.items()} == {AGAMA: True, LOGS: True, f"{HOST}/more": False}
    assert "no good snapshot" in found[f"{HOST}/more"]["error"]
    assert drills.left() == []


def test_status_says_when_a_drill_is_due(drills: Drills) -> None:
    """`status` asks for a drill of what was never drilled, and no more once it went well."""
    ledger = drills.agent.store / "ledger.jsonl"
    kept = [line for line in ledger.read_text().splitlines(True) if '"drill"' not in line]
    ledger.write_text("".join(kept))
    assert f"a drill is due: {AGAMA}, {LOGS}" in drills.agent.call("status").succeeded().out
    drills.call(f"{AGAMA}@latest").succeeded()
    assert f"a drill is due: {LOGS}" in drills.agent.call("status").succeeded().out


def test_onto_another_host(drills: Drills) -> None:
    """`--to HOST` restores both kinds under a scratch name beside the living data, and drops that again."""
    host = drills.agent.host
    assert host.influxdb is not None
    databases = host.server.query("SHOW DATABASES"), host.influxdb.column("SHOW DATABASES")
    login = ("--to", f"{host.sshd.user}@{HOST}", "--ssh-key", host.identity)
    for name in (AGAMA, LOGS):
        done = drills.call(f"{name}@latest", *login, "--json").succeeded().json
        assert (done["ok"], done["target"]) == (True, f"{host.sshd.user}@127.0.0.1:{host.sshd.port}"), done
        assert any("pullagent_drill_" in o["name"] for o in done["objects"])
    assert (host.server.query("SHOW DATABASES"), host.influxdb.column("SHOW DATABASES")) == databases


def test_several_databases_on_another_host(lone_agent: Agent, place: Path) -> None:
    """A snapshot of two databases has no one scratch name: `--to` is refused, and a throwaway server takes it."""
    host = lone_agent.host
    host.server.load("CREATE DATABASE second; CREATE TABLE second.t (id INT PRIMARY KEY)")
    try:
        lone_agent.edit('databases = ["agama"]', 'databases = ["agama", "second"]')
        lone_agent.call("run", AGAMA).succeeded()
    finally:
        host.server.load("DROP DATABASE second")
    drills = Drills(lone_agent, place)
    login = ("--to", f"{host.sshd.user}@{HOST}", "--ssh-key", host.identity)
    drills.call(f"{AGAMA}@latest", *login).failed(2, "several databases", "leave --to out")
    found = drills.call(f"{AGAMA}@latest", "--json").succeeded().json["objects"]
    assert ("second.t", 0) in {(o["name"], o["found"]) for o in found}


@pytest.mark.mysql
def test_a_drill_of_mysql(tmp_path: Path, place: Path) -> None:
    """A snapshot of MySQL comes back on a MySQL of its own, never on the MariaDB that is installed beside it."""
    with ProductionHost(tmp_path / "host", MySQL, influx=False) as host:
        host.seed(rows=60)
        agent = Agent(tmp_path / "backup", host)
        agent.call("run").succeeded()
    drills = Drills(agent, place)
    drills.call(f"{AGAMA}@latest").failed(1, "no program mysqld of MySQL", "apt-get install mysql-server")
    # its programs lie where root alone may look
    open_root = place / "mysql"
    shutil.copytree(mysql_root(), open_root, symlinks=True) if is_root() else open_root.symlink_to(mysql_root())
    drills.bin = wrappers(open_root)
    drills.place = place / "servers"
    drills.place.mkdir(mode=0o711)
    done = drills.call(f"{AGAMA}@latest", "--json").succeeded().json
    assert "mysql 9." in done["evidence"]["server"]
    assert ("next dump", "possible") in {(o["kind"], o["found"]) for o in done["objects"]}
    assert drills.left() == []


def test_what_a_drill_refuses(drills: Drills, tmp_path: Path) -> None:
    """An identity of nobody ends with 12, an unknown snapshot with 10, what does not belong together with 2."""
    age_identity(tmp_path / "wrong.txt")
    wrong = ("drill", f"{AGAMA}@latest", "--identity", tmp_path / "wrong.txt")
    drills.agent.call(*wrong, env=drills.environment).failed(12, "does not open")
    drills.call(f"{AGAMA}@2001").failed(10, "no snapshot")
    drills.call(f"{AGAMA}@latest", "--all").failed(2, "exclude each other")
    drills.call(f"{AGAMA}@latest", "--ssh-key", "x").failed(2, "belong to --to")
    assert drills.left() == []


def test_a_damaged_snapshot(drills: Drills) -> None:
    """A changed byte ends the drill with 4 before any server starts."""
    file = drills.agent.path(drills.agent.latest(AGAMA)) / "dump.sql.zst.age"
    sound = file.read_bytes()
    run(["chmod", "u+w", file])
    try:
        file.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
        drills.call(f"{AGAMA}@{file.parent.name}").failed(4, "dump.sql")
    finally:
        file.write_bytes(sound)
        file.chmod(0o400)
    line = drills.evidence()
    assert (line["event"], line["ok"], line["exit_code"]) == ("drill", False, 4)
    assert drills.left() == []
