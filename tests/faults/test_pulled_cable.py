"""A cable pulled in mid-stream, without a word to either side: in network namespaces, by root."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.faults.judge import Judge
from tests.faults.lies import HALF, Dumper
from tests.faults.netns import cable, needs_namespaces
from tests.faults.proxy import Proxy
from tests.integration.agent import AGAMA, Done
from tests.lab.processes import wait_until

NOTICED_S = 110
"""Keepalive asks every 15 s, and an unanswered byte ends a connection after 60 s; the rest is for a busy machine."""


@fault(
    "connect",
    "the cable is pulled in mid-dump and nobody is told (network namespaces), with the default limits",
    "the run ends by itself within about 75 s: exit 1",
    full=2,
    sample=0,
)
@pytest.mark.campaign
@needs_namespaces
@pytest.mark.timeout(400)
@pytest.mark.parametrize("by_gateway", [False, True], ids=["direct", "over a gateway"])
def test_a_pulled_cable(bench: Bench, judge: Judge, tmp_path: Path, by_gateway: bool) -> None:
    """A connection that goes dead in mid-dump is given up, long before stall_s and total_s."""
    dumper = Dumper(bench)
    for name in ("half", "go"):
        dumper.file(name).unlink(missing_ok=True)
    dumper.says(HALF + "while ! [ -e {dir}/go ]; do sleep 0.1; done; exit 0")
    sshd = bench.host.sshd
    with cable() as line, Proxy(sshd.port, line.here) as proxy:
        key = sshd.host_public_key
        pinned = [f"[{line.here}]:{proxy.port} {key}", f"[127.0.0.1]:{sshd.port} {key}"]
        bench.known_hosts.write_text("\n".join(pinned) + "\n")
        if by_gateway:
            bench.edit('user = "', f'gateway = "{sshd.user}@{line.here}:{proxy.port}"\nuser = "')
        else:
            bench.edit('address = "127.0.0.1"', f'address = "{line.here}"')
            bench.edit(f"\nport = {sshd.port}", f"\nport = {proxy.port}")
        process = subprocess.Popen(
            line.inside(bench.argv("run", AGAMA)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=bench.environment(),
            cwd=bench.home,
        )
        try:
            wait_until(dumper.file("half").exists, 60, "half of the dump is sent")
            time.sleep(1)
            line.pull()
            begun = time.monotonic()
            out, err = process.communicate(timeout=NOTICED_S + 60)
            took = time.monotonic() - begun
        finally:
            process.kill()
            process.wait()
            dumper.file("go").touch()
            line.plug()
    sshd.drop()
    done = Done(("run", AGAMA), process.returncode, out, err, took)
    judge.after("pulled cable", done, codes=(1,), error="lost|timed out|no byte", hint=True)
    if took > NOTICED_S:
        judge.blame("pulled cable", f"noticed after {took:.0f} s")
    sshd.farm.reset()
    bench.reset()
    judge.lifted("pulled cable", AGAMA)
    judge.verdict()
