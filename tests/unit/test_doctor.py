"""The look at hosts: the gate's states, what a refusal is called, and the bound in time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from pullagent import config as configs
from pullagent import doctor as doctors
from pullagent.config import Config
from pullagent.diagnosis import Diagnosis
from pullagent.errors import CommandFailed, ConfigError, ConnectionLost, HostError, HostKeyError
from pullagent.gate import DIGEST_COMMAND, digest_of
from pullagent.model import StopSignal
from pullagent.sources.base import Remote, Source, Stream
from pullagent.wire.commands import commands_of
from tests.unit.storing import START
from tests.unit.toml import changed, loaded
from tests.vectors.canned import CannedHost

SERVERS = {"mysql": "mariadb-10.11", "influxdb": "influxdb-1.6"}
HOST = "pavroto-2"
Answer = Callable[[str], bytes]


class Gated:
    """A host with both kinds of source, behind a gate that `gate` plays; it says how each command ends there."""

    converse: Any = None
    to: Any = None

    def __init__(self, sources: dict[str, Source], gate: Answer) -> None:
        self.name, self._gate = HOST, gate
        self._servers = [CannedHost(source, SERVERS[source.kind]) for source in sources.values()]
        self._known = {command: host for host in self._servers for command in host._declared}

    def open(self, command: str, good: tuple[int, ...] = (0,)) -> Stream:
        """The recorded output."""
        return self._known[command].open(command)

    def read(self, command: str, limit: int = 16 << 20) -> bytes:
        """The gate's answer, or where it has none the recorded one."""
        answer = self._gate(command)
        return answer or self._known[command].read(command)

    def send(self, command: str, chunks: Iterator[bytes], stop: StopSignal | None = None) -> bytes:
        """Nothing that `doctor` does needs it."""
        raise AssertionError(command)


def refused(command: str) -> CommandFailed:
    """What a gate's refusal comes to."""
    return CommandFailed(f"{HOST}: status 126 from {command[:20]}", status=126, stderr="pullagent-gate: refused")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A host with both kinds, whose key is pinned; nothing of this machine is looked at."""
    made = loaded(tmp_path, changed("store path", str(tmp_path / "store")))
    monkeypatch.setattr(doctors, "of_this_machine", lambda *_: iter(()))
    key = type("Key", (), {"kind": "ssh-ed25519"})()
    monkeypatch.setattr(doctors, "pinned_keys", lambda _: [key])
    return made


def looked(
    config: Config, gate: Answer | None = None, error: Exception | None = None, host_s: float = 20
) -> dict[str, Diagnosis]:
    """What is found of the host, by name. `gate` plays its gate; `error` is what connecting raises."""
    sources: dict[str, Source] = dict(config.hosts[HOST].sources)

    def connect(_: configs.Host, __: StopSignal) -> AbstractContextManager[Remote]:
        if error is not None:
            raise error
        return nullcontext(Gated(sources, gate or in_order(config)))

    found = list(doctors.doctor(config, [HOST], now=START, connect=connect, host_s=host_s))
    assert {one.host for one in found} == {HOST}
    assert len({one.name for one in found}) == len(found)
    assert all(bool(one.hint) == (one.result != "ok") for one in found)
    return {one.name: one for one in found}


def in_order(config: Config) -> Answer:
    """A gate as `pullagent gate` renders it."""
    commands = commands_of(config.hosts[HOST].sources.values(), config.hosts[HOST].manner)

    def answer(command: str) -> bytes:
        if command == DIGEST_COMMAND:
            return digest_of(commands).encode() + b"\n"
        if command not in commands:
            raise refused(command)
        return b""

    return answer


def not_good(found: dict[str, Diagnosis]) -> dict[str, str]:
    """The names of what is not good, and what it is instead."""
    return {name: one.result for name, one in found.items() if one.result != "ok"}


def test_a_sound_host(config: Config) -> None:
    """Key, login, gate, and each source's checks under its name."""
    found = looked(config)
    assert not_good(found) == {}
    assert list(found)[:4] == ["host key", "SSH login", "gate", "compression"]
    assert {name.partition(":")[0] for name in list(found)[4:]} == {"agama", "logs"}


def test_no_gate(config: Config) -> None:
    """Whatever is asked for runs: a warning, since backups go on."""
    in_place = in_order(config)

    def without(command: str) -> bytes:
        return b"this should have been refused\n" if command == doctors.FORBIDDEN else in_place(command)

    found = looked(config, without)
    assert not_good(found) == {"gate": "warn"}
    assert f"pullagent gate {HOST} -o DIR" in found["gate"].hint


def test_an_old_gate(config: Config) -> None:
    """Its digest is another: the gate fails, and so does what needs a command that it does not know, by that name."""
    in_place, new = in_order(config), ("# pullagent: free space",)

    def old(command: str) -> bytes:
        if command == DIGEST_COMMAND:
            return digest_of(["id"]).encode()
        if command.startswith(new):
            raise refused(command)
        return in_place(command)

    found = looked(config, old)
    assert not_good(found) == {"gate": "failed", "logs: staging": "failed"}
    for name in not_good(found):
        assert f"pullagent gate {HOST} -o DIR" in found[name].hint
    assert "gate does not know" in found["logs: staging"].detail


