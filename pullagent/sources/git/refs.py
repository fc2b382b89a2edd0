"""Refs: what two repositories differ in, and what must be kept before anything is moved. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pullagent.errors import ContentError, SourceError
from pullagent.model import id_time, is_snapshot_id

OWN = "refs/pullagent/"
INCOMING = f"{OWN}incoming/"
DEFAULTS = ("refs/heads/main", "refs/heads/master")
_LIMIT = 400_000
_SHA256_DIGITS = 64
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# git-check-ref-format(1), and no longer than a file's name may be with what git and the mirror put around it
_REF = re.compile(r"refs(/(?!\.)(?!@$)[^\x00-\x20\x7f~^:?*\[\\/]{1,240}(?<!\.lock)(?<!\.))+")


@dataclass(frozen=True)
class Heads:
    """What a repository shows: its refs, the branch that HEAD stands for, refs that cannot be taken, and the commit
    that HEAD stands for where it is on no branch (`detached`).
    """

    refs: Mapping[str, str]
    head: str | None = None
    odd: tuple[str, ...] = ()
    detached: str | None = None


@dataclass(frozen=True)
class Difference:
    """What is to do: refs to fetch, and of one's own the old values of those that change and of those that go."""

    wanted: tuple[str, ...]
    changing: Mapping[str, str]
    gone: Mapping[str, str]
    head: str | None = None

    def __bool__(self) -> bool:
        return bool(self.wanted or self.gone or self.head)


@dataclass(frozen=True)
class Mine:
    """A mirror's refs: those of upstream, those kept after upstream gave them up, and those of a fetch not yet done."""

    live: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    incoming: Mapping[str, str] = field(default_factory=dict)
    head: str | None = None


def is_ref(name: str) -> bool:
    """Whether a mirror can hold a ref of this name."""
    return len(name) <= 1000 and ".." not in name and "@{" not in name and _REF.fullmatch(name) is not None


def heads_of(answer: bytes) -> Heads:
    """What `git ls-remote --symref` says. Refs of a mirror's own kind and peeled tags are left out. SourceError for a
    repository that no mirror can hold, ContentError for what is no answer.
    """
    refs: dict[str, str] = {}
    odd: list[str] = []
    head = commit = None
    for first, name in _lines(answer, "\t"):
        if first.startswith("ref: "):
            head = first[5:] if name == "HEAD" and is_ref(first[5:]) else head
        elif not _OID.fullmatch(first):
            raise ContentError(f"upstream's list of refs holds {first[:60]!r}", "is that a git repository?")
        elif len(first) == _SHA256_DIGITS:
            raise SourceError(
                "upstream names its objects by SHA-256; a mirror here holds those of SHA-1, git's default, alone",
                'back its directory up by kind = "files" instead',
            )
        elif name == "HEAD":
            commit = first
        elif name.endswith("^{}") or name.startswith(OWN):
            continue
        elif is_ref(name):
            refs[name] = first
        else:
            odd.append(name)
    return Heads(refs, head, tuple(odd), commit if head is None else None)


def mine_of(answer: bytes, head: str | None) -> Mine:
    """What `git for-each-ref --format='%(objectname) %(refname)'` says of a mirror."""
    live: dict[str, str] = {}
    kept: dict[str, str] = {}
    incoming: dict[str, str] = {}
    for oid, name in _lines(answer, " "):
        part = live if not name.startswith(OWN) else incoming if name.startswith(INCOMING) else kept
        part[name] = oid
    return Mine(live, kept, incoming, head)


def _lines(answer: bytes, separator: str) -> Iterator[tuple[str, str]]:
    lines = answer.split(b"\n")
    if len(lines) > _LIMIT:
        raise ContentError(f"it has more than {_LIMIT} refs", "what are they? This is far beyond a source repository")
    for line in lines:
        if line:
            first, _, rest = line.decode(errors="surrogateescape").partition(separator)
            yield first, rest


def compare(mine: Mine, theirs: Heads) -> Difference:
    """What upstream holds that the mirror does not, and the other way round."""
    wanted = tuple(name for name, oid in theirs.refs.items() if mine.live.get(name) != oid)
    changing = {name: mine.live[name] for name in wanted if name in mine.live}
    gone = {name: oid for name, oid in mine.live.items() if name not in theirs.refs}
    head = _head(mine, theirs)
    return Difference(wanted, changing, gone, head if head != mine.head else None)


def _head(mine: Mine, theirs: Heads) -> str | None:
    """What a mirror's HEAD is to stand for: what upstream's does; where that is on no branch, or on one that is not
    there (renamed, say), one's own if there is such a branch, else one that is, or a clone would check nothing out.
    """
    if theirs.head is not None or mine.head in theirs.refs:
        return theirs.head or mine.head
    branches = [name for name in theirs.refs if name.startswith("refs/heads/")]
    return next((name for name in (*DEFAULTS, *branches) if name in branches), mine.head)


def kept_name(moment: str, ref: str) -> str:
    """Under which name a ref stays that upstream gave up at `moment` (an id's form)."""
    return f"{OWN}{moment}/{ref}"


def bundle_head(listed: Mapping[str, str]) -> bytes:
    """What a bundle that lists these refs, one at least, begins with; a pack follows. See gitformat-bundle(5)."""
    lines = "".join(f"{oid} {name}\n" for name, oid in listed.items())
    return f"# v2 git bundle\n{lines}\n".encode(errors="surrogateescape")


def expired(kept: Iterable[str], before: datetime) -> list[str]:
    """Those kept since before a time (UTC)."""
    found = []
    for name in kept:
        moment = name.removeprefix(OWN).partition("/")[0]
        if is_snapshot_id(moment) and id_time(moment) < before:
            found.append(name)
    return found


def counts(mine: Mine) -> dict[str, int]:
    """How many of what a mirror holds."""
    names = mine.live

    def below(prefix: str) -> int:
        return sum(name.startswith(prefix) for name in names)

    return {
        "refs": len(names),
        "branches": below("refs/heads/"),
        "tags": below("refs/tags/"),
        "notes": below("refs/notes/"),
        "kept": len(mine.kept),
    }
