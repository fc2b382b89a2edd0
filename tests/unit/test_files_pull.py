"""What the source kind `files` makes of the real tar, of trees that do not hold still, and of tars that lie."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pullagent.checks.tree import Member, walk
from pullagent.drill.local import LocalHost
from pullagent.errors import PullAgentError, SourceError
from pullagent.model import Findings, StopSignal
from pullagent.privileges import Owner
from pullagent.sources.files import Files
from tests.contract.kinds import build
from tests.lab.farm import Farm


class Pull:
    """One tree, and a host whose programs a test can put others ahead of; nothing goes over SSH."""

    def __init__(self, directory: Path) -> None:
        self.tree = directory / "tree"
        self.farm = Farm(directory / "path", (), ())
        (self.tree / "dir").mkdir(parents=True)
        (self.tree / "dir" / "file.conf").write_text("content\n")
        (self.tree / "other").write_bytes(b"x" * 100_000)
        self.findings = Findings()

    @property
    def host(self) -> LocalHost:
        """As a source sees it."""
        return LocalHost("h", self.tree.parent, None, {"PATH": self.farm.path}, 20, StopSignal())

    def tar(self, script: str) -> None:
        """What runs in place of `tar --create`."""
        real = '#!/bin/sh\ncase "$*" in *--create*) ;; *) exec /usr/bin/tar "$@" ;; esac\n'
        self.farm.put_first("tar", f"{real}{script}\n")

    def members(self, source: Files | None = None) -> dict[str, Member]:
        """Pull; what is in the archive, by path below the tree."""
        (artifact,) = (source or Files((str(self.tree),))).artifacts(self.host, self.findings)

        def checked() -> Iterator[bytes]:
            for chunk in artifact.stream:
                artifact.check.feed(chunk)
                yield chunk
            artifact.check.finish()

        found = [item for item in walk(checked()) if isinstance(item, Member)]
        return {os.path.relpath(f"/{member.name}", self.tree): member for member in found}


@pytest.fixture
def pull(tmp_path: Path) -> Pull:
    """A tree of two files and a directory."""
    return Pull(tmp_path)


def test_the_tree_is_in_the_archive(pull: Pull) -> None:
    """Sorted, below its own path; nothing is said about it."""
    (pull.tree / "dir.d").mkdir()
    (pull.tree / "dir-").write_text("")
    assert list(pull.members()) == [".", "dir", "dir/file.conf", "dir-", "dir.d", "other"]
    assert (pull.findings.warnings, pull.findings.told) == ([], [])
    assert (pull.findings.server_kind, pull.findings.tools["tar"][:14]) == ("gnu-tar", "tar (GNU tar) ")


@pytest.mark.parametrize(
    ("script", "error", "hint"),
    [
        ("echo 'tar: /x: Cannot open: Permission denied' >&2; exit 2", "Permission denied", "sudo = true"),
        ("echo 'tar: etc: Cannot stat: No such file or directory' >&2; exit 2", "No such file", "`paths`"),
        ("exit 1", "names no file", ""),
        ("/usr/bin/tar \"$@\"; exit 1", "names no file", ""),
        ("echo 'sudo: a password is required' >&2; exit 1", "names no file", "pullagent gate"),
        ('/usr/bin/tar "$@" | head -c 81920', "cut short", ""),
        ('/usr/bin/tar "$@" | head -c -1024', "cut short", ""),
        ('/usr/bin/tar "$@" | head -c -10240', "cut short", ""),
        ("head -c 10240 /dev/zero", "the archive lacks", ""),
        ("kill -9 $$", "status 137", ""),
        ('/usr/bin/tar "$@"; exit 2', "status 2", ""),
        ('echo Welcome; exec /usr/bin/tar "$@"', "not a tar archive", "login script"),
        ("cd /; exec /usr/bin/tar --create --format posix etc/hostname", "nobody asked for", ""),
        ('[ "$4" = --format ] && exec /usr/bin/tar "$@" "${PWD#/}/tree"', "twice, or out of order", ""),
        ("echo \"tar: unrecognized option '--sort'\" >&2; exit 64", "unrecognized", "GNU tar 1.28"),
    ],
)  # fmt: skip
def test_a_tar_that_fails_or_lies_is_refused(pull: Pull, script: str, error: str, hint: str) -> None:
    """Whatever its status, an archive that is not whole is an error that says why."""
    pull.tar(script)
    with pytest.raises(PullAgentError) as caught:
        pull.members()
    assert error in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("said", ["tar (busybox) 1.35.0", "bsdtar 3.6.2 - libarchive 3.6.2", "tar (GNU tar) 1.27.1"])
def test_another_tar_is_named(pull: Pull, said: str) -> None:
    """Others than GNU's keep less, and old ones do not sort."""
    pull.farm.put_first("tar", f"#!/bin/sh\necho '{said}'\n")
    with pytest.raises(SourceError, match=said.split()[-1][:4].replace("(", "").replace(")", "")):
        pull.members()
    (first, *_) = Files((str(pull.tree),)).diagnose(pull.host, None)
    assert first.result == "failed"