@pytest.mark.parametrize("answer", [b"Welcome!\n", b"\xff", b" ", b"0" * 63, b"0" * 100_000])
def test_a_gate_that_answers_something_else(config: Config, answer: bytes) -> None:
    """A login script that prints, say; no more than its beginning is repeated."""
    in_place = in_order(config)
    found = looked(config, lambda command: answer if command == DIGEST_COMMAND else in_place(command))
    assert not_good(found) == {"gate": "failed"}
    assert "login script" in found["gate"].hint
    assert len(found["gate"].detail) < 200


@pytest.mark.parametrize(
    "error",
    [
        CommandFailed(f"{HOST}: status 1 from it: this account is not available", status=1, stderr="not available"),
        CommandFailed(f"{HOST}: status 126", status=126, stderr="sh: permission denied"),
        ConnectionLost(f"{HOST}: the connection was lost"),
    ],
)
@pytest.mark.parametrize("asked", [doctors.FORBIDDEN, DIGEST_COMMAND])
def test_a_gate_that_cannot_be_asked(config: Config, asked: str, error: HostError) -> None:
    """Another failure is no refusal: it is told as it is, without the host's name twice."""
    in_place = in_order(config)

    def broken(command: str) -> bytes:
        if command == asked:
            raise error
        return in_place(command)

    found = looked(config, broken)
    assert not_good(found) == {"gate": "failed"}
    assert found["gate"].detail == error.message.removeprefix(f"{HOST}: ")


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (HostKeyError("the host key has changed", "pullagent trust"), "host key"),
        (HostError("refused the connection", "is sshd running"), "SSH login"),
        (ConfigError("no key", "ssh-keygen"), "SSH login"),
    ],
)
def test_no_way_in(config: Config, error: HostError | ConfigError, name: str) -> None:
    """One finding says why, and nothing is said of what could not be looked at."""
    found = looked(config, error=error)
    assert list(found) == [name]
    assert (found[name].result, found[name].detail, found[name].hint) == ("failed", error.message, error.hint)


def test_no_pinned_key(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not even connected to."""
    monkeypatch.setattr(doctors, "pinned_keys", lambda _: [])
    found = looked(config, error=AssertionError("connected"))
    assert list(found) == ["host key"]
    assert found["host key"].hint == f"pullagent trust {HOST}"


def test_a_slow_answer(config: Config) -> None:
    """It is called slow, not the source's fault, and names this limit, which is not the one of hosts.toml."""
    in_place = in_order(config)

    def slow(command: str) -> bytes:
        if command.startswith("# pullagent: inventory"):
            raise ConnectionLost("the command took longer than 25 s", "the limit is [ssh] total_s")
        return in_place(command)

    found = looked(config, slow)
    assert not_good(found) == {"agama: databases": "failed"}
    assert "doctor waits" in found["agama: databases"].hint


def test_a_host_that_hangs(config: Config) -> None:
    """What was found until the limit is told, and that it is not all; nobody waits for the rest."""
    in_place = in_order(config)

    def hang(command: str) -> bytes:
        if command.startswith("# pullagent: version and ports"):
            time.sleep(5)
        return in_place(command)

    begun = time.monotonic()
    found = looked(config, hang, host_s=1.5)
    assert time.monotonic() - begun < 4
    assert not_good(found) == {"time": "failed"}
    assert "agama: grants" in found
    assert "logs: staging" not in found


def test_a_stop_lets_a_host_go_first(config: Config) -> None:
    """Its thread has left what it was at when the look is over, though it takes a moment for that."""
    begun, left = threading.Event(), threading.Event()

    def connect(_: configs.Host, stop: StopSignal) -> AbstractContextManager[Remote]:
        begun.set()
        stop.wait(20)
        time.sleep(0.2)
        left.set()
        stop.check()
        raise AssertionError

    look = doctors.doctor(config, [HOST], now=START, connect=connect, host_s=0.1)
    assert [one.name for one in look] == ["time"]
    assert begun.is_set()
    assert left.is_set()


def test_a_defect_is_a_finding(config: Config) -> None:
    """An error of our own ends neither the other hosts' checks nor the command in a traceback."""
    found = looked(config, error=ZeroDivisionError("oops"))
    assert not_good(found) == {"doctor": "failed"}
    assert "ZeroDivisionError" in found["doctor"].detail


def test_hosts_are_looked_at_side_by_side(tmp_path: Path, config: Config) -> None:
    """Three hosts that take a second each take a second."""
    value = changed("store path", str(tmp_path / "store"))
    value["hosts"] = {f"h{n}": value["hosts"][HOST] for n in range(3)}
    several = loaded(tmp_path, value)

    def connect(_: configs.Host, __: StopSignal) -> AbstractContextManager[Remote]:
        time.sleep(1)
        raise HostError("nothing there")

    begun = time.monotonic()
    found = list(doctors.doctor(several, list(several.hosts), now=START, connect=connect))
    assert time.monotonic() - begun < 2.5
    assert [one.host for one in found] == ["h0", "h1", "h2"]


def test_without_a_configuration() -> None:
    """What is wrong with hosts.toml stands first, as any command would say it; the programs are looked at still."""
    found = list(doctors.without_configuration(ConfigError("not TOML", "compare it")))
    assert (found[0].name, found[0].result, found[0].hint) == ("configuration", "failed", "compare it")
    assert [one.name for one in found[1:]] == ["age", "zstd"]
