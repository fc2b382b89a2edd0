"""A host that has been taken over: what it sends harms neither store, memory and disk, nor a terminal."""

import threading
from pathlib import Path

import pytest

from pullagent.errors import HostError
from pullagent.host import Host, Limits, Login
from pullagent.model import Address, StopSignal
from tests.faults.mounts import needs_root, small_disk
from tests.integration.agent import AGAMA, Agent, Done
from tests.integration.peaks import Peaks
from tests.integration.wrappers import wrap_dump
from tests.lab import hostile
from tests.lab.hostile import HostileSshd
from tests.lab.keys import ssh_keypair

LIMIT_MIB = 128


def meet(agent: Agent, server: HostileSshd) -> None:
    """Have hosts.toml name this server, and its key pinned."""
    agent.edit(f"port = {agent.host.sshd.port}", f"port = {server.port}")
    agent.known_hosts.write_text(server.known_hosts_line)


def limited(agent: Agent, **seconds: float) -> None:
    """Set limits in [ssh]."""
    agent.edit("[ssh]\n", "[ssh]\n" + "".join(f"{name} = {value}\n" for name, value in seconds.items()))


def run_within(agent: Agent, *arguments: str) -> Done:
    """Run a verb to its end, and see that no process of it passes 128 MiB."""
    process = agent.start(*arguments)
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.extend(process.communicate()))
    try:
        # the pipes are read meanwhile, for what a hostile host says may be long
        reader.start()
        peaks = Peaks(process)
        reader.join(30)
    finally:
        process.kill()
        process.wait()
    print(peaks.mib)
    assert max(peaks.mib.values()) <= LIMIT_MIB, peaks.mib
    return Done(arguments, process.returncode, said[0].decode(), said[1].decode(), 0)


@pytest.fixture
def patient(agent: Agent) -> Agent:
    """A backup server that waits for nothing longer than some seconds."""
    limited(agent, connect_timeout_s=5, stall_s=5, total_s=20)
    return agent


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (hostile.ignores_window_of_stderr, "more than the 4194304 bytes it was allowed to"),
        (hostile.sends_a_huge_packet, "it sent a packet of 671"),
        (hostile.claims_extensions, "it claims 4294967295 extensions"),
        (hostile.sends_an_unknown_message, "a message of it cannot be read"),
    ],
)
def test_a_server_that_breaks_the_protocol(patient: Agent, act: hostile.Act, error: str) -> None:
    """A server that floods or claims the impossible is cut off at once, and told as that."""
    before = patient.tree()
    with HostileSshd(act) as server:
        meet(patient, server)
        done = run_within(patient, "run", AGAMA)
    done.failed(1, "broke the protocol", "is that still your sshd?")
    assert error in done.err
    assert patient.tree() == before


@pytest.mark.parametrize("act", [hostile.ignores_window, hostile.lies_about_lengths])
def test_a_server_that_ignores_the_window(tmp_path: Path, act: hostile.Act) -> None:
    """Output that nobody has made room for is not gathered: the connection ends with the window full, and is told; nor
    is what small messages only claim to hold.
    """
    key = ssh_keypair(tmp_path / "key")
    with HostileSshd(act) as server:
        (tmp_path / "known_hosts").write_text(server.known_hosts_line)
        login = Login("h", Address("127.0.0.1", server.port, "me"), tmp_path / "known_hosts", (key,))
        told = "more than the 4194304 bytes it was allowed to"
        with Host(login, Limits(5, 5, 20), StopSignal()) as host, pytest.raises(HostError, match=told):
            read_late(host)


def read_late(host: Host) -> None:
    """Ask for a command's output, and read it only when the connection has ended, which it may already while asking."""
    output = host.open("anything")
    output._channel.get_transport().join(20)
    assert len(output._channel.in_buffer) <= 4 << 20
    assert sum(map(len, output)) < 0, "the connection still stands"


@pytest.mark.parametrize(
    ("first", "then", "error"),
    [
        (b"", b"A" * 4096, "its greeting is longer"),
        (b"", b"A" * 1000 + b"\r\n", "its greeting is longer"),
        (b"SSH-2.0-x\r\n\x7f\xff\xff\xf4", bytes(65536), "it sent a packet of 21474"),
    ],
    ids=["endless line", "endless lines", "packet of 2 GB"],
)
@pytest.mark.parametrize("verb", ["run", "trust"])
def test_a_flood_before_the_login(patient: Agent, first: bytes, then: bytes, error: str, verb: str) -> None:
    """A port that floods before anybody has logged in is given up as soon, by `trust` too."""
    with HostileSshd(raw=(first, then)) as server:
        meet(patient, server)
        arguments = ("run", AGAMA) if verb == "run" else ("trust", "pavroto-2", "--fingerprint", "SHA256:x")
        done = run_within(patient, *arguments)
    done.failed(1, error)


def test_an_answer_without_end(patient: Agent) -> None:
    """An answer that keeps the window, but never ends, is given up at the limit of its size or its time."""
    with HostileSshd(hostile.writes_a_byte_at_a_time) as server:
        meet(patient, server)
        done = run_within(patient, "run", AGAMA)
    done.failed(1, "longer than 20 s")


def test_a_server_that_asks_questions(patient: Agent) -> None:
    """A server that takes the key for half a login and asks for a password is not let speak to the operator."""
    with HostileSshd(questions="\x1b]0;owned\x07your password") as server:
        meet(patient, server)
        done = run_within(patient, "run", AGAMA)
    done.failed(1, "was denied")
    assert "your password" not in done.out + done.err


STEERING = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\r"


def test_words_that_would_steer_a_terminal(agent: Agent) -> None:
    """What a host says with its errors is shown, and kept, with every control character as its escape."""
    bytes_of_it = "".join(f"\\x{byte:02x}" for byte in STEERING.encode())
    wrap_dump(agent, f"printf '{bytes_of_it}\\n' >&2; exit 3")
    done = agent.call("run", AGAMA)
    done.failed(1, "owned")
    kept = (agent.store / "ledger.jsonl").read_text()
    assert "owned" in kept
    for text in (done.out, done.err, kept):
        assert not set(STEERING) & set("\x1b\x07\x9b\u202e\r") & set(text)


def test_error_messages_without_end(agent: Agent) -> None:
    """A megabyte of error messages comes to a screen at most, here and in the ledger."""
    wrap_dump(agent, "yes 'no such thing' | head -c 1000000 >&2; exit 3")
    done = agent.call("run", AGAMA)
    done.failed(1, "no such thing")
    assert len(done.err) < 10_000
    assert max(map(len, (agent.store / "ledger.jsonl").read_text().splitlines())) < 10_000


@needs_root
def test_a_dump_that_would_fill_the_disk(lone_agent: Agent) -> None:
    """A dump without end is given up while there is room yet: the other source of that run is stored."""
    agent = lone_agent
    with small_disk(agent.store, 200_000):
        agent.call("run").succeeded()
        limited(agent, total_s=60)
        agent.edit(f'path = "{agent.store}"', f'path = "{agent.store}"\nmin_free_percent = 10')
        wrap_dump(agent, '{real} "$@" | head -c 9000; exec cat /dev/urandom')
        try:
            done = agent.call("run", "--jobs", "2")
        finally:
            agent.host.sshd.farm.reset()
        done.failed(3, "given up after", "min_free_percent")
        assert "more than twice the largest so far" in done.err
        assert [entry["ok"] for entry in agent.ledger() if entry["event"] == "pull"][-2:].count(True) == 1
        assert agent.left_behind(AGAMA) == []
        agent.call("run").succeeded()
