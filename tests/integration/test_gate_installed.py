"""The gate as its README has it set up: an account of its own, sshd's checks, sudo, the database's own socket login."""

import os
import re
import shlex
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import paramiko
import pytest

from pullagent.config import load
from pullagent.sources import KINDS
from tests.integration.agent import AGAMA, HOST, LOGS, Agent, open_sealed
from tests.lab.errors import LabError
from tests.lab.private import PrivateSystem
from tests.lab.production import ProductionHost
from tests.lab.sshd import Sshd

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can set an account up and mount")
# the checks on modes and owners that a real host makes, and a careless administrator
SETTINGS = "StrictModes yes\nAuthorizedKeysFile .ssh/authorized_keys\nAcceptEnv *\n"


@dataclass
class Site:
    """The production host, its system, and the backup server."""

    system: PrivateSystem
    host: ProductionHost
    agent: Agent
    gate: Path
    toml: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A host on which the steps of the README were typed as they stand there."""
    # not below pytest's own directories: an account that is not root must get at sockets and programs
    directory = Path(tempfile.mkdtemp(prefix="pullagent-gate."))
    directory.chmod(0o755)
    try:
        with PrivateSystem(directory / "system") as system:
            host = ProductionHost(directory / "host")
            public = host.identity.with_name("id_ed25519.pub")
            host.sshd = Sshd(directory / "sshd", public, settings=SETTINGS, within=system.within)
            host.sshd.user, host.server.within = "pullagent", system.within
            with host:
                host.seed(rows=30, points=200)
                yield installed(system, host, tmp_path_factory.mktemp("backup"))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def installed(system: PrivateSystem, host: ProductionHost, directory: Path) -> Site:
    """Render the gate, and do what its README says."""
    assert host.influxdb is not None
    host.influxdb.config_file.chmod(0o600)
    (system.etc / "mysql/conf.d").mkdir(parents=True, exist_ok=True)
    (system.etc / "mysql/conf.d/zz-lab.cnf").write_text(f"[client]\nsocket={host.server.socket}\n")
    agent = Agent(directory / "backup", host)
    agent.edit(f'socket = "{host.server.socket}"\n', "")
    agent.edit(f'staging = "{host.staging}"\n', 'sudo = true\nstaging = "/var/tmp"\n')
    agent.configure(f"{agent.config_file.read_text()}{files_source(host)}")
    gate = directory / "gate"
    agent.call("gate", "pavroto-2", "-o", gate).succeeded()
    for step in re.findall(r"^       (\S.*)$", (gate / "README").read_text(), re.M):
        if not step.startswith(("pullagent ", "sshd -T")):
            system.run(step, gate)
    return Site(system, host, agent, gate, agent.config_file.read_text())


def files_source(host: ProductionHost) -> str:
    """A source of a tree that only root may read, with a pattern that sudo must take as it stands."""
    tree = host.directory / "tree"
    tree.mkdir(mode=0o700)
    for name in ("secret", "left.bak"):
        (tree / name).write_text("root's\n")
        (tree / name).chmod(0o600)
    return f'\n[hosts.{HOST}.sources.tree]\nkind = "files"\npaths = ["{tree}"]\nexclude = ["*.bak"]\nsudo = true\n'


@pytest.fixture
def agent(site: Site) -> Iterator[Agent]:
    """The backup server; its hosts.toml is mended afterwards."""
    yield site.agent
    site.agent.configure(site.toml)


def test_a_pull_works_by_the_account_alone(site: Site, agent: Agent) -> None:
    """Both sources are stored without a warning; the file that only root may read is among them, owner and mode too."""
    done = agent.call("run").succeeded()
    assert "warning" not in done.err
    assert host_config(site).stat().st_mode & 0o777 == 0o600
    stored = open_sealed(agent.path(agent.latest(LOGS)) / "config.tar.zst.age", agent.identity)
    with tarfile.open(fileobj=BytesIO(stored)) as archive:
        member = archive.getmember(str(host_config(site)).lstrip("/"))
        file = archive.extractfile(member)
        assert file is not None
        assert file.read() == host_config(site).read_bytes()
        assert (member.mode, member.uid) == (0o600, 0)
        assert "queries/users.json" in archive.getnames()
    assert agent.latest(AGAMA)


def test_a_compressed_pull_passes(site: Site, agent: Agent) -> None:
    """A gate made for `auto` lets dumps come compressed too, and at low priority."""
    agent.edit('\nuser = "', '\nwire = "zstd"\nuser = "')
    agent.call("run").succeeded()
    assert {line["detail"]["wire"] for line in agent.ledger()[-3:] if line["event"] == "pull"} == {"zstd"}


def test_files_of_root_are_pulled_by_the_account(site: Site, agent: Agent) -> None:
    """tar alone runs as root, with these very words: not with others that a pattern of theirs would match."""
    looked = [line for line in agent.call("doctor", HOST).out.splitlines() if "read as root" in line]
    assert [line.split()[0] for line in looked] == ["OK"]
    agent.call("run", f"{HOST}/tree").succeeded()
    stored = open_sealed(agent.path(agent.latest(f"{HOST}/tree")) / "files.tar.zst.age", agent.identity)
    with tarfile.open(fileobj=BytesIO(stored)) as archive:
        tree = str(site.host.directory / "tree").lstrip("/")
        assert sorted(archive.getnames()) == [tree, f"{tree}/secret"]
    (argv,) = load(agent.config_file, KINDS).hosts[HOST].sources["tree"].as_root()
    allowed = f"sudo -n {shlex.join(argv)}"
    assert "secret" in as_account(site, f"{allowed} | tar -tf -")
    for other in (
        allowed.replace("'*.bak'", "x.bak"),
        f"{allowed} etc/shadow",
        allowed.replace("--directory /", "-C /"),
    ):
        assert other != allowed
        with pytest.raises(LabError, match=r"sudo: |denied"):
            as_account(site, f"{other} >/dev/null")


def host_config(site: Site) -> Path:
    """The file that only root may read."""
    assert site.host.influxdb is not None
    return site.host.influxdb.config_file


@pytest.mark.parametrize(
    "line",
    [
        "touch ~pullagent/x",
        "touch ~pullagent/.ssh/x",
        "echo >>~pullagent/.ssh/authorized_keys",
        "echo >>/usr/local/lib/pullagent-gate",
        "sudo -n /usr/bin/tar -cf - -C / -- etc/shadow",
        "sudo -n /usr/bin/tar -cf - -C / --",
        "sudo -n /usr/bin/tar --to-command=id -cf - -C / -- {config}",
        "sudo -n -u nobody /usr/bin/tar -cf - -C / -- {config}",
        "sudo -n /usr/bin/tar -cf - -C / -- {config} {config}",
        "sudo -n id",
        "mysql -e 'CREATE DATABASE x'",
        "mysql -e 'DELETE FROM agama.customer'",
        "mysql -e \"SELECT 1 INTO OUTFILE '/tmp/x'\"",
    ],
)
def test_the_account_may_do_nothing_more(site: Site, line: str) -> None:
    """Were there a way past the wrapper: no way to change it, no other file of root's, no writing to the database."""
    script = line.format(config=str(host_config(site)).lstrip("/"))
    with pytest.raises(LabError, match=r"sudo: |denied"):
        as_account(site, script)
    # and the account is there, and can do what it should
    as_account(site, "test -r ~pullagent/.ssh/authorized_keys && mysql -e 'SELECT COUNT(*) FROM agama.customer'")


