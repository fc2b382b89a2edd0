"""Source kind `files`: directory trees and files of a host, by its GNU tar, with owners, ACLs, attributes and links."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar

from msgspec import Meta

from pullagent.checks.tree import LINK_HINT, Member, TreeCheck, key_of, walk
from pullagent.diagnosis import Diagnosis, doubtful, good, judged, of_error
from pullagent.errors import CommandFailed, ContentError, PullAgentError, SourceError, Stopped
from pullagent.fields import Checked
from pullagent.manifest import Server as Origin
from pullagent.model import Artifact, Check, Findings
from pullagent.sources.base import (
    Machine,
    Opened,
    Remote,
    RemotePath,
    Restoration,
    RestoreOptions,
    Throwaway,
    once,
    prologue,
)
from pullagent.sources.files.archive import ARCHIVE
from pullagent.sources.files.remarks import ASK_ROOT, explained, listed, many, not_gnu, remark

_TAR = "/usr/bin/tar"
_LOOK_BYTES = 64 << 10
# it names what it leaves out, btrfs subvolumes too, only while it lists all that it takes
_HERE = ("--one-file-system", "--verbose", "--index-file", "/dev/null")
# what can be quoted for sudoers without a doubt
_PLAIN = re.compile(r"[A-Za-z0-9/._+@*?-]+")
_SILENT = "does a login script (.bashrc, .profile) print something for every SSH login? It must be silent"


def _tree(path: str) -> str:
    path = re.sub(r"/+", "/", path).rstrip("/")
    if not path or "." in path.split("/"):
        raise ValueError(f"found {path or '/'!r}; write directories or files below /, without '.' in their paths")
    return path


def _pattern(text: str) -> str:
    if not re.fullmatch(r"/.*[^/]|[^/]+", text) or re.search(r"[\x00-\x1f\x7f]", text) or ".." in text.split("/"):
        raise ValueError(f"found {text!r}; write an absolute path such as /etc/ssl/private, or a name such as *.bak")
    return text


def _apart(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Sorted as the archive is to be, and none below another: a member must not come twice."""
    ordered = sorted(once(paths), key=key_of)
    for above, path in pairwise(ordered):
        if path.startswith(f"{above}/"):
            raise ValueError(f"found {path!r}, which lies below {above!r}; leave it out")
    return tuple(ordered)


