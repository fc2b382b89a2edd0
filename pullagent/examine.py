"""Looks at one stored snapshot to the end, whatever it meets: hashes, strangers, and on request the content."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from pullagent import seal
from pullagent.errors import ContentError, SealError, StoreError, WrongIdentity
from pullagent.manifest import ArtifactEntry, Manifest
from pullagent.model import NoCheck, Observer, Snapshot, SnapshotRef
from pullagent.opened import OpenedSnapshot
from pullagent.seal import Identity
from pullagent.sources.base import Source
from pullagent.store import damage, foreign

MANIFEST, SUMS, RECOVERY = "manifest.json", "SHA256SUMS", "RESTORE.txt"
_NOTES = ("PINNED.json", damage.FILE)
_SUM = re.compile(r"([0-9a-f]{64})  ([^/\n]+)")
_SUMS_LIMIT = 1 << 20
T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it was stored. `problem` is missing, changed, foreign or unreadable.

    `file` stands in the snapshot's directory, or below the store where `ref` is None. `content`: only decrypting shows
    it, and `detail` may then repeat something of what the snapshot holds.
    """

    ref: SnapshotRef | None
    file: str
    problem: str
    detail: str
    content: bool = False


@dataclass
class Look:
    """What a look at one snapshot found. `opened` is None unless an identity was tried on it."""

    ref: SnapshotRef
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)
    opened: bool | None = None

    @property
    def damage(self) -> list[Problem]:
        """The problems of its data. A stranger beside it, or a bit in a text, does that no harm."""
        return [p for p in self.problems if p.problem != "foreign" and p.file not in (SUMS, RECOVERY)]

    @property
    def damaged(self) -> bool:
        """Whether its data cannot be relied on."""
        return bool(self.damage)

    def add(self, file: str, problem: str, detail: str, *, content: bool = False) -> None:
        """One more problem."""
        self.problems.append(Problem(self.ref, file, problem, detail, content))


def examine(snapshot: Snapshot, advanced: Callable[[int], None] = lambda _: None) -> Look:
    """Compare everything in a snapshot's directory with its manifest and its SHA256SUMS, without any key.

    The caller holds the reading lock.
    """
    look = Look(snapshot.ref)
    manifest = snapshot.manifest
    sums = _sums(snapshot, look)
    artifacts = {a.file: a for a in manifest.artifacts} if manifest else {}
    # where the manifest cannot be read, the sums at least say what to look for
    names = [*artifacts] if manifest else [*(sums or {})]
    digests = _hash_all(snapshot, look, names, advanced)
    _judge_manifest(snapshot, look)
    for entry in artifacts.values():
        _compare_artifact(look, entry, digests)
    for name, expected in (sums or {}).items():
        found = digests.get(name)
        known = name in artifacts or any(p.file == name for p in look.problems)
        if not known and found is not None and found[1] != expected:
            look.add(name, "changed", f"SHA-256 is {found[1][:16]}…, {SUMS} says {expected[:16]}…")
    if manifest is not None and sums is not None:
        _compare_sums(look, manifest, sums)
    if manifest is not None or sums is not None:
        _find_strangers(snapshot, look, {*artifacts, *(sums or {})})
    return look


def _hash_all(
    snapshot: Snapshot, look: Look, names: list[str], advanced: Callable[[int], None]
) -> dict[str, tuple[int, str]]:
    """Size and hash of every file that must be there, SHA256SUMS aside; problems for those that cannot be read.

    Progress counts what the manifest counts: not the two texts.
    """
    found = {}
    for name in dict.fromkeys([*names, RECOVERY, MANIFEST]):
        counting = [] if name in (RECOVERY, MANIFEST) else [advanced]
        hashed = _tried(look, name, partial(seal.hash_file, snapshot.path / name, *counting))
        if hashed is not None:
            found[name] = hashed
            look.bytes += hashed[0]
    return found


def _tried(look: Look, name: str, read: Callable[[], T]) -> T | None:
    """What `read` gives; None, and a problem, when the system cannot."""
    try:
        return read()
    except FileNotFoundError:
        look.add(name, "missing", "it is not there")
    except OSError as error:
        look.add(name, "unreadable", error.strerror or repr(error))
    return None


