"""Counts Git LFS pointers: files that stand for what lies elsewhere, and is in no mirror."""

from collections.abc import Iterator, Sequence

from pullagent.errors import SourceError, Stopped
from pullagent.sources.git.program import LONG_S, Program

_BEGINS = b"version https://git-lfs.github.com/spec/v1\n"
# of a pointer without extensions, https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_LONGEST = 200
_BRANCHES, _ENTRIES = 20, 200_000


def pointers(git: Program, branches: Sequence[str]) -> int:
    """How many files of the branches' trees are pointers; what is beyond any source repository is not looked at.

    No content is read but that of files as small as a pointer.
    """
    try:
        small = _small(git, branches[:_BRANCHES])
        found = set(_pointing(git, {oid for _, oid in small}))
    except Stopped:
        raise
    except SourceError:
        # it is but a warning, and `check` has its own word on damage
        return 0
    return len({path for path, oid in small if oid in found})


def _small(git: Program, branches: Sequence[str]) -> set[tuple[bytes, bytes]]:
    """Path and object of every small file. A few trees can be made to list more paths than anybody can read."""
    found, seen, rest = set(), 0, b""
    for branch in branches:
        for chunk in git.stream("ls-tree", "-r", "-l", "-z", "--full-tree", branch, limit_s=LONG_S):
            *lines, rest = (rest + chunk).split(b"\0")
            seen += len(lines)
            found |= {entry for line in lines if (entry := _entry(line)) is not None}
            if seen > _ENTRIES:
                return found
    return found


def _entry(line: bytes) -> tuple[bytes, bytes] | None:
    about, _, path = line.partition(b"\t")
    _, _, oid, size = about.split()
    return (path, oid) if size.isdigit() and len(_BEGINS) < int(size) <= _LONGEST else None


def _pointing(git: Program, oids: set[bytes]) -> Iterator[bytes]:
    if not oids:
        return
    asked = b"".join(oid + b"\n" for oid in sorted(oids))
    answer, place = git.ask("cat-file", "--batch", data=asked, limit_s=LONG_S), 0
    while place < len(answer):
        end = answer.index(b"\n", place)
        oid, _, size = answer[place:end].split()
        if answer.startswith(_BEGINS, end + 1):
            yield oid
        place = end + 1 + int(size) + 1
