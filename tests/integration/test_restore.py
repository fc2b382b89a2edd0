"""What restore refuses, and with which keys a snapshot opens."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, HOST, LOGS, Agent
from tests.integration.wrappers import CLIENTS, wrap
from tests.lab.data import checksums, influx_points
from tests.lab.influxdb import InfluxDB
from tests.lab.keys import age_identity, public_text, ssh_keypair
from tests.lab.mariadb import MariaDB
from tests.lab.processes import run
from tests.lab.production import ProductionHost


def influx_of(agent: Agent) -> InfluxDB:
    """The host's InfluxDB."""
    assert agent.host.influxdb is not None
    return agent.host.influxdb


@pytest.fixture
def emptied(agent: Agent) -> Iterator[Agent]:
    """The backup server, after its host has been lost and rebuilt with the same key; the data come back afterwards."""
    agent.host.rebuild(new_host_key=False)
    yield agent
    agent.host.rebuild(new_host_key=False)
    agent.host.seed(rows=60, points=600)


def test_a_database_that_is_not_empty(agent: Agent) -> None:
    """Restoring onto a database that holds tables ends with 1 and changes nothing there."""
    before = checksums(agent.host.server)
    agent.restore(f"{AGAMA}@latest").failed(1, "not empty", "right host")
    assert checksums(agent.host.server) == before


def test_an_influxdb_that_is_not_empty(agent: Agent) -> None:
    """Restoring onto an InfluxDB database that holds points ends with 1 and changes nothing there."""
    before = influx_points(influx_of(agent), "logs")
    agent.restore(f"{LOGS}@latest").failed(1, "holds points already", "right host")
    assert influx_points(influx_of(agent), "logs") == before


def test_a_wrong_identity_touches_nothing(agent: Agent, tmp_path: Path) -> None:
    """Restoring with an identity of nobody ends with 12 before anybody connects."""
    age_identity(tmp_path / "wrong.txt")
    before = agent.host.sshd.log.stat().st_size
    agent.restore(f"{AGAMA}@latest", identity=tmp_path / "wrong.txt").failed(12, "does not open", "show")
    assert agent.host.sshd.log.stat().st_size == before


def test_restore_asks_first(agent: Agent) -> None:
    """Without --yes, where there is no terminal, restore ends with 2 and does not connect."""
    before = agent.host.sshd.log.stat().st_size
    target = f"{agent.host.sshd.user}@{HOST}"
    options = ("--to", target, "--ssh-key", agent.host.identity, "--identity", agent.identity)
    agent.call("restore", f"{AGAMA}@latest", *options).failed(2, "no terminal", "--yes")
    assert agent.host.sshd.log.stat().st_size == before


def test_the_pull_key_is_not_used_unasked(agent: Agent) -> None:
    """Without --ssh-key restore logs in with the operator's own keys, never with the pull key."""
    target = f"{agent.host.sshd.user}@{HOST}"
    before = agent.host.sshd.log.stat().st_size
    done = agent.call("restore", f"{AGAMA}@latest", "--to", target, "--identity", agent.identity, "--yes")
    done.failed(1, "No authentication methods", "--ssh-key FILE")
    said = agent.host.sshd.log.read_bytes()[before:].decode()
    assert "Accepted" not in said


def test_an_unknown_target(agent: Agent) -> None:
    """A target whose key is not pinned ends with 13, also when the operator's own known_hosts has it."""
    (agent.home / ".ssh").mkdir(exist_ok=True)
    (agent.home / ".ssh" / "known_hosts").write_text(agent.host.sshd.known_hosts_line() + "\n")
    agent.known_hosts.write_text("")
    agent.restore(f"{AGAMA}@latest").failed(13, "not pinned", "trust")


@pytest.mark.parametrize("to", ["", "@", "a b", "user@host:port", "-oProxyCommand=x", "host:0", "x/y"])
def test_a_target_that_is_no_address(agent: Agent, to: str) -> None:
    """A --to that is no address ends with 2 and is shown."""
    done = agent.call("restore", f"{AGAMA}@latest", f"--to={to}", "--identity", agent.identity, "--yes")
    done.failed(2, "is not an address", "USER@")


def test_empty_databases_are_replaced(emptied: Agent) -> None:
    """A fresh server whose databases were already created, empty, takes the restore of both kinds."""
    emptied.host.server.load("CREATE DATABASE agama CHARACTER SET latin1")
    influx_of(emptied).query('CREATE DATABASE "logs"')
    for name in (AGAMA, LOGS):
        report = emptied.restore(f"{name}@latest", "--json").succeeded().json
        assert report["ok"] is True
    charset = "SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = 'agama'"
    assert emptied.host.server.query(charset) == [("utf8mb4",)]


def test_the_identity_from_standard_input(emptied: Agent) -> None:
    """`restore --identity -` reads the identity from standard input and restores with it."""
    done = emptied.restore(f"{AGAMA}@latest", identity=Path("-"), stdin=emptied.identity.read_bytes())
    done.succeeded()
    assert "everything came back" in done.out


