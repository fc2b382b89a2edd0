"""What a thief of the pull key may try at a gate: everything but the listed commands is refused, and nothing runs.

Each attempt that would run leaves a mark, in a directory that must stay empty: the attempts make one themselves, and
so does every client program that an almost right command would start. All go over one connection to a real sshd.
"""

import shlex
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest

from pullagent import gate
from pullagent.model import Manner
from pullagent.sources.base import Source
from pullagent.wire.commands import commands_of
from tests.contract.kinds import build
from tests.integration.gate_attempts import attempts
from tests.lab.keys import ssh_keypair
from tests.lab.processes import plain_environment
from tests.lab.sshd import Sshd

# so that what is refused is refused by the key's own restrictions
GENEROUS = "X11Forwarding yes\nAllowStreamLocalForwarding yes\nPermitTunnel yes\nAcceptEnv LANG LC_*\n"
CLIENTS = ("mariadb", "mysql", "mariadb-dump", "mysqldump", "influx", "influxd", "sudo", "internal-sftp", "scp")
SOURCES: dict[str, Source] = {
    "agama": build("mysql", {"databases": ["agama", "odd ?name [a-z]*"]}),
    "logs": build("influxdb", {"databases": ["logs"], "config_files": ["/etc/influxdb/influxdb.conf"], "sudo": True}),
}
MANNER = Manner("auto", nice=True)
COMMANDS = commands_of(SOURCES.values(), MANNER)


@dataclass
class Site:
    """A host with a gate; `marks` holds what ran although it should not, `log` what the wrapper sent to syslog."""

    sshd: Sshd
    key: Path
    marks: Path
    log: Path
    transport: paramiko.Transport

    def connect(self) -> paramiko.Transport:
        """A further login with the pull key."""
        transport = paramiko.Transport(("127.0.0.1", self.sshd.port))
        transport.connect(username=self.sshd.user, pkey=paramiko.Ed25519Key.from_private_key_file(str(self.key)))
        return transport

    def ask(self, command: bytes | None) -> tuple[int, bytes, bytes]:
        """Status, output and standard error of a command; of a shell for None."""
        channel = self.transport.open_session(timeout=20)
        channel.settimeout(30)
        if command is None:
            channel.invoke_shell()
        else:
            # the library's types know text only; the wire has bytes
            channel.exec_command(command)
        channel.shutdown_write()
        out = channel.makefile("rb").read()
        err = channel.makefile_stderr("rb").read()
        return channel.recv_exit_status(), out, err

    def lines(self) -> list[str]:
        """What came to syslog, a line each."""
        return self.log.read_text(errors="strict").splitlines() if self.log.exists() else []


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    """The host with its marking programs, and no mark yet."""
    marks = shlex.quote(str(shared.marks))
    for name in CLIENTS:
        shared.sshd.put_first(name, f"touch {marks}/{name}")
    shared.sshd.put_first("logger", f"printf '%s\\n' \"$*\" >>{shlex.quote(str(shared.log))}")
    yield shared
    for mark in shared.marks.iterdir():
        mark.unlink()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """sshd, with the rendered gate as the only way in for the key."""
    directory = tmp_path_factory.mktemp("gate")
    marks, log, key = directory / "marks", directory / "syslog", ssh_keypair(directory / "client" / "id")
    marks.mkdir()
    sshd = Sshd(directory / "sshd", key.with_name("id.pub"), settings=GENEROUS)
    made = gate.render("pavroto-2", sshd.user, SOURCES, key.with_name("id.pub").read_text(), manner=MANNER)
    wrapper = directory / "pullagent-gate"
    wrapper.write_text(made.files["pullagent-gate"])
    wrapper.chmod(0o755)
    sshd.authorized_keys.write_text(made.files["authorized_keys"].replace(gate.WRAPPER_PLACE, str(wrapper)))
    sshd.start()
    found = Site(sshd, key, marks, log, None)  # type: ignore[arg-type]
    found.transport = found.connect()
    try:
        yield found
    finally:
        found.transport.close()
        sshd.stop()


