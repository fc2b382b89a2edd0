"""The connection between agent and host: closed, reset, stalled, swallowed at any byte."""

from collections.abc import Iterator

import pytest

from tests.faults import plan
from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.faults.judge import Judge
from tests.faults.lies import HALF, Dumper
from tests.faults.proxy import KINDS, Proxy
from tests.integration.agent import AGAMA, LOGS
from tests.lab.processes import wait_until

FULL = {"close": 20, "reset": 20, "stall": 8, "blackhole": 5}
LIMITS = "[ssh]\nconnect_timeout_s = 3.0\nstall_s = 3.0\ntotal_s = 12.0\n"
LONGEST_S = 40
"""Limits add up, but no run may take longer."""


@pytest.fixture
def proxy(bench: Bench) -> Iterator[Proxy]:
    """A proxy that hosts.toml names in place of the host, with short limits."""
    with Proxy(bench.host.sshd.port) as proxy:
        bench.edit("[ssh]\n", LIMITS)
        bench.edit(f"\nport = {bench.host.sshd.port}", f"\nport = {proxy.port}")
        line = bench.host.sshd.known_hosts_line().replace(f":{bench.host.sshd.port} ", f":{proxy.port} ")
        bench.known_hosts.write_text(line + "\n")
        yield proxy


def places(total: int, number: int, name: str) -> list[int]:
    """Bytes to fail at: the greeting, the end, and random ones, half of them in the handshake."""
    chance = plan.chance(name)
    early = min(total, 6000)
    fixed = [0, 1, total - 1]
    return (fixed + [chance.randrange(early if i % 2 else total) for i in range(number)])[:number]


@fault(
    "connect",
    "closed, reset, stalled or swallowed at a random byte, to the agent or from it",
    "exit 1 within the limits of hosts.toml; nothing is stored, or all of it was",
    full=2 * sum(FULL.values()),
    sample=len(KINDS),
)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("source", [AGAMA, pytest.param(LOGS, marks=plan.campaign)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_at_any_byte(bench: Bench, judge: Judge, proxy: Proxy, kind: str, source: str) -> None:
    """A connection that fails at any byte ends the run within its limits, and stores nothing."""
    bench.run("run", source).succeeded()
    totals = dict(proxy.carried)
    judge.remember()
    number = plan.count(1, FULL[kind])
    for position, place in enumerate(places(totals[False], number + 3, f"{kind} {source}")[-number:]):
        upwards = position % 4 == 3
        at = place % totals[True] if upwards else place
        proxy.arm(at, kind, upwards)
        case = f"{kind} at byte {at} {'from' if upwards else 'to'} the agent, of {totals[upwards]}"
        done = bench.run("run", source, seconds=90)
        # a host that hears nothing more keeps its session: that is not ours to end
        proxy.release()
        # the last bytes are the farewell: what was pulled is whole then
        judge.after(case, done, publishes=None, codes=(0, 1) if at > totals[upwards] - 4096 else (1,))
        if done.seconds > LONGEST_S:
            judge.blame(case, f"took {done.seconds:.0f} s: {done}")
    proxy.arm(None, kind)
    judge.lifted(f"after {kind}", source)
    judge.verdict()


@fault("connect", "the host takes the connection and never greets", "exit 1 after connect_timeout_s")
def test_a_silent_host(bench: Bench, judge: Judge, proxy: Proxy) -> None:
    """A host that accepts and says nothing fails the run after the connection's limit."""
    proxy.arm(0, "blackhole")
    done = bench.run("run", AGAMA, seconds=90)
    proxy.release()
    judge.after("silent host", done, codes=(1,), error="no answer|banner|in time", hint=True)
    assert done.seconds < 20
    proxy.arm(None, "close")
    judge.lifted("silent host", AGAMA)
    judge.verdict()


@fault(
    "connect",
    "sshd stopped, killed in mid-dump; sessions frozen",
    "exit 1; run again once the host is back",
    full=3,
    sample=3,
)
@pytest.mark.parametrize("act", ["stop", "drop", "freeze"])
def test_sshd_dies(bench: Bench, judge: Judge, act: str) -> None:
    """A host whose sshd is gone, or dies or freezes in mid-dump, fails the run within its limits."""
    bench.edit("[ssh]\n", LIMITS)
    sshd, dumper = bench.host.sshd, Dumper(bench)
    if act == "stop":
        sshd.stop()
        done = bench.run("run", AGAMA)
        sshd.start()
    else:
        dumper.file("half").unlink(missing_ok=True)
        dumper.says(HALF + "sleep 30")
        running = bench.launch("run", AGAMA)
        wait_until(dumper.file("half").exists, 30, "half of the dump is sent")
        sshd.drop() if act == "drop" else sshd.freeze()
        done = running.wait(90)
        sshd.drop()
        sshd.farm.reset()
    judge.after(f"sshd: {act}", done, codes=(1,), error="refused|lost|no byte|longer|answer", hint=True)
    judge.lifted(f"sshd: {act}", AGAMA)
    judge.verdict()
