"""`doctor` against real servers: a sound host is sound; each thing broken is told by its line and its hint alone."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.agent import HOST, Agent, Done
from tests.lab.keys import ssh_keypair
from tests.lab.mysql import MySQL
from tests.lab.processes import free_port
from tests.lab.production import ProductionHost

PASSWORD = "p$ss 'w\"rd"
# Whether the machine of the tests keeps its time and runs the timer is its own affair.
OF_THE_MACHINE = {"clock", "timer"}


class Patient:
    """A backup server that is in order, and its host: a gate, and a database account with the least grants."""

    def __init__(self, agent: Agent, directory: Path) -> None:
        self.agent, self.directory = agent, directory
        self.server = agent.host.server
        self.server.load("DROP USER IF EXISTS 'puller'@'localhost'")
        self.option_file = directory / "puller.cnf"
        quoted = PASSWORD.replace('"', '\\"')
        self.option_file.write_text(f'[client]\nuser = puller\npassword = "{quoted}"\n')
        self.option_file.chmod(0o600)
        agent.edit("socket = ", f'option_file = "{self.option_file}"\nsocket = ')
        self.install_gate()
        grants = (directory / "gate" / "grants.sql").read_text().replace(f"'{agent.host.sshd.user}'@", "'puller'@")
        self.server.load(grants)
        password = PASSWORD.replace("'", "''")
        self.server.load(f"ALTER USER 'puller'@'localhost' IDENTIFIED BY '{password}' ACCOUNT UNLOCK")

    def install_gate(self) -> None:
        """Render it for the present hosts.toml, and have the host's sshd use it."""
        gate = self.directory / "gate"
        self.agent.call("gate", HOST, "-o", gate).succeeded()
        line = (gate / "authorized_keys").read_text()
        wrapper = str(gate / "pullagent-gate")
        self.agent.host.sshd.authorized_keys.write_text(line.replace("/usr/local/lib/pullagent-gate", wrapper))

    def look(self, *arguments: str) -> tuple[dict[str, dict[str, Any]], Done]:
        """What is found, by name."""
        done = self.agent.call("doctor", "--json", *arguments)
        checks = done.json["checks"]
        assert all(set(one) == {"name", "host", "result", "detail", "hint"} for one in checks)
        assert (done.code, done.err) == (int(any(one["result"] == "failed" for one in checks)), "")
        secrets = (PASSWORD, "AGE-SECRET-KEY-", "PRIVATE KEY")
        assert not [secret for secret in secrets if secret in done.out]
        return {one["name"]: one for one in checks}, done

    def finds(self, **wrong: tuple[str, str]) -> dict[str, dict[str, Any]]:
        """These are wrong, each with its result and a part of its hint, and nothing else is; underscores are blanks."""
        found, _ = self.look()
        expected = {name.replace("__", ": ").replace("_", " "): value for name, value in wrong.items()}
        results = {n: one["result"] for n, one in found.items() if one["result"] != "ok" and n not in OF_THE_MACHINE}
        assert results == {name: result for name, (result, _) in expected.items()}, found
        for name, (_, hint) in expected.items():
            assert hint in found[name]["hint"], found[name]
        return found


@pytest.fixture
def patient(agent: Agent, tmp_path: Path) -> Iterator[Patient]:
    """The module's backup server in order, its identity on another machine; as it was afterwards."""
    authorized = agent.host.sshd.authorized_keys
    before = authorized.read_text()
    away = agent.identity.rename(tmp_path / "identity.txt")
    try:
        yield Patient(agent, tmp_path)
    finally:
        away.rename(agent.identity)
        authorized.write_text(before)


def test_a_sound_backup_server(patient: Patient) -> None:
    """Everything is good, through the gate too, and the plain screen says the same, a line each, without colour."""
    found, _ = patient.look(HOST)
    wanted = {"configuration", "files", "store", "age", "zstd", "recipients", "identities", "free space", "clock"}
    wanted |= {"lock", "restore", "host key", "SSH login", "gate", "agama: dump client", "agama: database login"}
    wanted |= {"agama: grants", "agama: databases", "logs: ports and version", "logs: databases", "logs: configuration"}
    assert wanted <= set(found)
    assert {one["host"] for one in found.values()} == {None, HOST}
    assert {n for n, one in found.items() if one["result"] != "ok"} <= OF_THE_MACHINE
    assert "puller@localhost" in found["agama: database login"]["detail"]
    assert "1.6" in found["logs: ports and version"]["detail"]
    plain = patient.agent.call("doctor").succeeded()
    assert "\x1b" not in plain.out
    for name, one in found.items():
        place = one["host"] or "this machine"
        lines = [line for line in plain.out.splitlines() if f"  {place}  {name}  " in f"{line}  "]
        assert len(lines) == 1, name
        assert lines[0].endswith(one["detail"]) or name in ("clock", "free space", "logs: staging")
    assert plain.out.splitlines()[-1].startswith(f"{len(found)} checks: ")


