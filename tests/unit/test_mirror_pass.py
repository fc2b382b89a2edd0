"""One pass over the mirrors of a configuration: who logs in, what is noted, what it comes to."""

import os
import shutil
import subprocess
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pullagent import mirror as mirrors
from pullagent.clock import Record
from pullagent.config import Config, load
from pullagent.drill.local import LocalHost
from pullagent.errors import HostError, UsageError
from pullagent.expiry import expire
from pullagent.ledger import Ledger
from pullagent.mirror import MirrorReport, Passed
from pullagent.model import SourceName, StopSignal
from pullagent.prune import dry_run
from pullagent.pull import Puller
from pullagent.sources import KINDS
from pullagent.store import Store
from tests.lab.repository import Repository
from tests.unit.toml import changed, document

NOW = datetime(2026, 11, 23, 1, 0, 3, tzinfo=UTC)
NAME = SourceName("forge", "ansible")


class Site:
    """A repository, and a configuration that mirrors it by a URL that git follows by itself."""

    def __init__(self, directory: Path) -> None:
        self.upstream = Repository(directory / "ansible.git")
        self.now = NOW
        path = directory / "hosts.toml"
        value = changed("store path", str(directory / "store"))
        sources = {"ansible": {"kind": "git", "url": f"file://{self.upstream.bare}"}}
        value["hosts"]["forge"] = {"user": "u", "sources": sources}
        path.write_text(document(value))
        self.config: Config = load(path, KINDS)
        self.store = Store(self.config.store)

    def run(self) -> Passed:
        """One pass."""

        def connect(_: Any) -> NoReturn:
            raise AssertionError("nobody needs to log in anywhere")

        (passed,) = mirrors.mirror(self.config, [NAME], connect=connect, clock=lambda: self.now).outcomes
        return passed

    def lines(self) -> list[dict[str, Any]]:
        """What the ledger says of it."""
        return list(Ledger(self.store.ledger_path).entries(("mirror",)))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """One whose mirror is up to date."""
    made = Site(tmp_path)
    assert made.run().outcome == "updated"
    return made


def test_a_url_of_its_own_needs_no_login(site: Site) -> None:
    """The host in hosts.toml need not even exist; what is noted is when upstream last answered."""
    site.now += timedelta(minutes=1)
    passed = site.run()
    note = site.store.mirror_note(NAME)
    assert (passed.outcome, passed.news) == ("same", False)
    assert note is not None
    assert (note.compared, note.agree, note.error) == (site.now, True, "")
    assert len(site.lines()) == 1


def test_an_upstream_that_was_emptied_is_a_failure(site: Site) -> None:
    """It answered, so that it was compared; the mirror is not as it, and says so until it is again."""
    commit = site.upstream.refs()["refs/heads/main"]
    site.upstream.there("update-ref", "-d", "refs/heads/main")
    site.now += timedelta(minutes=1)
    passed = site.run()
    assert (passed.outcome, passed.exit_code, passed.news) == ("failed", 1, True)
    assert "no refs any more" in passed.error
    note = site.store.mirror_note(NAME)
    assert note is not None
    assert (note.compared, note.agree) == (site.now, False)
    assert not site.run().news
    site.upstream.there("update-ref", "refs/heads/main", commit)
    assert (site.run().outcome, [line["ok"] for line in site.lines()]) == ("same", [True, False, True])


def test_a_repository_of_sha_256_is_refused_by_name(site: Site) -> None:
    """No mirror holds it; what to do instead is told, not git's words of a mismatch."""
    shutil.rmtree(site.upstream.bare)
    subprocess.run(["git", "init", "-q", "--bare", "--object-format=sha256", site.upstream.bare], check=True)
    tree = site.upstream.there("hash-object", "-t", "tree", "-w", "/dev/null").strip()
    commit = site.upstream.there("commit-tree", "-m", "first", tree).strip()
    site.upstream.there("update-ref", "refs/heads/main", commit)
    passed = site.run()
    assert (passed.outcome, passed.exit_code) == ("failed", 1)
    assert "SHA-256" in passed.error


def test_a_mirror_that_is_gone_is_told_and_made_anew(site: Site) -> None:
    """What it kept is no longer in it: nobody may learn that only on the day when it is looked for."""
    shutil.rmtree(site.store.mirror_place(NAME))
    passed = site.run()
    assert passed.outcome == "updated"
    assert passed.followed is not None
    assert "made anew" in passed.followed.warnings[-1]
    assert "made anew" in site.lines()[-1]["detail"]["warnings"][-1]
    passed = site.run()
    assert passed.followed is not None
    assert passed.followed.warnings == ()