def test_without_a_tar(pull: Pull) -> None:
    """The hint says what to install."""
    pull.farm.hide("tar")
    with pytest.raises(SourceError) as caught:
        pull.members()
    assert "apt-get install tar" in caught.value.hint


def test_files_that_change_vanish_and_shrink(pull: Pull) -> None:
    """Status 1: the archive is whole; who watches hears the names, and the manifest how many there are."""
    for number in range(200):
        (pull.tree / f"{number:03}").write_bytes(b"x" * 10_000)
    changing = f"cd {pull.tree}; echo grown >>150; rm 16*; : >170"
    pull.tar(
        f"echo '{changing}' >{pull.tree.parent}/change\n"
        f"exec /usr/bin/tar --checkpoint=40 --checkpoint-action=exec='sh {pull.tree.parent}/change' \"$@\""
    )
    members = pull.members()
    assert members["199"].size == 10_000
    (told,) = pull.findings.told
    assert "165: File removed before we read it" in told
    (warning,) = pull.findings.warnings
    assert warning.split(" ", 1)[1].startswith("files changed while they were read")
    assert str(pull.tree) not in warning


def test_a_thousand_files_that_change_are_counted_and_some_named(pull: Pull) -> None:
    """What is told stays short, whatever happens on the host."""
    lines = 'i=0; while [ $i -lt 1000 ]; do echo "tar: f$i: file changed as we read it" >&2; i=$((i+1)); done; exit 1'
    pull.tar(f'/usr/bin/tar "$@"\n{lines}')
    pull.members()
    assert pull.findings.warnings[0].startswith("1000 files ")
    assert len(pull.findings.told[0]) < 2000
    assert "and 980 more" in pull.findings.told[0]


def test_remarks_with_a_good_status_are_told(pull: Pull) -> None:
    """An attribute that could not be read is a warning of tar's only; a socket is nothing."""
    pull.tar("echo 'tar: a: Warning: Cannot llistxattr: Input/output error' >&2\necho 'tar: s: socket ignored' >&2\n"
             'exec /usr/bin/tar "$@"')  # fmt: skip
    pull.members()
    assert "1 remark" in pull.findings.warnings[0]
    assert "llistxattr" in pull.findings.told[0]
    assert "socket" not in pull.findings.told[0]


def test_options_of_the_environment_do_not_reach_tar(pull: Pull) -> None:
    """TAR_OPTIONS could make tar run programs, or leave files out."""
    host = LocalHost("h", pull.tree, None, {"PATH": pull.farm.path, "TAR_OPTIONS": "--exclude=other"}, 20, StopSignal())
    (artifact,) = Files((str(pull.tree),)).artifacts(host, pull.findings)
    names = [item.name for item in walk(artifact.stream) if isinstance(item, Member)]
    assert f"{pull.tree}/other".lstrip("/") in names


EXCLUDED = {
    "/dir": {".", "other", "dirs", "dirs/a.conf"},
    "*.conf": {".", "dir", "other", "dirs"},
    "/di?": {".", "other", "dirs", "dirs/a.conf"},
    "/*.conf": {".", "dir", "dir/file.conf", "other", "dirs", "dirs/a.conf"},
    "/*/a.conf": {".", "dir", "dir/file.conf", "other", "dirs"},
    "dir": {".", "other", "dirs", "dirs/a.conf"},
    "/dir/[a-f]*": {".", "dir", "other", "dirs", "dirs/a.conf"},
}


