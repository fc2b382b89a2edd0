"""Restores of tables that end before their end: what they say, what they leave, and starting over."""

import itertools
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pullagent.errors import Stopped
from pullagent.host import Host, Limits, Login
from pullagent.model import Address, StopSignal
from tests.integration import places
from tests.integration.agent import AGAMA, HOST, Agent, alive, wait_for_file
from tests.integration.places import PRODUCTS
from tests.integration.wrappers import CLIENTS, wrap
from tests.lab.data import checksums
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL
from tests.lab.processes import wait_until

# One session hangs once it has been given its first rows; the others load on.
HANGING = """#!/bin/bash
[[ "$*" == *--binary-mode* ]] || exec {real} "$@"
data=$(mktemp {sign}.XXXXXX); cat >$data
grep -aq '^INSERT INTO .purchase. ' $data || exec {real} "$@" <$data
head -c $(( $(stat -c %s $data) / 2 )) $data | {real} "$@"
echo $$ >{sign}.new; mv {sign}.new {sign}
exec sleep 300
"""


class Place(places.Place):
    """A seeded host without InfluxDB, its backup server with one snapshot, and what the database held."""

    def __init__(self, directory: Path, kind: type[MariaDB] | type[MySQL]) -> None:
        super().__init__(directory, kind, influx=False)
        self.agent.call("run").succeeded()
        self.before = checksums(self.host.server)

    def arguments(self, *more: str) -> list[str | Path]:
        """A restore onto the host."""
        login: list[str | Path] = ["--to", f"{self.host.sshd.user}@{HOST}", "--ssh-key", self.host.identity]
        return ["restore", f"{AGAMA}@latest", *login, "--identity", self.agent.identity, *more]

    def hanging(self) -> tuple["subprocess.Popen[bytes]", int]:
        """A restore that stands in the middle of its rows, and the pid of the client that hangs on the host."""
        sign = wrap(self.agent, CLIENTS, HANGING)
        process = self.agent.start(*self.arguments("--yes", "--replace"))
        wait_for_file(sign)
        return process, int(sign.read_text())

    def starts_over(self) -> None:
        """The host's programs are true again: the same command with --replace brings everything back."""
        self.host.sshd.farm.reset()
        self.agent.restore(f"{AGAMA}@latest", "--replace").succeeded()
        assert checksums(self.host.server) == self.before


@pytest.fixture(scope="module", params=PRODUCTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for each product."""
    with Place.of(request, tmp_path_factory) as made:
        yield made


def says_what_is_left(err: bytes, agent: Agent, code: int) -> None:
    """What the target holds, the command that starts over, and the same in the ledger."""
    text = err.decode()
    assert f"error: {HOST} is half restored, and agama is not usable as it is" in text
    assert re.search(r"^hint:   pullagent --config \S+ restore .* --replace$", text, re.M)
    assert "Traceback" not in text
    last = agent.ledger()[-1]
    assert (last["event"], last["ok"], last["exit_code"]) == ("restore", False, code)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_restore_that_is_stopped(place: Place, number: int, code: int) -> None:
    """Ctrl-C and SIGTERM end it within seconds, with no program left on this side; starting over succeeds."""
    process, remote = place.hanging()
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    says_what_is_left(err, place.agent, code)
    assert [pid for pid in map(int, children.stdout.split()) if alive(pid)] == []
    os.kill(remote, signal.SIGKILL)
    place.starts_over()


def test_a_load_that_never_waits_is_stopped(place: Place) -> None:
    """A host that takes everything at once is stopped as soon as one that makes the load wait."""
    stop, begun, known = StopSignal(), time.monotonic(), place.agent.known_hosts
    address = Address("127.0.0.1", place.host.sshd.port, place.host.sshd.user)
    login = Login(HOST, address, known, (place.host.identity,))
    timer = threading.Timer(1, stop.set)
    timer.start()
    endless = itertools.repeat(b"x" * 100_000)
    with Host(login, Limits(5, 60, 60), StopSignal()) as host, pytest.raises(Stopped):
        host.send("cat >/dev/null", endless, stop)
    assert time.monotonic() - begun < 10


def test_a_restore_that_loses_its_connection(place: Place) -> None:
    """It ends with 1, and starting over succeeds while a client of the lost connection may still be there."""
    process, remote = place.hanging()
    place.host.sshd.drop(commands=False)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    says_what_is_left(err, place.agent, 1)
    assert b"connection was lost" in err
    assert alive(remote)
    place.starts_over()
    os.kill(remote, signal.SIGKILL)


def test_a_client_that_is_killed(place: Place) -> None:
    """The out-of-memory killer ends one of several sessions: the others are ended too, and starting over succeeds."""
    process, remote = place.hanging()
    os.kill(remote, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    says_what_is_left(err, place.agent, 1)
    wait_until(lambda: clients(place) == [], 20, "no client is left on the host")
    place.starts_over()


def clients(place: Place) -> list[str]:
    """The server's other sessions."""
    rows = place.host.server.query("SELECT command FROM information_schema.processlist WHERE info IS NULL")
    return [row[0] for row in rows if row[0] in ("Query", "Sleep")]


def test_a_restore_that_is_stopped_before_it_begins(place: Place) -> None:
    """Ctrl-C in the preflight has changed nothing, and says so."""
    sign = wrap(place.agent, CLIENTS, "#!/bin/bash\necho $$ >{sign}.new; mv {sign}.new {sign}\nexec sleep 300")
    process = place.agent.start(*place.arguments("--yes", "--replace"))
    wait_for_file(sign)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    os.kill(int(sign.read_text()), signal.SIGKILL)
    place.host.sshd.farm.reset()
    assert process.returncode == 130
    assert "error: interrupted; nothing was changed on" in err.decode()
    assert checksums(place.host.server) == place.before


def test_a_restore_that_is_stopped_at_its_question(place: Place) -> None:
    """Ctrl-C or any word but yes at the question changes nothing, and says so."""
    for answer, code, said in (("\x03", 130, "nothing was changed"), ("no\n", 2, "nothing was done")):
        done = place.agent.type(*place.arguments("--replace"), answers=[("type yes to go on:", answer)])
        assert done.code == code
        assert said in done.screen
    assert checksums(place.host.server) == place.before


def test_a_damaged_snapshot_touches_nothing(place: Place) -> None:
    """A stored file that is cut or changed ends with 4 before anybody logs in."""
    agent = place.agent
    ref = agent.latest(AGAMA)
    file = agent.path(ref) / "dump.sql.zst.age"
    sound, log = file.read_bytes(), place.host.sshd.log.stat().st_size
    for damaged in (sound[:-1], sound[: len(sound) // 2], sound[:-9] + bytes([sound[-9] ^ 1]) + sound[-8:]):
        file.chmod(0o600)
        file.write_bytes(damaged)
        agent.restore(ref, "--replace").failed(4, "")
    file.write_bytes(sound)
    file.chmod(0o400)
    assert place.host.sshd.log.stat().st_size == log
    assert checksums(place.host.server) == place.before
