"""A mirror of a real repository, followed by real git: nothing that upstream gives up is lost, whatever happens."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pullagent.drill.local import LocalHost
from pullagent.errors import LockedError, SourceError
from pullagent.model import Findings, StopSignal
from pullagent.sources.base import Bench, Followed, Nowhere
from pullagent.sources.git import Git
from pullagent.sources.git import program as programs
from pullagent.sources.git.program import GitFailed
from pullagent.sources.git.refs import Heads
from tests.lab.repository import Repository

NOW = datetime(2026, 11, 23, 1, 0, 3, tzinfo=UTC)
STAMP = "refs/pullagent/2026-11-23T010003Z"


class Mirrored:
    """A repository, and a mirror of it in `place`."""

    def __init__(self, directory: Path) -> None:
        self.upstream = Repository(directory / "ansible.git")
        self.upstream.decorate()
        self.place = directory / "mirror.git"
        self.source = Git(f"file://{self.upstream.bare}")

    def follow(self, now: datetime = NOW, *, recheck: bool = False) -> Followed:
        """Bring it up to date."""
        return self.source.follow(Nowhere("pavroto-1"), Bench(self.place, now), recheck=recheck)

    @property
    def refs(self) -> dict[str, str]:
        """All of the mirror's."""
        return self.upstream.refs(self.place)

    @property
    def live(self) -> dict[str, str]:
        """Those that are upstream's."""
        return {name: oid for name, oid in self.refs.items() if not name.startswith("refs/pullagent/")}

    def git(self, *arguments: str) -> str:
        """git on the mirror."""
        return self.upstream.git(f"--git-dir={self.place}", *arguments)

    def rewrite(self) -> str:
        """Upstream's main is another one, its feature and a tag are gone; the commit that main was."""
        old = self.upstream.refs()["refs/heads/main"]
        self.upstream.git("commit", "--quiet", "--amend", "--message", "Rewritten")
        self.upstream.git("push", "--quiet", "--force", "origin", "main", ":feature", ":v1")
        return old


@pytest.fixture
def mirrored(tmp_path: Path) -> Mirrored:
    """A mirror that is up to date."""
    made = Mirrored(tmp_path)
    made.follow()
    return made


def shell_of(mirrored: Mirrored, command: str) -> str:
    """What a shell's command says in the working copy."""
    done = subprocess.run(["/bin/sh", "-ec", command], cwd=mirrored.upstream.work, capture_output=True, check=True)
    return done.stdout.decode().strip()


def files(directory: Path) -> dict[str, tuple[int, int]]:
    """Every file: when it was last written, and its inode."""
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_ino) for p in directory.rglob("*")}


def test_a_first_pass_takes_everything(mirrored: Mirrored) -> None:
    """Branches, tags, notes and the branch that HEAD stands for; a clone has the tree."""
    assert mirrored.refs == mirrored.upstream.refs()
    assert (mirrored.place / "HEAD").read_text() == "ref: refs/heads/main\n"
    clone = mirrored.place.with_name("clone")
    mirrored.upstream.git("clone", "--quiet", mirrored.place, clone)
    assert (clone / "site.yml").read_text().startswith("- hosts: all")
    assert mirrored.upstream.git(f"--git-dir={clone}/.git", "branch", "--remotes").split()[-1] == "origin/main"


def test_a_pass_that_finds_nothing_new_writes_nothing(mirrored: Mirrored) -> None:
    """No file of the mirror is touched."""
    before = files(mirrored.place)
    found = mirrored.follow()
    assert (found.agree, found.changed, found.kept) == (True, 0, ())
    assert files(mirrored.place) == before


