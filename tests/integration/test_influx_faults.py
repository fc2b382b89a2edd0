"""Faults of InfluxDB and of its backup: each is told, publishes nothing, and leaves nothing on the host."""

import sys

import pytest

from tests.integration.agent import LOGS, Agent
from tests.integration.wrappers import wrap_backup
from tests.lab.influxdb import InfluxDB
from tests.lab.processes import free_port, wait_until


def mend(agent: Agent) -> None:
    """The real programs again."""
    agent.host.sshd.farm.reset()


def expect_nothing_left(agent: Agent) -> None:
    """A run that refuses what it reads may end before the host's shell has removed its directory."""
    wait_until(lambda: not list(agent.host.staging.iterdir()), 10, "the backup's directory on the host is gone")


@pytest.fixture
def influx(agent: Agent) -> InfluxDB:
    """The host's InfluxDB."""
    assert agent.host.influxdb is not None
    return agent.host.influxdb


def test_influxdb_is_down(agent: Agent, influx: InfluxDB) -> None:
    """A server that is down is told within seconds, although `influxd backup` itself would try for minutes."""
    influx.stop()
    done = agent.fails(LOGS, error="InfluxDB", hint="systemctl status influxdb")
    assert done.seconds < 15
    agent.succeeds_after(agent.host.start, LOGS)


def test_only_the_backup_port_is_closed(agent: Agent, influx: InfluxDB) -> None:
    """A closed backup port, while the server answers queries, is told within seconds and by its address."""
    closed = f"127.0.0.1:{free_port()}"
    agent.edit(f"127.0.0.1:{influx.backup_port}", closed)
    done = agent.fails(LOGS, error=f"backup port {closed}", hint="systemctl status influxdb")
    assert done.seconds < 15
    agent.succeeds_after(agent.reset, LOGS)


def test_only_the_api_is_closed(agent: Agent, influx: InfluxDB) -> None:
    """A closed API port is told by its address."""
    closed = f"127.0.0.1:{free_port()}"
    agent.edit(f'api = "127.0.0.1:{influx.http_port}"', f'api = "{closed}"')
    agent.fails(LOGS, error=closed, hint="systemctl status influxdb")


def test_no_influx_client(agent: Agent) -> None:
    """A host without the influx client is told which packages to install."""
    agent.host.sshd.hide("influx")
    agent.fails(LOGS, error="no influx", hint="apt-get install")


def test_a_database_that_is_not_there(agent: Agent) -> None:
    """A database that the server does not have is named, with those that it has."""
    agent.edit('databases = ["logs"]', 'databases = ["logs", "absent"]')
    done = agent.fails(LOGS, error="'absent'", hint="latency")
    assert "hosts.toml" in done.err


def test_a_config_file_that_is_not_there(agent: Agent, influx: InfluxDB) -> None:
    """A configuration file that hosts.toml names and the host lacks fails the run."""
    agent.edit(str(influx.config_file), "/absent/influxdb.conf")
    agent.fails(LOGS, error="absent/influxdb.conf")


def test_a_staging_directory_that_is_not_there(agent: Agent) -> None:
    """A `staging` that the host lacks fails the run and is named."""
    agent.edit(f'staging = "{agent.host.staging}"', 'staging = "/absent"')
    agent.fails(LOGS, error="/absent")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(
            '{real} "$@" && for f in "$dir"/*.s*.tar.gz; do '
            'gzip -dc "$f" | head -c 700 | gzip >"$f.new"; mv "$f.new" "$f"; done',
            "shard",
            id="shards are cut short",
        ),
        pytest.param('{real} "$@" && rm "$(ls "$dir"/*.s*.tar.gz | head -n 1)"', "lacks", id="a shard is missing"),
        pytest.param('{real} "$@" && rm "$dir"/*.meta', "metastore", id="the metastore is missing"),
        pytest.param('{real} "$@" && rm "$dir"/*.manifest', "manifests", id="the manifest is missing"),
        pytest.param('echo "backup complete" >&2', "manifests", id="nothing is there"),
        pytest.param('{real} "$@"; echo "no luck" >&2; exit 1', "no luck", id="it fails"),
        pytest.param('{real} "$@"; kill -KILL $$', "137", id="it is killed"),
        pytest.param('echo "write: No space left on device" >&2; exit 1', "No space left", id="the host is full"),
    ],
)
def test_a_backup_that_lies_or_fails(agent: Agent, body: str, error: str) -> None:
    """A backup that lacks something or ended badly is not stored, and its directory on the host is removed."""
    wrap_backup(agent, body + "\n")
    agent.fails(LOGS, error=error)
    expect_nothing_left(agent)
    if "killed" in body:
        agent.succeeds_after(lambda: mend(agent), LOGS)


def test_a_manifest_without_a_shard(agent: Agent) -> None:
    """A backup whose manifest and files both lack a shard that the server lists is refused."""
    drop = (
        "import json,sys,glob,os\n"
        'path = glob.glob(sys.argv[1] + "/*.manifest")[0]\n'
        "data = json.load(open(path))\n"
        'os.remove(os.path.join(sys.argv[1], data["files"].pop(0)["fileName"]))\n'
        'json.dump(data, open(path, "w"))\n'
    )
    script = agent.directory / "drop.py"
    script.write_text(drop)
    wrap_backup(agent, f'{{real}} "$@" && {sys.executable} {script} "$dir"')
    agent.fails(LOGS, error="lacks shards", hint="log")
    agent.succeeds_after(lambda: mend(agent), LOGS)


def test_a_cut_archive(agent: Agent) -> None:
    """A tar that ends with 0, although its archive is cut, is not believed."""
    real = agent.host.sshd.farm.real("tar")
    agent.host.sshd.put_first("tar", f'{real} "$@" | head -c -1024\n')
    agent.fails(LOGS, error="cut short")
    expect_nothing_left(agent)


def test_nothing_is_left_on_the_host(agent: Agent) -> None:
    """After a run that stored its snapshot nothing is left in the host's staging directory."""
    agent.call("run", LOGS).succeeded()
    assert list(agent.host.staging.iterdir()) == []


def test_strangers_in_staging_stay(agent: Agent) -> None:
    """What lies in the host's staging directory and is not the agent's is left alone."""
    other = agent.host.staging / "pullagent-other"
    other.mkdir()
    try:
        agent.call("run", LOGS).succeeded()
        assert [path.name for path in agent.host.staging.iterdir()] == ["pullagent-other"]
    finally:
        other.rmdir()
