"""A bare mirror that loses nothing: what upstream deletes or rewrites stays under refs/pullagent/<UTC>/.

The order is what makes it safe. New objects come in under names of their own; then what is about to be given up gets
its lasting name; only then do the mirror's refs move. A kill between any two steps leaves a mirror whose next update
does the rest. Nothing but `expire` lets objects go.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from pullagent.errors import LockedError, SourceError, store_error
from pullagent.model import snapshot_id
from pullagent.sources.base import Bench, Followed, Remote
from pullagent.sources.git import refs
from pullagent.sources.git.lfs import pointers
from pullagent.sources.git.program import LONG_S, GitFailed, Program
from pullagent.sources.git.refs import Difference, Heads, Mine
from pullagent.sources.git.upstream import Upstream

# a git whose pullagent was killed ends when its connection does
_ORPHAN_S, _TICK_S = 20.0, 0.2
_ATTEMPTS = 3
_GONE = "couldn't find remote ref"
# from so many on all are kept without asking which of them were rewritten
_MANY = 500
_PACKS, _LOOSE_IN_ONE = 40, 12
# what a killed git leaves, and the next one would stop at or leave for ever
_LEFT = (
    (".", "*.lock"),
    (".", "packed-refs.new"),
    ("refs", "**/*.lock"),
    ("objects/info", "*.lock"),
    ("objects", "*/tmp_*"),
    ("objects/pack", ".tmp-*"),
)


class Mirror:
    """The bare repository in the directory of `bench`, made if it is not there. The caller holds the source's lock."""

    def __init__(self, bench: Bench) -> None:
        self.directory, self._stop, self._min_free_bytes = bench.directory, bench.stop, bench.min_free_bytes
        self._git = Program(self.directory, self._stop)

    @contextmanager
    def opened(self) -> Iterator["Mirror"]:
        """Hold it alone, against a git too that outlived its pullagent: it inherited the lock. LockedError."""
        try:
            self._make()
            lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise store_error(self.directory, error) from error
        try:
            self._take(lock)
            self._git = Program(self.directory, self._stop, (lock,), self._min_free_bytes)
            yield self
        finally:
            os.close(lock)

    def _make(self) -> None:
        if self.directory.is_dir():
            return
        # a name that no reader takes for a mirror until it is one
        draft = self.directory.with_name(f".{self.directory.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        Program(draft, self._stop).ask("init", "--quiet", "--bare", "--template=", "--initial-branch=main")
        draft.rename(self.directory)

    def _take(self, lock: int) -> None:
        deadline = time.monotonic() + _ORPHAN_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise LockedError(
                        f"a git that outlived its pullagent still writes to {self.directory}",
                        f"it ends by itself; which one:  fuser -v {self.directory}",
                    ) from error
            self._stop.wait(_TICK_S)
            self._stop.check()

    def version(self) -> str:
        """Of the git that works on it."""
        return self._git.ask("version").decode(errors="replace").strip()

    def mine(self) -> Mine:
        """What it holds now."""
        answer = self._git.ask("for-each-ref", "--format=%(objectname) %(refname)")
        return refs.mine_of(answer, self._head())

    def _head(self) -> str | None:
        try:
            text = (self.directory / "HEAD").read_text()
        except OSError as error:
            raise SourceError(
                f"{self.directory} is no repository any more: {error.strerror}", _remedy(self.directory)
            ) from error
        return text.removeprefix("ref: ").strip() if text.startswith("ref: ") else None

    def follow(self, upstream: Upstream, host: Remote, now: datetime, *, recheck: bool = False) -> Followed:
        """Bring it up to what upstream holds at `now` (UTC). GitFailed, SourceError, and the host's errors."""
        for attempt in range(1, _ATTEMPTS + 1):
            theirs, mine = upstream.heads(self._git, host), self.mine()
            warnings = _warnings(theirs)
            if not theirs.refs and mine.live:
                text = "upstream has no refs any more: the mirror stays as it was; is it the right repository?"
                return Followed(False, counts=refs.counts(mine), warnings=(text,), version=upstream.version)
            difference = refs.compare(mine, theirs)
            if not difference and not mine.incoming and not recheck:
                return Followed(True, warnings=warnings + self._detached(theirs), version=upstream.version)
            try:
                followed = self._followed(upstream, host, mine, difference, now, warnings)
                return replace(followed, warnings=followed.warnings + self._detached(theirs))
            except GitFailed as error:
                # a ref went between the list and the fetch
                if _GONE not in error.said or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _detached(self, theirs: Heads) -> tuple[str, ...]:
        """A warning where a working copy holds commits that no ref leads to: nobody can fetch what is under no name."""
        if theirs.detached is None or self._holds(theirs.detached):
            return ()
        return (
            f"HEAD is on no branch there, and what was committed on it ({theirs.detached[:12]}) is not in the mirror;"
            f" give it a name there:  git branch NAME {theirs.detached[:12]}",
        )

    def _holds(self, oid: str) -> bool:
        try:
            self._git.ask("cat-file", "-e", oid)
        except GitFailed:
            return False
        return True

    def _followed(
        self,
        upstream: Upstream,
        host: Remote,
        mine: Mine,
        difference: Difference,
        now: datetime,
        warnings: tuple[str, ...],
    ) -> Followed:
        self._sweep()
        self._drop(mine.incoming)
        if difference.wanted:
            upstream.fetch(self._git, host, difference.wanted)
        incoming = self.mine().incoming
        fetched = {name.removeprefix(refs.INCOMING): oid for name, oid in incoming.items()}
        _refuse_withheld(difference, fetched)
        kept = self._keep(mine, difference, fetched, now)
        self._move(mine, difference, fetched)
        self.check()
        self._drop(incoming)
        self._tidy()
        found = self.mine()
        changed = len(difference.wanted) + len(difference.gone) + bool(difference.head)
        branches = [name for name in found.live if name.startswith("refs/heads/")]
        counts = refs.counts(found) | {"lfs": pointers(self._git, branches)}
        if counts["lfs"]:
            warnings += (f"{counts['lfs']} files are Git LFS pointers: what they point to is not in the mirror",)
        return Followed(True, changed, tuple(kept), counts, warnings, upstream.version)

    def _keep(self, mine: Mine, difference: Difference, fetched: Mapping[str, str], now: datetime) -> dict[str, str]:
        """Give lasting names to what is about to go: refs that upstream deleted, and those it rewrote."""
        moved = {n: old for n, old in difference.changing.items() if fetched.get(n, old) != old}
        given_up = dict(difference.gone)
        for name, old in moved.items():
            if len(moved) > _MANY or name.startswith("refs/tags/") or not self._leads_to(old, fetched[name]):
                given_up[name] = old
        moment = now
        while any(name.startswith(refs.kept_name(snapshot_id(moment), "")) for name in mine.kept):
            moment += timedelta(seconds=1)
        kept = {refs.kept_name(snapshot_id(moment), name): oid for name, oid in given_up.items()}
        self._update(f"create {name} {oid}" for name, oid in kept.items())
        return kept

    def _leads_to(self, old: str, new: str) -> bool:
        """Whether `old` is part of the history of `new`; False too where they are no commits."""
        try:
            self._git.ask("merge-base", "--is-ancestor", old, new)
        except GitFailed:
            return False
        return True

    def _move(self, mine: Mine, difference: Difference, fetched: Mapping[str, str]) -> None:
        """Deletions first, and by themselves: a branch may take the place of a directory of branches."""
        self._update(f"delete {name} {oid}" for name, oid in difference.gone.items())
        self._update(f"update {n} {oid}" for n, oid in fetched.items() if mine.live.get(n) != oid)
        if difference.head is not None:
            self._git.ask("symbolic-ref", "HEAD", difference.head)

    def _drop(self, incoming: Iterable[str]) -> None:
        self._update(f"delete {name}" for name in incoming)

    def _update(self, lines: Iterable[str]) -> None:
        """One transaction; nothing without lines."""
        text = "".join(f"{line}\n" for line in lines)
        if text:
            self._git.ask("update-ref", "--stdin", data=text.encode(errors="surrogateescape"), limit_s=LONG_S)

    def check(self, *, full: bool = False) -> None:
        """SourceError unless every object that a ref leads to is there; `full`: and holds what its name says."""
        how = "--full" if full else "--connectivity-only"
        try:
            self._git.ask("fsck", how, "--no-dangling", "--no-progress", limit_s=LONG_S)
        except GitFailed as error:
            raise SourceError(
                f"the mirror {self.directory} is damaged: {error.message}", _remedy(self.directory)
            ) from error

    def bundle(self, found: Mine) -> Iterator[bytes]:
        """All refs and all that they lead to, as a bundle. SourceError where there is none."""
        if not found.live:
            raise SourceError("the repository has no refs: there is nothing to store", "push to it, then run again")
        listed = self.listed(found)
        yield refs.bundle_head(listed)
        # as git-bundle(1) does, which leaves out each ref that a branch named HEAD, or refs/heads/main, makes ambiguous
        wanted = "".join(f"{oid}\n" for oid in dict.fromkeys(listed.values()))
        packing = ("pack-objects", "--quiet", "--stdout", "--revs", "--delta-base-offset")
        yield from self._git.stream(*packing, data=wanted.encode())

    def listed(self, found: Mine) -> dict[str, str]:
        """What a bundle of it lists."""
        own = {"HEAD": found.live[found.head]} if found.head is not None and found.head in found.live else {}
        return {**found.live, **found.kept, **found.incoming, **own}

    def verify_bundle(self, head: bytes) -> None:
        """`git bundle verify` on a bundle's list of refs, all that it reads; ContentError's words are git's."""
        descriptor = os.memfd_create("bundle", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(head)
            self._git.ask("bundle", "verify", "--quiet", f"/proc/self/fd/{descriptor}", descriptors=(descriptor,))
        finally:
            os.close(descriptor)

    def expire(self, before: datetime, *, dry_run: bool = False) -> tuple[str, ...]:
        """Let go what was kept before a time (UTC), and then what nothing leads to any more and is as old."""
        found = refs.expired(self.mine().kept, before)
        if found and not dry_run:
            self._sweep()
            self._update(f"delete {name}" for name in found)
            self._collect(f"--prune={int(before.timestamp())}")
            self.check()
        return tuple(found)

    def _tidy(self) -> None:
        """Pack what many small updates left; nothing is let go."""
        packs = sum(1 for _ in (self.directory / "objects" / "pack").glob("*.pack"))
        loose = self.directory / "objects" / "17"
        if packs > _PACKS or (loose.is_dir() and sum(1 for _ in loose.iterdir()) > _LOOSE_IN_ONE):
            self._collect("--no-prune")

    def _collect(self, prune: str) -> None:
        # --force: a killed one may have left its mark, and no other can be at work
        self._git.ask("gc", "--quiet", "--force", prune, limit_s=LONG_S)

    def _sweep(self) -> None:
        """Remove lock files and half-written packs of a git that was killed: no other git is at work here."""
        try:
            for place, pattern in _LEFT:
                for file in (self.directory / place).glob(pattern):
                    file.unlink(missing_ok=True)
        except OSError as error:
            raise store_error(self.directory, error) from error


def _refuse_withheld(difference: Difference, fetched: Mapping[str, str]) -> None:
    """GitFailed when a ref that upstream showed did not come, although the fetch ended well."""
    withheld = [name for name in difference.wanted if name not in fetched]
    if withheld:
        raise GitFailed(
            f"upstream shows {withheld[0][:200]}, but does not send it",
            "is it a shallow clone? A mirror needs one with all of its history:  git fetch --unshallow",
            _GONE,
        )


def _warnings(theirs: Heads) -> tuple[str, ...]:
    if not theirs.odd:
        return ()
    return (f"{len(theirs.odd)} refs have names that a mirror cannot hold, such as {theirs.odd[0][:80]!r}: left out",)


def _remedy(directory: Path) -> str:
    return (
        "look at that disk. Then keep what there is, and have it made anew from upstream:  "
        f"mv {directory} {directory}.damaged; pullagent mirror"
    )