def test_what_upstream_gives_up_is_kept(mirrored: Mirrored) -> None:
    """A rewritten branch, a deleted one and a deleted tag stay under the time when it was noticed."""
    before = mirrored.refs
    mirrored.rewrite()
    found = mirrored.follow()
    assert mirrored.live == mirrored.upstream.refs()
    lost = ("refs/heads/main", "refs/heads/feature", "refs/tags/v1")
    assert {n: o for n, o in mirrored.refs.items() if n.startswith("refs/pullagent/")} == {
        f"{STAMP}/{name}": before[name] for name in lost
    }
    assert set(found.kept) == {f"{STAMP}/{name}" for name in lost}
    assert found.changed == 3
    mirrored.git("fsck", "--full", "--strict")


def test_what_upstream_only_adds_keeps_nothing(mirrored: Mirrored) -> None:
    """A branch that went forward lost nothing."""
    mirrored.upstream.commit("more.yml", "- hosts: none\n")
    mirrored.upstream.git("push", "--quiet", "origin", "main")
    found = mirrored.follow()
    assert (found.changed, found.kept, found.counts["kept"]) == (1, (), 0)
    assert mirrored.live == mirrored.upstream.refs()


def test_a_tag_that_moves_is_kept(mirrored: Mirrored) -> None:
    """Even forwards: a tag is a promise."""
    mirrored.upstream.commit("more.yml", "- hosts: none\n")
    mirrored.upstream.git("tag", "--force", "v1")
    mirrored.upstream.git("push", "--quiet", "--force", "origin", "v1")
    assert mirrored.follow().kept == (f"{STAMP}/refs/tags/v1",)


def test_two_losses_within_a_second_keep_both(mirrored: Mirrored) -> None:
    """The second goes under the next second."""
    first = mirrored.rewrite()
    mirrored.follow()
    second = mirrored.upstream.refs()["refs/heads/main"]
    mirrored.upstream.git("commit", "--quiet", "--amend", "--message", "Once more")
    mirrored.upstream.git("push", "--quiet", "--force", "origin", "main")
    mirrored.follow()
    kept = [oid for name, oid in mirrored.refs.items() if name.endswith("Z/refs/heads/main")]
    assert kept == [first, second]


def test_a_branch_in_the_place_of_a_directory_of_branches(mirrored: Mirrored) -> None:
    """`feature` goes and `feature/one` comes, and back again."""
    mirrored.upstream.git("push", "--quiet", "origin", ":feature")
    mirrored.upstream.git("push", "--quiet", "origin", "main:refs/heads/feature/one")
    mirrored.follow()
    assert mirrored.live == mirrored.upstream.refs()
    mirrored.upstream.git("push", "--quiet", "origin", ":feature/one")
    mirrored.upstream.git("push", "--quiet", "origin", "main:refs/heads/feature")
    mirrored.follow()
    assert mirrored.live == mirrored.upstream.refs()


def test_an_upstream_without_refs_empties_nothing(mirrored: Mirrored) -> None:
    """A repository made anew in its place, say: the mirror stays, and does not agree."""
    before = mirrored.refs
    for name in mirrored.upstream.refs():
        mirrored.upstream.there("update-ref", "-d", name)
    found = mirrored.follow()
    assert (found.agree, mirrored.refs) == (False, before)
    assert "no refs any more" in found.warnings[0]


def test_the_branch_of_head_is_followed(mirrored: Mirrored) -> None:
    """A clone checks out what upstream's would."""
    mirrored.upstream.there("symbolic-ref", "HEAD", "refs/heads/feature")
    assert mirrored.follow().changed == 1
    assert (mirrored.place / "HEAD").read_text() == "ref: refs/heads/feature\n"


def test_a_head_that_stands_for_nothing(tmp_path: Path) -> None:
    """Such as master's, of a bare repository that only main was pushed to: a clone of the mirror has files."""
    mirrored = Mirrored(tmp_path)
    mirrored.upstream.there("symbolic-ref", "HEAD", "refs/heads/master")
    mirrored.upstream.git("push", "--quiet", "origin", "main:trunk", ":main", ":feature")
    for pushed in ("trunk", "main"):
        mirrored.upstream.git("push", "--quiet", "origin", f"main:{pushed}")
        mirrored.follow()
        assert (mirrored.place / "HEAD").read_text() == f"ref: refs/heads/{pushed}\n"
        assert mirrored.follow().changed == 0
        mirrored.upstream.there("update-ref", "-d", "refs/heads/trunk")