@dataclass(frozen=True)
class Files:
    """Directories and files of the host, by its GNU tar (1.28 or newer): with numeric owners, ACLs, extended
    attributes, hard links and holes. Sockets are left out.
    """

    kind: ClassVar[str] = "files"
    artifact_names: ClassVar[tuple[str, ...]] = ("files.tar",)
    restore_takes: ClassVar[frozenset[str]] = frozenset({"paths"})

    paths: Annotated[
        tuple[Annotated[RemotePath, Checked(_tree)], ...],
        Meta(
            min_length=1,
            description="absolute paths; a directory stands for all that lies below it. None may lie below another,"
            " or be a symbolic link: that would keep the link, and nothing of what it leads to",
        ),
        Checked(_apart),
    ]
    exclude: Annotated[
        tuple[Annotated[str, Checked(_pattern)], ...],
        Meta(
            description="what to leave out: an absolute path such as `/etc/ssl/private`, with all below it, or a name"
            " such as `*.bak` or `.git`, which counts at any depth. `*`, `?` and `[…]` stand for no `/`"
        ),
        Checked(once),
    ] = ()
    one_file_system: Annotated[
        bool,
        Meta(
            description="whether what is mounted below `paths`, and btrfs subvolumes there, are left out, with a"
            " warning that names them; `false` follows into everything, network mounts too"
        ),
    ] = True
    sudo: Annotated[
        bool,
        Meta(
            description="whether tar runs as root by `sudo`: without, one file that the pull account may not read"
            " fails the pull. The gate writes the sudoers line; paths and patterns then have letters, digits and"
            " `/._+@-*?` alone"
        ),
    ] = False

    def __post_init__(self) -> None:
        odd = [text for text in (*self.paths, *self.exclude) if not _PLAIN.fullmatch(text)]
        if self.sudo and odd:
            raise ValueError(f"found {odd[0]!r}; with sudo, paths and patterns have letters, digits and /._+@-*? alone")
        whole = [path for path in self.paths if any(f"{path}/".startswith(f"{text}/") for text in self.exclude)]
        if whole:
            raise ValueError(f"exclude: it leaves out {whole[0]!r}, which is to be backed up")

    @property
    def _names(self) -> str:
        return ", ".join(self.paths)

    @property
    def _archiving(self) -> tuple[str, ...]:
        """The tar command line, but for the program."""
        words = [*ARCHIVE, *(_HERE if self.one_file_system else ()), "--no-wildcards-match-slash"]
        for text in self.exclude:
            words += ["--anchored" if text.startswith("/") else "--no-anchored", "--exclude", text.lstrip("/")]
        return *words, "--directory", "/", "--", *(path.lstrip("/") for path in self.paths)

    @property
    def _program(self) -> str:
        return _TAR if self.sudo else "tar"

    def commands(self) -> tuple[str, ...]:
        """Every command a pull or a look can send."""
        return self._version(), *([self._mounts()] if self.one_file_system else []), self._look(), self._archive()

    def streams(self) -> tuple[str, ...]:
        """The archive."""
        return (self._archive(),)

    def _version(self) -> str:
        return f"{prologue(f'version of {self._names}')}{self._program} --version"

    def _mounts(self) -> str:
        return f"{prologue(f'mounts of {self._names}')}cat /proc/self/mounts"

    def _archive(self) -> str:
        sudo = "sudo -n " if self.sudo else ""
        # options that tar would take from its variable could run programs
        command = f"unset TAR_OPTIONS\nexec {sudo}{self._program} {shlex.join(self._archiving)}"
        return f"{prologue(f'archive of {self._names}')}{command}"

    def _look(self) -> str:
        """Tells, each ended by NUL, what is absent, what is a link and what cannot be read; then `looked`."""
        paths = shlex.join(self.paths)
        command = prologue(f"look of {self._names}")
        if self.sudo:
            command += f"sudo -n -l {_TAR} {shlex.join(self._archiving)} >/dev/null || exit\n"
        # nothing is known of what lies in a directory that only root may enter
        hidden = '[ ! -x "$(dirname -- "$p")" ] || ' if self.sudo else ""
        command += (
            f"for p in {paths}; do\n"
            '  [ ! -L "$p" ] || t=$(readlink -f "$p" || readlink "$p")\n'
            '  [ ! -L "$p" ] || printf \'link %s is a symbolic link to %s\\0\' "$p" "$t"\n'
            f'  [ -e "$p" ] || [ -L "$p" ] || {hidden}printf \'absent %s\\0\' "$p"\ndone\n'
        )
        if not self.sudo:
            skipped = "".join(f"{self._as_find(text)} -prune -o " for text in self.exclude)
            here = "-xdev " if self.one_file_system else ""
            command += (
                f"find {paths} {here}{skipped}'(' -type f ! -readable -o -type d '(' ! -readable -o ! -executable ')'"
                f" ')' -printf 'unreadable %p\\0' 2>/dev/null | head -c {_LOOK_BYTES}\n"
            )
        return f"{command}printf 'looked\\0'"

    @staticmethod
    def _as_find(pattern: str) -> str:
        return f"{'-path' if pattern.startswith('/') else '-name'} {shlex.quote(pattern)}"

    def artifacts(self, host: Remote, findings: Findings) -> Iterator[Artifact]:
        """One archive, sorted by name and read to the blocks that end it: each of `paths` must be in it, nothing beside
        them, no name twice, and nothing that would be unpacked elsewhere. Files that changed while they were read are a
        warning that names them (tar's status 1), and so are paths too long to unpack; a file that cannot be read fails
        the pull.
        """
        self._find_out(host, findings)
        left_out, _ = self._left_out(host) if self.one_file_system else ([], False)
        if left_out:
            findings.warn(f"{many(len(left_out), 'file system')} mounted below `paths` left out (one_file_system)")
            findings.tell(f"left out, being mounted there: {listed(left_out)}")
        check = TreeCheck([path.lstrip("/") for path in self.paths])
        yield Artifact("files.tar", self._stream(host, findings, left_out), check)
        if check.too_long:
            paths = many(check.many_too_long, "path")
            findings.warn(f"{paths} of more than 4,000 bytes: tar cannot unpack them")
            ends = [f"…{name[-60:]}" for name in check.too_long]
            findings.tell(f"too long to be unpacked, stored all the same: {listed(ends)}")

    def diagnose(self, host: Remote, last_bytes: int | None) -> Iterator[Diagnosis]:
        """GNU tar there and its version, whether all of `paths` is there and may be read (with `sudo`: whether that is
        allowed), and what is mounted below and left out.
        """
        yield judged("tar", lambda: f"GNU tar {self._find_out(host, Findings())}")
        yield judged("files", lambda: self._readable(host))
        if not self.one_file_system:
            return
        try:
            left_out, volumes = self._left_out(host)
        except Stopped:
            raise
        except PullAgentError as error:
            yield of_error("file systems", error)
            return
        if left_out:
            hint = "name them in `paths` or in `exclude`, or set one_file_system = false"
            yield doubtful("file systems", f"mounted below `paths`, and left out: {listed(left_out)}", hint)
        else:
            more = "; a pull names btrfs subvolumes there, which are left out too" if volumes else ""
            yield good("file systems", f"nothing is mounted below `paths`{more}")

    def restoration(self, host: Remote, snapshot: Opened, options: RestoreOptions) -> Restoration:
        """Into a new directory in the login's home, or where `--into` says; the whole archive is judged before. Then
        all of it is archived again there, and compared member by member: contents, modes, owners, times, links, ACLs,
        attributes. Without root's rights all belongs to the login, and owners are not compared.
        """
        from pullagent.sources.files.restore import Restore

        return Restore(host, snapshot, options)

    def throwaway(self, machine: Machine, origin: Origin) -> Throwaway:
        """No server: unpacked into the drill's own directory without root's rights, archived again, and compared member
        by member.
        """
        if not machine.programs("tar"):
            raise SourceError("there is no program tar here, which a drill needs", "apt-get install tar")
        # for the guard beside it, which removes the directory should pullagent be killed
        machine.serve(["/bin/sleep", "infinity"], "true")
        return Throwaway(self, None)

    @classmethod
    def members(cls, snapshot: Opened) -> Iterator[Member]:
        """What a snapshot holds, in its order."""
        with snapshot.chunks("files.tar") as chunks:
            yield from (item for item in walk(chunks) if isinstance(item, Member))

    @classmethod
    def checks(cls, snapshot: Opened) -> Mapping[str, Check]:
        """The archive to its end, each name in its place."""
        return {"files.tar": TreeCheck()}

    def grants(self, user: str) -> str:
        """None."""
        return ""

    def as_root(self) -> tuple[tuple[str, ...], ...]:
        """With `sudo`: the archiving tar, with its whole command line."""
        return ((_TAR, *self._archiving),) if self.sudo else ()

    def recovery(self, files: Mapping[str, str]) -> str:
        """By tar, as root, into a new directory."""
        plain = f"age -d -i KEY {files['files.tar']} | zstd -d"
        some = shlex.quote(self.paths[0].lstrip("/"))
        keeping = "--numeric-owner --acls --xattrs --xattrs-include='*'"
        return (
            f"It holds {self._names} as GNU tar found them. What is in it:\n\n"
            f"    {plain} | tar -tvf -\n\n"
            "As root, for owners come back only then, into a new directory; look at it before anything of it is moved\n"
            "into place. A name at the end (without its first slash) brings back that alone:\n\n"
            "    mkdir -m 700 files\n"
            f"    {plain} | tar -C files -xpf - {keeping}\n"
            f"    {plain} | tar -C files -xpf - {keeping} {some}\n\n"
            "Compare what is there with what was stored (nothing is said where all is equal):\n\n"
            f"    {plain} | tar -C files -df - --numeric-owner\n"
        )

    def _find_out(self, host: Remote, findings: Findings) -> str:
        """The version of tar there. SourceError for another tar than GNU's."""
        try:
            answer = host.read(self._version()).decode(errors="replace")
        except CommandFailed as error:
            if error.status == 127:
                raise SourceError(error.message, f"install it on {host.name}: apt-get install tar") from error
            if "busybox" in error.stderr.lower():
                raise not_gnu(host.name, "BusyBox's tar") from error
            raise
        first = answer.partition("\n")[0]
        match = re.fullmatch(r"tar \(GNU tar\) ([0-9]+(?:\.[0-9]+)+\S*)", first)
        if match is None:
            if "busybox" in first.lower() or "bsdtar" in first.lower():
                raise not_gnu(host.name, f"{first[:60]!r}")
            raise ContentError(f"tar on {host.name} answers {answer[:80]!r} when asked for its version", _SILENT)
        if tuple(map(int, match[1].split(".")[:2])) < (1, 28):
            raise SourceError(f"{host.name} has GNU tar {match[1]}; 1.28 is the oldest that sorts", "upgrade it there")
        findings.server_kind, findings.server_version, findings.tools["tar"] = "gnu-tar", match[1], first
        return match[1]

    def _readable(self, host: Remote) -> str:
        try:
            answer = host.read(self._look()).decode(errors="replace")
        except CommandFailed as error:
            raise explained(error, host.name) from error
        *lines, last, end = ["", *answer.split("\0")] if "\0" in answer else ["", "", "?"]
        found = [line.partition(" ") for line in lines[1:]]
        # the last one may be cut
        if last != "looked" or end or any(word not in ("absent", "link", "unreadable") for word, _, _ in found[:-1]):
            raise ContentError(f"{host.name} answers {answer[:80]!r} to a look at {self._names}", _SILENT)
        absent = [path for word, _, path in found if word == "absent"]
        if absent:
            raise SourceError(f"there is no {listed(absent)}", "check `paths` in hosts.toml")
        links = [text for word, _, text in found if word == "link"]
        if links:
            raise SourceError(listed(links), LINK_HINT)
        if found:
            raise SourceError(f"may not be read: {listed([path for _, _, path in found])}", ASK_ROOT)
        return f"{self._names} there, {'read as root' if self.sudo else 'all of it readable'}"

    def _left_out(self, host: Remote) -> tuple[list[str], bool]:
        """What is mounted below `paths`, and neither named in `paths` nor excluded by its own path; and whether there
        can be volumes besides that are mounted nowhere.
        """
        answer = host.read(self._mounts()).decode(errors="surrogateescape")
        rows = [line.split(" ") for line in answer.splitlines()]
        if not rows or any(len(row) != 6 for row in rows):
            raise ContentError(f"{host.name} answers {answer[:80]!r} when asked what is mounted", _SILENT)
        places = {re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), row[1]) for row in rows}
        told = {*self.paths, *self.exclude}
        below = sorted(p for p in places - told if any(p.startswith(f"{path}/") for path in self.paths))
        return below, any(row[2] == "btrfs" for row in rows)

    def _stream(self, host: Remote, findings: Findings, left_out: list[str]) -> Iterator[bytes]:
        try:
            stream = host.open(self._archive(), (0, 1))
            yield from stream
        except CommandFailed as error:
            raise explained(error, host.name) from error
        remark(host.name, stream.stderr, stream.status, findings, left_out)