def _compare_artifact(look: Look, entry: ArtifactEntry, digests: Mapping[str, tuple[int, str]]) -> None:
    found = digests.get(entry.file)
    if found is None or found == (entry.stored_bytes, entry.stored_sha256):
        return
    if found[0] != entry.stored_bytes:
        look.add(entry.file, "changed", f"{found[0]} bytes long, not {entry.stored_bytes}")
    else:
        look.add(entry.file, "changed", f"SHA-256 is {found[1][:16]}…, the manifest says {entry.stored_sha256[:16]}…")


def _judge_manifest(snapshot: Snapshot, look: Look) -> None:
    """A manifest that is there, but is none or another's."""
    manifest = snapshot.manifest
    if any(p.file == MANIFEST for p in look.problems):
        return
    if manifest is None:
        look.add(MANIFEST, "unreadable", snapshot.problem.removeprefix(f"{MANIFEST} is not readable: "))
        return
    described = f"{manifest.host}/{manifest.source}@{manifest.id}"
    if described != str(snapshot.ref):
        look.add(MANIFEST, "changed", f"it is that of {described}")


def _sums(snapshot: Snapshot, look: Look) -> dict[str, str] | None:
    """SHA256SUMS as file to hash; None, and a problem, when it is not what the agent writes."""
    hashed = _tried(look, SUMS, lambda: seal.hash_file(snapshot.path / SUMS))
    if hashed is None:
        return None
    look.bytes += hashed[0]
    # a plain file, as the hash has shown, and a line for each file long
    text = (snapshot.path / SUMS).read_bytes()[:_SUMS_LIMIT].decode(errors="replace")
    *lines, rest = text.split("\n")
    sums = {m[2]: m[1] for m in map(_SUM.fullmatch, lines) if m}
    if rest or not lines or len(sums) < len(lines):
        look.add(SUMS, "changed", "it holds a line that the agent did not write")
        return None
    return sums


def _compare_sums(look: Look, manifest: Manifest, sums: Mapping[str, str]) -> None:
    expected = [*(a.file for a in manifest.artifacts), RECOVERY, MANIFEST]
    if list(sums) != expected:
        look.add(SUMS, "changed", "it does not name the files of the manifest, each once and in order")
    differing = [a.file for a in manifest.artifacts if sums.get(a.file, a.stored_sha256) != a.stored_sha256]
    if differing:
        look.add(SUMS, "changed", f"its line for {differing[0]} is not what the manifest says")


def _find_strangers(snapshot: Snapshot, look: Look, known: set[str]) -> None:
    found = _tried(look, ".", lambda: foreign.entries(snapshot.path)) or []
    for entry in found:
        kind = foreign.kind(entry)
        if entry.name in (*known, MANIFEST, SUMS, RECOVERY) or (entry.name in _NOTES and kind == "a file"):
            continue
        look.add(entry.name, "foreign", f"{kind} that nothing here names")


def examine_content(
    snapshot: Snapshot,
    look: Look,
    kinds: Mapping[str, type[Source]],
    identity: Identity,
    observer: Observer | None = None,
) -> None:
    """Decrypt and decompress what `examine` found as it was stored, and have it pass the checks of its kind.

    Problems are added to `look`. An identity that does not open it is no problem of the snapshot.
    """
    manifest = snapshot.manifest
    if manifest is None or any(p.file == MANIFEST for p in look.problems):
        return
    opened = OpenedSnapshot(replace(snapshot, state=manifest.state), identity, observer)
    spoilt = {p.file for p in look.problems}
    checks = {}
    kind = kinds.get(manifest.kind)
    names = {a.name: a.file for a in manifest.artifacts}
    inventory = names.get("inventory.json", MANIFEST)
    try:
        if kind is not None and inventory not in spoilt:
            with _opening(look, inventory):
                checks = dict(kind.checks(opened))
        for entry in manifest.artifacts:
            if entry.file not in spoilt and not any(p.file == entry.file for p in look.problems):
                with _opening(look, entry.file):
                    check = checks.get(entry.name, NoCheck())
                    with opened.chunks(entry.name) as chunks:
                        for chunk in chunks:
                            check.feed(chunk)
                    check.finish()
        look.opened = True
    except WrongIdentity:
        look.opened = False


@contextmanager
def _opening(look: Look, file: str) -> Iterator[None]:
    try:
        yield
    except WrongIdentity:
        raise
    except (StoreError, ContentError) as error:
        look.add(file, "changed", error.message, content=True)
    except SealError as error:
        look.add(file, "unreadable", error.message, content=True)
