"""How a host is treated: when it compresses, how fast it is read, whose turn it is."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullagent.errors import CommandFailed, HostError, ProgramMissing, Stopped
from pullagent.host.command import CHUNK
from pullagent.model import Address, Manner, SourceName, StopSignal
from pullagent.sources.base import Stream
from pullagent.turns import pick
from pullagent.wire.choice import Choice, Past, by_link, may_pay
from pullagent.wire.commands import LINK, LINK_BYTES, VERSION
from pullagent.wire.pace import Pace
from pullagent.wire.remote import Wire, compressor, wired
from tests.contract.kinds import EXAMPLES, build
from tests.unit.test_wire_frames import COMMAND, Sent

MYSQL = build("mysql", EXAMPLES["mysql"].least)
GB = Past(1_000_000_000, 320_000_000, 85.0)


class Asked:
    """A host that answers to the questions before a stream; `link_s` is how long its zeros take."""

    converse: Any = None
    to: Any = None

    def __init__(self, link_s: float = 0.0, zstd: bytes | CommandFailed = b"*** zstd v1.5.4, by Y ***\n") -> None:
        self.name, self.asked = "h", list[str]()
        self._link_s, self._zstd = link_s, zstd

    def open(self, command: str, good: tuple[int, ...] = (0,)) -> Stream:
        """The zeros, at their speed."""
        assert command == LINK
        self.asked.append("link")
        return Sent(self._zeros())

    def _zeros(self) -> Iterator[bytes]:
        for _ in range(LINK_BYTES >> 15):
            if self._link_s:
                time.sleep(self._link_s / (LINK_BYTES >> 15))
            yield bytes(1 << 15)

    def read(self, command: str, limit: int = 0) -> bytes:
        """The version."""
        assert command == VERSION
        self.asked.append("zstd")
        if isinstance(self._zstd, CommandFailed):
            raise self._zstd
        return self._zstd

    def send(self, command: str, chunks: Iterator[bytes], stop: object = None) -> bytes:
        """Nothing is sent."""
        raise AssertionError(command)


def chosen(host: Asked, wire: str, past: Past | None = GB, pace: Pace | None = None) -> Choice:
    """What is decided for a mysql source."""
    return wired(host, MYSQL, Manner(wire), lambda: past, pace).choice  # type: ignore[arg-type]


def absent() -> CommandFailed:
    """The answer of a host without zstd."""
    return CommandFailed("h: status 127 from version of zstd", status=127, stderr="zstd: not found")


def test_a_measurement_without_end_is_ended() -> None:
    """A host that sends more than it was asked for is not listened to for ever."""

    class Endless(Asked):
        sent = 0

        def _zeros(self) -> Iterator[bytes]:
            while self.sent < 20 * LINK_BYTES:
                self.sent += 1 << 15
                yield bytes(1 << 15)

    host = Endless()
    chosen(host, "auto")
    assert LINK_BYTES < host.sent <= LINK_BYTES + (1 << 15)


def test_plain_asks_nothing() -> None:
    """No question, no look at what is stored."""
    host = Asked()
    assert chosen(host, "plain") == Choice(False)
    assert host.asked == []


def test_zstd_asks_for_the_program_alone() -> None:
    """And has its version told in the manifest."""
    host = Asked()
    assert chosen(host, "zstd", None) == Choice(True, zstd="zstd v1.5.4")
    assert host.asked == ["zstd"]


@pytest.mark.parametrize("more", [b"\nstate: good\n", b"\r\x1b[31mstate"])
def test_a_version_is_one_line(more: bytes) -> None:
    """What a host says of its program stands in the manifest and on screens: no line of its own, no control of any."""
    (version,) = {chosen(Asked(zstd=b"*** zstd v1.5.4" + more), "zstd", None).zstd}
    assert version is not None
    assert version.startswith("zstd v1.5.4")
    assert version.isprintable()
    assert "state: good" not in version


def test_zstd_without_the_program() -> None:
    """What hosts.toml asks for and the host cannot do is an error, with what to type."""
    with pytest.raises(ProgramMissing, match="no zstd program") as told:
        chosen(Asked(zstd=absent()), "zstd")
    assert "apt-get install zstd" in told.value.hint
    assert 'wire = "plain"' in told.value.hint


def test_zstd_of_an_old_kind() -> None:
    """A program that does not take the options is told of before the dump, with what to do."""
    old = CommandFailed(
        "h: status 1 from version of zstd: Incorrect parameters", status=1, stderr="Incorrect parameters"
    )
    with pytest.raises(HostError, match="Incorrect parameters") as told:
        chosen(Asked(zstd=old), "zstd")
    assert 'wire = "plain"' in told.value.hint
    assert told.value.__cause__ is old
    assert not chosen(Asked(0.35, old), "auto").packed


@pytest.mark.parametrize(
    "past",
    [None, replace(GB, plain_bytes=30_000_000), replace(GB, stored_bytes=700_000_000), replace(GB, took_s=0)],
    ids=["nothing before", "short", "does not compress", "no time"],
)
def test_auto_leaves_alone_what_cannot_gain(past: Past | None) -> None:
    """The link is not even measured."""
    host = Asked()
    assert chosen(host, "auto", past) == Choice(False)
    assert host.asked == []


def test_auto_on_a_slow_link() -> None:
    """12 MB/s would take all of the 85 s that the last pull took."""
    host = Asked(link_s=0.35)
    found = chosen(host, "auto")
    assert found.packed
    assert found.reason.startswith("compressed on the wire: the link makes 1")
    assert host.asked == ["link", "zstd"]


def test_auto_on_a_fast_link() -> None:
    """Nothing is compressed, and whether the host could is not asked."""
    host = Asked()
    found = chosen(host, "auto")
    assert not found.packed
    assert found.reason.startswith("not compressed on the wire: the link makes ")
    assert host.asked == ["link"]


def test_auto_behind_a_slow_dump() -> None:
    """The link would be done in a fifth of the time: a compressor would only take the host's processor."""
    found = chosen(Asked(link_s=0.1), "auto", replace(GB, took_s=400.0))
    assert not found.packed
    assert "the dump is slower than the link" in found.reason