def test_damage_that_a_run_finds_is_seen_by_every_pass(site: Site) -> None:
    """A comparison of refs alone would go on to say that all is as upstream."""
    for pack in site.store.mirror_place(NAME).glob("objects/pack/*.pack"):
        pack.unlink()
    assert site.run().outcome == "same"
    outcome = Puller(site.config, clock=lambda: site.now).run([NAME]).outcomes[0]
    assert (outcome.outcome, "is damaged" in str(outcome.error)) == ("failed", True)
    note = site.store.mirror_note(NAME)
    assert note is not None
    assert (note.agree, "is damaged" in note.error) == (False, True)
    passed = site.run()
    assert (passed.outcome, passed.news, "is damaged" in passed.error) == ("failed", False, True)


def test_refs_that_were_given_up_go_by_retention(site: Site) -> None:
    """Their names are shown before; a mirror that is at work keeps them."""
    site.upstream.git("commit", "--quiet", "--amend", "--message", "Rewritten")
    site.upstream.git("push", "--quiet", "--force", "origin", "main")
    site.now = NOW
    site.run()
    kept = "forge/ansible refs/pullagent/2026-11-23T010003Z/refs/heads/main"
    assert dry_run(site.config, NOW + timedelta(days=13), record=Record()).expired == ()
    late = NOW + timedelta(days=15)
    assert expire(site.config, late, dry_run=True) == (kept,)
    assert expire(site.config, late, spared=[NAME]) == ()
    with site.store.locked(NAME):
        assert expire(site.config, late) == ()
    assert expire(site.config, late) == (kept,)
    assert expire(site.config, late) == ()


def test_a_source_without_a_mirror_is_named(site: Site) -> None:
    """Asked for by name it is an error, and so is having none at all."""
    assert mirrors.chosen(site.config, []) == [NAME]
    with pytest.raises(UsageError, match="keeps no mirror"):
        mirrors.chosen(site.config, ["pavroto-2/agama"])
    with pytest.raises(UsageError, match="no source keeps a mirror"):
        mirrors.chosen(site.config, ["pavroto-2"])


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [(["same", "skipped"], 0), (["failed", "same"], 3), (["failed", "failed"], 13), (["failed", "skipped"], 3)],
)
def test_a_pass_ends_as_a_run_does(outcomes: list[str], code: int) -> None:
    """All failed for one cause: its code."""
    passed = [Passed(NAME, outcome, 0.1, exit_code=13 * (outcome == "failed")) for outcome in outcomes]
    assert MirrorReport(tuple(passed)).exit_code == code


def test_a_host_that_cannot_be_reached_is_noted(tmp_path: Path) -> None:
    """The note keeps the time of the last answer, and takes the error."""
    site = Site(tmp_path)
    site.run()
    value = site.config.text.replace(f"file://{site.upstream.bare}".encode(), b"/srv/git/ansible.git")
    site.config.path.write_bytes(value)
    config = load(site.config.path, KINDS)

    def connect(_: Any) -> NoReturn:
        raise HostError("forge: no answer in time")

    later = NOW + timedelta(minutes=1)
    (passed,) = mirrors.mirror(config, [NAME], connect=connect, clock=lambda: later).outcomes
    assert (passed.outcome, passed.error) == ("failed", "forge: no answer in time")
    note = site.store.mirror_note(NAME)
    assert note is not None
    assert (note.compared, note.error) == (NOW, "forge: no answer in time")


def test_a_limit_of_the_rate_holds_for_mirrors_too(tmp_path: Path) -> None:
    """A clone of 300 kB from a host that may be read at 0.2 MB/s takes more than a second."""
    upstream = Repository(tmp_path / "ansible.git")
    upstream.enlarge()
    path, value = tmp_path / "hosts.toml", changed("store path", str(tmp_path / "store"))
    source = {"kind": "git", "url": str(upstream.bare)}
    value["hosts"]["forge"] = {"user": "u", "max_mbytes_per_s": 0.2, "sources": {"ansible": source}}
    path.write_text(document(value))

    def connect(_: Any) -> Any:
        return nullcontext(LocalHost("forge", tmp_path, None, {"PATH": os.environ["PATH"]}, 20, StopSignal()))

    (passed,) = mirrors.mirror(load(path, KINDS), [NAME], connect=connect).outcomes
    assert passed.outcome == "updated"
    assert passed.took_s > 1.4