def as_account(site: Site, script: str) -> str:
    """Run lines as the pull key's account without the wrapper."""
    file = site.gate / "script"
    file.write_text(script)
    try:
        return site.system.run(f"setpriv --reuid pullagent --regid pullagent --clear-groups sh -eu <'{file}'")
    finally:
        file.unlink()


def test_the_database_account_has_the_least_rights(site: Site) -> None:
    """What a dump needs and no more; it logs in by the socket, as this account of the system alone."""
    rights = [row[0] for row in site.host.server.query("SHOW GRANTS FOR 'pullagent'@'localhost'")]
    assert {re.split(" TO | IDENTIFIED", r.replace("`", "").replace("'", ""))[0] for r in rights} == {
        "GRANT USAGE ON *.*",
        "GRANT SELECT, SHOW VIEW, EVENT, TRIGGER ON agama.*",
        "GRANT SELECT ON mysql.*",
    }
    assert any("unix_socket" in right for right in rights)


def test_variables_run_nothing_though_sshd_accepts_them(site: Site) -> None:
    """With `AcceptEnv *`: neither the account's shell, nor the wrapper's, nor a listed command obeys one."""
    marks = Path(tempfile.mkdtemp(prefix="pullagent-marks."))
    try:
        marks.chmod(0o777)
        script = marks / "script"
        script.write_text(f"touch {marks}/ran\n")
        script.chmod(0o755)
        run = f"touch {marks}/ran"
        tricks = {
            "ENV": str(script),
            "BASH_ENV": str(script),
            "SHELLOPTS": "xtrace",
            "BASHOPTS": "nocasematch",
            "PS4": f"$({run})",
            "BASH_FUNC_timeout%%": f"() {{ {run}; }}",
            "IFS": "x/",
            "CDPATH": "/",
            "HOME": str(marks),
            "PATH": str(marks),
            "TAR_OPTIONS": f"--checkpoint=1 --checkpoint-action=exec={script}",
            "MYSQL_HOME": str(marks),
            "LIBMYSQL_PLUGIN_DIR": str(marks),
            "LIBMYSQL_PLUGINS": "script",
            "SSH_ORIGINAL_COMMAND": "pullagent-gate digest",
        }
        for name in ("logger", "timeout", "env", "tar", "mysql", "mariadb", "influx", "head", "tr"):
            (marks / name).write_text(f"#!/bin/sh\n{run}\n")
            (marks / name).chmod(0o755)
        key = paramiko.Ed25519Key.from_private_key_file(str(site.host.identity))
        with closing(paramiko.Transport(("127.0.0.1", site.host.sshd.port))) as transport:
            transport.connect(username="pullagent", pkey=key)
            for command in ("id", "", *commands(site)):
                channel = transport.open_session(timeout=20)
                for name, value in tricks.items():
                    channel.set_environment_variable(name, value)
                channel.exec_command(command)
                channel.shutdown_write()
                channel.makefile("rb").read()
                assert (channel.recv_exit_status() == 126) == (command in ("id", ""))
        assert not (marks / "ran").exists()
    finally:
        shutil.rmtree(marks)


