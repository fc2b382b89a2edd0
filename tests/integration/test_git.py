"""A git repository on a real host: mirrored, bundled, restored, drilled, over the pinned connection and its gate."""

import os
import pwd
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent import alive, is_root, open_sealed, shell, wait_for_file
from tests.integration.forge import ANSIBLE, HOST, Backup, Forge
from tests.integration.runbook import Operator
from tests.lab.guard import descendants
from tests.lab.keys import public_text, ssh_keypair
from tests.lab.processes import wait_until
from tests.lab.sshd import Sshd


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """The host, for the module."""
    with Forge(tmp_path_factory.mktemp("forge")) as started:
        yield started


@pytest.fixture
def backup(forge: Forge, tmp_path: Path) -> Backup:
    """A backup server for one test, with an empty store."""
    forge.start()
    return Backup(tmp_path / "backup", forge)


def test_a_mirror_is_cloned_from_at_once(backup: Backup) -> None:
    """The first pass takes all; status prints the command, and that command works with the host gone."""
    backup.call("mirror", ANSIBLE).succeeded()
    status = backup.call("status", "--json")
    clone = status.json["sources"][0]["mirror"]["clone"]
    assert clone == f"git clone {backup.mirror}"
    assert clone in backup.call("status").out
    backup.host.sshd.stop()
    shell(f"{clone} work && cd work && test -f site.yml && git log --oneline | grep -c .", backup.home)


def test_a_pass_without_news_leaves_the_store_as_it_is(backup: Backup) -> None:
    """No line in the ledger, no byte in the mirror; only the time of its note moves."""
    backup.call("mirror").succeeded()
    note = backup.mirror.with_suffix(".json")
    before, ledger, seen = backup.tree(), backup.ledger(), note.stat().st_mtime
    done = backup.call("mirror").succeeded()
    assert "as upstream" in done.out
    assert (backup.tree(), backup.ledger()) == (before, ledger)
    assert note.stat().st_mtime > seen


def test_a_run_stores_a_bundle_that_stock_git_opens(backup: Backup) -> None:
    """All refs of the mirror, those that upstream gave up too; what RESTORE.txt says works with stock programs."""
    backup.call("run").succeeded()
    backup.upstream.git("commit", "--quiet", "--amend", "--message", f"Rewritten at {time.time()}")
    backup.upstream.git("push", "--quiet", "--force", "origin", "main")
    assert "upstream gave up 1 of its refs" in backup.call("run").succeeded().err
    snapshot = backup.path(backup.latest(ANSIBLE))
    bundle = backup.home / "all.bundle"
    bundle.write_bytes(open_sealed(snapshot / "repo.bundle.zst.age", backup.identity))
    listed = backup.upstream.git("bundle", "list-heads", bundle)
    found = {name: oid for oid, name in (line.split(" ") for line in listed.splitlines())}
    assert {name: oid for name, oid in found.items() if name != "HEAD"} == backup.upstream.refs(backup.mirror)
    assert any(name.startswith("refs/pullagent/") and name.endswith("/refs/heads/main") for name in found)
    commands = [line.strip() for line in (snapshot / "RESTORE.txt").read_text().splitlines() if line.startswith("    ")]
    script = "\n".join(commands).replace("KEY", str(backup.identity))
    for file in snapshot.iterdir():
        (backup.home / file.name).symlink_to(file)
    shell(script, backup.home)
    assert backup.upstream.refs(backup.home / "repo.git") == backup.upstream.refs()
    assert (backup.home / "work/site.yml").exists()
    assert backup.call("verify", "--identity", backup.identity).succeeded().out.endswith("no problem\n")


def test_another_host_key_stops_it_before_the_login(backup: Backup) -> None:
    """Pinned keys hold for git too: nothing is sent to a stranger, neither by a mirror nor by a run."""
    backup.call("mirror").succeeded()
    before = backup.tree()
    stranger = ssh_keypair(backup.directory / "stranger")
    pinned = f"[127.0.0.1]:{backup.host.sshd.port} {stranger.with_name('stranger.pub').read_text()}"
    for text, error in ((pinned, "the host key has changed"), ("", "is not pinned")):
        backup.known_hosts.write_text(text)
        logins = backup.host.sshd.log.read_text().count("Accepted publickey")
        backup.call("mirror").failed(13, error, f"pullagent trust {HOST}")
        backup.call("run").failed(13, error)
        assert backup.host.sshd.log.read_text().count("Accepted publickey") == logins
    changed = {path for path, is_now in backup.tree().items() if before.get(path) != is_now}
    assert changed == {f".mirrors/{HOST}/ansible.json"}


