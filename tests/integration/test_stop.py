"""A run that is stopped, killed, or met by another one."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pullagent.errors import ConnectionLost, Stopped
from pullagent.host import Host, Limits, Login
from pullagent.model import Address, StopSignal
from tests.integration.agent import AGAMA, LOGS, Agent, alive, changes, wait_for_file
from tests.integration.wrappers import GATHERED, HALF, wrap_backup, wrap_dump
from tests.lab.processes import wait_until


class Hanging:
    """A run that stands in the middle of its transfer."""

    def __init__(self, agent: Agent, source: str) -> None:
        self.agent, self.source = agent, source
        self.before = agent.tree()
        sign = wrap_dump(agent, HALF) if source == AGAMA else wrap_backup(agent, GATHERED)
        self.process = agent.start("run", source)
        wait_for_file(sign)
        self.sign, self.remote = sign, int(sign.read_text())

    def send(self, number: int) -> "Hanging":
        """Send a signal to the agent."""
        self.process.send_signal(number)
        return self

    def end(self, seconds: float = 20) -> tuple[int, str]:
        """Wait for its end: how it ended, and what it wrote to standard error."""
        _, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, err.decode()

    def left_on_host(self) -> list[str]:
        """What lies in the host's staging directory."""
        return [path.name for path in self.agent.host.staging.iterdir()]


@pytest.fixture
def hanging_dump(agent: Agent) -> Iterator[Hanging]:
    """A run that stands in the middle of a dump."""
    yield from _hanging(agent, AGAMA)


@pytest.fixture
def hanging_backup(agent: Agent) -> Iterator[Hanging]:
    """A run that stands in the middle of a backup of InfluxDB."""
    yield from _hanging(agent, LOGS)


def _hanging(agent: Agent, source: str) -> Iterator[Hanging]:
    hanging = Hanging(agent, source)
    yield hanging
    hanging.process.kill()
    hanging.process.communicate()
    agent.host.sshd.drop()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run(hanging_dump: Hanging, number: int, code: int) -> None:
    """SIGTERM ends a run with 143 and Ctrl-C with 130, within seconds; nothing is published, and it says so."""
    agent = hanging_dump.agent
    ended, err = hanging_dump.send(number).end()
    assert ended == code
    assert "error: " in err
    assert "Traceback" not in err
    assert changes(hanging_dump.before, agent.tree()) == {}
    assert agent.ledger()[-1]["event"] == "run"
    assert (agent.ledger()[-1]["exit_code"], agent.ledger()[-1]["ok"]) == (code, False)
    agent.succeeds_after(agent.host.sshd.farm.reset, AGAMA)


def test_a_stopped_backup_leaves_nothing_on_the_host(hanging_backup: Hanging) -> None:
    """SIGTERM in the middle of a backup: the host removes its directory as soon as its backup program has ended."""
    assert len(hanging_backup.left_on_host()) == 1
    ended, _ = hanging_backup.send(signal.SIGTERM).end()
    assert ended == 143
    assert changes(hanging_backup.before, hanging_backup.agent.tree()) == {}
    hanging_backup.sign.unlink()
    wait_until(lambda: not hanging_backup.left_on_host(), 20, "the backup's directory on the host is gone")


def test_a_killed_run_holds_no_lock(hanging_dump: Hanging) -> None:
    """After kill -9 the lock is free at once, and the next run sweeps what the killed one left in staging."""
    agent = hanging_dump.agent
    hanging_dump.send(signal.SIGKILL).end()
    assert agent.left_behind(AGAMA) != []
    agent.succeeds_after(agent.host.sshd.farm.reset, AGAMA)


def test_a_second_run_is_refused_while_one_holds_the_lock(hanging_dump: Hanging) -> None:
    """A source that is being pulled is locked: a second run of it ends with 11 at once, and disturbs nothing."""
    agent = hanging_dump.agent
    staged = agent.left_behind(AGAMA)
    done = agent.call("run", AGAMA).failed(11, "another run", "--wait")
    assert done.seconds < 10
    assert agent.left_behind(AGAMA) == staged
    assert hanging_dump.process.poll() is None


