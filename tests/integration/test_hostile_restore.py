"""A dump that talks: a snapshot taken from a hostile host commands nothing but the database it is restored into."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, Agent
from tests.integration.wrappers import wrap_dump
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL
from tests.lab.production import ProductionHost

# the true dump with lines ahead of its last one
WITH_LINES = """
{real} "$@" >{sign}.dump || exit
head -n -1 {sign}.dump
cat {sign}.lines
tail -n 1 {sign}.dump
"""


@pytest.fixture(params=[MariaDB, pytest.param(MySQL, marks=pytest.mark.mysql)], scope="module")
def agent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """A backup server for one product."""
    directory = tmp_path_factory.mktemp("talking")
    with ProductionHost(directory / "host", request.param, influx=False) as host:
        yield Agent(directory / "backup", host)


@pytest.mark.parametrize(
    "line",
    [
        "\\! touch {mark}",
        "system touch {mark}",
        "\\T {mark}",
        "tee {mark}",
        "\\P touch {mark}",
        "source {secret}",
        "\\. {secret}",
        "LOAD DATA LOCAL INFILE '{secret}' INTO TABLE agama.t;",
        "SELECT 1; \\! touch {mark}",
        "DELIMITER ;;\n\\! touch {mark}\n;;\nDELIMITER ;",
    ],
)
def test_commands_of_the_client_are_not_obeyed(agent: Agent, tmp_path: Path, line: str) -> None:
    """Lines that a client would obey run no program, write no file and read none on the target."""
    server = agent.host.server
    mark, secret = tmp_path / "mark", tmp_path / "secret"
    secret.write_text("INSERT INTO agama.t VALUES ('secret');\n")
    server.load("DROP DATABASE IF EXISTS agama; CREATE DATABASE agama; CREATE TABLE agama.t (body TEXT)")
    sign = wrap_dump(agent, WITH_LINES)
    sign.with_name(sign.name + ".lines").write_text(f"\n{line.format(mark=mark, secret=secret)}\n")
    agent.call("run", AGAMA).succeeded()
    agent.host.sshd.farm.reset()
    server.load("DROP DATABASE agama")
    done = agent.restore(f"{AGAMA}@latest")
    assert done.code != 0 or "DELIMITER" in line, done
    assert not mark.exists()
    server.load("CREATE DATABASE IF NOT EXISTS agama; CREATE TABLE IF NOT EXISTS agama.t (body TEXT)")
    assert server.query("SELECT COUNT(*) FROM agama.t") == [("0",)]