def test_branches_that_make_others_ambiguous(tmp_path: Path) -> None:
    """`git push origin HEAD:HEAD` is soon typed; `git bundle` leaves out whatever it then cannot tell apart."""
    bare, place, back = tmp_path / "upstream.git", tmp_path / "mirror.git", tmp_path / "back.git"
    pushed = Repository(tmp_path / "ansible.git")
    pushed.decorate()
    shutil.copytree(pushed.bare, bare)
    for name in ("refs/heads/HEAD", "refs/heads/refs/heads/main", "refs/tags/refs/heads/feature"):
        pushed.git(f"--git-dir={bare}", "update-ref", name, "refs/heads/main")
    source, bench = Git(f"file://{bare}"), Bench(place, NOW)
    source.follow(Nowhere("h"), bench)
    (artifact,) = source.bundled(bench, Findings())
    with (tmp_path / "all.bundle").open("wb") as file:
        for chunk in artifact.stream:
            artifact.check.feed(chunk)
            file.write(chunk)
    artifact.check.finish()
    pushed.git("clone", "--quiet", "--mirror", tmp_path / "all.bundle", back)
    pushed.git(f"--git-dir={back}", "fsck", "--strict")
    assert pushed.refs(back) == pushed.refs(bare)
    pushed.git("clone", "--quiet", tmp_path / "all.bundle", tmp_path / "work")
    assert (tmp_path / "work/site.yml").exists()


def test_large_files_elsewhere_are_told(mirrored: Mirrored) -> None:
    """A Git LFS pointer is in the mirror, what it points to is not."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    mirrored.upstream.commit("image.bin", pointer)
    mirrored.upstream.git("push", "--quiet", "origin", "main")
    found = mirrored.follow()
    assert found.counts["lfs"] == 1
    assert "LFS" in found.warnings[0]


def test_a_pointer_is_looked_for_in_small_files_alone(mirrored: Mirrored) -> None:
    """One large file must not be read for a count: it may be larger than the memory. Many are not counted at all."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    mirrored.upstream.commit("image.bin", pointer)
    mirrored.upstream.commit("ümläut and blank.bin", pointer)
    mirrored.upstream.commit("mentioned.md", f"As in:\n{pointer}")
    mirrored.upstream.commit("large.bin", pointer + "x" * 1000)
    mirrored.upstream.git("push", "--quiet", "origin", "main", "main:copy")
    assert mirrored.follow().counts["lfs"] == 2