def test_no_other_command_runs(site: Site) -> None:
    """Hundreds of them: each is refused with 126 and one word, goes to syslog as one plain line, and leaves no mark."""
    tried = attempts(COMMANDS, site.marks)
    assert len(tried) >= 400
    before = len(site.lines())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(site.ask, tried))
    for command, answer in zip(tried, answers, strict=True):
        assert answer == (126, b"", b"pullagent-gate: refused\n"), command[:200]
    assert list(site.marks.iterdir()) == []
    lines = site.lines()[before:]
    assert len(lines) == len(tried)
    assert all(line.isascii() and line.isprintable() and len(line) < 400 for line in lines)
    assert sum("refused to 127.0.0.1 " in line for line in lines) == len(tried)


def requested(transport: paramiko.Transport, kind: str, payload: Callable[[paramiko.Message], object]) -> bool:
    """Whether sshd grants a request on a new session, such as that for a terminal."""
    channel = transport.open_session(timeout=20)
    message = paramiko.Message()
    message.add_byte(bytes([98]))  # SSH_MSG_CHANNEL_REQUEST
    message.add_int(channel.remote_chanid)
    message.add_string(kind)
    message.add_boolean(True)
    payload(message)
    channel._event_pending()  # type: ignore[attr-defined]
    transport._send_user_message(message)  # type: ignore[attr-defined]
    try:
        channel._wait_for_event()  # type: ignore[attr-defined]
    except (paramiko.SSHException, EOFError):
        return False
    finally:
        channel.close()
    return True


def terminal(message: paramiko.Message) -> None:
    """What a request for a terminal holds."""
    message.add_string("xterm")
    for number in (80, 24, 0, 0):
        message.add_int(number)
    message.add_string("")


def display(message: paramiko.Message) -> None:
    """What a request for X11 holds."""
    message.add_boolean(False)
    message.add_string("MIT-MAGIC-COOKIE-1")
    message.add_string("00" * 16)
    message.add_int(0)


def granted(transport: paramiko.Transport, port: int) -> set[str]:
    """What a login gets beside commands; `port` is one that listens on the host."""
    found = set()
    requests = {"pty-req": terminal, "auth-agent-req@openssh.com": lambda _: None, "x11-req": display}
    found |= {kind for kind, payload in requests.items() if requested(transport, kind, payload)}
    try:
        transport.open_channel("direct-tcpip", ("127.0.0.1", port), ("127.0.0.1", 1), timeout=20).close()
        found.add("local forwarding")
    except paramiko.SSHException:
        pass
    try:
        transport.cancel_port_forward("127.0.0.1", transport.request_port_forward("127.0.0.1", 0))
        found.add("remote forwarding")
    except paramiko.SSHException:
        pass
    return found


def test_the_key_gets_nothing_beside_commands(site: Site) -> None:
    """No terminal, no agent, no X11, no forwarding to or from the host; the same key without a gate gets all of it."""
    assert granted(site.transport, site.sshd.port) == set()
    restricted = site.sshd.authorized_keys.read_text()
    site.sshd.authorized_keys.write_text(site.key.with_name("id.pub").read_text())
    try:
        with closing(site.connect()) as transport:
            everything = granted(transport, site.sshd.port)
    finally:
        site.sshd.authorized_keys.write_text(restricted)
    assert everything >= {"pty-req", "auth-agent-req@openssh.com", "local forwarding", "remote forwarding"}


