"""influxd and tar that lie about a backup, or die in it."""

import shlex
import sys
from pathlib import Path

import pytest

from tests.faults import plan, tamper
from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.faults.judge import Judge
from tests.faults.mounts import needs_root, small_disk
from tests.integration.agent import LOGS

CUTS = ("file cut", "archive cut", "archive cut after a member")
PARTS = plan.count(1, 3)
CUTS_IN_PART = plan.count(6, 20)


def tampering(bench: Bench, kind: str, fraction: float) -> None:
    """Every backup of influxd is damaged afterwards, and its status is 0."""
    real = bench.host.sshd.farm.real("influxd")
    damage = shlex.join([sys.executable, "-I", tamper.__file__])
    bench.host.sshd.put_first(
        "influxd",
        f'#!/bin/bash\n[ "$1" = backup ] || exec {real} "$@"\n{real} "$@" || exit\n'
        f'{damage} "${{@: -1}}" {shlex.quote(kind)} {fraction}\n',
    )


@fault(
    "pull",
    "shard files of InfluxDB cut, on and off the boundaries of their members, with sound gzip, agreeing manifest and "
    "status 0",
    "exit 1; the shard is cut short",
    full=60,
    sample=6,
)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_cut_shard(bench: Bench, judge: Judge, part: int) -> None:
    """A shard file that is cut anywhere is refused, although influxd reports success."""
    chance = plan.chance(f"shard {part}")
    for number in range(CUTS_IN_PART):
        kind, fraction = CUTS[number % len(CUTS)], round(chance.random(), 6)
        tampering(bench, kind, fraction)
        judge.tally.add(plan.CUTS)
        case = f"{kind} at {fraction}"
        if not judge.after(case, bench.run("run", LOGS), codes=(1,), error="cut short|not|archive|gzip", hint=False):
            judge.tally.add(plan.CUTS_REFUSED)
    bench.host.sshd.farm.reset()
    judge.lifted("after the cuts", LOGS)
    judge.verdict()


LIES = [
    ("one end block", "cut short|end"),
    ("no archive", "cut short|end"),
    ("member lost", "manifest says"),
    ("shard lost", "lacks"),
    ("shard lost, manifest too", "lacks"),
    ("all shards lost, manifest too", "lacks"),
    ("manifest lost", "manifest"),
    ("manifest cut", "manifest"),
    ("second manifest", "manifests"),
    ("metastore lost", "metastore|lacks"),
    ("foreign shard", "latency"),
    ("link", "neither|unexpected|not a file"),
]


@fault(
    "pull",
    "influxd loses a shard, a member, the manifest, the metastore, writes a second manifest, a link, with status 0",
    "exit 1, which names what is wrong",
    full=len(LIES),
    sample=5,
)
@pytest.mark.timeout(300)
def test_a_lying_backup(bench: Bench, judge: Judge) -> None:
    """A backup that lacks something, or holds what does not belong there, is refused."""
    for kind, error in (LIES[number] for number in plan.spread(len(LIES), 5, "influx lies")):
        tampering(bench, kind, 0.4)
        judge.after(kind, bench.run("run", LOGS), codes=(1,), error=error)
    bench.host.sshd.farm.reset()
    judge.lifted("after the lies", LOGS)
    judge.verdict()


DEATHS = [
    ("influxd killed", "influxd", '[ "$1" = backup ] || exec {real} "$@"; {real} "$@"; kill -KILL $$', "137|killed"),
    ("influxd fails", "influxd", '[ "$1" = backup ] || exec {real} "$@"; {real} "$@"; exit 1', "status 1"),
    ("tar killed", "tar", '{real} "$@" | head -c 20000; kill -KILL $$', "137|killed"),
    ("tar cut, status 0", "tar", '{real} "$@" | head -c 20000; exit 0', "cut short"),
    ("tar cut at a record, status 0", "tar", '{real} "$@" | head -c 10240; exit 0', "cut short"),
    ("tar writes nothing", "tar", "exit 0", "cut short"),
    ("tar ends with 2", "tar", '{real} "$@"; exit 2', "status 2"),
    ("the shell is killed", "tar", "kill -KILL $PPID; sleep 0.2", "killed|lost"),
]


@fault(
    "pull",
    "influxd or tar killed, failing, cut with status 0; their shell killed",
    "exit 1; the next run sweeps the host",
    full=len(DEATHS),
    sample=3,
)
@pytest.mark.timeout(300)
def test_a_dying_backup(bench: Bench, judge: Judge) -> None:
    """A backup whose programs die is refused, and nothing stays on the host."""
    for case, program, body, error in (DEATHS[number] for number in plan.spread(len(DEATHS), 3, "deaths")):
        real = bench.host.sshd.farm.real(program)
        bench.host.sshd.put_first(program, "#!/bin/bash\n" + body.replace("{real}", str(real)) + "\n")
        judge.after(case, bench.run("run", LOGS), codes=(1,), error=error, signalled="shell" in case)
        bench.host.sshd.farm.reset()
        judge.lifted(case, LOGS)
    judge.verdict()


@fault("pull", "InfluxDB killed in mid-backup", "exit 1; nothing stays on the host")
def test_influxdb_dies_in_mid_backup(bench: Bench, judge: Judge, tmp_path: Path) -> None:
    """A server that is killed while it is backed up fails the run."""
    influx = bench.host.influxdb
    assert influx is not None
    real = bench.host.sshd.farm.real("influxd")
    go = tmp_path / "go"
    body = f'[ "$1" = backup ] || exec {real} "$@"\ntouch {go}.asked; while ! [ -e {go} ]; do sleep 0.02; done\n'
    # by itself influxd tries for minutes before it gives up
    bench.host.sshd.put_first("influxd", f'#!/bin/bash\n{body}timeout 5 {real} "$@"\n')
    running = bench.launch("run", LOGS)
    while not Path(f"{go}.asked").exists():
        assert running.text == ""
    influx.kill()
    go.touch()
    judge.after("InfluxDB killed", running.wait(60), codes=(1,), error="status")
    bench.host.sshd.farm.reset()
    influx.start()
    judge.lifted("InfluxDB killed", LOGS)
    judge.verdict()


@fault("pull", "the host's staging directory is full", "exit 1; how to free it", full=3, sample=1)
@needs_root
def test_a_full_staging_directory(bench: Bench, judge: Judge) -> None:
    """A host without room for the backup fails the run with a hint, and is left as it was."""
    for kilobytes in (4, 16, 32) if plan.FULL else (16,):
        with small_disk(bench.host.staging, kilobytes):
            judge.after(f"staging of {kilobytes} kB", bench.run("run", LOGS), codes=(1,), error="space", hint=True)
        judge.lifted(f"staging of {kilobytes} kB", LOGS)
    judge.verdict()
