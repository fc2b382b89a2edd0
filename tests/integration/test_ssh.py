"""The way to the host: pinned keys, refused logins, a gateway, and nobody's own configuration."""

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest

from pullagent.errors import ConfigError, Denied, HostError
from pullagent.host import Host, Limits, Login
from pullagent.model import Address, StopSignal
from tests.integration.agent import AGAMA, HOST, Agent
from tests.lab.hostile import HostileSshd
from tests.lab.keys import ssh_keypair
from tests.lab.processes import free_port, run
from tests.lab.production import ProductionHost
from tests.lab.sshd import Sshd

# What sshd's log says, at LogLevel VERBOSE, as soon as anybody tries to log in.
LOGIN_WORDS = ("publickey", "password", "authenticating user", "Accepted", "Failed", "session opened")


def said_since(sshd: Sshd, size: int) -> str:
    """What sshd has logged since its log was `size` bytes long."""
    return sshd.log.read_bytes()[size:].decode()


def login_words(text: str) -> list[str]:
    """The signs in a log of sshd that somebody tried to log in."""
    return [word for word in LOGIN_WORDS if word in text]


def fingerprint(sshd: Sshd) -> str:
    """The fingerprint of a server's key, by OpenSSH."""
    return run(["ssh-keygen", "-l", "-f", "-"], data=sshd.host_public_key.encode()).split()[1].decode()


def opened(login: Login) -> Host:
    """A connection of its own, without the command line."""
    return Host(login, Limits(), StopSignal())


def log_in(host: ProductionHost, directory: Path, key: Path) -> None:
    """Log in to the lab's host with this key."""
    known = directory / "known_hosts"
    host.trust(known)
    with opened(Login(HOST, Address("127.0.0.1", host.sshd.port, host.sshd.user), known, (key,))):
        pass


def is_let_in_by_trust_alone(agent: Agent, sshd: Sshd) -> None:
    """A run reaches the server and gives it no login attempt, until `trust` has pinned its key."""
    before = sshd.log.stat().st_size
    agent.fails(AGAMA, code=13, error="not pinned", hint=f"pullagent trust {HOST}")
    said = said_since(sshd, before)
    assert "Connection from" in said
    assert login_words(said) == []
    agent.succeeds_after(lambda: agent.call("trust", HOST, "--fingerprint", fingerprint(sshd)).succeeded(), AGAMA)


def test_an_unknown_host_key(agent: Agent) -> None:
    """A host whose key is not pinned gets no login attempt; once `trust` has pinned it, the run succeeds."""
    sshd = agent.host.sshd
    agent.known_hosts.write_text("")
    before = sshd.log.stat().st_size
    is_let_in_by_trust_alone(agent, sshd)
    assert "Accepted publickey" in said_since(sshd, before)


def test_no_known_hosts_file(agent: Agent) -> None:
    """Without a known_hosts file no host is trusted."""
    agent.known_hosts.unlink()
    agent.fails(AGAMA, code=13, error="not pinned", hint=f"pullagent trust {HOST}")


def test_a_changed_host_key(agent: Agent) -> None:
    """A host that shows another key than the pinned one gets no login attempt, and both fingerprints are shown."""
    sshd = agent.host.sshd
    pinned = fingerprint(sshd)
    sshd.rekey()
    before = sshd.log.stat().st_size
    done = agent.fails(AGAMA, code=13, error="host key has changed", hint="--replace")
    assert pinned in done.err
    assert fingerprint(sshd) in done.err
    assert login_words(said_since(sshd, before)) == []
    agent.succeeds_after(
        lambda: agent.call("trust", HOST, "--replace", "--fingerprint", fingerprint(sshd)).succeeded(), AGAMA
    )


def test_trust_does_not_log_in(agent: Agent) -> None:
    """`trust` fetches the key without any login attempt, and refuses one with another fingerprint."""
    sshd = agent.host.sshd
    agent.known_hosts.write_text("")
    before = sshd.log.stat().st_size
    wrong = "SHA256:" + "A" * 43
    agent.call("trust", HOST, "--fingerprint", wrong).failed(13, wrong, "console")
    assert agent.known_hosts.read_text() == ""
    agent.call("trust", HOST, "--fingerprint", fingerprint(sshd)).succeeded()
    assert agent.known_hosts.read_text().splitlines() == [sshd.known_hosts_line()]
    assert login_words(said_since(sshd, before)) == []