@pytest.mark.mysql
def test_a_sound_mysql_server(tmp_path: Path) -> None:
    """The same with MySQL and its least grants."""
    with ProductionHost(tmp_path / "host", MySQL, influx=False) as host:
        host.seed(rows=30)
        agent = Agent(tmp_path / "backup", host)
        agent.call("run").succeeded()
        (tmp_path / "other").mkdir()
        agent.identity.rename(tmp_path / "other" / "identity.txt")
        patient = Patient(agent, tmp_path / "other")
        found = patient.finds()
        assert "mysql 9" in found["agama: database login"]["detail"]
        patient.server.load("REVOKE SHOW_ROUTINE ON *.* FROM 'puller'@'localhost'")
        patient.finds(agama__grants=("failed", "GRANT SHOW_ROUTINE"))


def test_no_gate(patient: Patient) -> None:
    """The key alone in authorized_keys lets it run anything: a warning."""
    public = patient.agent.host.identity.with_name("id_ed25519.pub")
    patient.agent.host.sshd.authorized_keys.write_text(public.read_text())
    patient.finds(gate=("warn", f"pullagent gate {HOST} -o DIR"))


def test_an_old_gate(patient: Patient) -> None:
    """hosts.toml has changed since: the gate is named, and what it refuses."""
    patient.agent.edit('staging = "', 'staging = "/')
    renew = ("failed", f"pullagent gate {HOST} -o DIR")
    patient.finds(gate=renew, logs__configuration=renew, logs__staging=renew)
    patient.install_gate()
    patient.finds()


def test_a_stopped_database(patient: Patient) -> None:
    """InfluxDB's checks stay good."""
    patient.server.stop()
    patient.finds(agama__database_login=("failed", "systemctl status"))


def test_a_wrong_password(patient: Patient) -> None:
    """The account is refused."""
    patient.option_file.write_text("[client]\nuser=puller\npassword=wrong\n")
    patient.finds(agama__database_login=("failed", "dump account"))


def test_a_revoked_grant(patient: Patient) -> None:
    """The hint is the statement that gives it back."""
    patient.server.load("REVOKE TRIGGER ON agama.* FROM 'puller'@'localhost'")
    found = patient.finds(agama__grants=("failed", "GRANT TRIGGER ON `agama`.* TO 'puller'@'localhost'"))
    patient.server.load(found["agama: grants"]["hint"].partition("count): ")[2])
    patient.finds()


def test_a_missing_dump_client(patient: Patient) -> None:
    """It says what to install."""
    for name in ("mysqldump", "mariadb-dump"):
        patient.agent.host.sshd.hide(name)
    patient.finds(agama__dump_client=("failed", "apt-get install"))


def test_a_database_that_is_not_there(patient: Patient) -> None:
    """Misspelt in hosts.toml, with the gate rendered from it."""
    patient.agent.edit('databases = ["logs"]', 'databases = ["lags"]')
    patient.install_gate()
    patient.finds(logs__databases=("failed", "latency, logs"))


def test_a_closed_backup_port(patient: Patient) -> None:
    """The backup's port alone: the rest of InfluxDB answers."""
    influxdb = patient.agent.host.influxdb
    assert influxdb is not None
    closed = free_port()
    patient.agent.edit(f"127.0.0.1:{influxdb.backup_port}", f"127.0.0.1:{closed}")
    patient.install_gate()
    found = patient.finds(logs__ports_and_version=("failed", "systemctl status influxdb"))
    assert f"port 127.0.0.1:{closed} refused" in found["logs: ports and version"]["detail"]


def test_a_stopped_influxdb(patient: Patient) -> None:
    """MySQL's checks stay good, and so does the room for a backup."""
    influxdb = patient.agent.host.influxdb
    assert influxdb is not None
    influxdb.stop()
    hint = "systemctl status influxdb"
    patient.finds(
        logs__ports_and_version=("failed", hint), logs__databases=("failed", hint), logs__configuration=("failed", hint)
    )