@pytest.mark.parametrize(("pattern", "left"), EXCLUDED.items())
def test_what_is_excluded(pull: Pull, pattern: str, left: set[str]) -> None:
    """Paths with all below them, names anywhere; `*` stands for no slash."""
    (pull.tree / "dirs").mkdir()
    (pull.tree / "dirs" / "a.conf").write_text("")
    pattern = f"{pull.tree}{pattern}" if pattern.startswith("/") else pattern
    assert set(pull.members(Files((str(pull.tree),), (pattern,)))) == left


def test_a_single_file_as_a_path(pull: Pull) -> None:
    """A file needs no directory around it."""
    assert list(pull.members(Files((f"{pull.tree}/other",)))) == ["other"]


@pytest.mark.parametrize("target", ["dir", "nowhere"])
def test_a_path_that_is_a_link_is_refused(pull: Pull, target: str) -> None:
    """What it leads to would not be stored: `doctor` and a pull name it. Links on the way to a path are no matter."""
    (pull.tree / "link").symlink_to(target)
    source = Files((f"{pull.tree}/link", f"{pull.tree}/other"))
    found = {one.name: one for one in source.diagnose(pull.host, None)}["files"]
    assert (found.result, found.detail) == (
        "failed",
        f"{pull.tree}/link is a symbolic link to {pull.tree}/{target}",
    )
    assert "name what it points to" in found.hint
    with pytest.raises(SourceError, match=f"tree/link' is a symbolic link to '{target}'") as caught:
        pull.members(source)
    assert "name what it points to" in caught.value.hint
    (pull.tree / "way").symlink_to(".")
    assert list(pull.members(Files((f"{pull.tree}/way/dir",)))) == ["way/dir", "way/dir/file.conf"]


@pytest.mark.skipif(os.getuid() != 0, reason="root reads everything, and only root can be somebody else")
def test_an_unreadable_file_is_found_beforehand() -> None:
    """`doctor` names what the account may not read, and leaves alone what is excluded; so does a pull."""
    with tempfile.TemporaryDirectory(dir="/tmp") as top:
        Path(top).chmod(0o755)
        pull = Pull(Path(top))
        for place in (pull.tree / "other", pull.tree / "dir"):
            place.chmod(0)
        nobody = LocalHost(
            "h", pull.tree, Owner("nobody", 65534, 65534, ()), {"PATH": pull.farm.path}, 20, StopSignal()
        )
        source = Files((str(pull.tree),))
        found = {one.name: one for one in source.diagnose(nobody, None)}
        assert found["files"].result == "failed"
        assert {f"{pull.tree}/other", f"{pull.tree}/dir"} <= set(found["files"].detail.replace(",", "").split())
        assert "sudo = true" in found["files"].hint
        excluded = Files((str(pull.tree),), (f"{pull.tree}/dir", "other"))
        assert {one.result for one in excluded.diagnose(nobody, None)} == {"ok"}
        with pytest.raises(SourceError, match="Permission denied"):
            list(next(source.artifacts(nobody, Findings())).stream)


def test_a_path_that_is_not_there(pull: Pull) -> None:
    """Named by `doctor`, and by a pull."""
    source = Files((f"{pull.tree}/nothing", f"{pull.tree}/other"))
    found = {one.name: one for one in source.diagnose(pull.host, None)}
    assert (found["files"].result, f"{pull.tree}/nothing" in found["files"].detail) == ("failed", True)
    with pytest.raises(SourceError, match="nothing: Cannot stat"):
        pull.members(source)


