"""Pulls of a recorded dump, with all checks on, against what an operator would use instead."""

import shlex
import shutil
from collections.abc import Iterator
from functools import partial

from tests.bench.contest import OURS, Asked, Contender, contest, cpus, walls
from tests.bench.ground import Ground
from tests.bench.measure import Measured
from tests.bench.results import Command, Part, Row
from tests.integration.agent import AGAMA, HOST

SHELL, RESTIC, BORG = "ssh | zstd -3 -T1 | age", "ssh | restic backup --stdin", "ssh | borg create -C zstd,3"
STREAM_MIB, FURTHER_MIB = 128.0, 40.0
_FOUR = 4
# what runs it, and its script
Contestant = tuple[Contender, str]


def pull(asked: Asked) -> Iterator[Part]:
    """One stream, against the shell's pipeline, restic and borg."""
    with asked.place() as place, Ground(place) as there:
        there.serve(there.record(asked.size))
        contestants: dict[str, Contestant] = {
            OURS: (partial(pulled, there), f"pullagent run {AGAMA}"),
            SHELL: (lambda: there.shell(there.pipeline()), there.pipeline()),
            RESTIC: _restic(there),
            BORG: _borg(there),
        }
        for name, (_, script) in contestants.items():
            yield Command(name, there.shown(script))
        found = contest({name: run for name, (run, _) in contestants.items()}, asked.pairs)
        ours, shell = found[OURS], found[SHELL]
        what = f"pull of a {size(asked.size)} stream, all checks on"
        yield Row("pull", f"{what}: wall time", SHELL, "s", "times as fast", walls(ours), walls(shell), 1.2)
        yield Row("pull", f"{what}: CPU", SHELL, "s", "of its CPU", cpus(ours), cpus(shell), 1.0)
        for rival, reach in ((RESTIC, 1.8), (BORG, 1.5)):
            theirs = found[rival]
            yield Row("pull", f"{what}: wall time", rival, "s", "times as fast", walls(ours), walls(theirs), reach)
            yield Row("pull", f"{what}: CPU", rival, "s", "of its CPU", cpus(ours), cpus(theirs))


def four(asked: Asked) -> Iterator[Part]:
    """Four streams at once."""
    with asked.place() as place, Ground(place) as there:
        names = there.serve_many(there.record(asked.size // _FOUR), _FOUR)
        starts = " ".join(f"({there.pipeline(name)}) & {name}=$!;" for name in names)
        waits = " ".join(f"wait ${name};" for name in names)
        contenders: dict[str, Contender] = {
            OURS: partial(pulled, there, "--jobs", str(_FOUR), HOST),
            SHELL: lambda: there.shell(starts + waits),
        }
        found = contest(contenders, asked.pairs)
        what, against = f"four sources of {size(asked.size // _FOUR)} at once", "four such pipelines at once"
        ours, theirs = found[OURS], found[SHELL]
        yield Row("four", f"{what}: wall time", against, "s", "times as fast", walls(ours), walls(theirs), 1.25)
        yield Row("four", f"{what}: CPU", against, "s", "of its CPU", cpus(ours), cpus(theirs))


def memory(asked: Asked) -> Iterator[Part]:
    """The largest process of a pull, by the length of the stream and by how many there are at once."""
    with asked.place() as place, Ground(place) as there:
        recorded = there.record(100_000_000)
        for length in (100_000_000, 1_000_000_000, asked.largest):
            there.serve(recorded, length)
            peak = round(pulled(there).peak_mib, 1)
            what = f"memory of the largest process, {size(length)} stream"
            yield Row("memory", what, "", "MiB", "at most", (peak,), reach=STREAM_MIB)
        for jobs in (1, 2, 4):
            there.serve_many(recorded, jobs)
            peak = round(pulled(there, "--jobs", str(jobs), HOST).peak_mib, 1)
            reach = STREAM_MIB + FURTHER_MIB * (jobs - 1)
            yield Row(
                "memory", f"the same, {jobs} streams of 100 MB at once", "", "MiB", "at most", (peak,), reach=reach
            )


def pulled(there: Ground, *arguments: str) -> Measured:
    """A run into an empty store."""
    there.forget()
    return there.pullagent("run", *(arguments or (AGAMA,)))


def size(count: float) -> str:
    """A number of bytes in decimal units."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


def _restic(there: Ground) -> Contestant:
    repository = there.agent.directory / "restic"
    head = f"export RESTIC_PASSWORD=x; restic -q --no-cache -r {shlex.quote(str(repository))}"
    script = f"{there.ssh_dump()} | ({head} backup --stdin --stdin-filename dump.sql)"

    def run() -> Measured:
        shutil.rmtree(repository, ignore_errors=True)
        there.shell(f"{head} init --repository-version 2")
        return there.shell(script)

    return run, script


def _borg(there: Ground) -> Contestant:
    repository = there.agent.directory / "borg"
    head = "export BORG_PASSPHRASE=x; borg"
    script = f"{there.ssh_dump()} | ({head} create -C zstd,3 {shlex.quote(str(repository))}::dump -)"

    def run() -> Measured:
        for stale in (repository, there.agent.home / ".cache" / "borg", there.agent.home / ".config" / "borg"):
            shutil.rmtree(stale, ignore_errors=True)
        there.shell(f"{head} init -e repokey-blake2 {shlex.quote(str(repository))}")
        return there.shell(script)

    return run, script