def test_trust_does_not_replace_unasked(agent: Agent) -> None:
    """A changed key is pinned only with --replace, even with the right fingerprint; other hosts' lines stay."""
    sshd = agent.host.sshd
    other = "[192.0.2.1]:2222 " + sshd.host_public_key
    old = sshd.known_hosts_line()
    agent.known_hosts.write_text(f"{other}\n{old}\n")
    sshd.rekey()
    agent.call("trust", HOST, "--fingerprint", fingerprint(sshd)).failed(13, "another key is pinned", "--replace")
    assert agent.known_hosts.read_text().splitlines() == [other, old]
    agent.call("trust", HOST, "--fingerprint", fingerprint(sshd), "--replace").succeeded()
    assert agent.known_hosts.read_text().splitlines() == [other, sshd.known_hosts_line()]


def test_trust_without_terminal_or_fingerprint(agent: Agent) -> None:
    """Where nobody can be asked, `trust` wants the fingerprint on its command line."""
    agent.call("trust", HOST).failed(2, "no terminal", "--fingerprint")


def test_trust_asks_on_a_terminal(agent: Agent) -> None:
    """It shows type and fingerprint, says what to type on the console, and pins at a yes; the ledger has both keys."""
    sshd = agent.host.sshd
    agent.known_hosts.unlink()
    question = "Is it the same? Type yes to pin it:"
    done = agent.type("trust", HOST, answers=[(question, "yes\n")])
    assert done.code == 0, done
    assert f"shown:  ssh-ed25519 {fingerprint(sshd)}\n" in done.screen
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in done.screen
    assert agent.known_hosts.read_text().splitlines() == [sshd.known_hosts_line()]
    assert agent.known_hosts.stat().st_mode & 0o777 == 0o644
    old = fingerprint(sshd)
    sshd.rekey()
    done = agent.type("trust", HOST, "--replace", answers=[(question, "yes\n")])
    assert done.code == 0, done
    assert f"pinned: ssh-ed25519 {old}\nshown:  ssh-ed25519 {fingerprint(sshd)}\n" in done.screen
    line = agent.ledger()[-1]
    assert (line["event"], line["host"], line["ok"]) == ("trust", HOST, True)
    assert line["detail"] == {"fingerprint": fingerprint(sshd), "replaced": [old]}
    assert sorted(p.name for p in agent.known_hosts.parent.iterdir() if "known_hosts" in p.name) == ["known_hosts"]


@pytest.mark.parametrize("answer", ["no\n", "\n", "y\n", "\x04", "\x03"])
def test_trust_pins_nothing_without_a_yes(agent: Agent, answer: str) -> None:
    """Anything but a whole yes, the end of input and Ctrl-C leave known_hosts as it was."""
    agent.known_hosts.write_text("")
    done = agent.type("trust", HOST, answers=[("Type yes to pin it:", answer)])
    assert done.code == (130 if answer == "\x03" else 13), done
    assert "internal error" not in done.screen
    assert agent.known_hosts.read_text() == ""


def test_trust_of_other_types_of_keys(agent: Agent, tmp_path: Path) -> None:
    """The hint names the file of the type that is shown; of a host with several keys the pinned one is asked for."""
    rsa = tmp_path / "host_rsa"
    run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", rsa])
    both = Sshd(tmp_path / "both", agent.host.identity.with_name("id_ed25519.pub"), more_host_keys=[rsa])
    both.start()
    try:
        place = f"127.0.0.1:{both.port}"
        public = " ".join(rsa.with_name("host_rsa.pub").read_text().split()[:2])
        agent.known_hosts.write_text(f"[127.0.0.1]:{both.port} {public}\n")
        shown = run(["ssh-keygen", "-lf", rsa]).split()[1].decode()
        done = agent.call("trust", place, "--fingerprint", shown).succeeded()
        assert f"ssh-rsa {shown} was pinned already" in done.out
        agent.call("trust", place, "--fingerprint", fingerprint(both)).failed(13, shown, "ssh_host_rsa_key.pub")
        agent.known_hosts.write_text("")
        agent.call("trust", place, "--fingerprint", shown).failed(13, fingerprint(both), "ssh_host_ed25519_key.pub")
    finally:
        both.stop()


def test_a_changed_key_stops_a_restore(agent: Agent) -> None:
    """A restore says the same as a run: 13, both fingerprints, how to go on; also by address, with its port."""
    sshd = agent.host.sshd
    pinned = fingerprint(sshd)
    sshd.rekey()
    before = sshd.log.stat().st_size
    done = agent.restore(f"{AGAMA}@latest").failed(13, "host key has changed", f"pullagent trust {HOST} --replace")
    assert f"pinned: {pinned}" in done.err
    assert f"shown:  {fingerprint(sshd)}" in done.err
    target = ("--to", f"{sshd.user}@127.0.0.1:{sshd.port}", "--ssh-key", agent.host.identity)
    done = agent.call("restore", f"{AGAMA}@latest", *target, "--identity", agent.identity, "--yes")
    done.failed(13, "host key has changed", f"pullagent trust 127.0.0.1:{sshd.port} --replace")
    assert login_words(said_since(sshd, before)) == []


