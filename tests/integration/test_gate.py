"""What `gate` renders lets the pull key run its own commands, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pullagent.gate import render
from tests.contract.kinds import build
from tests.integration.agent import Agent
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL
from tests.lab.production import ProductionHost

FOREIGN = [
    "id",
    "sh",
    "/bin/sh -c id",
    "pullagent-gate digest; id",
    "pullagent-gate digest\nid",
    " pullagent-gate digest",
    "$(id)",
    "`id`",
    "mysqldump --all-databases",
    "LC_ALL=C; export LC_ALL",
    "*",
    "#",
]


@pytest.fixture(params=[MariaDB, pytest.param(MySQL, marks=pytest.mark.mysql)])
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agent]:
    """A backup server whose key meets the rendered wrapper on the production host."""
    with ProductionHost(tmp_path / "host", request.param) as host:
        host.seed(rows=30, points=200)
        agent = Agent(tmp_path / "backup", host)
        gate = tmp_path / "gate"
        agent.call("gate", "pavroto-2", "-o", gate).succeeded()
        line = (gate / "authorized_keys").read_text()
        assert line.startswith('restrict,command="/usr/local/lib/pullagent-gate" ssh-ed25519 ')
        wrapper = str(gate / "pullagent-gate")
        host.sshd.authorized_keys.write_text(line.replace("/usr/local/lib/pullagent-gate", wrapper))
        host.server.load((gate / "grants.sql").read_text().replace(f"'{host.sshd.user}'@", "'gated'@"))
        yield agent


def test_a_pull_works_unchanged_and_nothing_else_runs(agent: Agent) -> None:
    """Every source is stored through the gate; other commands end with 126 and a word, none of them having run."""
    agent.call("run").succeeded()
    for command in FOREIGN:
        done = agent.host.ssh(command)
        assert (done.returncode, done.stdout) == (126, b""), command
        assert b"pullagent-gate: refused" in done.stderr
    assert agent.host.ssh("pullagent-gate digest").stdout.strip().isalnum()
    rights = str(agent.host.server.query("SHOW GRANTS FOR 'gated'@'localhost'"))
    assert "ALL PRIVILEGES" not in rights
    assert "SHOW VIEW" in rights


def test_an_account_with_a_password_waits_for_it(agent: Agent) -> None:
    """Both servers take what is rendered for an option file: a locked account, and the line that unlocks it."""
    source = build("mysql", {"databases": ["agama"], "option_file": "/etc/pull.cnf"})
    key = agent.host.identity.with_name("id_ed25519.pub").read_text()
    text = render("pavroto-2", "locked", {"agama": source}, key).files["grants.sql"]
    server = agent.host.server
    server.load(text)
    made = "SHOW CREATE USER 'locked'@'localhost'"
    assert "ACCOUNT LOCK" in str(server.query(made))
    server.load(next(line.removeprefix("-- ") for line in text.splitlines() if "UNLOCK" in line))
    assert "ACCOUNT LOCK" not in str(server.query(made))
    assert "SHOW VIEW" in str(server.query("SHOW GRANTS FOR 'locked'@'localhost'"))
