"""Constant memory: no process of the agent grows with the dump."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent import AGAMA, Agent
from tests.integration.peaks import Peaks, peak
from tests.integration.wrappers import CLIENTS, DUMPS, programs, wrap
from tests.lab.mariadb import MariaDB
from tests.lab.processes import wait_until
from tests.lab.production import ProductionHost

LIMIT_MIB = 128
SSHD_LIMIT_MIB = 16
MEGABYTES = int(os.environ.get("PULLAGENT_TEST_DUMP_MB", "300"))
# The true dump of the server, whose one table is given many more rows than it has: first rows line by line as
# mariadb-dump writes them, then all of a statement on one long line as mysqldump does.
DUMP = """
import os, subprocess, sys
real, megabytes = "{real}", {megabytes}
if "--databases" not in sys.argv or "--no-data" in sys.argv:
    os.execv(real, [real, *sys.argv[1:]])
dump = subprocess.run([real, *sys.argv[1:]], stdout=subprocess.PIPE, check=True).stdout
head, insert, rest = dump.partition(b"INSERT INTO `bulk` VALUES\\n")
assert insert, dump
rows = [b"(1,0x" + os.urandom(100).hex().encode() + b")" for _ in range(19000)]
short = insert + b",\\n".join(rows) + b";\\n"
long = insert[:-1] + b" " + b",".join(rows) + b";\\n"
out = sys.stdout.buffer
out.write(head)
for number in range(megabytes * 1000000 // len(short)):
    out.write(long if number % 2 else short)
out.write(insert + rest)
"""


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """A backup server that has pulled a dump of MEGABYTES; `peaks` of that run are kept beside it."""
    directory = tmp_path_factory.mktemp("memory")
    with ProductionHost(directory / "host", MariaDB, influx=False) as host:
        host.server.load(
            "CREATE DATABASE agama; CREATE TABLE agama.bulk (id INT, body BLOB); INSERT INTO agama.bulk VALUES (1, 'x')"
        )
        agent = Agent(directory / "backup", host)
        real = next(iter(programs(host, *DUMPS).values()))
        script = directory / "dump.py"
        script.write_text(DUMP.replace("{real}", str(real)).replace("{megabytes}", str(MEGABYTES)))
        wrap(agent, DUMPS, f"exec '{sys.executable}' '{script}' \"$@\"")
        yield agent


def measured(agent: Agent, *arguments: str | Path, code: int = 0) -> Peaks:
    """Run a verb and watch the memory of all its processes."""
    process = agent.start(*arguments)
    try:
        peaks = Peaks(process)
        _, err = process.communicate()
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code, err.decode()
    print(f"{arguments[0]}: {MEGABYTES} MB: {peaks.mib}")
    assert {name for name, _ in peaks.mib} >= {"age"}, peaks.mib
    return peaks


def test_a_run_in_constant_memory(agent: Agent) -> None:
    """While a dump of hundreds of megabytes is pulled, no process of the agent passes 128 MiB."""
    peaks = measured(agent, "run", AGAMA)
    shown = agent.call("list", AGAMA, "--json").succeeded().json["snapshots"][0]
    assert shown["plain_bytes"] > MEGABYTES * 980_000
    assert max(peaks.mib.values()) <= LIMIT_MIB, peaks.mib


def test_a_compressed_run_in_constant_memory(agent: Agent) -> None:
    """Nor while it comes compressed, and is decompressed here to be looked at."""
    agent.edit('\nuser = "', '\nwire = "zstd"\nnice = false\nuser = "')
    peaks = measured(agent, "run", AGAMA)
    agent.reset()
    assert agent.ledger()[-2]["detail"]["wire"] == "zstd"
    assert max(peaks.mib.values()) <= LIMIT_MIB, peaks.mib


def test_little_is_gathered_on_the_host(agent: Agent) -> None:
    """The host's sshd reads ahead of a busy backup server as far as it is allowed to, and copies all of that again for
    each packet: it is allowed little.
    """
    process = agent.start("run", AGAMA)
    try:
        dump = ".staging/*/*/*/dump.sql.zst.age"
        wait_until(lambda: any(p.stat().st_size > 1 << 20 for p in agent.store.glob(dump)), 30, "the dump comes")
        process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        found = [found for pid in agent.host.sshd.sessions() if (found := peak(pid)) and found[0].startswith("sshd")]
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
    print(found)
    assert 0 < max(mib for _, mib in found) <= SSHD_LIMIT_MIB


def test_a_fetch_in_constant_memory(agent: Agent, tmp_path: Path) -> None:
    """Nor while it is decrypted and decompressed into a file."""
    peaks = measured(agent, "fetch", f"{AGAMA}@latest", "-o", tmp_path, "--decrypt", "--identity", agent.identity)
    dump = next(tmp_path.rglob("dump.sql"))
    assert dump.stat().st_size > MEGABYTES * 980_000
    dump.unlink()
    assert max(peaks.mib.values()) <= LIMIT_MIB, peaks.mib


def test_a_restore_in_constant_memory(agent: Agent) -> None:
    """Nor while it is sent to the client of a target; this one swallows it, and so the restore ends with 1."""
    sshd = agent.host.sshd
    agent.host.server.load("DROP DATABASE agama")
    wrap(agent, CLIENTS, 'case "$*" in *--binary-mode*) exec cat >/dev/null ;; esac\nexec {real} "$@"')
    login = ("--to", f"{sshd.user}@pavroto-2", "--ssh-key", agent.host.identity)
    peaks = measured(agent, "restore", f"{AGAMA}@latest", *login, "--identity", agent.identity, "--yes", code=1)
    assert max(peaks.mib.values()) <= LIMIT_MIB, peaks.mib
