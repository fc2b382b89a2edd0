"""`/etc` of a host that was set up as docs/setup.md says: pulled by an account without rights, restored as others."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.agent import HOST, Agent, Done
from tests.integration.runbook import Operator
from tests.integration.trees import seen
from tests.lab.keys import public_text, ssh_keypair
from tests.lab.private import PrivateSystem
from tests.lab.production import ProductionHost
from tests.lab.sshd import Sshd

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can set an account up and mount")
ETC = f"{HOST}/etc"
_SOURCE = f"""
[hosts.{HOST}.sources.etc]
kind = "files"
paths = ["/etc"]
sudo = true
"""


@dataclass
class Site:
    """The production host, its system, and the backup server, which has pulled it."""

    system: PrivateSystem
    host: ProductionHost
    agent: Agent

    def inside(self, path: str) -> Path:
        """A path of that system, for a look at it."""
        pid = re.findall(r"--mount=/proc/(\d+)/", self.system.within[1])[0]
        return Path(f"/proc/{pid}/root{path}")

    def restore(self, user: str, *options: str | Path) -> Done:
        """As another login than the one that pulls."""
        login = ("--to", f"{user}@{HOST}", "--ssh-key", self.host.identity)
        return self.agent.call("restore", f"{ETC}@latest", *login, "--identity", self.agent.identity, "--yes", *options)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One for the module."""
    # not below pytest's own directories: an account that is not root must get at programs
    directory = Path(tempfile.mkdtemp(prefix="pullagent-files."))
    directory.chmod(0o755)
    try:
        with PrivateSystem(directory / "system") as system:
            yield from _set_up(system, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _set_up(system: PrivateSystem, directory: Path) -> Iterator[Site]:
    """The gate's README, step by step; beside its account, logins of root and of `ann` by the operator's key."""
    host = ProductionHost(directory / "host", influx=False)
    public = host.identity.with_name("id_ed25519.pub")
    settings = f"StrictModes no\nAuthorizedKeysFile .ssh/authorized_keys {directory}/%u.pub\n"
    host.sshd = Sshd(directory / "sshd", public, settings=settings, within=system.within)
    host.sshd.user = "pullagent"
    for user in ("root", "ann"):
        (directory / f"{user}.pub").write_text(f"{public_text(host.identity)}\n")
    agent = Agent(directory / "backup", host)
    pull = ssh_keypair(directory / "pull")
    whole = host.hosts_toml(agent.store, agent.recipient, pull, agent.known_hosts)
    agent.configure(whole.partition(f"[hosts.{HOST}.sources")[0] + _SOURCE)
    gate = directory / "gate"
    agent.call("gate", HOST, "-o", gate).succeeded()
    system.run("useradd --create-home --home-dir /var/lib/ann --password '*' ann")
    for step in re.findall(r"^       (\S.*)$", (gate / "README").read_text(), re.M):
        if not step.startswith(("pullagent ", "sshd -T")):
            system.run(step, gate)
    (system.etc / "ssh").mkdir(exist_ok=True)
    (system.etc / "ssh/sshd_config").write_text("# before\n")
    (system.etc / "ssh/sshd_config").chmod(0o644)
    host.sshd.start()
    # who restores is not who pulls
    host.sshd.user = "root"
    try:
        agent.call("run").succeeded()
        yield Site(system, host, agent)
    finally:
        host.sshd.stop()


def test_the_account_pulls_what_only_root_may_read(site: Site) -> None:
    """Stored without a warning, listed with owners; `doctor` finds nothing to do about the host."""
    looked = [line.split() for line in site.agent.call("doctor", HOST).out.splitlines() if f" {HOST} " in line]
    assert ["OK", HOST, "etc:", "files", "/etc", "there,", "read", "as", "root"] in looked
    assert {words[0] for words in looked} == {"OK"}
    assert site.agent.call("list", "--json").succeeded().json["snapshots"][0]["ref"] == site.agent.latest(ETC)
    shown = site.agent.call("show", f"{ETC}@latest", "--files", "--identity", site.agent.identity).succeeded()
    assert len(shown.out.splitlines()) == len(seen(site.system.etc))
    shadow = (site.system.etc / "shadow").stat()
    line = next(line for line in shown.out.splitlines() if line.endswith(" /etc/shadow"))
    assert line.split()[1:3] == [f"{shadow.st_uid}:{shadow.st_gid}", str(shadow.st_size)]


def test_a_host_without_sudo_is_told(site: Site) -> None:
    """What is missing, and how to get it: not a word of the gate, which is in order."""
    site.host.sshd.hide("sudo")
    try:
        site.agent.call("run").failed(1, "sudo", f"apt-get install sudo on {HOST}")
    finally:
        site.host.sshd.farm.reset()


def test_a_login_without_rights_restores_a_part(site: Site) -> None:
    """All that it chose comes back as its own; that it does so, and whose it was, is said before and after."""
    place = site.inside("/var/lib/ann/mine")
    done = site.restore("ann", "--path", "/etc/shadow", "--path", "/etc/ssh", "--into", "/var/lib/ann/mine")
    done.succeeded()
    count = 1 + len(seen(site.system.etc / "ssh"))
    assert (
        f"without root all will belong to this login, which may read and write it; {count} entries belonged" in done.out
    )
    assert "all of it belongs to the login, not to its owners" in done.out
    found = {path.relative_to(place).as_posix(): path.stat() for path in place.rglob("*")}
    assert found.keys() == {
        "etc",
        "etc/shadow",
        "etc/ssh",
        *(f"etc/ssh/{n}" for n in seen(site.system.etc / "ssh") if n != "."),
    }
    assert {state.st_uid for state in found.values()} == {place.stat().st_uid} != {0}
    assert (place / "etc/shadow").read_bytes() == (site.system.etc / "shadow").read_bytes()


def test_the_running_system_is_written_over_by_consent_alone(site: Site) -> None:
    """`--into /` is refused, however it is spelt, and changes nothing without --replace."""
    config = site.system.etc / "ssh/sshd_config"
    config.write_text("# since\n")
    for root in ("/", "//", "/."):
        site.restore("root", "--into", root).failed(1, "holds something already", "--replace")
        site.restore("ann", "--into", root, "--replace").failed(1, "cannot be written to by this login")
    assert config.read_text() == "# since\n"
    done = site.restore("root", "--into", "/", "--replace", "--path", "/etc/ssh/sshd_config").succeeded()
    assert "the RUNNING SYSTEM's files of the same names will be OVERWRITTEN" in done.out
    assert config.read_text() == "# before\n"


def test_a_drill_on_another_host_leaves_nothing_there(site: Site) -> None:
    """With root's rights there and without; the scratch directory is gone afterwards."""
    home = site.host.sshd.home
    home.chmod(0o777)
    for user in ("root", "ann"):
        to = ("--to", f"{user}@{HOST}", "--ssh-key", site.host.identity)
        done = site.agent.call("drill", f"{ETC}@latest", *to, "--identity", site.agent.identity).succeeded()
        assert f"1 object, {len(seen(site.system.etc)):,} entries: everything came back" in done.out
        assert "server:" not in done.out
        assert "holds what came back" not in done.out
        assert ("without root" in done.out) == (user == "ann")
        assert list(home.iterdir()) == []


def test_a_compressed_archive_passes_the_gate(site: Site) -> None:
    """`wire = "zstd"`: the same archive, compressed by the host; a gate made for `auto` lets it pass."""
    text = site.agent.config_file.read_text()
    site.agent.edit(f"[hosts.{HOST}]\n", f'[hosts.{HOST}]\nwire = "zstd"\n')
    try:
        site.agent.call("run").succeeded()
    finally:
        site.agent.configure(text)
    pulls = [line for line in site.agent.ledger() if line["event"] == "pull"]
    assert [line["detail"]["wire"] for line in pulls[-1:]] == ["zstd"]
    site.agent.call("verify", site.agent.latest(ETC), "--identity", site.agent.identity).succeeded()


def test_the_runbook_brings_files_back(site: Site) -> None:
    """The document's own commands, with pullagent and without: as it was, owners, ACLs, attributes and all."""
    config = site.system.etc / "ssh/sshd_config"
    config.write_text("# before\n")
    site.agent.call("run").succeeded()
    expected = seen(site.system.etc)
    config.write_text("# of the new machine\n")
    Operator(site.agent).follow("The files of a host")
    assert seen(site.inside("/var/lib/restored/etc")) == expected
    assert seen(site.inside("/var/lib/by-hand/etc")) == expected
    assert config.read_text() == "# before\n"