def test_an_ssh_url_is_held_to_the_same_keys(backup: Backup, tmp_path: Path) -> None:
    """Another server, by its URL: refused until its key is pinned, then mirrored."""
    other = Sshd(tmp_path / "other", backup.host.identity.with_name("id_ed25519.pub"))
    other.start()
    try:
        backup.edit(f'url = "{backup.upstream.bare}"', f'url = "ssh://127.0.0.1:{other.port}{backup.upstream.bare}"')
        backup.call("mirror").failed(13, "is not pinned", f"pullagent trust 127.0.0.1:{other.port}")
        with backup.known_hosts.open("a") as file:
            file.write(f"{other.known_hosts_line()}\n")
        backup.call("mirror").succeeded()
    finally:
        other.stop()
    assert backup.upstream.refs(backup.mirror) == backup.upstream.refs()


def test_the_gate_lets_git_pass_and_nothing_else(backup: Backup) -> None:
    """One constant command, run by the forced command's wrapper."""
    backup.call("gate", HOST, "-o", backup.home / "gate").succeeded()
    wrapper = backup.home / "gate/pullagent-gate"
    assert wrapper.read_text().count("git-upload-pack") == 1
    keys = backup.host.sshd.authorized_keys
    before = keys.read_text()
    keys.write_text(f'restrict,command="sh {wrapper}" {before}')
    try:
        backup.call("run").succeeded()
        assert "ansible: repository" in backup.call("doctor", HOST).out
        backup.edit(str(backup.upstream.bare), str(backup.upstream.work / ".git"))
        backup.call("mirror").failed(1, "its gate does not know this command", f"pullagent gate {HOST}")
    finally:
        keys.write_text(before)


def test_without_a_clear_mirror_nothing_lies_in_clear(backup: Backup) -> None:
    """The bundle is made all the same; `mirror` says why it has nothing to do."""
    backup.edit('kind = "git"\n', 'kind = "git"\nclear_mirror = false\n')
    temporary = backup.directory / "tmp"
    temporary.mkdir()
    assert backup.call("run", env={"TMPDIR": str(temporary)}).code == 0
    assert not (backup.store / ".mirrors").exists()
    assert list(temporary.iterdir()) == []
    backup.call("mirror", ANSIBLE).failed(2, "keeps no mirror here", "clear_mirror")
    status = backup.call("status", "--json").json["sources"][0]
    assert (status["verdict"], "mirror" in status) == ("OK", False)


def test_a_failure_is_told_once_in_the_ledger_and_so_is_its_end(backup: Backup) -> None:
    """A minute's timer must not fill it."""
    backup.call("mirror").succeeded()
    away = backup.upstream.bare.rename(backup.upstream.bare.with_suffix(".away"))
    try:
        for _ in range(3):
            backup.call("mirror").failed(1, "does not appear to be a git repository", "check url")
        assert backup.call("status", "--json").json["sources"][0]["verdict"] == "NEVER"
        backup.call("run").failed(1, "does not appear to be a git repository")
    finally:
        away.rename(backup.upstream.bare)
    backup.call("mirror").succeeded()
    lines = [line["ok"] for line in backup.ledger() if line["event"] == "mirror"]
    assert lines == [True, False, True]


def test_a_second_pass_leaves_the_first_alone(backup: Backup) -> None:
    """While a run or another pass is at it, a pass skips the mirror, and that is no failure."""
    backup.call("mirror").succeeded()
    lock = backup.store / ".locks" / HOST / "ansible.lock"
    done = shell(f"flock {lock} -c '{' '.join(backup.argv('mirror'))}'", backup.home)
    assert "skipped" in done


def given_to_nobody(directory: Path) -> None:
    """Another account's."""
    owner = pwd.getpwnam("nobody")
    for path in (directory, *directory.rglob("*")):
        os.chown(path, owner.pw_uid, owner.pw_gid)