def commands(site: Site) -> list[str]:
    """The commands that end by themselves, without input."""
    from pullagent import config
    from pullagent.sources import KINDS
    from pullagent.wire.commands import commands_of

    host = config.load(site.agent.config_file, KINDS).hosts["pavroto-2"]
    return list(commands_of(host.sources.values(), host.manner))


def test_a_gate_that_allows_other_commands_is_warned_of(agent: Agent) -> None:
    """hosts.toml has lost a source: all commands pass, and the run says that the gate allows more."""
    text = agent.config_file.read_text()
    agent.configure(text[: text.index("[hosts.pavroto-2.sources.logs]")])
    done = agent.call("run").succeeded()
    assert "the gate on pavroto-2 was not made from this hosts.toml" in done.err
    assert "pullagent gate pavroto-2 -o DIR" in done.err


def test_a_gate_without_a_command_is_named(agent: Agent) -> None:
    """hosts.toml has changed: the refusal is told once for both sources, with what to type."""
    agent.edit('databases = ["agama"]', 'databases = ["agama", "more"]')
    agent.edit('databases = ["logs"]', 'databases = ["logs", "more"]')
    done = agent.call("run", AGAMA, LOGS)
    done.failed(1, f"{AGAMA}, {LOGS}: its gate does not know this command", "pullagent gate pavroto-2 -o DIR")
    assert "126" not in done.err


def test_a_source_without_its_sudoers_line_says_so(site: Site, agent: Agent) -> None:
    """sudo refuses: the hint speaks of sudoers, not of InfluxDB."""
    file = site.system.etc / "sudoers.d/pullagent-gate"
    text = file.read_text()
    file.unlink()
    try:
        agent.call("run", LOGS).failed(1, "sudo: ", "writes its line for sudoers")
    finally:
        file.write_text(text)
        file.chmod(0o440)
