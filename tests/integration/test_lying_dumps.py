"""Dump programs that report success and leave something out, or add something."""

from collections.abc import Iterator

import pytest

from tests.integration.agent import AGAMA, Agent
from tests.integration.wrappers import wrap_dump
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL
from tests.lab.production import ProductionHost


@pytest.fixture(scope="module", params=[MariaDB, pytest.param(MySQL, marks=pytest.mark.mysql)])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductionHost]:
    """One product after the other, without InfluxDB."""
    with ProductionHost(tmp_path_factory.mktemp("host"), request.param, influx=False) as started:
        started.seed(rows=60)
        yield started


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param('{real} "$@" | head -c -1', "cut short", id="the last byte is missing"),
        pytest.param('{real} "$@" | head -n -3', "cut short", id="the last lines are missing"),
        pytest.param('{real} "$@" | { head -c 3000; cat >/dev/null; }', "cut short", id="only the head is there"),
        pytest.param("exit 0", "does not begin like a dump", id="nothing is there"),
        pytest.param('{real} "$@" | grep -v "^INSERT INTO .customer"', "rows of agama.customer", id="no rows"),
        pytest.param('{real} "$@" --skip-routines', "agama.tidy up", id="no routines"),
        pytest.param('{real} "$@" --skip-triggers', "agama.customer_gone", id="no triggers"),
        pytest.param('{real} "$@" --skip-events', "agama.nightly", id="no events"),
        pytest.param('{real} "$@" --ignore-table=agama.empty', "agama.empty", id="an empty table is missing"),
        pytest.param('{real} "$@" --ignore-table=agama.big_summary', "agama.big_summary", id="a view is missing"),
        pytest.param('{real} "$@"; echo more', "cut short", id="something follows the dump"),
        pytest.param('echo hello; {real} "$@"', "does not begin like a dump", id="something precedes the dump"),
    ],
)
def test_a_dump_that_lies(agent: Agent, body: str, error: str) -> None:
    """A dump program that ends with 0, although its dump lacks something, is not believed."""
    wrap_dump(agent, body + "\nexit 0\n")
    refs = agent.refs()
    agent.fails(AGAMA, error=error, hint=" ")
    assert agent.refs() == refs


def test_the_true_dump_is_stored(agent: Agent) -> None:
    """The same way round, with nothing left out, the dump is stored."""
    wrap_dump(agent, 'exec {real} "$@"\n')
    agent.succeeds_after(lambda: None, AGAMA)