def test_ssh_refused(agent: Agent) -> None:
    """A host where no sshd listens is told within seconds."""
    agent.host.sshd.stop()
    done = agent.fails(AGAMA, error="refused the connection", hint="is sshd running there?")
    assert done.seconds < 15
    agent.succeeds_after(agent.host.start, AGAMA)


def test_a_denied_login(agent: Agent) -> None:
    """A key that the host does not accept is named, with where it belongs."""
    stranger = ssh_keypair(agent.directory / "stranger" / "id_ed25519")
    agent.edit(str(agent.host.identity), str(stranger))
    done = agent.fails(AGAMA, error="denied", hint="authorized_keys")
    assert str(stranger) in done.err
    agent.succeeds_after(agent.reset, AGAMA)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_denied_login_is_told_for_every_type_of_key(host: ProductionHost, tmp_path: Path, kind: str) -> None:
    """The library also reads a key as those of other types, and what it says of that must not be what is told."""
    key = tmp_path / "key"
    run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key])
    with pytest.raises(Denied, match=r"login as .* was denied"):
        log_in(host, tmp_path, key)


def test_a_public_key_in_place_of_the_private_one(host: ProductionHost, tmp_path: Path) -> None:
    """The file is named, and which one is meant."""
    public = host.identity.with_name("id_ed25519.pub")
    with pytest.raises(ConfigError, match=r"id_ed25519\.pub: it is no private key") as raised:
        log_in(host, tmp_path, public)
    assert "without .pub" in raised.value.hint


def test_a_connection_that_ends_at_the_login_is_no_denial(tmp_path: Path) -> None:
    """A host that is starting, or has too much to do, hangs up: that is told as what it is, and may be tried again."""
    key = ssh_keypair(tmp_path / "key")
    with HostileSshd(hangs_up=True) as server:
        known = tmp_path / "known_hosts"
        known.write_text(server.known_hosts_line)
        login = Login("pavroto-2", Address("127.0.0.1", server.port, "nobody"), known, (key,))
        with pytest.raises(HostError, match="closed the connection at the login") as raised, opened(login):
            pass
    assert not raised.value.lasting


def test_a_missing_pull_key(agent: Agent) -> None:
    """A pull key that does not exist is a configuration error, told with how to make one."""
    agent.edit(str(agent.host.identity), str(agent.directory / "absent"))
    agent.fails(AGAMA, code=2, error="absent", hint="ssh-keygen")


def test_a_login_script_that_prints(agent: Agent) -> None:
    """A .bashrc that prints spoils every answer: the run fails and names login scripts."""
    (agent.host.sshd.home / ".bashrc").write_text("echo Welcome to production\n")
    agent.fails(AGAMA, error="Welcome to production", hint="login script")
    (agent.host.sshd.home / ".bashrc").unlink()
    agent.succeeds_after(lambda: None, AGAMA)


def test_a_login_script_that_prints_before_influxdb(agent: Agent) -> None:
    """The same for InfluxDB."""
    (agent.host.sshd.home / ".bashrc").write_text("echo Welcome to production\n")
    agent.fails(f"{HOST}/logs", error="Welcome to production", hint="login script")


def test_a_login_script_that_prints_on_stderr_is_harmless(agent: Agent) -> None:
    """What a login script writes to standard error spoils no stream, and is not taken for the dump's complaint."""
    (agent.host.sshd.home / ".bashrc").write_text("echo 'welcome, [Warning] be careful' >&2\n")
    agent.call("run").succeeded()


@pytest.fixture
def gateway(agent: Agent, tmp_path: Path) -> Iterator[Sshd]:
    """A second sshd, over which hosts.toml leads to the host; its key is not pinned yet."""
    jump = Sshd(tmp_path / "jump", agent.host.identity.with_name("id_ed25519.pub"))
    jump.start()
    agent.edit(f"[hosts.{HOST}]\n", f'[hosts.{HOST}]\ngateway = "{jump.user}@127.0.0.1:{jump.port}"\n')
    yield jump
    jump.stop()


