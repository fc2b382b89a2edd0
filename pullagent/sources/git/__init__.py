"""Source kind `git`: a repository with all its refs, as a mirror in clear brought up to date at any time, and as a
sealed bundle in every snapshot.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from pullagent.checks.bundle import BundleCheck
from pullagent.diagnosis import Diagnosis, bad, good, of_error
from pullagent.errors import PullAgentError, Stopped, UsageError
from pullagent.fields import Checked
from pullagent.manifest import Server as Origin
from pullagent.model import Artifact, Check, Findings
from pullagent.sources.base import Bench, Followed, Machine, Opened, Remote, Restoration, RestoreOptions, Throwaway
from pullagent.sources.git.url import Place, parse, upload_pack

# the part of a temporary directory's file system that is left to others
_RESERVE = 50


def _url(text: str) -> str:
    parse(text)
    return text


@dataclass(frozen=True)
class Git:
    """A repository with all its refs: as a mirror in clear that `pullagent mirror` keeps up to date, and as a sealed
    bundle in each snapshot. git must be installed here, and on the host where `url` is a path or SSH.
    """

    kind: ClassVar[str] = "git"
    artifact_names: ClassVar[tuple[str, ...]] = ("repo.bundle",)
    restore_takes: ClassVar[frozenset[str]] = frozenset()
    rehearsed: ClassVar[bool] = False

    url: Annotated[
        str,
        Meta(
            description="`/srv/git/NAME.git`, a path on the host; `ssh://[USER@]HOST[:PORT]/PATH` or `USER@HOST:PATH`,"
            " with the host's pull key and the pinned host keys (another server is better a host of its own); or an"
            " `https`, `http`, `git` or `file` URL, without a user name or password (`http` and `git` do not prove who"
            " answers)"
        ),
        Checked(_url),
    ]
    clear_mirror: Annotated[
        bool,
        Meta(
            description="whether a bare mirror is kept in `<store>/.mirrors/`, in clear, ready to be cloned from;"
            " `mirror` keeps it up to date. Without it there is only the sealed bundle of each run"
        ),
    ] = True

    @property
    def _place(self) -> Place:
        return parse(self.url)

    def commands(self) -> tuple[str, ...]:
        """The one that git itself sends; none where git goes there by itself."""
        path = self._place.path
        return () if path is None else (upload_pack(path),)

    def streams(self) -> tuple[str, ...]:
        """None: git compresses what it sends, and gives its command a form that nothing can be put around."""
        return ()

    def artifacts(self, host: Remote, findings: Findings) -> Iterator[Artifact]:
        """A bundle of all refs, made of the mirror once that is as upstream shows (without `clear_mirror`, of one that
        goes with the pull): every object is read and hashed by `git fsck`, refs that upstream gave up are in it under
        `refs/pullagent/`, and the bundle is followed to the hash that ends it.
        """
        from pullagent.sources.git.program import scratch

        with scratch() as directory:
            space = os.statvfs(directory)
            reserve = space.f_blocks * space.f_frsize // _RESERVE
            bench = Bench(directory / "mirror.git", datetime.now(UTC), min_free_bytes=reserve)
            followed = self.follow(host, bench)
            findings.server_version = followed.version
            for warning in followed.warnings:
                findings.tell(warning)
            yield from self.bundled(bench, findings)

    def follow(self, host: Remote, bench: Bench, *, recheck: bool = False) -> Followed:
        """Bring the mirror up to what upstream shows; see `Mirror.follow`."""
        from pullagent.sources.git.mirror import Mirror
        from pullagent.sources.git.upstream import Upstream

        with Mirror(bench).opened() as mirror:
            return mirror.follow(Upstream(self._place, bench.advanced), host, bench.now, recheck=recheck)

    def bundled(self, bench: Bench, findings: Findings) -> Iterator[Artifact]:
        """All refs of the mirror and all objects that they lead to, each of which is read and hashed first."""
        from pullagent.sources.git.bundle import MirrorCheck
        from pullagent.sources.git.mirror import Mirror

        with Mirror(bench).opened() as mirror:
            mirror.check(full=True)
            found = mirror.mine()
            findings.server_kind = "git"
            findings.tools["git"] = mirror.version()
            yield Artifact("repo.bundle", mirror.bundle(found), MirrorCheck(mirror, found))

    def expire(self, bench: Bench, before: datetime, *, dry_run: bool = False) -> tuple[str, ...]:
        """Let go what was kept before `before`."""
        from pullagent.sources.git.mirror import Mirror

        if not bench.directory.is_dir():
            return ()
        with Mirror(bench).opened() as mirror:
            return mirror.expire(before, dry_run=dry_run)

    def taken_from(self, directory: Path) -> str:
        """The command that clones from a mirror; for another user than its owner, root too, git wants to be told."""
        if not directory.is_dir():
            return ""
        if directory.stat().st_uid == os.geteuid():
            return f"git clone {shlex.quote(str(directory))}"
        return f"git clone -u 'git -c safe.directory=* upload-pack' {shlex.quote(f'file://{directory}')}"

    def diagnose(self, host: Remote, last_bytes: int | None) -> Iterator[Diagnosis]:
        """git here, and what upstream shows: its refs, and what HEAD stands for."""
        from pullagent.sources.git.program import Program, scratch
        from pullagent.sources.git.upstream import Upstream

        with scratch() as directory:
            git, upstream = Program(directory), Upstream(self._place)
            try:
                yield good("git here", git.ask("version").decode().strip())
                theirs = upstream.heads(git, host)
            except Stopped:
                raise
            except PullAgentError as error:
                yield of_error("repository", error)
                return
        if not theirs.refs:
            yield bad("repository", "it has no refs", "is url in hosts.toml the right one? Push to it first")
            return
        version = f", git {upstream.version}" if upstream.version else ""
        yield good("repository", f"{len(theirs.refs)} refs{version}")
        if theirs.head is None:
            yield bad("HEAD", "it stands for no branch", "a clone would check nothing out: git symbolic-ref HEAD …")
        else:
            yield good("HEAD", f"it stands for {theirs.head}")

    def restoration(self, host: Remote, snapshot: Opened, options: RestoreOptions) -> Restoration:
        """Into a bare repository at the path of `url` on the target, made anew beside what stands there and put in its
        place at the end; every ref is compared, and `git fsck` looks at all objects. A `url` that is no place on a host
        is restored by hand from the bundle. Hooks and configuration are no part of it.
        """
        from pullagent.sources.git.restore import Restore

        path = self._place.path
        if path is None:
            raise UsageError(
                f"{self.url} is no place on a host that could be restored to",
                "take the bundle:  pullagent fetch REF --decrypt --identity FILE   then:  git clone repo.bundle",
            )
        return Restore(host, snapshot, options, path, rehearsed=self.rehearsed)

    def throwaway(self, machine: Machine, origin: Origin) -> Throwaway:
        """No server: a bare repository in the drill's own directory, compared ref by ref, looked at by `git fsck`, and
        cloned, with every file of the tree checked out.
        """
        machine.read("# pullagent: git's version\ngit version\n")
        # for the guard beside it, which removes the directory should pullagent be killed
        machine.serve(["/bin/sleep", "infinity"], "true")
        there = _Rehearsed(str(machine.directory / "restored.git"))
        return Throwaway(there, None)

    @classmethod
    def checks(cls, snapshot: Opened) -> Mapping[str, Check]:
        """The bundle's list of refs, and its pack to the hash that ends it."""
        return {"repo.bundle": BundleCheck()}

    def grants(self, user: str) -> str:
        """None."""
        return ""

    def as_root(self) -> tuple[tuple[str, ...], ...]:
        """None."""
        return ()

    def recovery(self, files: Mapping[str, str]) -> str:
        """The restore by hand."""
        return (
            "The repository with all its refs is a git bundle. To have a working copy:\n\n"
            f"    age -d -i KEY {files['repo.bundle']} | zstd -d >repo.bundle\n"
            "    git clone repo.bundle work\n\n"
            "To have the repository itself again, with every branch, tag and note, where people push to:\n\n"
            "    git init --bare repo.git\n"
            "    git -C repo.git bundle verify ../repo.bundle\n"
            "    git -C repo.git fetch ../repo.bundle '+refs/*:refs/*' '^refs/pullagent/*'\n"
            "    git -C repo.git symbolic-ref HEAD refs/heads/main\n\n"
            "(the last line with the branch that HEAD stood for). What upstream had deleted or rewritten in the days\n"
            "before is in the bundle too, under refs/pullagent/ and the time when it was noticed:\n\n"
            "    git ls-remote repo.bundle 'refs/pullagent/*'\n"
        )


class _Rehearsed(Git):
    """The same for a drill, which has a working copy made and looked at too."""

    rehearsed = True