def test_a_configuration_file_that_is_not_there(patient: Patient) -> None:
    """What the night would have met is met by day."""
    patient.agent.edit("influxdb.conf", "influxdb.cnf")
    patient.install_gate()
    assert (
        "influxdb.cnf" in patient.finds(logs__configuration=("failed", "config_files"))["logs: configuration"]["detail"]
    )


def test_no_staging_directory(patient: Patient) -> None:
    """A directory that is not there has no room."""
    staging = patient.agent.host.staging
    shutil.rmtree(staging)
    patient.finds(logs__staging=("failed", "`staging`"), logs__configuration=("failed", "`staging`"))


def test_a_key_that_the_host_refuses(patient: Patient) -> None:
    """The host's other checks cannot be made, and nothing is said of them."""
    stranger = ssh_keypair(patient.directory / "stranger" / "id_ed25519")
    patient.agent.edit(str(patient.agent.host.identity), str(stranger))
    found = patient.finds(SSH_login=("failed", "authorized_keys"))
    assert [name for name, one in found.items() if one["host"] == HOST] == ["SSH login"]


def test_a_changed_host_key(patient: Patient) -> None:
    """Nobody logs in there; the hint is the one of every other command."""
    patient.agent.host.sshd.rekey()
    found = patient.finds(host_key=("failed", f"pullagent trust {HOST} --replace"))
    assert "SSH login" not in found


def test_a_login_script_that_prints(patient: Patient) -> None:
    """It spoils every answer, and is named as the cause."""
    (patient.agent.host.sshd.home / ".bashrc").write_text("echo Welcome to production\n")
    found, _ = patient.look()
    spoilt = {one["name"] for one in found.values() if "login script" in (one["hint"] or "")}
    assert {"gate", "agama: database login"} <= spoilt


def test_an_identity_at_home(patient: Patient) -> None:
    """What the operator forgot to take away is found where it usually lies."""
    place = patient.agent.home / ".config" / "age"
    place.mkdir(parents=True)
    shutil.copy(patient.directory / "identity.txt", place / "keys.txt")
    try:
        found = patient.finds(identities=("failed", str(place / "keys.txt")))
        assert "another machine" in found["identities"]["hint"]
    finally:
        shutil.rmtree(place)


def test_a_dead_host_does_not_hold_it_up(patient: Patient) -> None:
    """One that takes the connection and never says a word is given up within 30 s; the other host is looked at."""
    with socket.create_server(("127.0.0.1", 0)) as dead:
        port = dead.getsockname()[1]
        known = patient.agent.known_hosts
        known.write_text(known.read_text() + known.read_text().replace(str(patient.agent.host.sshd.port), str(port)))
        text = patient.agent.config_file.read_text()
        patient.agent.configure(
            f'{text}\n[hosts.dead]\naddress = "127.0.0.1"\nport = {port}\nuser = "u"\n'
            f'identity_file = "{patient.agent.host.identity}"\n'
            '[hosts.dead.sources.db]\nkind = "mysql"\ndatabases = ["db"]\n'
        )
        found, done = patient.look()
    assert done.seconds < 30
    assert {(n, one["host"]) for n, one in found.items() if one["result"] == "failed"} == {("SSH login", "dead")}
    assert "is it sshd" in found["SSH login"]["hint"]
    assert found["logs: staging"]["result"] == "ok"


def test_a_broken_configuration(patient: Patient) -> None:
    """It is one of the checks, as `config check` says it, on the screen and in JSON."""
    patient.agent.edit("keep_at_least", "keep_at_leats")
    said = patient.agent.call("config", "check").failed(2, "keep_at_leats", "keep_at_least")
    found, done = patient.look()
    assert (done.code, found["configuration"]["result"]) == (1, "failed")
    assert found["configuration"]["detail"] in said.err
    assert "did you mean keep_at_least?" in found["configuration"]["hint"]
    plain = patient.agent.call("doctor")
    assert (plain.code, "FAILED  this machine  configuration" in plain.out) == (1, True)


def test_a_host_that_is_none(patient: Patient) -> None:
    """A wrong command line is no finding."""
    patient.agent.call("doctor", "pavroto-3").failed(2, "pavroto-3", HOST)
    patient.agent.call("doctor", f"{HOST}/agama").failed(2, "not a host", f"pullagent doctor {HOST}")