@pytest.mark.skipif(not is_root(), reason="only root can give files away")
def test_a_repository_of_another_account(backup: Backup) -> None:
    """git does not show it to the pull account until it is told to; the hint is what to type, and that works."""
    copy = backup.directory / "theirs.git"
    shutil.copytree(backup.upstream.bare, copy)
    given_to_nobody(copy)
    backup.edit(f'url = "{backup.upstream.bare}"', f'url = "{copy}"')
    done = backup.call("mirror").failed(1, "does not show a repository of another account", "git config --system --add")
    (hint,) = [line for line in done.err.splitlines() if line.startswith("hint: ")]
    (backup.host.sshd.home / ".gitconfig").write_text("")
    backup.host.ssh(hint.partition("once:  ")[2].replace("--system", "--global"))
    try:
        backup.call("mirror").succeeded()
    finally:
        (backup.host.sshd.home / ".gitconfig").unlink()


def test_a_restore_puts_the_repository_back(backup: Backup) -> None:
    """Onto a host where it is gone; over one that is there only when told so, and then whole or not at all."""
    backup.call("run").succeeded()
    refs = backup.upstream.refs()
    backup.call("restore", f"{ANSIBLE}@latest", *backup.put_back("--yes")).failed(1, "is there already", "--replace")
    away = backup.upstream.bare.rename(backup.upstream.bare.with_suffix(".away"))
    try:
        done = backup.call("restore", f"{ANSIBLE}@latest", *backup.put_back("--yes", "--json")).succeeded()
        assert {item["name"]: item["found"] for item in done.json["objects"]} == refs
        assert backup.upstream.refs() == refs
        assert (backup.upstream.bare / "HEAD").read_text() == "ref: refs/heads/main\n"
        (backup.upstream.bare / "old").touch()
        if is_root():
            given_to_nobody(backup.upstream.bare)
        backup.call("restore", f"{ANSIBLE}@latest", *backup.put_back("--yes", "--replace")).succeeded()
        assert not (backup.upstream.bare / "old").exists()
        # root restores for whoever pushes there
        owners = {path.stat().st_uid for path in (backup.upstream.bare, backup.upstream.bare / "HEAD")}
        assert owners == {pwd.getpwnam("nobody").pw_uid if is_root() else os.getuid()}
        left = [p.name for p in backup.upstream.bare.parent.iterdir() if ".pullagent" in p.name]
        assert left == []
    finally:
        shutil.rmtree(backup.upstream.bare, ignore_errors=True)
        away.rename(backup.upstream.bare)
    backup.call("mirror").succeeded()


def test_an_empty_name_is_no_place(backup: Backup) -> None:
    """As an unset variable of a script leaves it: refused before anything is looked at."""
    argv = ("restore", f"{ANSIBLE}@latest", *backup.put_back("--yes", "--into", ""))
    backup.call(*argv).failed(2, "--into names nothing", "is a variable empty?")


@pytest.mark.parametrize("when", ["while it asks", "while it builds"])
def test_a_restore_replaces_nothing_that_was_made_meanwhile(backup: Backup, when: str) -> None:
    """The place was free at the preflight; a colleague's new repository there stays as it is, and nothing beside it."""
    backup.call("run").succeeded()
    bare = backup.upstream.bare
    away = bare.rename(bare.with_suffix(".away"))
    make = f"mkdir {bare} && echo newer >{bare}/mark"

    def answer() -> str:
        if when == "while it asks":
            shell(make, backup.home)
        else:
            program = shutil.which("git")
            backup.host.sshd.put_first("git", f'case "$*" in *" fsck "*) {make};; esac\nexec {program} "$@"')
        return "yes\n"

    try:
        argv = ("restore", f"{ANSIBLE}@latest", *backup.put_back())
        typed = backup.type(*argv, answers=[("type yes to go on:", answer)])
        said = " ".join(typed.screen.split())
        assert typed.code == 1
        assert "no longer absent, nothing was changed" in said
        assert "half restored" not in said
        assert (bare / "mark").read_text() == "newer\n"
        assert [p.name for p in bare.parent.iterdir() if ".pullagent" in p.name] == []
    finally:
        backup.host.sshd.farm.reset()
        shutil.rmtree(bare, ignore_errors=True)
        away.rename(bare)


