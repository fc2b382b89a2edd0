"""Accounts with passwords: they work, whatever stands in them, and show nowhere."""

import re
import subprocess
from collections.abc import Iterator, Sequence
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


class Watch:
    """Looks at the command lines and environments of all processes of this machine while `process` runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", secrets: Sequence[str]) -> None:
        self.found: set[str] = set()
        self.looks = 0
        wanted = [secret.encode() for secret in secrets]
        while process.poll() is None:
            for place in ("cmdline", "environ"):
                for file in Path("/proc").glob(f"[0-9]*/{place}"):
                    self._look(file, wanted)
            self.looks += 1

    def _look(self, file: Path, wanted: list[bytes]) -> None:
        try:
            data = file.read_bytes()
        except OSError:
            return
        self.found.update(f"{file.name}: {data[:100]!r}" for secret in wanted if secret in data)


def watched(agent: Agent, *arguments: str | Path, secrets: Sequence[str], stdin: bytes | None = None) -> None:
    """Run a verb that succeeds, and see that no process here or on the host shows a secret, nor its output."""
    process = subprocess.Popen(
        agent.argv(*arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=agent.environment(),
        cwd=agent.home,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(stdin or b"")
        process.stdin.close()
        watch = Watch(process, secrets)
        said = process.stdout.read().decode()
    assert process.returncode == 0, said
    assert watch.looks > 3
    assert watch.found == set()
    assert not any(secret in said for secret in secrets)


def test_no_process_shows_a_secret(agent: Agent, tmp_path: Path) -> None:
    """No command line and no environment, here or on the host, ever holds a password, an identity or a private key."""
    agent.host.server.load("GRANT ALL ON *.* TO 'dumper'@'localhost'")
    identity = agent.identity.read_text()
    secrets = ["pa$$w", identity.splitlines()[-1], agent.host.identity.read_text().splitlines()[1]]
    assert secrets[1].startswith("AGE-SECRET-KEY-1")
    opening, ref = ("--identity", agent.identity), f"{AGAMA}@latest"
    watched(agent, "run", AGAMA, secrets=secrets)
    watched(agent, "fetch", ref, "-o", tmp_path / "a", "--decrypt", *opening, secrets=secrets)
    by_pipe = ("fetch", ref, "-o", tmp_path / "b", "--decrypt", "--identity", "-")
    watched(agent, *by_pipe, secrets=secrets, stdin=identity.encode())
    agent.host.server.load("DROP DATABASE agama")
    login = ("--to", f"{agent.host.sshd.user}@pavroto-2", "--ssh-key", agent.host.identity)
    watched(agent, "restore", ref, *login, *opening, "--yes", secrets=secrets)
    kept = [path.read_bytes() for path in agent.store.rglob("*") if path.is_file()]
    assert not any(secret.encode() in data for data in kept for secret in secrets)
    readable = [path for path in agent.store.rglob("*") if path.stat().st_mode & 0o077]
    assert not readable


def test_the_watch_sees_what_it_looks_for() -> None:
    """A secret in a command line or an environment would be found."""
    with subprocess.Popen(["sleep", "1"], env={"SECRET": "in-environment"}) as process:
        assert len(Watch(process, ["in-environment"]).found) == 1
    with subprocess.Popen(["sh", "-c", "sleep 1; : in-arguments"]) as process:
        assert len(Watch(process, ["in-arguments"]).found) == 1


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
