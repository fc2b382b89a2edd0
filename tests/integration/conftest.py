"""Servers shared by the tests of a module, and a backup server that is mended after each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent import Agent
from tests.lab.production import ProductionHost


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductionHost]:
    """MariaDB and InfluxDB with a little data, started once for the module."""
    with ProductionHost(tmp_path_factory.mktemp("host")) as started:
        started.seed(rows=60, points=600)
        yield started


@pytest.fixture(scope="module")
def shared_agent(host: ProductionHost, tmp_path_factory: pytest.TempPathFactory) -> Agent:
    """One backup server for the module, which holds a first snapshot of both sources."""
    agent = Agent(tmp_path_factory.mktemp("agent") / "backup", host)
    agent.call("run").succeeded()
    return agent


@pytest.fixture
def agent(shared_agent: Agent) -> Iterator[Agent]:
    """The module's backup server; what the test broke on either side is mended afterwards, the store stays."""
    yield shared_agent
    host = shared_agent.host
    host.sshd.farm.reset()
    shutil.rmtree(host.sshd.home)
    host.sshd.home.mkdir(mode=0o700)
    host.start()
    shared_agent.reset()


@pytest.fixture
def lone_agent(host: ProductionHost, tmp_path: Path) -> Agent:
    """A backup server of the test's own, with an empty store."""
    return Agent(tmp_path / "backup", host)