def test_no_shell_and_no_subsystem(site: Site) -> None:
    """A shell without a command, sftp, and a subsystem of any name meet the wrapper, which refuses them."""
    assert site.ask(None) == (126, b"", b"pullagent-gate: refused\n")
    channel = site.transport.open_session(timeout=20)
    channel.invoke_subsystem("sftp")
    assert channel.makefile("rb").read() == b""
    assert channel.recv_exit_status() == 126
    with pytest.raises(paramiko.SSHException):
        site.transport.open_session(timeout=20).invoke_subsystem("netconf")
    assert list(site.marks.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("ssh {options} -W 127.0.0.1:{port} {to}", "administratively prohibited"),
        ("ssh {options} -tt {to}", "PTY allocation request failed"),
        (
            "ssh {options} -N -o ExitOnForwardFailure=yes -R 127.0.0.1:0:127.0.0.1:{port} {to}",
            "remote port forwarding failed",
        ),
        ("ssh {options} -A -X {to} 'touch {marks}/ran'", "pullagent-gate: refused"),
        ("scp {options} /etc/hostname {to}:{marks}/ran", "Connection closed"),
        ("scp -O {options} /etc/hostname {to}:{marks}/ran", "pullagent-gate: refused"),
        ("scp {options} {to}:/etc/hostname {marks}/ran", "Connection closed"),
        ("echo put /etc/hostname {marks}/ran | sftp {options} {to}", "Connection closed"),
    ],
)
def test_the_stock_clients_get_nowhere(site: Site, command: str, answer: str) -> None:
    """What a thief has at hand: each fails, soon, and nothing is copied or run."""
    options = f"-F /dev/null -i {site.key} -o Port={site.sshd.port} -o BatchMode=yes -o IdentitiesOnly=yes"
    options += " -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    line = command.format(options=options, port=site.sshd.port, to=f"{site.sshd.user}@127.0.0.1", marks=site.marks)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env=plain_environment(site.key.parent),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode != 0, done.stdout) == (True, b"")
    assert answer in done.stderr.decode()
    assert list(site.marks.iterdir()) == []


def test_what_sshd_itself_cannot_carry_runs_nothing(site: Site) -> None:
    """A zero byte within a command, or more than the system lets a program be told: the request fails."""
    status, out, _ = site.ask(COMMANDS[0].encode() + b"\n" * 140_000)
    assert (status != 0, out) == (True, b"")
    with closing(site.connect()) as transport, pytest.raises((paramiko.SSHException, EOFError)):
        transport.open_session(timeout=20).exec_command(gate.DIGEST_COMMAND + "\0; touch x")
    assert list(site.marks.iterdir()) == []


def test_the_client_sets_no_variable_of_a_command(site: Site) -> None:
    """With sshd as Debian sets it up the commands see neither what the client sends nor its language."""
    seen = site.marks.with_name("seen")
    site.sshd.put_first("mariadb", f"env >{shlex.quote(str(seen))}")
    tricks = {
        "LC_ALL": f"() {{ :; }}; touch {site.marks}/ran",
        "LANG": "x",
        "LC_TRICK": "x",
        "BASH_ENV": "x",
        "PATH": "/x",
    }
    inventory = next(command for command in COMMANDS if "inventory of agama" in command)
    for command in (inventory, "id"):
        channel = site.transport.open_session(timeout=20)
        for name, value in tricks.items():
            channel.set_environment_variable(name, value)
        channel.exec_command(command)
        channel.makefile("rb").read()
    variables = dict(line.partition("=")[::2] for line in seen.read_text().splitlines())
    assert variables["LC_ALL"] == "C"
    assert not variables.keys() & tricks.keys() - {"LC_ALL", "PATH"}
    assert list(site.marks.iterdir()) == []


def test_input_to_a_listed_command_is_no_command(site: Site) -> None:
    """What comes by standard input is read as shard numbers or not at all."""
    touch = f"touch {site.marks}/ran"
    site.sshd.put_first("influx", "echo name,id")
    for command in COMMANDS:
        channel = site.transport.open_session(timeout=20)
        channel.exec_command(command)
        with suppress(OSError):
            channel.sendall(f"$({touch})\n`{touch}`\n\\! {touch}\n{touch}\n".encode())
        channel.shutdown_write()
        channel.makefile("rb").read()
        channel.recv_exit_status()
    assert "ran" not in {mark.name for mark in site.marks.iterdir()}


def test_the_listed_commands_run(site: Site) -> None:
    """The marks are there to see: every listed command starts a client program, and none is refused."""
    for command in COMMANDS:
        status, _, err = site.ask(command.encode())
        assert (status, b"refused" in err) != (126, True)
    assert {mark.name for mark in site.marks.iterdir()} >= {"mariadb", "mariadb-dump", "influx"}
