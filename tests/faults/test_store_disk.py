"""The store's disk: full, read-only, another's, not there; and several of us at once."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import plan
from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.faults.judge import Judge
from tests.faults.lies import HALF, Dumper
from tests.faults.mounts import needs_root, read_only, resize, small_disk, used
from tests.integration.agent import AGAMA, LOGS, Done
from tests.lab.processes import wait_until

ROOMY_KB, ROOMY_FILES = 40_000, 4_000


@contextmanager
def store_at(bench: Bench, place: Path) -> Iterator[None]:
    """The bench's store is `place` for a while."""
    usual = bench.store
    bench.store = place
    bench.reset()
    try:
        yield
    finally:
        bench.store = usual
        bench.reset()


@pytest.fixture
def disk(bench: Bench, tmp_path: Path) -> Iterator[Path]:
    """The bench's store on a small disk, with a snapshot of each source."""
    place = tmp_path / "disk"
    with small_disk(place, ROOMY_KB, ROOMY_FILES), store_at(bench, place / "store"):
        bench.run("run").succeeded()
        yield place


def fill(bench: Bench, judge: Judge, disk: Path, source: str, files: bool) -> None:
    """Leave room for so many kilobytes, or files, and pull; again with more until it fits."""
    needed = used(disk)
    bench.run("run", source).succeeded()
    whole = used(disk)[files] - needed[files]
    bench.trim()
    judge.remember()
    rooms = range(whole + 2) if files else range(0, whole + 8, 4)
    chosen = plan.spread(len(rooms), 3, f"room {source} {files}")
    if not plan.FULL:
        # the dump fills most of the disk: the few last kilobytes hold most kinds of writes
        chosen = sorted({*chosen, len(rooms) - 3})
    elif len(chosen) > 40:
        chosen = chosen[:12] + chosen[12:-20:4] + chosen[-20:]
    for position, index in enumerate(chosen):
        kilobytes, inodes = used(disk)
        room = rooms[index]
        resize(disk, ROOMY_KB if files else kilobytes + room, inodes + room if files else ROOMY_FILES)
        case = f"room for {room} {'files' if files else 'kB'} of {whole}, {source}"
        done = bench.run("run", source)
        judge.after(case, done, publishes=None, codes=(0, 1), error="No space left", hint=True)
        resize(disk, ROOMY_KB, ROOMY_FILES)
        if position % 4 == 3 or index == chosen[-1]:
            judge.lifted(case, source)
        else:
            bench.trim(4)
            judge.remember()
    judge.verdict()


@fault(
    "store",
    "a real disk full at every kind of write: from no room at all to just enough, by bytes and by files",
    "exit 1: the disk is full, how to see it; or stored whole",
    full="every 4 kB, every file",
    sample="4 each",
)
@needs_root
@pytest.mark.timeout(900)
@pytest.mark.parametrize("files", [False, True], ids=["bytes", "files"])
@pytest.mark.parametrize("source", [LOGS, pytest.param(AGAMA, marks=plan.campaign)])
def test_a_full_disk(bench: Bench, judge: Judge, disk: Path, source: str, files: bool) -> None:
    """A disk that fills at any moment of a pull leaves no snapshot or a whole one."""
    fill(bench, judge, disk, source, files)


@fault("store", "the disk is read-only", "run: exit 1; list, show and fetch go on")
@needs_root
def test_a_read_only_store(bench: Bench, judge: Judge, disk: Path, tmp_path: Path) -> None:
    """A store on a read-only disk refuses a run with words, and can still be listed and fetched from."""
    judge.remember()
    read_only(disk)
    judge.after("read-only", bench.run("run", AGAMA), codes=(1,), error="[Rr]ead-only", hint=True)
    ref = bench.latest(AGAMA)
    bench.run("show", ref).succeeded()
    fetched = bench.run("fetch", ref, "-o", tmp_path / "out", "--decrypt", "--identity", bench.identity).succeeded()
    assert "ledger" in fetched.err
    read_only(disk, on=False)
    judge.lifted("read-only", AGAMA)
    judge.verdict()