def test_what_is_mounted_below_is_told(pull: Pull) -> None:
    """By name to who watches and to `doctor`, by number in the manifest; not what is named in hosts.toml."""
    mounts = "".join(
        f"none {place} tmpfs rw 0 0\n" for place in ("/", pull.tree, f"{pull.tree}/dir", f"{pull.tree}/a\\040b")
    )
    (pull.tree.parent / "mounts").write_text(mounts)
    pull.farm.put_first("cat", f"#!/bin/sh\nexec /bin/cat {pull.tree.parent}/mounts\n")
    pull.members()
    assert pull.findings.warnings == ["2 file systems mounted below `paths` left out (one_file_system)"]
    assert f"{pull.tree}/a b, {pull.tree}/dir" in pull.findings.told[0]
    source = Files((str(pull.tree),), (f"{pull.tree}/dir",))
    found = {one.name: one for one in source.diagnose(pull.host, None)}
    assert (found["file systems"].result, f"{pull.tree}/dir" in found["file systems"].detail) == ("warn", False)
    assert not Files((str(pull.tree),), one_file_system=False)._archiving.count("--one-file-system")


@pytest.mark.skipif(os.getuid() != 0, reason="only root mounts")
def test_what_is_mounted_below_is_left_out(pull: Pull) -> None:
    """By tar itself, unless one_file_system is off."""
    place = pull.tree / "dir"
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    try:
        (place / "inside").write_text("")
        assert "dir/inside" not in pull.members()
        assert any(str(place) in text for text in pull.findings.told)
        assert "dir/inside" in pull.members(Files((str(pull.tree),), one_file_system=False))
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root mounts")
def test_a_volume_that_is_no_mount_is_told(pull: Pull) -> None:
    """As a btrfs subvolume: another device without a line in the list of mounts, which tar leaves out all the same."""
    place = pull.tree / "customers \u00e9"
    place.mkdir()
    (pull.tree.parent / "mounts").write_text("none / btrfs rw 0 0\n")
    pull.farm.put_first("cat", f"#!/bin/sh\nexec /bin/cat {pull.tree.parent}/mounts\n")
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    try:
        (place / "inside").write_text("")
        assert "customers \u00e9/inside" not in pull.members()
    finally:
        subprocess.run(["umount", place], check=True)
    assert pull.findings.warnings == ["1 subvolume below `paths` left out (one_file_system)"]
    assert pull.findings.told == [f"left out, being a volume of its own: {place}"]
    found = {one.name: one for one in Files((str(pull.tree),)).diagnose(pull.host, None)}
    assert "subvolumes" in found["file systems"].detail


def test_whoever_follows_into_everything_asks_for_no_mounts(pull: Pull) -> None:
    """No gate would let that question pass, and nothing is left out."""
    pull.farm.put_first("cat", f"#!/bin/sh\necho none {pull.tree}/dir tmpfs rw 0 0\n")
    assert "dir/file.conf" in pull.members(Files((str(pull.tree),), one_file_system=False))
    assert pull.findings.warnings == []


REFUSED = {
    "relative": ({"paths": ("etc",)}, "absolute"),
    "the whole": ({"paths": ("/",)}, "directories or files below /"),
    "nested": ({"paths": ("/etc", "/srv", "/etc/ssh")}, "lies below"),
    "twice": ({"paths": ("/etc", "/etc/")}, "once"),
    "none": ({"paths": ()}, "length >= 1"),
    "a pattern with a slash": ({"paths": ("/etc",), "exclude": ("ssl/private",)}, "absolute path such as"),
    "all": ({"paths": ("/etc",), "exclude": ("/etc",)}, "leaves out"),
    "a line": ({"paths": ("/etc",), "exclude": ("a\nb",)}, "absolute path such as"),
    "sudo with blanks": ({"paths": ("/etc/a b",), "sudo": True}, "with sudo"),
}


@pytest.mark.parametrize(("table", "said"), REFUSED.values(), ids=REFUSED)
def test_tables_that_are_refused(table: dict[str, object], said: str) -> None:
    """With what was found, before anything is asked of a host."""
    with pytest.raises(ValueError, match=said):
        build("files", table)


def test_the_order_of_paths_does_not_matter() -> None:
    """They are sorted as the archive is: component by component."""
    source = build("files", {"paths": ["/srv/b", "/etc.d", "/etc/ssh/"]})
    assert source == Files(("/etc/ssh", "/etc.d", "/srv/b"))
