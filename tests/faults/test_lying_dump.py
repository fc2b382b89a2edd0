"""Dump programs that lie about their success, or die."""

import re
from collections.abc import Iterator

import pytest

from tests.faults import plan
from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.faults.judge import Judge, Place
from tests.faults.lies import HALF, Dumper
from tests.faults.plan import Tally
from tests.integration.agent import AGAMA
from tests.lab.processes import wait_until

PARTS = plan.count(1, 4)
CUTS_IN_PART = plan.count(12, 50)
BETWEEN_RUNS = 10


def cut_dumps(bench: Bench, judge: Judge, name: str, number: int) -> None:
    """Cut the dump at so many places, with status 0, and judge each."""
    dumper = Dumper(bench)
    whole = dumper.whole()
    judge.remember()
    chance = plan.chance(name)
    ends = [len(whole) - 1, whole.rindex(b"\n", 0, -1), whole.rindex(b"\n", 0, -1) + 1, 0]
    # half of them near the end, where the marker is and a look at it may go wrong
    places = ends[: number // 4] + [
        chance.randrange(len(whole)) if i % 2 else len(whole) - 1 - chance.randrange(1, 3000) for i in range(number)
    ]
    for position, place in enumerate(places[:number], 1):
        dumper.says(f'{{real}} "$@" 2>/dev/null | head -c {place}; exit 0')
        done = bench.run("run", AGAMA)
        judge.tally.add(plan.CUTS)
        case = f"cut at {place} of {len(whole)}"
        if not judge.after(case, done, codes=(1,), error="cut short|does not begin like a dump", hint=True):
            judge.tally.add(plan.CUTS_REFUSED)
        if position % BETWEEN_RUNS == 0 or position == number:
            bench.host.sshd.farm.reset()
            judge.lifted(case, AGAMA)
    judge.verdict()


@fault(
    "pull",
    "mysqldump (MariaDB) cut at random places, half of them in the last 3000 bytes, with status 0",
    "exit 1; the dump is cut short",
    full=200,
    sample=12,
)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_cut_dump(bench: Bench, judge: Judge, part: int) -> None:
    """A dump cut anywhere, with status 0, is refused."""
    cut_dumps(bench, judge, f"cut {part}", CUTS_IN_PART)


@fault("pull", "the same with the real MySQL", "exit 1; the dump is cut short", full=40, sample=0)
@pytest.mark.campaign
@pytest.mark.mysql
@pytest.mark.timeout(900)
def test_a_cut_dump_of_mysql(mysql_place: Place, tally: Tally) -> None:
    """A dump of MySQL cut anywhere, with status 0, is refused."""
    with mysql_place.bench.mended():
        judge = Judge(mysql_place.bench, mysql_place.contents, tally)
        cut_dumps(mysql_place.bench, judge, "cut mysql", 40)


_WITHOUT_TABLE = r"""{real} "$@" | awk '/^-- Table structure for table `customer`/ {skip=1} \
/^-- (Table structure for table `[^c]|Temporary|Dumping events)/ {skip=0} !skip'; exit 0"""
_WITHOUT_ROUTINE = r"""{real} "$@" | awk '/CREATE.*`tidy up`/ {skip=1} /^DELIMITER ;$/ {skip=0} !skip'; exit 0"""

# What the program does, its script, and what the error says.
LIES = [
    ("nothing at all, status 0", "exit 0", "does not begin like a dump"),
    ("nothing but the marker", "echo '-- Dump completed on 2026-11-23  1:00:03'", "does not begin like a dump"),
    ("the dump twice", '{real} "$@"; {real} "$@"', "."),
    (
        "a whole dump, then a cut one",
        '{real} "$@"; {real} "$@" 2>/dev/null | head -c 9000; exit 0',
        "second dump|cut short",
    ),
    ("a cut dump, then a whole one", '{real} "$@" 2>/dev/null | head -c 9000; {real} "$@"', "."),
    ("the marker inside, not last", '{real} "$@"; echo "SELECT 1;"', "cut short"),
    ("the marker without its line end", '{real} "$@" | head -c -1; exit 0', "cut short"),
    ("the marker of another", '{real} "$@" | head -n -1; echo "-- Dump complete"', "cut short"),
    ("a whole dump, status 2", '{real} "$@"; exit 2', "status 2"),
    ("a whole dump, status 137", '{real} "$@"; exit 137', "137"),
    ("a whole dump, killed by KILL", '{real} "$@"; kill -KILL $$', "killed"),
    ("half a dump, killed by KILL", '{real} "$@" 2>/dev/null | head -c 200000; kill -KILL $$', "killed"),
    ("half a dump, killed by TERM", '{real} "$@" 2>/dev/null | head -c 200000; kill -TERM $$', "killed"),
    ("half a dump, the shell dies too", '{real} "$@" 2>/dev/null | head -c 200000; kill -KILL $PPID $$', "killed|lost"),
    ("a table is missing", _WITHOUT_TABLE, "customer"),
    ("a table is missing, as the program can leave it out", '{real} "$@" --ignore-table=agama.customer', "customer"),
    ("a routine is missing", _WITHOUT_ROUTINE, "tidy up"),
    ("all routines are missing", '{real} "$@" --skip-routines', "tidy up"),
    ("all triggers are missing", '{real} "$@" --skip-triggers', "customer_gone"),
    ("the rows of a table are missing", '{real} "$@" | grep -v "^INSERT INTO .bulk"; exit 0', "rows of agama.bulk"),
    ("all rows are missing", '{real} "$@" --no-data', "rows of"),
    ("all structure is missing", '{real} "$@" --no-create-info', "agama"),
    ("a login banner comes first", 'echo "Welcome!"; {real} "$@"', "does not begin like a dump"),
    ("another database", 'set -- "${@/agama/mysql}"; {real} "$@"', "agama"),
]


