"""A pass over a mirror, killed at moments spread over all of it: nothing that the mirror held is lost."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.catalogue import fault
from tests.faults.plan import FAULTS, Tally, chance, count
from tests.integration.forge import Backup, Forge
from tests.lab.guard import descendants

CASES = count(4, 120)


@pytest.fixture
def backup(tmp_path: Path) -> Iterator[Backup]:
    """A repository, and a mirror of it that is up to date."""
    with Forge(tmp_path / "forge") as forge:
        made = Backup(tmp_path / "backup", forge)
        made.call("mirror").succeeded()
        yield made


@fault(
    "store",
    "a mirror's pass after upstream was rewritten, killed (SIGKILL) at any moment: pullagent alone, or with its git",
    "every commit that the mirror held stays held by a ref; the next pass does the rest, whatever locks were left",
    full=120,
    sample=4,
)
@pytest.mark.timeout(60 + 10 * CASES)
def test_a_mirror_killed_at_any_moment(backup: Backup, tally: Tally) -> None:
    """Rewritten branches, deleted ones, and a branch in the place of a directory of branches."""
    moments, upstream = chance("mirror"), backup.upstream
    begun = time.monotonic()
    backup.call("mirror").succeeded()
    whole = time.monotonic() - begun
    for number in range(CASES):
        _rewrite(backup, number)
        before = set(upstream.refs(backup.mirror).values())
        process = backup.start("mirror")
        time.sleep(whole * moments.uniform(0.4, 1.4))
        below = descendants(process.pid) if number % 2 else []
        for pid in (process.pid, *below):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()
        tally.add(FAULTS)
        assert before <= set(upstream.refs(backup.mirror).values())
        backup.call("mirror").succeeded()
        found = upstream.refs(backup.mirror)
        assert before <= set(found.values())
        assert {n: oid for n, oid in found.items() if not n.startswith("refs/pullagent/")} == upstream.refs()
    upstream.git(f"--git-dir={backup.mirror}", "fsck", "--full", "--strict")


def _rewrite(backup: Backup, number: int) -> None:
    upstream = backup.upstream
    old, new = ("feature", "feature/one") if number % 2 == 0 else ("feature/one", "feature")
    upstream.git("commit", "--quiet", "--amend", "--message", f"Rewritten, {number}")
    upstream.git("push", "--quiet", "origin", f":{old}")
    upstream.git("push", "--quiet", "--force", "origin", "main", f"main:refs/heads/{new}")
