"""Recovery without pullagent: what RESTORE.txt beside a snapshot says, typed as it stands."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, LOGS, Agent, open_sealed, shell
from tests.lab.data import checksums, influx_points
from tests.lab.influxdb import InfluxDB
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL
from tests.lab.production import ProductionHost

KINDS = [MariaDB, pytest.param(MySQL, marks=pytest.mark.mysql)]


@pytest.fixture(params=KINDS)
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agent]:
    """A backup server that has pulled a seeded host of one product, without InfluxDB."""
    with ProductionHost(tmp_path / "host", request.param, influx=False) as host:
        host.seed()
        agent = Agent(tmp_path / "backup", host)
        agent.call("run").succeeded()
        yield agent


def commands(snapshot: Path) -> list[str]:
    """The command lines of RESTORE.txt: those that are indented."""
    text = (snapshot / "RESTORE.txt").read_text()
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def test_a_database_is_restored_by_hand(agent: Agent, tmp_path: Path) -> None:
    """The command lines of RESTORE.txt alone bring every object, row, account and grant back onto a fresh server."""
    snapshot = agent.path(agent.latest(AGAMA))
    server = agent.host.server
    before = checksums(server)
    agent.host.rebuild()
    # What root has on the host: the stock client as `mysql`, which logs in without further options.
    client, stock = tmp_path / "bin", agent.host.sshd.farm.real("mysql")
    client.mkdir()
    (client / "mysql").write_text(f'#!/bin/sh\nexec {stock} {" ".join(server.client()[1:4])} "$@"\n')
    (client / "mysql").chmod(0o755)
    typed = commands(snapshot)
    assert any("mysql" in line for line in typed)
    path = f"{client}:{agent.environment()['PATH']}"
    for line in typed:
        shell(line.replace("KEY", str(agent.identity)), snapshot, {"PATH": path})
    assert checksums(server) == before


def test_a_stored_dump_opens_with_age_and_zstd(agent: Agent) -> None:
    """`age -d -i KEY FILE | zstd -d` gives a dump that ends with its own completion line."""
    for file in agent.path(agent.latest(AGAMA)).glob("*.zst.age"):
        plain = open_sealed(file, agent.identity)
        assert plain
        if file.name.startswith("dump.sql"):
            assert re.search(rb"\n-- Dump completed on [^\n]+\n\Z", plain)


def test_influxdb_is_restored_by_hand(tmp_path: Path) -> None:
    """The command lines of RESTORE.txt alone bring every point of `logs` back into a fresh InfluxDB."""
    with ProductionHost(tmp_path / "host") as host:
        host.seed()
        influx = host.influxdb
        assert influx is not None
        agent = Agent(tmp_path / "backup", host)
        agent.call("run", LOGS).succeeded()
        before = influx_points(influx, "logs")
        host.rebuild()
        _restore_influx(agent, influx, tmp_path / "work")
        assert influx_points(influx, "logs") == before
        assert before


def _restore_influx(agent: Agent, influx: InfluxDB, work: Path) -> None:
    """Type the lines in a directory that holds the snapshot's files; `influxd` finds the lab's port."""
    shell(f"cp -r {agent.path(agent.latest(LOGS))} {work}; chmod u+w {work}", agent.home)
    client = work / "bin"
    client.mkdir()
    script = f'#!/bin/sh\nverb=$1; shift\nexec /usr/bin/influxd "$verb" -host 127.0.0.1:{influx.backup_port} "$@"\n'
    (client / "influxd").write_text(script)
    (client / "influxd").chmod(0o755)
    typed = commands(work)
    assert any(line.startswith("influxd restore") for line in typed)
    path = f"{client}:{agent.environment()['PATH']}"
    for line in typed:
        shell(line.replace("KEY", str(agent.identity)), work, {"PATH": path})
    assert (work / "config").is_dir()
    assert list((work / "config").rglob("influxdb.conf"))
    assert list((work / "config").rglob("users.json"))