def test_other_sources_are_not_locked(hanging_dump: Hanging) -> None:
    """While one source is locked another one of the same host can be pulled: a run over both ends with 3."""
    sources = hanging_dump.agent.call("run", "--json")
    assert sources.code == 3
    assert [(s["outcome"], s["exit_code"]) for s in sources.json["sources"]] == [("failed", 11), ("stored", 0)]


def test_a_run_can_wait_for_the_lock(hanging_dump: Hanging) -> None:
    """With --wait a second run begins as soon as the first has ended."""
    agent = hanging_dump.agent
    waiting = agent.start("run", AGAMA, "--wait", "60s")
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(2)
        agent.host.sshd.farm.reset()
        hanging_dump.send(signal.SIGTERM).end()
        _, err = waiting.communicate(timeout=30)
        assert waiting.returncode == 0, err
    finally:
        waiting.kill()
        waiting.communicate()


def test_a_run_that_waits_can_be_stopped(hanging_dump: Hanging) -> None:
    """SIGTERM ends a run that only waits for a lock."""
    waiting = hanging_dump.agent.start("run", AGAMA, "--wait", "5m")
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(2)
        waiting.terminate()
        waiting.communicate(timeout=15)
        assert waiting.returncode == 143
    finally:
        waiting.kill()
        waiting.communicate()


def test_a_lost_backup_is_swept_by_the_next_run(hanging_backup: Hanging) -> None:
    """When agent and remote shell are killed alike, the next run removes the directory left on the host."""
    agent = hanging_backup.agent
    hanging_backup.send(signal.SIGKILL).end()
    agent.host.sshd.drop()
    assert not alive(hanging_backup.remote)
    assert len(hanging_backup.left_on_host()) == 1
    agent.succeeds_after(agent.host.sshd.farm.reset, LOGS)
    assert hanging_backup.left_on_host() == []


def test_a_running_backup_is_not_swept(hanging_backup: Hanging) -> None:
    """The directory of a backup whose remote shell still runs is left alone by another run."""
    agent = hanging_backup.agent
    hanging_backup.send(signal.SIGKILL).end()
    assert alive(hanging_backup.remote)
    before = hanging_backup.left_on_host()
    agent.succeeds_after(agent.host.sshd.farm.reset, LOGS)
    assert hanging_backup.left_on_host() == before
    os.kill(hanging_backup.remote, signal.SIGKILL)


def _read_all(host: Host) -> None:
    for _ in host.open("cat /dev/zero"):
        pass


def _send_nothing(host: Host) -> None:
    host.send("cat /dev/zero", iter(()))


@pytest.mark.parametrize("read", [_read_all, _send_nothing])
@pytest.mark.parametrize(
    ("stop_s", "total_s", "error"), [(1, 25, Stopped), (25, 1, ConnectionLost)], ids=["stopped", "limited"]
)
def test_output_without_end(
    agent: Agent, read: Callable[[Host], None], stop_s: float, total_s: float, error: type[Exception]
) -> None:
    """A host that always has something to say is not listened to after a stop, or when its time is over."""
    sshd, stop = agent.host.sshd, StopSignal()
    login = Login("h", Address("127.0.0.1", sshd.port, sshd.user), agent.known_hosts, (agent.host.identity,))
    timer, begun = threading.Timer(stop_s, stop.set), time.monotonic()
    timer.start()
    try:
        with Host(login, Limits(5, 5, total_s), stop) as host, pytest.raises(error):
            read(host)
    finally:
        timer.cancel()
    assert time.monotonic() - begun < 15


def test_no_process_outlives_a_stopped_run(hanging_dump: Hanging) -> None:
    """A stopped run leaves no age process behind."""
    children = [int(pid) for pid in _children(hanging_dump.process.pid)]
    assert children
    hanging_dump.send(signal.SIGTERM).end()
    assert [pid for pid in children if alive(pid)] == []


def _children(pid: int) -> list[str]:
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=True)
    return done.stdout.split()