@fault(
    "pull",
    "dump empty, doubled, cut and whole joined, marker inside, killed by TERM, KILL, status 137; one table, routine, "
    "or rows missing, with status 0 and the marker",
    "exit 1, which names what is missing",
    full=len(LIES),
    sample=8,
)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(2))
def test_a_lying_dump(bench: Bench, judge: Judge, part: int) -> None:
    """A dump program that lies is not believed."""
    dumper = Dumper(bench)
    chosen = [LIES[number] for number in plan.spread(len(LIES), 8, "lies")][part::2]
    for case, body, error in chosen:
        dumper.says(body)
        judge.after(case, bench.run("run", AGAMA), codes=(1,), error=error, hint=True)
    bench.host.sshd.farm.reset()
    judge.lifted("after the lies", AGAMA)
    judge.verdict()


@pytest.fixture
def waiting(bench: Bench) -> Iterator[Dumper]:
    """A dump program that stops half-way until {dir}/go is there."""
    dumper = Dumper(bench)
    for name in ("half", "go"):
        dumper.file(name).unlink(missing_ok=True)
    yield dumper
    dumper.file("go").touch()


@fault("pull", "database server killed in mid-dump", "exit 1; the server went away")
def test_the_server_dies_in_mid_dump(bench: Bench, judge: Judge, waiting: Dumper) -> None:
    """A database server killed while its rows are read fails the run."""
    waiting.says('touch {dir}/half; while ! [ -e {dir}/go ]; do sleep 0.02; done; exec {real} "$@"')
    running = bench.launch("run", AGAMA)
    wait_until(waiting.file("half").exists, 30, "the dump begins")
    bench.host.server.kill()
    waiting.file("go").touch()
    judge.after("server killed", running.wait(60), codes=(1,), error="20(02|13|06)|dump", hint=True)
    bench.host.sshd.farm.reset()
    bench.host.server.start()
    judge.lifted("server killed", AGAMA)
    judge.verdict()


@fault(
    "pull", "the agent is told to stop (TERM, INT) in mid-dump", "exit 143 or 130; nothing is stored", full=2, sample=2
)
@pytest.mark.parametrize(("number", "code"), [(15, 143), (2, 130)])
def test_stopped_in_mid_dump(bench: Bench, judge: Judge, waiting: Dumper, number: int, code: int) -> None:
    """TERM and Ctrl-C end a pull at once, and leave nothing."""
    waiting.says(HALF + "while ! [ -e {dir}/go ]; do sleep 0.02; done; exit 0")
    running = bench.launch("run", AGAMA)
    wait_until(waiting.file("half").exists, 30, "half of the dump is sent")
    running.send(number)
    done = running.wait(60)
    waiting.file("go").touch()
    judge.after(f"signal {number}", done, codes=(code,), error="interrupted|terminated")
    assert done.seconds < 30
    bench.host.sshd.farm.reset()
    judge.lifted(f"signal {number}", AGAMA)
    assert not re.search("Traceback", done.err)
    judge.verdict()


@fault("pull", "a program on the host waits for input", "it meets the end of its input, and the run goes on")
def test_a_program_that_reads_its_input(bench: Bench, judge: Judge) -> None:
    """What a pull starts on the host finds its input closed, and cannot wait for it."""
    bench.edit("[ssh]\n", "[ssh]\ntotal_s = 15.0\n")
    Dumper(bench).says('cat >/dev/null; exec {real} "$@"')
    judge.after("reads its input", bench.run("run", AGAMA), publishes=True, codes=(0,))
    bench.host.sshd.farm.reset()
    judge.lifted("reads its input", AGAMA)
    judge.verdict()
