"""A tar on the host that lies about a tree, or dies over it; and trees that are restored onto what breaks."""

from collections.abc import Iterator

import pytest

from tests.faults import plan
from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.faults.conftest import prepared
from tests.faults.judge import Judge, Place
from tests.faults.plan import Tally
from tests.faults.trees import ETC, TreeHost
from tests.faults.zygote import Zygote
from tests.integration.agent import open_sealed

PARTS = plan.count(1, 4)
CUTS_IN_PART = plan.count(8, 30)
_CREATING = '#!/bin/bash\ncase "$*" in *--create*) ;; *) exec /usr/bin/tar "$@" ;; esac\n'


@pytest.fixture(scope="module")
def tree_place(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A host with a tree, and a backup server with two snapshots of it."""
    with TreeHost(tmp_path_factory.mktemp("faults") / "host") as host:
        yield prepared(Bench(tmp_path_factory.mktemp("bench") / "backup", host, zygote))


@pytest.fixture
def bench(tree_place: Place) -> Iterator[Bench]:
    """That backup server; what a test broke is mended afterwards."""
    with tree_place.bench.mended():
        yield tree_place.bench


@pytest.fixture
def judge(bench: Bench, tree_place: Place, tally: Tally) -> Judge:
    """The checker."""
    return Judge(bench, tree_place.contents, tally)


def tar_says(bench: Bench, body: str) -> None:
    """What runs in place of the tar that archives: a bash script; `/usr/bin/tar` is the true one."""
    bench.host.sshd.put_first("tar", f"{_CREATING}CHANGED='tar: x: file changed as we read it'\n{body}\n")


@fault(
    "pull",
    "tar cut at random places, a third of them at blocks and records, with status 0",
    "exit 1; the archive is cut short",
    full=120,
    sample=8,
)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_cut_tree(bench: Bench, judge: Judge, part: int) -> None:
    """An archive that is cut anywhere is refused, although tar reports success."""
    chance = plan.chance(f"tree {part}")
    archive = bench.path(bench.latest(ETC)) / "files.tar.zst.age"
    whole = len(open_sealed(archive, bench.identity))
    # shorter by the padding alone is still whole: after the two blocks of its end nothing counts
    needed = len(open_sealed(archive, bench.identity).rstrip(b"\0"))
    for number in range(CUTS_IN_PART):
        unit = (1, 512, 10_240)[number % 3]
        kept = chance.randrange(needed // unit) * unit
        tar_says(bench, f'/usr/bin/tar "$@" | head -c {kept}; exit 0')
        judge.tally.add(plan.CUTS)
        case = f"tar cut at {kept} of {whole}"
        if not judge.after(case, bench.run("run", ETC), codes=(1,), error="cut short|empty|lacks", hint=False):
            judge.tally.add(plan.CUTS_REFUSED)
    bench.host.sshd.farm.reset()
    judge.lifted("after the cuts", ETC)
    judge.verdict()


LIES = [
    ("nothing", "exit 0", "cut short|empty"),
    ("another tree", '/usr/bin/tar "${@:1:$#-1}" usr/share/zoneinfo/Etc', "nobody asked for"),
    ("a part of it", '/usr/bin/tar "$@"/dir', "lacks"),
    ("another tree besides", '/usr/bin/tar "$@" usr/share/zoneinfo/Etc', "nobody asked for|out of order"),
    ("twice", '/usr/bin/tar "$@"; /usr/bin/tar "$@"', "after its end|twice|out of order|goes on"),
    ("names that lead out", '/usr/bin/tar --transform "s,^,../," "$@"', "outside"),
    ("absolute names", '/usr/bin/tar --absolute-names --transform "s,^,/," "$@"', "outside"),
    ("compressed", '/usr/bin/tar "$@" | gzip', "archive|cut short"),
    ("words ahead of it", 'echo Welcome; /usr/bin/tar "$@"', "archive|cut short|damaged"),
    ("status 1 and no name", '/usr/bin/tar "$@"; exit 1', "names no file"),
    ("status 1, a name, and cut", '/usr/bin/tar "$@" | head -c 30000; echo "$CHANGED" >&2; exit 1', "cut"),
    ("status 2", '/usr/bin/tar "$@"; exit 2', "status 2"),
    ("killed", '/usr/bin/tar "$@" | head -c 30000; kill -KILL $$', "137|killed"),
    ("told to end", '/usr/bin/tar "$@" | head -c 30000; kill -TERM $$', "killed|terminated"),
    ("its shell killed", "kill -KILL $PPID; sleep 0.2", "killed|lost|137"),
]


@fault(
    "pull",
    "tar archives nothing, another tree, a part, too much, names that lead out, all with status 0; fails, is killed",
    "exit 1, which names what is wrong",
    full=len(LIES),
    sample=5,
)
@pytest.mark.timeout(300)
def test_a_lying_tar(bench: Bench, judge: Judge) -> None:
    """What is not a whole archive of what was asked for is refused."""
    for case, body, error in (LIES[number] for number in plan.spread(len(LIES), 5, "tar lies")):
        tar_says(bench, body)
        judge.after(case, bench.run("run", ETC), codes=(1,), error=error)
    bench.host.sshd.farm.reset()
    judge.lifted("after the lies", ETC)
    judge.verdict()