def test_auto_counts_a_limit_as_the_link() -> None:
    """A host that may be read at 20 MB/s has a link of 20 MB/s."""
    found = chosen(Asked(), "auto", pace=Pace(20e6, StopSignal()))
    assert found.packed
    assert "the link makes 2" in found.reason or "the link makes 1" in found.reason


def test_auto_without_the_program() -> None:
    """It goes on without, and says what would have paid."""
    found = chosen(Asked(0.35, absent()), "auto")
    assert not found.packed
    assert "no zstd program there" in found.reason


def test_auto_behind_an_old_gate() -> None:
    """Questions that it refuses cost no backup."""
    refused = CommandFailed("h: status 126 from version of zstd", status=126, stderr="pullagent-gate: refused")
    found = chosen(Asked(0.35, refused), "auto")
    assert not found.packed
    assert "status 126" in found.reason


def test_a_kind_without_streams_asks_nothing() -> None:
    """Nothing of it could be compressed."""

    class Still:
        def streams(self) -> tuple[str, ...]:
            return ()

    host = Asked()
    assert wired(host, Still(), Manner("zstd"), lambda: GB).choice == Choice(False)  # type: ignore[arg-type]
    assert host.asked == []


@given(plain=st.integers(1, 10**13), ratio=st.floats(0.01, 3), took=st.floats(0.001, 1e5), rate=st.floats(1e3, 1e10))
@settings(max_examples=200, deadline=None)
def test_a_choice_settles(plain: int, ratio: float, took: float, rate: float) -> None:
    """What pays once pays the next time too: a pull that became faster by it does not make it given up."""
    past = Past(plain, int(plain * ratio), took)
    if not may_pay(past) or not by_link(past, rate).packed:
        return
    faster = replace(past, took_s=max(past.stored_bytes / rate, took / 4))
    assert by_link(faster, rate).packed or faster.took_s > took


