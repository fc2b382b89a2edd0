"""Compression on the wire: what is stored and restored is the same, and no failure hides behind the compressor."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.netns import cable, needs_namespaces
from tests.faults.proxy import Proxy
from tests.integration.agent import AGAMA, HOST, LOGS, Agent, Done, open_sealed, wait_for_file
from tests.integration.wrappers import HALF, wrap_dump
from tests.lab.data import checksums, influx_points
from tests.lab.processes import run

KILL_SELF = "kill -9 $$"


@pytest.fixture
def compressing(agent: Agent) -> Agent:
    """The backup server, with a host that compresses."""
    set_wire(agent, "zstd")
    return agent


def set_wire(agent: Agent, wire: str) -> None:
    """Write it into hosts.toml."""
    lines = [line for line in agent.config_file.read_text().splitlines() if not line.startswith("wire = ")]
    agent.configure("\n".join(lines).replace('\nuser = "', f'\nwire = "{wire}"\nuser = "') + "\n")


def manners(agent: Agent) -> dict[str, str]:
    """How the sources came in the last pull of each, as the ledger has it."""
    return {line["source"]: line["detail"]["wire"] for line in agent.ledger() if line["event"] == "pull" and line["ok"]}


def frame_of(agent: Agent, ref: str, name: str) -> bytes:
    """What age alone makes of a stored file."""
    return run(["age", "-d", "-i", agent.identity, agent.path(ref) / f"{name}.zst.age"])


def test_both_kinds_come_compressed_and_are_restored(compressing: Agent) -> None:
    """The frames are the host's own, stock programs open them, and a rebuilt host holds what it held."""
    agent, host = compressing, compressing.host
    assert host.influxdb is not None
    agent.call("run").succeeded()
    assert manners(agent) == {"agama": "zstd", "logs": "zstd"}
    for source, name, begins in ((AGAMA, "dump.sql", b"/*"), (LOGS, "backup.tar", b"logs/")):
        ref = agent.latest(source)
        # the library here writes no window of 2 MiB for what is so short; the program there does
        assert frame_of(agent, ref, name)[4:6] == b"\x04\x58"
        assert open_sealed(agent.path(ref) / f"{name}.zst.age", agent.identity).startswith(begins)
    agent.call("verify", "--identity", agent.identity).succeeded()
    before = checksums(host.server), influx_points(host.influxdb, "logs")
    host.rebuild(new_host_key=False)
    try:
        for source in (AGAMA, LOGS):
            agent.restore(agent.latest(source)).succeeded()
        assert (checksums(host.server), influx_points(host.influxdb, "logs")) == before
    finally:
        host.rebuild(new_host_key=False)
        host.seed(rows=60, points=600)


@pytest.mark.parametrize(
    "body",
    ["echo 'mysqldump: Got error: 1045: no' >&2; exit 2", '{real} "$@"; exit 3', '{real} "$@" | head -c 3000'],
    ids=["at once", "at its end", "cut"],
)
def test_a_failing_dump_is_told_as_without(agent: Agent, body: str) -> None:
    """The same error and hint, and nothing stored, whether it comes compressed or not."""
    told = []
    for wire in ("plain", "zstd"):
        agent.reset()
        set_wire(agent, wire)
        wrap_dump(agent, body)
        done = agent.fails(AGAMA, error="")
        told.append([line for line in done.err.splitlines() if "last good snapshot" not in line])
    assert told[0] == told[1]


def during_dump(agent: Agent, sign: Path, end: str) -> Done:
    """Half of a dump has come when this program of its session is killed."""
    process = agent.start("run", AGAMA)
    try:
        wait_for_file(sign)
        time.sleep(0.3)
        pids = [pid for pid in agent.host.sshd.sessions() if Path(f"/proc/{pid}/comm").read_text().strip() == end]
        assert pids
        for pid in pids:
            os.kill(pid, 9)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return Done(("run", AGAMA), process.returncode, out.decode(), err.decode(), 0)


def test_a_dump_killed_behind_the_compressor(compressing: Agent) -> None:
    """zstd ends well with what it had; the pull does not."""
    sign = wrap_dump(compressing, HALF)
    call = lambda: during_dump(compressing, sign, "sleep")  # noqa: E731
    compressing.fails(AGAMA, error="137", hint="out of memory", call=call)
    compressing.succeeds_after(compressing.host.sshd.farm.reset, AGAMA)


def test_a_compressor_killed_in_mid_dump(compressing: Agent) -> None:
    """It is named, not the dump that broke its pipe."""
    sign = wrap_dump(compressing, HALF.replace("exec sleep 300", "while echo; do sleep 0.2; done"))
    call = lambda: during_dump(compressing, sign, "zstd")  # noqa: E731
    compressing.fails(AGAMA, error="zstd there ended with status 137", hint="out of memory", call=call)
    compressing.succeeds_after(compressing.host.sshd.farm.reset, AGAMA)


