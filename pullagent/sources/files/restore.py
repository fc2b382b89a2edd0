"""Puts a files snapshot into a directory, and compares it there by having it archived again, member by member."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pullagent.checks.tree import DEVICES, Member, below, digested, key_of, repacked, walk
from pullagent.diagnosis import Diagnosis, bad, doubtful, good, size
from pullagent.errors import CommandFailed, ContentError, UsageError
from pullagent.sources.base import Opened, Remote, Restored, RestoreOptions, prologue
from pullagent.sources.files.archive import ARCHIVE
from pullagent.sources.files.compare import Wanted, compared
from pullagent.sources.files.target import Made, Place, Target, octal
from pullagent.sources.halfway import Halfway

_NAME = "files.tar"
_BLOCK = 4096
# GNU tar's status where something went wrong and it went on
_NOT_ALL = 2
_WORDS = 500
_SEND = 64 << 10
_NAMED = 20


@dataclass
class _Survey:
    """What is to be restored, as a first reading of all of it has found."""

    kinds: Counter[str]
    roots: list[str]
    bytes: int = 0
    privileged: int = 0
    left_out: int = 0
    foreign: int = 0
    """Entries of other owners than the login."""

    @property
    def count(self) -> int:
        return self.kinds.total()


class Restore:
    """One restore onto a target. `preflight` reads the whole archive first, and changes nothing there."""

    def __init__(self, host: Remote, snapshot: Opened, options: RestoreOptions) -> None:
        self._host, self._snapshot, self._options = host, snapshot, options
        manifest = snapshot.manifest
        into = options.into or f"{manifest.host}_{manifest.source}_{manifest.id}"
        if "\0" in into or ".." in into.split("/"):
            raise UsageError(f"--into: found {into!r}", "write a directory on the target")
        self._target = Target(host, into)
        self._places = tuple(sorted(key_of(_cleaned(path)) for path in options.paths))
        self._place: Place | None = None
        self._wanted = Wanted(self._places, root=True)
        self._survey: _Survey | None = None
        self._made = Made()

    def preflight(self) -> Iterator[Diagnosis]:
        """The archive to its end, then the place on the target."""
        place = self._place = self._target.look()
        self._wanted = Wanted(self._places, place.root)
        try:
            survey = self._survey = _Survey(Counter(), [])
            directories = self._surveyed(survey, place.uid)
            written_over = place.state == "filled" and self._options.replace
            links = self._target.links(_joined(directories)) if written_over else _exhausted(directories)
        except _NotThere as error:
            yield bad(
                "archive", error.message, f"pullagent show {self._ref} --files --identity FILE lists what is there"
            )
            return
        yield good("archive", f"whole; {_told(survey.kinds)}, nothing that would be unpacked elsewhere")
        yield self._tar(place)
        yield self._rights(place, survey)
        yield _room(place, survey)
        yield self._taking(place)
        if links:
            yield _linked(place, links)

    def act(self) -> list[Restored]:
        """Unpack, archive again what is there, and compare. RestoreError when the target is no longer what it was."""
        place, survey = self._place, self._survey
        assert place is not None
        assert survey is not None
        self._made = self._target.make(place, survey.roots, replace=self._options.replace)
        halfway = Halfway(self._host.name, place.path, again="--replace writes over what is there already")
        with halfway.told():
            halfway.changing()
            failed = self._unpacked(place)
            halfway.loaded()
            found = [*failed, *self._compared(place, survey)]
        whose = "" if place.root or not survey.foreign else "; all of it belongs to the login, not to its owners"
        told = Restored(place.path, "directory", None, f"holds what came back{whose}")
        return [*found, *([told] if place.path != "/" or whose else []), *self._parents(place)]

    def _unpacked(self, place: Place) -> list[Restored]:
        """Unpack; what tar says where it could not unpack all, of which a comparison then tells what is missing."""
        try:
            with self._snapshot.chunks(_NAME) as chunks:
                self._host.send(self._unpack(place), repacked(chunks, self._wanted.head))
        except CommandFailed as error:
            if error.status != _NOT_ALL:
                raise
            return [Restored("tar", "unpacking", "status 0", f"status {_NOT_ALL}: {error.stderr[-_WORDS:]}")]
        return []

    def _parents(self, place: Place) -> Iterator[Restored]:
        """What was made above the target, and in a directory that was there already."""
        for path in self._made.parents:
            if not self._made.place or not path.startswith(f"{place.path}/"):
                yield Restored(path, "directory", None, "made, for what lies in it")

    def discard(self) -> None:
        """Remove the directory that `act` made."""
        if self._made.place:
            self._host.read(f'{prologue("end of a drill")}d={self._target.quoted}\n[ -O "$d" ] && rm -rf -- "$d"')

    @property
    def _ref(self) -> str:
        manifest = self._snapshot.manifest
        return f"{manifest.host}/{manifest.source}@{manifest.id}"

    def _surveyed(self, survey: _Survey, uid: int) -> Iterator[str]:
        """Read all of it, and give the directories' names: ContentError for whatever must not be unpacked. Links to
        what is not chosen are refused.
        """
        missing = set(self._places)
        with self._snapshot.chunks(_NAME) as chunks:
            for member in walk(chunks):
                if not isinstance(member, Member):
                    continue
                missing -= {member.key}
                if not self._wanted.takes(member):
                    survey.left_out += member.kind in DEVICES and Wanted(self._places, root=True).takes(member)
                    continue
                target = key_of(member.link)
                if member.kind == "hard link" and self._places and not any(below(target, p) for p in self._places):
                    raise _NotThere(f"/{member.name} is another name of /{member.link}: add --path /{member.link}")
                if not survey.roots or not below(member.key, key_of(survey.roots[-1])):
                    if self._places and member.key not in self._places:
                        break
                    survey.roots.append(member.name)
                survey.kinds[member.kind] += 1
                survey.foreign += member.uid != uid
                survey.bytes += -(-member.stored // _BLOCK) * _BLOCK + _BLOCK
                survey.privileged += member.kind in DEVICES or bool(member.mode & 0o6000 and member.kind == "file")
                if member.kind == "directory":
                    yield member.name
        if missing:
            names = ", ".join("/" + b"/".join(key).decode(errors="replace") for key in sorted(missing))
            raise _NotThere(f"the snapshot does not hold {names}")

    def _tar(self, place: Place) -> Diagnosis:
        if place.tar.startswith("tar (GNU tar) "):
            return good("tar", place.tar)
        return bad("tar", f"{self._host.name} has {place.tar!r}, not GNU tar", "apt-get install tar there")

    def _rights(self, place: Place, survey: _Survey) -> Diagnosis:
        special = f"{survey.privileged:,} setuid or setgid files and devices"
        if place.root:
            what = f"; {special} come back as such" if survey.privileged else ""
            return good("rights", f"root: owners and modes come back as they were{what}")
        also = f"; {_count(survey.left_out, 'device')} left out" if survey.left_out else ""
        return doubtful(
            "rights",
            f"without root all will belong to this login, which may read and write it; "
            f"{_count(survey.foreign, 'entry')} belonged to others{also}",
            f"log in as root for owners:  --to root@{self._host.name}",
        )

    def _taking(self, place: Place) -> Diagnosis:
        other = "or name another directory:  --into DIR"
        if not place.writable:
            return bad("target", f"{place.path} cannot be written to by this login", f"log in as root, {other}")
        if place.state == "other":
            return bad("target", f"{place.path} is there, and is no directory", f"move it away, {other}")
        if place.state != "filled":
            return good(
                "target", f"{place.path} {'will be made' if place.state == 'absent' else 'is there, and empty'}"
            )
        said = f"{place.path} holds something already"
        if not self._options.replace:
            return bad("target", said, f"add --replace, which writes over what is there, {other}; nothing was changed")
        whose = "the RUNNING SYSTEM's " if place.path == "/" else ""
        text = f"{said}: {whose}files of the same names will be OVERWRITTEN, others stay"
        return doubtful("target", text, "is it the right host?")

    def _unpack(self, place: Place) -> str:
        root = "--same-owner --xattrs-include '*'" if place.root else "--no-same-owner"
        return (
            f"{prologue('unpack files')}umask 077\nunset TAR_OPTIONS\nd={self._target.quoted}\n"
            'exec tar --extract --file - --directory "$d" --numeric-owner --same-permissions --acls --xattrs ' + root
        )

    def _again(self, roots: Sequence[str]) -> str:
        names = "".join(f"{octal(root)}\\000" for root in roots)
        return (
            f"{prologue('archive of what came back')}unset TAR_OPTIONS\nd={self._target.quoted}\n"
            f"printf '{names}' | tar {shlex.join(ARCHIVE)} --directory \"$d\" --null --files-from -"
        )

    def _compared(self, place: Place, survey: _Survey) -> Iterator[Restored]:
        """A line for each root, and one for each member that differs."""
        self._snapshot.step("comparing", self._snapshot.manifest.artifact(_NAME).plain_bytes)
        with self._snapshot.quietly(_NAME) as chunks:
            # what is missing or cannot be read there is status 2, and a difference
            stored, there = (
                digested(self._counted(chunks)),
                digested(self._host.open(self._again(survey.roots), (0, 1, 2))),
            )
            yield from compared(stored, there, self._wanted, survey.roots)

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._snapshot.advanced(len(chunk))
            yield chunk


class _NotThere(ContentError):
    """What was chosen cannot be restored by itself."""


def _linked(place: Place, links: Sequence[str]) -> Diagnosis:
    named = f"{', '.join(links[:_NAMED])}{' and others' if len(links) > _NAMED else ''}"
    return bad(
        "links",
        f"in {place.path}, where the snapshot has directories: {named}",
        "each would become a plain directory: remove it, if that is wanted; else restore beside it, with --into DIR,"
        " and copy to where it leads",
    )


def _joined(names: Iterator[str]) -> Iterator[bytes]:
    """Each ended by NUL, many at once."""
    waiting = bytearray()
    for name in names:
        waiting += name.encode(errors="surrogateescape") + b"\0"
        if len(waiting) >= _SEND:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _exhausted(names: Iterator[str]) -> list[str]:
    for _ in names:
        pass
    return []


def _room(place: Place, survey: _Survey) -> Diagnosis:
    said = f"{size(place.free)} free for {size(survey.bytes)}"
    # some file systems do not count their files
    if place.free < survey.bytes or 0 < place.nodes < survey.count:
        return bad("free space", f"{place.path}: {said}", "free some there, or name a directory elsewhere:  --into DIR")
    return good("free space", said)


def _told(kinds: Counter[str]) -> str:
    return ", ".join(_count(count, kind) for kind, count in kinds.most_common())


def _count(count: int, what: str) -> str:
    more = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{count:,} {what if count == 1 else more}"


def _cleaned(path: str) -> str:
    """A --path as members are named."""
    name = re.sub(r"/+", "/", path).strip("/")
    if not name or any(part in (".", "..") for part in name.split("/")):
        raise UsageError(f"--path: found {path!r}", "write it as `pullagent show REF --files` lists it: /etc/ssh")
    return name