@pytest.mark.parametrize(
    ("wire", "answer", "result"),
    [("zstd", b"zstd", "ok"), ("auto", b"zstd", "ok"), ("zstd", absent(), "failed"), ("auto", absent(), "ok")],
)
def test_doctor_looks_for_the_compressor(wire: str, answer: bytes | CommandFailed, result: str) -> None:
    """Only where the host must have it, its absence is a failure."""
    assert compressor(Asked(zstd=answer), Manner(wire)).result == result  # type: ignore[arg-type]


def test_a_pace_is_kept() -> None:
    """Two readers of one host together, as fast as it may be read, within what a clock can tell."""
    pace, begun = Pace(4e6, StopSignal()), time.monotonic()

    def read() -> None:
        for _ in range(10):
            pace.take(100_000)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert 0.49 < time.monotonic() - begun < 1.5


def test_a_pace_makes_nothing_up() -> None:
    """After a pause of the host's own the rate is no higher than before."""
    now, waits = [0.0], list[float]()

    class Counting(StopSignal):
        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            now[0] += seconds
            return False

    pace = Pace(1e6, Counting(), lambda: now[0])
    pace.take(1 << 20)
    now[0] += 1000
    pace.take(1 << 20)
    assert waits == [pytest.approx(1.048576)] * 2


def test_the_slowest_pace_never_pauses_long() -> None:
    """At 0.1 MB/s each of 20 readers may go on within a minute: a database server waits no longer."""
    waits: list[float] = []

    class Counting(StopSignal):
        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            return False

    pace = Pace(0.1e6, Counting(), lambda: 0.0)
    for _ in range(20):
        pace.take(CHUNK)
    assert max(waits) < 60


def test_a_stop_ends_a_pause() -> None:
    """Ctrl-C is not kept waiting by a limit."""
    stop = StopSignal()
    threading.Timer(0.1, stop.set).start()
    begun = time.monotonic()
    with pytest.raises(Stopped):
        Pace(1e3, stop).take(1 << 20)
    assert time.monotonic() - begun < 5


def test_a_stream_is_slowed_down() -> None:
    """Whole, in order, and no faster."""
    chunks, begun = [bytes([n]) * 50_000 for n in range(10)], time.monotonic()
    wire = Wire(Sent(chunks), (COMMAND,), Choice(False), pace=Pace(1e6, StopSignal()))
    assert list(wire.open(COMMAND)) == chunks
    assert time.monotonic() - begun > 0.49


def test_another_account_there_is_slowed_down_too() -> None:
    """A repository's, which is asked for over a connection of its own."""

    class Talking(Sent):
        def to(self, address: Address) -> AbstractContextManager["Talking"]:
            return nullcontext(self)

        def converse(self, command: str, chunks: Iterator[bytes], stop: object = None) -> Stream:
            return self

    begun = time.monotonic()
    wire = Wire(Talking([bytes(250_000)] * 2), (), Choice(False), pace=Pace(1e6, StopSignal()))
    with wire.to(Address("h", user="git")) as there:
        assert sum(map(len, there.converse(COMMAND, iter(())))) == 500_000
    assert time.monotonic() - begun > 0.49


names = st.builds(SourceName, st.sampled_from("abc"), st.sampled_from([str(n) for n in range(9)]))


@given(st.lists(names, unique=True), st.dictionaries(st.sampled_from("abc"), st.integers(1, 3)), st.integers(1, 6))
def test_turns(waiting: list[SourceName], at_once: dict[str, int], jobs: int) -> None:
    """All get their turn, no host more at once than it may bear, and nobody waits while there is somebody to take."""
    at_once = {"a": 1, "b": 1, "c": 1} | at_once
    running: list[SourceName] = []
    order: list[SourceName] = []
    while waiting or running:
        while len(running) < jobs and (name := pick(waiting, running, at_once)) is not None:
            waiting.remove(name)
            running.append(name)
            order.append(name)
            assert all(count <= at_once[host] for host, count in Counter(n.host for n in running).items())
        assert running, "nobody works and somebody waits"
        if len(running) < jobs:
            busy = Counter(n.host for n in running)
            assert all(busy[name.host] == at_once[name.host] for name in waiting)
        running.pop(0)
    assert len(order) == len(set(order))