@pytest.mark.parametrize(
    ("script", "error", "hint"),
    [
        ("cat", "not what zstd writes", "login script"),
        ("{zstd} \"$@\" | head -c 1000", "cut short", "again"),
        ("{zstd} \"$@\"; echo bye", "follow the end", "login script"),
        ("{zstd} \"$@\"; echo | {zstd} -c", "follow the end", "login script"),
        ("{zstd} \"$@\" --long=27", "window of more than 8 MiB", 'wire = "plain"'),
        ("{zstd} \"$@\" --no-check", "no checksum", 'wire = "plain"'),
        ("cat >/dev/null", "cut short", "again"),
        # on nothing, as it is tried before the dump, it still does well
        ("[ \"$(wc -c)\" = 0 ] || { echo 'zstd: error 70' >&2; exit 70; }", "70: zstd: error 70", 'wire = "plain"'),
    ],
    ids=["clear", "cut", "more", "two frames", "window", "no checksum", "nothing", "fails"],
)  # fmt: skip
def test_a_compressor_that_does_something_else(compressing: Agent, script: str, error: str, hint: str) -> None:
    """Whatever comes that is not one whole frame with status 0: nothing is stored."""
    script = script.replace("{zstd}", str(shutil.which("zstd")))
    compressing.host.sshd.put_first(
        "zstd", f'case "$*" in --version) exec {shutil.which("zstd")} "$@" ;; esac\n{script}'
    )
    compressing.fails(AGAMA, error=error, hint=hint)


def test_a_host_without_zstd(agent: Agent) -> None:
    """With `zstd` that is an error before the dump begins, not tried again, and what doctor says; with `auto` none."""
    agent.host.sshd.hide("zstd")
    set_wire(agent, "zstd")
    text = agent.config_file.read_text()
    agent.configure(f"[run]\nattempts = 3\nretry_minutes = 60\n{text}")
    agent.fails(AGAMA, error="no zstd program", hint="apt-get install zstd")
    agent.configure(text)
    found = {c["name"]: c for c in agent.call("doctor", HOST, "--json").json["checks"]}
    assert found["compression"]["result"] == "failed"
    set_wire(agent, "auto")
    agent.call("run", AGAMA).succeeded()
    assert manners(agent)["agama"] == "plain"


def test_a_host_that_may_be_read_slowly(agent: Agent) -> None:
    """A limit holds a pull back, without its being taken for a host that is stuck."""
    wrap_dump(agent, "{real} \"$@\" | sed '$d'; yes -- '-- x' | head -c 3000000; {real} \"$@\" | tail -n 1")
    agent.edit("[ssh]\n", "[ssh]\nstall_s = 1\n")
    agent.edit('\nuser = "', '\nmax_mbytes_per_s = 1\nuser = "')
    done = agent.call("run", AGAMA, "--json").succeeded()
    assert done.json["sources"][0]["took_s"] > 3


@needs_namespaces
def test_auto_over_a_slow_link(agent: Agent) -> None:
    """At 40 Mbit/s the first pull tells what there is to gain, and the second has the host compress."""
    agent.host.server.load(
        "CREATE DATABASE wide; USE wide; CREATE TABLE wide.rows AS SELECT seq, MD5(seq) AS hash, "
        "CONCAT('somebody', seq % 1000, '@example.org') AS mail, REPEAT('a word or two ', 3) AS text "
        "FROM seq_1_to_300000"
    )
    sshd = agent.host.sshd
    try:
        with cable() as line, Proxy(sshd.port, line.here) as proxy:
            line.slow_down(40)
            agent.known_hosts.write_text(f"[{line.here}]:{proxy.port} {sshd.host_public_key}\n")
            agent.edit('address = "127.0.0.1"', f'address = "{line.here}"')
            agent.edit(f"\nport = {sshd.port}", f"\nport = {proxy.port}")
            agent.edit('databases = ["agama"]', 'databases = ["wide"]')
            lines = []
            for _ in range(2):
                done = subprocess.run(
                    line.inside(agent.argv("run", AGAMA)),
                    capture_output=True, text=True, check=True, timeout=90, env=agent.environment(), cwd=agent.home,
                )  # fmt: skip
                lines.append(done.stdout)
    finally:
        agent.host.server.load("DROP DATABASE wide")
    pulls = [line for line in agent.ledger() if line["event"] == "pull"][-2:]
    print([(p["detail"]["wire"], p["took_s"]) for p in pulls], lines)
    assert [p["detail"]["wire"] for p in pulls] == ["plain", "zstd"]
    assert "compressed on the wire: the link makes " in lines[1]
