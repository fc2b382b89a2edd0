"""Accounts with passwords: they work, whatever stands in them, and show nowhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, LOGS, Agent, open_sealed
from tests.integration.wrappers import CLIENTS, DUMPS, wrap
from tests.lab.agama import literal
from tests.lab.data import influx_points
from tests.lab.database import DatabaseServer
from tests.lab.influxdb import ADMIN
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL
from tests.lab.production import ProductionHost

PASSWORD = "pa$$w'ord; -- \"#`x` \\n"
# Records the command line and the environment of a program, and those of every process above it.
SPY = """#!/bin/bash
{ printf '%s\\n' "$0 $*"; env; cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' '; } >>{sign}
exec {real} "$@"
"""


def spy(agent: Agent, *names: str) -> Path:
    """Record every call of the programs; the file that the records go to."""
    log = wrap(agent, names, SPY)
    log.touch()
    return log


@pytest.fixture(params=[MariaDB, pytest.param(MySQL, marks=pytest.mark.mysql)])
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agent]:
    """A backup server for one product whose dump account has a password and no right at all."""
    with ProductionHost(tmp_path / "host", request.param, influx=False) as host:
        host.seed(rows=30)
        host.server.load(f"CREATE USER 'dumper'@'localhost' IDENTIFIED BY {literal(PASSWORD)}")
        agent = Agent(tmp_path / "backup", host)
        option_file = tmp_path / "dump.cnf"
        quoted = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
        option_file.write_text(f'[client]\nuser = dumper\npassword = "{quoted}"\n')
        option_file.chmod(0o600)
        agent.edit("socket = ", f'option_file = "{option_file}"\nsocket = ')
        yield agent


def follow_hints(agent: Agent, server: DatabaseServer) -> list[str]:
    """Grant what the hints ask for until the run succeeds; the statements that were given."""
    given: list[str] = []
    for _ in range(4):
        done = agent.call("run", AGAMA)
        if done.code == 0:
            return given
        hints = [line for line in done.err.splitlines() if line.startswith("hint: ")]
        grants = re.findall(r"GRANT [^;]+;", " ".join(hints))
        assert grants, done
        server.load("\n".join(grants))
        given += grants
    raise AssertionError(given)


def test_the_hints_lead_to_the_least_rights(agent: Agent) -> None:
    """An account that is given just what the hints ask for dumps everything, as root's own account does."""
    server = agent.host.server
    with_rights = agent.config_file.read_text()
    given = follow_hints(agent, server)
    assert given
    assert not any("ALL" in grant or "SUPER" in grant for grant in given)
    least = opened(agent)
    agent.reset()
    agent.call("run", AGAMA).succeeded()
    assert with_rights != agent.config_file.read_text()
    most = opened(agent)
    assert [line for line in least if b"Dump completed" not in line] == [
        line for line in most if b"Dump completed" not in line
    ]


def opened(agent: Agent) -> list[bytes]:
    """The lines of the latest dump."""
    return open_sealed(agent.path(agent.latest(AGAMA)) / "dump.sql.zst.age", agent.identity).splitlines()


def test_a_password_shows_nowhere(agent: Agent) -> None:
    """A password of quotes, dollars and hashes works, and stands in no command line, environment, output or file."""
    agent.host.server.load("GRANT ALL ON *.* TO 'dumper'@'localhost'")
    log = spy(agent, *DUMPS, *CLIENTS)
    done = agent.call("run", AGAMA).succeeded()
    calls = log.read_text(errors="replace")
    assert "--databases" in calls
    kept = [path.read_bytes() for path in agent.store.rglob("*") if path.is_file()]
    for part in ("pa$$w", "w'ord"):
        assert part not in calls
        assert part not in done.out + done.err
        assert not any(part.encode() in data for data in kept)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Agent]:
    """A backup server for an InfluxDB that asks for a login, with an env_file on the host."""
    with ProductionHost(tmp_path / "host", MariaDB, influx_auth=True) as host:
        host.seed(rows=10, points=600)
        agent = Agent(tmp_path / "backup", host)
        name, password = ADMIN
        quoted = password.replace("'", "'\\''")
        (tmp_path / "influx.env").write_text(f"INFLUX_USERNAME={name}\nINFLUX_PASSWORD='{quoted}'\n")
        (tmp_path / "influx.env").chmod(0o600)
        yield agent


def test_influxdb_with_a_login(guarded: Agent, tmp_path: Path) -> None:
    """An InfluxDB that asks for a login needs an env_file, with which backup and restore work; it shows nowhere."""
    influx = guarded.host.influxdb
    assert influx is not None
    guarded.fails(LOGS, error="authentication", hint="env_file")
    guarded.edit('databases = ["logs"]', f'databases = ["logs"]\nenv_file = "{tmp_path / "influx.env"}"')
    log = spy(guarded, "influxd", "tar")
    done = guarded.call("run", LOGS).succeeded()
    before = influx_points(influx, "logs")
    guarded.host.rebuild(new_host_key=False)
    restored = guarded.restore(f"{LOGS}@latest").succeeded()
    assert influx_points(influx, "logs") == before
    assert before
    _, password = ADMIN
    said = [done.out, done.err, restored.out, restored.err]
    assert not any(password in text for text in said)
    # The environment of the host's own client is the one place where InfluxDB takes it from.
    commands = [
        line for line in log.read_text(errors="replace").splitlines() if not line.startswith("INFLUX_PASSWORD=")
    ]
    assert not any(password in line for line in commands)
    kept = [path.read_bytes() for path in guarded.store.rglob("*") if path.is_file()]
    assert not any(password.encode() in data for data in kept)
