"""Time limits: a transfer that stalls or never ends is given up; one that only begins late is not."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.agent import AGAMA, LOGS, Agent, Done, wait_for_file
from tests.integration.wrappers import wrap_backup, wrap_dump
from tests.lab.processes import free_port


def limit(agent: Agent, **seconds: float) -> None:
    """Set limits in [ssh]."""
    lines = "".join(f"{name} = {value}\n" for name, value in seconds.items())
    agent.edit("[ssh]\n", f"[ssh]\n{lines}")


def test_a_dump_that_stalls(agent: Agent) -> None:
    """A dump from which no byte comes for stall_s is given up, and the limit is named."""
    limit(agent, stall_s=2)
    wrap_dump(agent, '{real} "$@" | head -c 9000; exec sleep 120\n')
    done = agent.fails(AGAMA, error="no byte came for 2 s", hint="stall_s")
    assert 2 < done.seconds < 20
    agent.host.sshd.farm.reset()
    agent.succeeds_after(lambda: None, AGAMA)


def test_a_connection_that_hangs(agent: Agent) -> None:
    """A connection that hangs in the middle without being closed is given up alike."""
    limit(agent, stall_s=2)
    sign = wrap_dump(agent, '{real} "$@" | head -c 9000; touch {sign}; exec sleep 120')
    process = agent.start("run", AGAMA)
    try:
        wait_for_file(sign)
        agent.host.sshd.freeze()
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        agent.host.sshd.thaw()
        agent.host.sshd.drop()
    Done(("run",), process.returncode, out.decode(), err.decode(), 0).failed(1, "no byte came for 2 s", "stall_s")


def test_a_dump_that_begins_late(agent: Agent) -> None:
    """Silence before the first byte is no stall: a server may take long to begin."""
    limit(agent, stall_s=2)
    wrap_dump(agent, 'sleep 5; exec {real} "$@"\n')
    done = agent.call("run", AGAMA).succeeded()
    assert done.seconds > 5


def test_a_backup_that_is_gathered_for_long(agent: Agent) -> None:
    """InfluxDB's backup, which is gathered on the host before its first byte, may take longer than stall_s."""
    limit(agent, stall_s=2)
    wrap_backup(agent, 'sleep 5; exec {real} "$@"')
    done = agent.call("run", LOGS).succeeded()
    assert done.seconds > 5


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('{real} "$@" | head -c 9000; exec sleep 120\n', id="silent"),
        pytest.param(
            '{real} "$@" | head -c 9000; for i in {1..1200}; do echo "-- $i"; sleep 0.1; done\n', id="trickling"
        ),
        pytest.param('{real} "$@" | head -c 9000; exec yes -- "-- forever"\n', id="flooding"),
        pytest.param("exec sleep 120\n", id="never beginning"),
    ],
)
def test_a_dump_that_takes_too_long(agent: Agent, body: str) -> None:
    """A command that takes longer than total_s is given up, whatever it sends meanwhile."""
    limit(agent, total_s=3)
    wrap_dump(agent, body)
    done = agent.fails(AGAMA, error="longer than 3 s", hint="total_s")
    assert 3 < done.seconds < 20


@contextmanager
def listening(greeting: bytes) -> Iterator[int]:
    """A port that accepts, says `greeting`, and nothing more."""
    port = free_port()
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", port)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                kept.append(connection)
                connection.sendall(greeting)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield port
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for connection in kept:
                connection.close()


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-silent\r\n"])
def test_a_port_that_is_no_ssh_server(agent: Agent, greeting: bytes) -> None:
    """A port that accepts, but does not speak SSH, is given up after connect_timeout_s, and told by its address."""
    limit(agent, connect_timeout_s=2)
    with listening(greeting) as port:
        agent.edit(f"port = {agent.host.sshd.port}", f"port = {port}")
        line = agent.host.sshd.known_hosts_line().replace(str(agent.host.sshd.port), str(port))
        agent.known_hosts.write_text(line + "\n")
        done = agent.fails(AGAMA, error="pavroto-2", hint=" ")
    assert done.seconds < 15