def without_rights(bench: Bench, *arguments: str) -> Done:
    """Run as an account that file modes bind, which root is not."""
    rights = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-chown,-fowner", "--inh-caps=-all"]
    done = subprocess.run(
        [*rights, *bench.argv(*arguments)],
        capture_output=True,
        text=True,
        env=bench.environment(),
        cwd=bench.home,
        timeout=90,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Done(arguments, done.returncode, done.stdout, done.stderr, 0)


@fault("store", "a part of the store belongs to somebody else", "exit 1: who owns it", full=4, sample=4)
@needs_root
def test_a_store_of_somebody_else(bench: Bench, judge: Judge) -> None:
    """A run that may not write, or not read, the store says so, and whose it is."""
    for part in (".staging", ".locks", "pavroto-2", f"{AGAMA}"):
        place = bench.store / part
        shutil.chown(place, 65534, 65534)
        try:
            done = without_rights(bench, "run", AGAMA)
        finally:
            shutil.chown(place, 0, 0)
        judge.after(
            f"{part} of another",
            done,
            codes=(1,),
            error="[Pp]ermission denied|belongs to nobody",
            hint=True,
        )
    judge.lifted("of another", AGAMA)
    judge.verdict()


@fault(
    "store", "the store is a file, lies below a file, is a link to nowhere", "exit 1, which names it", full=3, sample=3
)
def test_a_store_that_is_none(bench: Bench, judge: Judge, tmp_path: Path) -> None:
    """A store that cannot be a directory is named."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "at all")
    for place in (tmp_path / "file", tmp_path / "file" / "store", tmp_path / "link"):
        usual = bench.store
        with store_at(bench, place):
            done = bench.run("run", AGAMA)
        assert bench.store == usual
        judge.after(f"the store is {place.relative_to(tmp_path)}", done, codes=(1, 2), error=str(tmp_path))
    assert (tmp_path / "file").read_text() == "x"
    judge.lifted("a store that is none", AGAMA)
    judge.verdict()


@fault("store", "left behind by dead runs: half snapshots, directories that may not be entered, torn ledger", "swept")
def test_what_dead_runs_left(bench: Bench, judge: Judge) -> None:
    """Whatever a dead run of a source left in staging goes with the next run; a torn ledger is mended."""
    for source in (AGAMA, LOGS):
        half = bench.store / ".staging" / source / "2026-01-01T000000Z"
        shutil.copytree(bench.path(bench.latest(source)), half)
        (half / "deep" / "er").mkdir(parents=True)
        (half / "deep" / "link").symlink_to(bench.store)
        (half / "deep").chmod(0o500)
        half.chmod(0o500)
    with (bench.store / "ledger.jsonl").open("ab") as ledger:
        ledger.write(b'{"v": 1, "event": "pu')
    judge.remember()
    judge.after("left by dead runs", bench.run("run"), publishes=True, codes=(0,), sources=2)
    assert (bench.store / "ledger.jsonl").read_bytes().count(b'"pu\n') == 1
    judge.lifted("left by dead runs", AGAMA)
    judge.verdict()


@fault(
    "store",
    "names of coming snapshots are taken by empty directories and links",
    "a later name is used; exit 5, as nothing is pruned",
)
def test_taken_names(bench: Bench, judge: Judge, tmp_path: Path) -> None:
    """What lies where the next snapshot would go is not replaced: a later second is taken."""
    from datetime import UTC, datetime, timedelta

    start, taken = datetime.now(UTC), []
    for second in range(60):
        path = bench.store / AGAMA / (start + timedelta(seconds=second)).strftime("%Y-%m-%dT%H%M%SZ")
        if second % 2:
            path.symlink_to(tmp_path)
        else:
            path.mkdir()
        taken.append(path)
    try:
        done = bench.run("run", AGAMA)
        assert all(path.is_symlink() or not list(path.iterdir()) for path in taken)
        assert list(tmp_path.iterdir()) == []
    finally:
        for path in taken:
            path.unlink() if path.is_symlink() else path.rmdir()
    judge.after("taken names", done, publishes=True, codes=(5,))
    judge.lifted("taken names", AGAMA)
    judge.verdict()


@fault("store", "two runs of one source at once", "the second: exit 11; with --wait both store")
def test_two_runs_at_once(bench: Bench, judge: Judge) -> None:
    """A second run of a source that is being pulled ends with 11, or waits for its turn."""
    dumper = Dumper(bench)
    for name in ("half", "go"):
        dumper.file(name).unlink(missing_ok=True)
    dumper.says("touch {dir}/half; while ! [ -e {dir}/go ]; do sleep 0.02; done; " + 'exec {real} "$@"')
    slow = bench.launch("run", AGAMA)
    wait_until(dumper.file("half").exists, 30, "the dump begins")
    second = bench.run("run", AGAMA)
    waiting = bench.launch("run", AGAMA, "--wait", "60s")
    dumper.file("go").touch()
    ended = [slow.wait(60), waiting.wait(60)]
    assert [done.code for done in ended] == [0, 0], ended
    judge.after("second run", second, publishes=None, codes=(11,), error="another run", hint=True)
    judge.lifted("second run", AGAMA)
    judge.verdict()


@fault("store", "a run and fetches at once", "both succeed")
def test_a_run_and_fetches_at_once(bench: Bench, judge: Judge, tmp_path: Path) -> None:
    """Fetches of the latest snapshot while a run publishes give whole snapshots."""
    dumper = Dumper(bench)
    dumper.file("half").unlink(missing_ok=True)
    dumper.says(HALF + "sleep 1; exit 1")
    failing = bench.launch("run", AGAMA)
    bench.host.sshd.farm.reset()
    running = bench.launch("run", LOGS)
    for number in range(5):
        for source in (AGAMA, LOGS):
            bench.run("fetch", f"{source}@latest", "-o", tmp_path / str(number)).succeeded()
    failing.wait(60)
    judge.after("beside fetches", running.wait(60), publishes=True, codes=(0,))
    judge.lifted("beside fetches", LOGS)
    judge.verdict()