@pytest.mark.parametrize("named", [".", ".git"])
def test_a_working_copy_stays_one(backup: Backup, named: str) -> None:
    """As upstream: what lies on no branch is told. As a target: refused, for a bare repository would take its place."""
    work = backup.directory / "checkout"
    shutil.copytree(backup.upstream.work, work)
    backup.edit(f'url = "{backup.upstream.bare}"', f'url = "{work / named}"')
    backup.upstream.git("-C", work, "checkout", "--quiet", "--detach")
    assert "HEAD is on no branch" not in backup.call("run").succeeded().err
    backup.upstream.git("-C", work, "commit", "--quiet", "--allow-empty", "--message", "On no branch")
    commit = backup.upstream.git("-C", work, "rev-parse", "HEAD")[:12]
    for verb in ("run", "mirror"):
        assert f"git branch NAME {commit}" in backup.call(verb).succeeded().err
    (work / "not-committed").touch()
    before = sorted(work.rglob("*"))
    for option in ("--replace", "--yes"):
        done = backup.call("restore", f"{ANSIBLE}@latest", *backup.put_back("--yes", option))
        done.failed(1, "is a working copy", "--into NAME")
    assert sorted(work.rglob("*")) == before
    backup.upstream.git("-C", work, "branch", "named")
    assert "HEAD is on no branch" not in backup.call("run").succeeded().err


def test_a_drill_clones_and_checks_the_tree_out(backup: Backup) -> None:
    """Here, with a working copy; and beside the repository on a host, where nothing is left of it."""
    backup.call("run").succeeded()
    done = backup.call("drill", f"{ANSIBLE}@latest", "--identity", backup.identity, "--json").succeeded()
    found = {item["name"]: item for item in done.json["objects"]}
    assert (found["working copy"]["expected"], found["working copy"]["equal"]) == (2, True)
    assert set(found) == {"working copy", *backup.upstream.refs()}
    before = sorted(backup.upstream.bare.parent.iterdir())
    backup.call("drill", f"{ANSIBLE}@latest", *backup.put_back()).succeeded()
    assert sorted(backup.upstream.bare.parent.iterdir()) == before
    assert backup.call("status", "--json").json["sources"][0]["drilled"]


def test_the_runbook_brings_the_repository_back(backup: Backup) -> None:
    """A clone from the mirror, one from the bundle, and the repository itself, by the document's own commands."""
    # the operator's key is the host's own, and the pull key another
    pull = ssh_keypair(backup.directory / "id_pull")
    with backup.host.sshd.authorized_keys.open("a") as file:
        file.write(f"{public_text(pull)}\n")
    backup.edit(f'identity_file = "{backup.host.identity}"', f'identity_file = "{pull}"')
    backup.upstream.git("commit", "--quiet", "--amend", "--message", f"Rewritten at {time.time()}")
    backup.upstream.git("push", "--quiet", "--force", "origin", "main")
    backup.call("run").succeeded()
    refs = backup.upstream.refs()
    away = backup.upstream.bare.rename(backup.upstream.bare.with_suffix(".away"))
    try:
        Operator(backup).follow("The Ansible repository first")
        assert backup.upstream.refs() == refs
        seat = backup.home / "seat"
        assert (seat / "ansible/site.yml").read_text() == (seat / "from-bundle/site.yml").read_text()
    finally:
        shutil.rmtree(backup.upstream.bare, ignore_errors=True)
        away.rename(backup.upstream.bare)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_pass_that_hangs_is_stopped_at_once(backup: Backup, number: signal.Signals) -> None:
    """By Ctrl-C or the service manager, in the middle of a conversation; no git stays."""
    backup.call("mirror").succeeded()
    mark = backup.host.directory / "asked"
    mark.unlink(missing_ok=True)
    backup.host.sshd.put_first("git-upload-pack", f"touch {mark}; sleep 60")
    try:
        process = backup.start("mirror")
        wait_for_file(mark)
        below = descendants(process.pid)
        begun = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, b"Traceback" in err) == (128 + number, False)
        assert time.monotonic() - begun < 10
        assert below
        wait_until(lambda: not any(map(alive, below)), 5, "git has ended")
    finally:
        backup.host.sshd.farm.reset()
    backup.call("mirror").succeeded()