def test_a_pull_through_a_gateway(agent: Agent, gateway: Sshd) -> None:
    """With `gateway` the run goes through the jump host, whose key must be pinned too."""
    behind = agent.host.sshd
    sizes = gateway.log.stat().st_size, behind.log.stat().st_size
    agent.fails(AGAMA, code=13, error="not pinned", hint="trust")
    assert login_words(said_since(gateway, sizes[0])) == []
    assert said_since(behind, sizes[1]) == ""

    def pin() -> None:
        port = f"{gateway.user}@127.0.0.1:{gateway.port}"
        agent.call("trust", port, "--fingerprint", fingerprint(gateway)).succeeded()

    agent.succeeds_after(pin, AGAMA)
    assert "Accepted publickey" in said_since(gateway, sizes[0])
    assert "Accepted publickey" in said_since(behind, sizes[1])


def test_a_gated_key_passes_a_gateway(agent: Agent, gateway: Sshd, tmp_path: Path) -> None:
    """With the line that `gate` renders for the jump host the pull goes through it, and to nowhere else."""
    agent.known_hosts.write_text(f"{gateway.known_hosts_line()}\n{agent.host.sshd.known_hosts_line()}\n")
    hop = f'[hosts.hop]\naddress = "127.0.0.1"\nport = {gateway.port}\nuser = "{gateway.user}"\n'
    source = '[hosts.hop.sources.logs]\nkind = "influxdb"\ndatabases = ["logs"]\n'
    agent.configure(f"{agent.config_file.read_text()}\n{hop}{source}")
    agent.call("gate", "hop", "-o", tmp_path / "gate").succeeded()
    line = (tmp_path / "gate" / "authorized_keys").read_text()
    gateway.authorized_keys.write_text(line)
    agent.call("run", AGAMA).succeeded()
    gateway.authorized_keys.write_text(line.replace(f':{agent.host.sshd.port}"', ':9"'))
    agent.call("run", AGAMA).failed(1, "")


def test_a_restore_through_a_gateway(agent: Agent, gateway: Sshd) -> None:
    """A restore onto a host of hosts.toml takes its gateway too, with the operator's key."""
    agent.known_hosts.write_text(f"{gateway.known_hosts_line()}\n{agent.host.sshd.known_hosts_line()}\n")
    before = gateway.log.stat().st_size
    agent.restore(f"{AGAMA}@latest").failed(1, "not empty", "right host")
    assert "Accepted publickey" in said_since(gateway, before)


def test_the_host_behind_a_gateway_must_be_pinned_too(agent: Agent, gateway: Sshd) -> None:
    """A pinned gateway does not vouch for the host behind it: unknown, it gets no login attempt; `trust` reaches it."""
    behind = agent.host.sshd
    agent.known_hosts.write_text(gateway.known_hosts_line() + "\n")
    is_let_in_by_trust_alone(agent, behind)


def test_a_gateway_that_is_down(agent: Agent, gateway: Sshd) -> None:
    """A gateway that does not answer is told by its own name."""
    agent.known_hosts.write_text(f"{gateway.known_hosts_line()}\n{agent.host.sshd.known_hosts_line()}\n")
    gateway.stop()
    agent.fails(AGAMA, error=f"port {gateway.port} refused the connection", hint="sshd")


def test_the_callers_own_configuration_is_ignored(agent: Agent) -> None:
    """Neither ~/.ssh/config nor ~/.fabric.yml of the caller changes where or as whom the agent logs in."""
    (agent.home / ".ssh").mkdir(mode=0o700)
    dead = free_port()
    hostile = f"Host *\n  HostName 127.0.0.1\n  Port {dead}\n  User nobody\n  ProxyCommand false\n"
    (agent.home / ".ssh" / "config").write_text(hostile)
    settings = f"user: nobody\nport: {dead}\ngateway: nobody@127.0.0.1:{dead}\nconnect_kwargs:\n  password: x\n"
    for name in (".fabric.yml", ".fabric.yaml", ".invoke.yml"):
        (agent.home / name).write_text(settings)
    before = agent.host.sshd.log.stat().st_size
    agent.call("run").succeeded()
    assert f"Accepted publickey for {getpass.getuser()}" in said_since(agent.host.sshd, before)


def test_the_callers_own_known_hosts_is_no_pin(agent: Agent) -> None:
    """A key in ~/.ssh/known_hosts does not stand in for a pinned one."""
    (agent.home / ".ssh").mkdir(mode=0o700, exist_ok=True)
    (agent.home / ".ssh" / "known_hosts").write_text(agent.host.sshd.known_hosts_line() + "\n")
    agent.known_hosts.write_text("")
    agent.fails(AGAMA, code=13, error="not pinned", hint="trust")
