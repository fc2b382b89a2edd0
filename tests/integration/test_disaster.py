"""The worst day: the host, both its databases and the backup server are lost, all but the disk with the store."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent import Agent, changes
from tests.integration.runbook import Operator
from tests.lab.data import checksums, influx_points
from tests.lab.keys import public_text, ssh_keypair
from tests.lab.production import ProductionHost


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """A backup server that has pulled a seeded host with a key of its own, and all of whose files lie in `etc`."""
    with ProductionHost(tmp_path / "host") as host:
        host.seed()
        agent = Agent(tmp_path / "backup", host)
        etc = agent.directory / "etc"
        agent.config_file, agent.known_hosts = etc / "hosts.toml", etc / "known_hosts"
        pull = ssh_keypair(etc / "id_ed25519")
        _admit(agent, pull)
        host.trust(agent.known_hosts)
        agent.configure(host.hosts_toml(agent.store, agent.recipient, pull, agent.known_hosts))
        agent.call("run").succeeded()
        yield agent


def _admit(agent: Agent, key: Path) -> None:
    """Let a pull key in beside the operator's own, in place of any other: what the gate's README asks for."""
    operator = public_text(agent.host.identity)
    agent.host.sshd.authorized_keys.write_text(f"{operator}\n{public_text(key)}\n")


def test_everything_is_lost_but_the_store(agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    """By the runbook alone a new backup server and a rebuilt host hold all there was, and the next run succeeds."""
    host, etc = agent.host, agent.config_file.parent
    assert host.influxdb is not None
    before = checksums(host.server), influx_points(host.influxdb, "logs")
    stored, snapshots = agent.tree(), agent.refs()
    old_key = (etc / "id_ed25519").read_bytes()
    begun = time.monotonic()
    host.rebuild()
    shutil.rmtree(etc)
    shutil.rmtree(agent.home)
    agent.home.mkdir(mode=0o700)

    operator = Operator(agent)
    operator.follow("The backup server is gone too")
    assert (etc / "id_ed25519").read_bytes() != old_key
    _admit(agent, etc / "id_ed25519")
    operator.follow("A host is gone")

    after = checksums(host.server), influx_points(host.influxdb, "logs")
    differing = changes(before[0], after[0])
    seconds = time.monotonic() - begun
    assert differing == {}
    assert after[1] == before[1]
    assert len(agent.refs()) == len(snapshots) + 2
    assert {path: agent.tree().get(path) for path in stored} == stored
    assert seconds < 120
    size = sum(file.stat().st_size for ref in snapshots for file in agent.path(ref).iterdir())
    with capsys.disabled():
        print(
            f"\neverything lost but the store: back after {seconds / 60:.1f} min, {size:,} stored bytes, "
            f"{len(before[0])} objects, {len(differing)} differences"
        )