def test_a_restore_cut_in_mid_load_is_told(emptied: Agent) -> None:
    """A client that dies while it loads fails the restore; after dropping the half, the next restore succeeds."""
    host = emptied.host
    cut = 'case "$*" in *--binary-mode*) head -c 9000 | {real} "$@"; kill -KILL $$ ;; esac'
    wrap(emptied, CLIENTS, f'{cut}\nexec {{real}} "$@"')
    done = emptied.restore(f"{AGAMA}@latest")
    done.failed(1, "")
    host.sshd.farm.reset()
    host.server.load("DROP DATABASE IF EXISTS agama")
    emptied.restore(f"{AGAMA}@latest").succeeded()


def test_a_restore_that_lost_something_is_not_equal(emptied: Agent) -> None:
    """A load that ends well, but without a table's rows, is found by the comparison: exit 1, and the table is named."""
    without = "sed -e '/^INSERT INTO .place/,/;$/d'"
    lossy = f'case "$*" in *--binary-mode*) {without} | {{real}} "$@"; exit ;; esac'
    wrap(emptied, CLIENTS, f'{lossy}\nexec {{real}} "$@"')
    done = emptied.restore(f"{AGAMA}@latest", "--json")
    assert done.code == 1
    assert done.json["ok"] is False
    differing = [o for o in done.json["objects"] if not o["equal"]]
    assert [(o["name"], o["expected"], o["found"]) for o in differing] == [("agama.place", 2, 0)]
    assert emptied.ledger()[-1]["exit_code"] == 1


def test_points_that_did_not_come_back_are_found(emptied: Agent) -> None:
    """A shard file that is missing at the restore is not reported by influxd; the comparison of points finds it."""
    lossy = '[ "$1" != restore ] || rm "$(ls -S "${@: -1}"/*.s*.tar.gz | head -n 1)"'
    wrap(emptied, ("influxd",), f'#!/bin/bash\n{lossy}\nexec {{real}} "$@"')
    done = emptied.restore(f"{LOGS}@latest", "--json")
    assert done.code == 1
    assert done.json["ok"] is False
    differing = [o for o in done.json["objects"] if not o["equal"]]
    assert differing
    assert all(o["found"] < o["expected"] for o in differing)
    assert list(emptied.host.staging.iterdir()) == []


@pytest.fixture(scope="module")
def small_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductionHost]:
    """MariaDB alone, with one small table: enough to see whether keys fit."""
    with ProductionHost(tmp_path_factory.mktemp("small"), MariaDB, influx=False) as started:
        started.server.load("CREATE DATABASE agama; CREATE TABLE agama.t (id INT); INSERT INTO agama.t VALUES (1)")
        yield started


def recreate(agent: Agent, identity: Path) -> None:
    """Pull, drop the database, restore with `identity`."""
    agent.call("run", AGAMA).succeeded()
    agent.host.server.load("DROP DATABASE agama")
    agent.restore(f"{AGAMA}@latest", identity=identity).succeeded()
    assert agent.host.server.query("SELECT * FROM agama.t") == [("1",)]


def test_an_ssh_key_as_recipient(small_host: ProductionHost, tmp_path: Path) -> None:
    """An ed25519 SSH key without passphrase serves as recipient and identity."""
    agent = Agent(tmp_path / "backup", small_host)
    key = ssh_keypair(tmp_path / "id_ed25519")
    agent.edit(agent.recipient, public_text(key))
    recreate(agent, key)
    agent.restore(f"{AGAMA}@latest", identity=agent.identity).failed(12, "does not open", "show")


def test_two_recipients(small_host: ProductionHost, tmp_path: Path) -> None:
    """With two recipients, one of them an SSH key, each identity opens the snapshot alone."""
    agent = Agent(tmp_path / "backup", small_host)
    key = ssh_keypair(tmp_path / "id_ed25519")
    agent.edit(f'["{agent.recipient}"]', f'["{agent.recipient}", "{public_text(key)}"]')
    recreate(agent, key)
    recreate(agent, agent.identity)
    shown = agent.call("show", f"{AGAMA}@latest", "--json").succeeded().json["manifest"]["recipients"]
    assert shown == [agent.recipient, public_text(key)]


def test_recipients_from_a_file(small_host: ProductionHost, tmp_path: Path) -> None:
    """Recipients can stand in a file beside hosts.toml, one a line, with comments."""
    agent = Agent(tmp_path / "backup", small_host)
    (agent.directory / "recipients.txt").write_text(f"# the safe\n\n{agent.recipient}\n")
    agent.edit(f'recipients = ["{agent.recipient}"]', 'recipients_file = "recipients.txt"')
    recreate(agent, agent.identity)


def test_the_agent_holds_no_identity(small_host: ProductionHost, tmp_path: Path) -> None:
    """A whole run needs nothing but the public recipient: no identity is read, and nothing in the store is one."""
    agent = Agent(tmp_path / "backup", small_host)
    secret = re.search(r"AGE-SECRET-KEY-\S+", agent.identity.read_text())
    assert secret
    agent.identity.rename(tmp_path / "far-away.txt")
    agent.call("run", AGAMA).succeeded()
    stored = [path.read_bytes() for path in agent.store.rglob("*") if path.is_file()]
    assert stored
    assert not any(secret[0].encode() in data for data in stored)
    assert run(["age", "-d", "-i", tmp_path / "far-away.txt", next(agent.store.rglob("dump.sql.zst.age"))])