def test_paths_without_end_are_not_listed_to_their_end(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Thirty small trees that each hold the next one ten times would list more paths than there are atoms."""
    git = mirrored.upstream.git
    (tmp_path / "content").write_text("x" * 100)
    entry, kind = git("hash-object", "-w", tmp_path / "content").strip(), "100644 blob"
    for _ in range(30):
        (tmp_path / "tree").write_text("".join(f"{kind} {entry}\t{name}\n" for name in "abcdefghij"))
        entry, kind = shell_of(mirrored, f"git mktree <{tmp_path / 'tree'}"), "040000 tree"
    commit = git("commit-tree", "-m", "Bomb", entry).strip()
    git("push", "--quiet", "origin", f"{commit}:refs/heads/bomb")
    monkeypatch.setattr("pullagent.sources.git.lfs._ENTRIES", 5000)
    assert mirrored.follow().counts["lfs"] == 0


def test_a_git_has_so_much_memory_and_no_more(mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree of 300 MB is 300 kB on the wire. The mirror stays as it was, and what to look for is said."""
    before = mirrored.refs
    where = mirrored.upstream.bare
    tree = shell_of(
        mirrored, f"head -c 314572800 /dev/zero | git --git-dir={where} hash-object -w -t tree --literally --stdin"
    )
    commit = mirrored.upstream.there("commit-tree", "-m", "Bomb", tree).strip()
    mirrored.upstream.there("update-ref", "refs/heads/bomb", commit)
    monkeypatch.setattr("pullagent.sources.git.program._MEMORY_BYTES", 128 << 20)
    with pytest.raises(SourceError, match="needs more memory than the 128 MiB") as caught:
        mirrored.follow()
    assert "the largest" in caught.value.hint
    assert {name: oid for name, oid in mirrored.refs.items() if "incoming" not in name} == before


def test_a_machine_without_git(mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is said, with the package that has it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="not installed") as caught:
        mirrored.follow()
    assert caught.value.hint == "apt-get install git"


def test_what_was_kept_goes_after_its_time_and_its_objects_with_it(mirrored: Mirrored) -> None:
    """Not a day before; what refs of upstream lead to stays."""
    old = mirrored.rewrite()
    mirrored.upstream.git("push", "--quiet", "origin", ":v2")
    mirrored.follow()
    bench = Bench(mirrored.place, NOW)
    assert mirrored.source.expire(bench, NOW - timedelta(days=1)) == ()
    mirrored.git("cat-file", "-e", old)
    for file in (mirrored.place / "objects").rglob("*"):
        os.utime(file, (NOW.timestamp(), NOW.timestamp()))
    gone = mirrored.source.expire(bench, NOW + timedelta(days=15))
    assert len(gone) == 4
    assert mirrored.refs == mirrored.upstream.refs()
    assert subprocess.run(["git", f"--git-dir={mirrored.place}", "cat-file", "-e", old], check=False).returncode != 0


def test_damage_is_found_and_told_until_it_is_mended(mirrored: Mirrored) -> None:
    """An object that is missing ends a pass that looks at all of it, and every pull."""
    (pack,) = (mirrored.place / "objects" / "pack").glob("*.pack")
    aside = pack.rename(mirrored.place / "aside.pack")
    with aside.open("rb") as objects:
        subprocess.run(["git", f"--git-dir={mirrored.place}", "unpack-objects", "-q"], stdin=objects, check=True)
    tree = mirrored.git("rev-parse", "main^{tree}").strip()
    (mirrored.place / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(SourceError, match="damaged"):
        mirrored.follow(recheck=True)
    with pytest.raises(SourceError, match="damaged"):
        list(mirrored.source.bundled(Bench(mirrored.place, NOW), Findings()))


@pytest.mark.parametrize(
    "left",
    [
        "HEAD.lock",
        "packed-refs.lock",
        "packed-refs.new",
        "config.lock",
        "shallow.lock",
        "refs/heads/main.lock",
        "gc.pid",
    ],
)
def test_what_a_killed_git_left_blocks_nothing(mirrored: Mirrored, left: str) -> None:
    """Its locks belong to nobody any more."""
    mirrored.git("pack-refs", "--all")
    (mirrored.place / left).parent.mkdir(parents=True, exist_ok=True)
    (mirrored.place / left).write_text("4711 elsewhere\n")
    mirrored.rewrite()
    mirrored.follow()
    assert mirrored.live == mirrored.upstream.refs()


def test_a_git_that_outlived_its_pullagent_is_waited_for(mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
    """It inherited the lock, and two at once could harm the mirror."""
    monkeypatch.setattr("pullagent.sources.git.mirror._ORPHAN_S", 0.3)
    orphan = subprocess.Popen(["flock", str(mirrored.place), "sleep", "60"], start_new_session=True)
    try:
        while subprocess.run(["flock", "-n", str(mirrored.place), "true"], check=False).returncode == 0:
            pass
        with pytest.raises(LockedError, match="outlived"):
            mirrored.follow()
    finally:
        os.killpg(orphan.pid, signal.SIGKILL)
        orphan.wait()
    assert mirrored.follow().agree


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours tidies up after it."""


def steps(monkeypatch: pytest.MonkeyPatch, last: int) -> Iterator[list[str]]:
    """Let so many commands of git run, and none after."""
    ran: list[str] = []
    real = programs.Program._start

    def start(self: programs.Program, argv: list[str], *rest: object) -> object:
        if len(ran) >= last:
            raise Killed
        ran.append(" ".join(argv[argv.index("transfer.credentialsInUrl=die") + 1 :][:2]))
        return real(self, argv, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(programs.Program, "_start", start)
        yield ran


def test_a_kill_between_any_two_steps_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each, every commit that the mirror held is still held by a ref, and the next pass does the rest."""
    for last in range(1, 40):
        mirrored = Mirrored(tmp_path / str(last))
        mirrored.follow()
        before = set(mirrored.refs.values())
        mirrored.rewrite()
        mirrored.upstream.git("push", "--quiet", "origin", "main:refs/heads/feature/one")
        for _ in steps(monkeypatch, last):
            try:
                mirrored.follow()
                whole = True
            except Killed:
                whole = False
        assert before <= set(mirrored.refs.values()), last
        mirrored.follow(NOW + timedelta(minutes=1))
        assert mirrored.live == mirrored.upstream.refs(), last
        assert before <= set(mirrored.refs.values()), last
        assert not [name for name in mirrored.refs if "incoming" in name]
        mirrored.git("fsck", "--full")
        if whole:
            assert last > 8
            return
    raise AssertionError("it never ended")


def test_no_configuration_of_the_machine_takes_part(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither the user's, nor the environment's, nor a hook runs anything or leads elsewhere."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f'[url "/nowhere/"]\n insteadOf = file://{tmp_path}\n[core]\n hooksPath = {home}\n'
    )
    hook = home / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(home))
    (mirrored.place / "hooks").mkdir(exist_ok=True)
    (mirrored.place / "hooks" / "reference-transaction").write_text(hook.read_text())
    (mirrored.place / "hooks" / "reference-transaction").chmod(0o755)
    mirrored.upstream.commit("more.yml", "x\n")
    for name in ("GIT_DIR", "GIT_CONFIG_COUNT"):
        assert os.environ[name]
    mirrored.upstream.git("push", "--quiet", "origin", "main")
    assert mirrored.follow().changed == 1
    assert not (tmp_path / "ran").exists()


def test_only_the_protocol_asked_for_is_spoken(tmp_path: Path) -> None:
    """Even where a URL came through that runs a program."""
    with pytest.raises(GitFailed, match="not allowed"):
        programs.Program(tmp_path).ask("ls-remote", "--", f"ext::sh -c 'touch {tmp_path}/ran'", protocol="file")
    assert not (tmp_path / "ran").exists()


def test_a_mirror_of_nothing_stores_nothing(tmp_path: Path) -> None:
    """An empty repository is told as that."""
    bare = tmp_path / "empty.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(bare)], check=True)
    source, bench = Git(f"file://{bare}"), Bench(tmp_path / "mirror.git", NOW)
    assert source.follow(Nowhere("h"), bench).agree
    (artifact,) = source.bundled(bench, Findings())
    with pytest.raises(SourceError, match="no refs"):
        list(artifact.stream)


def test_the_note_beside_a_mirror(tmp_path: Path) -> None:
    """The time of the file is that of the last comparison; its words change only when something else does."""
    from pullagent.store import mirrors
    from pullagent.store.mirrors import Note

    file = tmp_path / "h" / "ansible.json"
    assert mirrors.read(file) is None
    mirrors.write(file, Note(NOW, True))
    inode = file.stat().st_ino
    later = NOW + timedelta(minutes=1)
    mirrors.write(file, Note(later, True))
    assert (mirrors.read(file), file.stat().st_ino) == (Note(later, True), inode)
    mirrors.write(file, Note(later, True, "no answer"))
    assert mirrors.read(file) == Note(later, True, "no answer")
    assert json.loads(file.read_text())["error"] == "no answer"
    file.write_text("torn")
    assert mirrors.read(file) is None


def test_a_repository_without_end_does_not_fill_the_disk(mirrored: Mirrored) -> None:
    """What must stay free is looked at while git works; the mirror is as it was."""
    before = mirrored.refs
    mirrored.rewrite()
    bench = Bench(mirrored.place, NOW, min_free_bytes=1 << 60)
    with pytest.raises(SourceError, match="given up"):
        mirrored.source.follow(Nowhere("pavroto-1"), bench)
    assert mirrored.refs == before
    assert mirrored.follow().agree


def test_many_refs_at_once(mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked for together, and a mirror's own refs upstream are left out all the same."""
    monkeypatch.setattr("pullagent.sources.git.upstream._MANY", 0)
    monkeypatch.setattr("pullagent.sources.git.mirror._MANY", 0)
    old = mirrored.rewrite()
    mirrored.upstream.there("update-ref", "refs/pullagent/2020-01-01T000000Z/refs/heads/x", old)
    mirrored.follow()
    live = {n: oid for n, oid in mirrored.upstream.refs().items() if not n.startswith("refs/pullagent/")}
    assert mirrored.live == live
    assert mirrored.refs[f"{STAMP}/refs/heads/main"] == old
    assert not any("2020" in name or "incoming" in name for name in mirrored.refs)


def made(mirrored: Mirrored, kind: str, data: bytes) -> str:
    """Write an object into upstream, whatever it is; its name."""
    argv = ["git", f"--git-dir={mirrored.upstream.bare}", "hash-object", "-t", kind, "--literally", "-w", "--stdin"]
    return subprocess.run(argv, input=data, capture_output=True, check=True).stdout.decode().strip()


def test_a_harmless_flaw_of_an_old_history_is_taken(mirrored: Mirrored) -> None:
    """A commit without an e-mail address, with a time zone that is none: no copy at all would be worse."""
    tree = mirrored.upstream.git("rev-parse", "main^{tree}").strip()
    who = b"Operator  1000000000 +051800"
    commit = made(mirrored, "commit", b"tree %s\nauthor %s\ncommitter %s\n\nOld\n" % (tree.encode(), who, who))
    mirrored.upstream.there("update-ref", "refs/heads/old", commit)
    mirrored.follow()
    assert mirrored.live["refs/heads/old"] == commit
    assert mirrored.follow(recheck=True).agree


def test_a_tree_that_would_harm_who_checks_it_out_is_refused(mirrored: Mirrored) -> None:
    """A directory `.git` in it could run programs there; the mirror is as it was."""
    before = mirrored.refs
    blob = mirrored.upstream.git("rev-parse", "main:site.yml").strip()
    tree = made(mirrored, "tree", b"100644 .git\0" + bytes.fromhex(blob))
    commit = made(
        mirrored, "commit", b"tree %s\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n" % tree.encode()
    )
    mirrored.upstream.there("update-ref", "refs/heads/evil", commit)
    with pytest.raises(GitFailed) as caught:
        mirrored.follow()
    assert "could harm" in caught.value.hint
    assert mirrored.refs == before


def test_a_shallow_upstream_is_refused(mirrored: Mirrored, tmp_path: Path) -> None:
    """It shows a branch, and would send it without its history: that is no mirror, and must not pass as one."""
    shallow = tmp_path / "shallow.git"
    url = f"file://{mirrored.upstream.bare}"
    mirrored.upstream.git("clone", "--quiet", "--bare", "--depth=1", "--no-single-branch", url, shallow)
    source = Git(f"file://{shallow}")
    with pytest.raises(SourceError, match=r"shallow|does not send"):
        source.follow(Nowhere("h"), Bench(tmp_path / "other.git", NOW))


class Silent(Nowhere):
    """A host that takes the command, and then says nothing until it is told to stop."""

    stopped = False

    def converse(self, command: str, chunks: Iterator[bytes], stop: StopSignal) -> Iterator[bytes]:  # type: ignore[override]
        """Wait."""
        while not stop.wait(0.05):
            pass
        self.stopped = True
        yield from ()


def test_who_watches_hears_of_every_byte(tmp_path: Path) -> None:
    """The first clone takes a while: what came from the host is counted as it comes."""
    upstream = Repository(tmp_path / "ansible.git")
    upstream.enlarge()
    counts: list[int] = []
    host = LocalHost("h", tmp_path, None, {"PATH": os.environ["PATH"]}, 20, StopSignal())
    bench = Bench(tmp_path / "mirror.git", NOW, advanced=counts.append)
    assert Git(str(upstream.bare)).follow(host, bench).agree
    assert len(counts) > 3
    assert 300_000 < sum(counts) < 400_000


def test_a_host_that_never_answers_does_not_hold_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison ends in bounded time, and lets go of the connection."""
    monkeypatch.setattr("pullagent.sources.git.upstream.SHORT_S", 0.3)
    monkeypatch.setattr("pullagent.sources.git.line._LAST_WORDS_S", 0.5)
    host = Silent("pavroto-1")
    with pytest.raises(SourceError, match="did not end in time"):
        Git("/srv/git/ansible.git").follow(host, Bench(tmp_path / "mirror.git", NOW))  # type: ignore[arg-type]
    assert host.stopped


def test_a_ref_that_goes_between_list_and_fetch(mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is asked for again."""
    from pullagent.sources.git.upstream import Upstream

    asked: list[int] = []
    real = Upstream.heads

    def heads(self: Upstream, *arguments: Any) -> Heads:
        found = real(self, *arguments)
        asked.append(1)
        more = {"refs/heads/gone": "a" * 40} if len(asked) == 1 else {}
        return Heads({**found.refs, **more}, found.head)

    monkeypatch.setattr(Upstream, "heads", heads)
    mirrored.upstream.git("push", "--quiet", "origin", "main:refs/heads/new")
    assert mirrored.follow().agree
    assert len(asked) == 2
    assert mirrored.live == mirrored.upstream.refs()


def test_what_a_killed_pull_left_in_clear_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private directory for the run alone; one that is in use is left alone."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    left = tmp_path / "pullagent-git.left"
    (left / "mirror.git").mkdir(parents=True)
    with programs.scratch() as used:
        assert used.stat().st_mode & 0o777 == 0o700
        assert not left.exists()
        with programs.scratch() as other:
            assert used.exists()
    assert not other.exists()
    assert list(tmp_path.iterdir()) == []


class Endless(Nowhere):
    """A host whose repository lists refs for ever; `sane`: so many times as a repository's should be."""

    def __init__(self, name: str, sane: int) -> None:
        super().__init__(name)
        self.sane = sane

    def converse(self, command: str, chunks: Iterator[bytes], stop: StopSignal) -> Iterator[bytes]:  # type: ignore[override]
        """So many that no memory would hold them."""
        able = b"\0side-band-64k ofs-delta agent=git/2.39.5"
        yield packet(b"a" * 40 + b" refs/heads/main" + able + b"\n")
        self.sane -= 1
        if self.sane >= 0:
            yield b"0000"
            return
        line = packet(b"a" * 40 + b" refs/heads/" + b"x" * 100 + b"\n")
        while not stop.is_set():
            yield line * 1000


def packet(line: bytes) -> bytes:
    """As git frames it."""
    return b"%04x" % (len(line) + 4) + line


@pytest.mark.parametrize("sane", [0, 1])
def test_a_list_of_refs_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sane: int) -> None:
    """It ends where no repository's would: when it is looked at, and when it is fetched from after a sane look."""
    monkeypatch.setattr("pullagent.sources.git.upstream._LIST_BYTES", 4 << 20)
    host, bench = Endless("h", sane), Bench(tmp_path / "mirror.git", NOW)
    with pytest.raises(SourceError, match="without end"):
        Git("/srv/git/ansible.git").follow(host, bench)  # type: ignore[arg-type]
