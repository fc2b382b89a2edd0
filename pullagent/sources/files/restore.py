"""Puts a files snapshot into a directory, and compares it there by having it archived again, member by member."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pullagent.checks.tree import DEVICES, Key, Member, below, digested, key_of, repacked, walk, with_mode
from pullagent.diagnosis import Diagnosis, bad, doubtful, good, size
from pullagent.errors import ContentError, HostError, UsageError
from pullagent.sources.base import Opened, Remote, Restored, RestoreOptions, prologue
from pullagent.sources.files.archive import ARCHIVE
from pullagent.sources.halfway import Halfway

_NAME = "files.tar"
_SHOWN = 200
_BLOCK = 4096


@dataclass(frozen=True)
class Wanted:
    """Which members are to be restored, and how. As root all of each; without, owners and devices cannot be made, and
    what the owner could not read could not be compared.
    """

    places: tuple[Key, ...]
    root: bool

    def takes(self, member: Member) -> bool:
        """Whether it is one of them."""
        chosen = not self.places or any(below(member.key, place) for place in self.places)
        return chosen and (self.root or member.kind not in DEVICES)

    def mode(self, member: Member) -> int:
        """Its permissions there."""
        if self.root or member.kind == "symbolic link":
            return member.mode
        return member.mode | (0o700 if member.kind == "directory" else 0o600)

    def head(self, member: Member) -> bytes | None:
        """The headers to send for it; None where it is not sent."""
        if not self.takes(member):
            return None
        mode = self.mode(member)
        return member.head if mode == member.mode else with_mode(member, mode)

    def traits(self, member: Member, digest: str) -> dict[str, str]:
        """What must be equal when it came back."""
        kept = {k: v for k, v in member.attributes.items() if self.root or k.startswith(_USERS)}
        found = {"kind": member.kind, "link": member.link}
        if member.kind == "hard link":
            return found
        found |= {"size": str(member.size), "content": digest[:16], "device": f"{member.device[0]}:{member.device[1]}"}
        if member.kind != "symbolic link":
            found["mode"] = f"{self.mode(member):04o}"
        if self.root:
            found["owner"] = f"{member.uid}:{member.gid}"
        found["modified"] = member.mtime
        # SELinux gives files labels of its own on the target
        shown = {k: v for k, v in kept.items() if k != b"SCHILY.xattr.security.selinux"}
        return found | {"attributes": " ".join(f"{k.decode(errors='replace')}={v!r}" for k, v in sorted(shown.items()))}


_USERS = (b"SCHILY.acl.", b"SCHILY.xattr.user.")


@dataclass
class _Survey:
    """What is to be restored, as a first reading of all of it has found."""

    kinds: Counter[str]
    roots: list[str]
    bytes: int = 0
    privileged: int = 0
    left_out: int = 0

    @property
    def count(self) -> int:
        return self.kinds.total()


@dataclass(frozen=True)
class _Place:
    """A directory on the target: absent, empty, filled, or other; `free` bytes and `nodes` are of its file system."""

    path: str
    state: str
    root: bool
    writable: bool
    free: int
    nodes: int
    tar: str


class Restore:
    """One restore onto a target. `preflight` reads the whole archive first, and changes nothing there."""

    def __init__(self, host: Remote, snapshot: Opened, options: RestoreOptions) -> None:
        self._host, self._snapshot, self._options = host, snapshot, options
        manifest = snapshot.manifest
        into = options.into or f"{manifest.host}_{manifest.source}_{manifest.id}"
        if "\0" in into or ".." in into.split("/"):
            raise UsageError(f"--into: found {into!r}", "write a directory on the target")
        self._shell_name = shlex.quote(into) if into.startswith("/") else f'"$HOME"/{shlex.quote(into)}'
        self._places = tuple(sorted(key_of(_cleaned(path)) for path in options.paths))
        self._place: _Place | None = None
        self._wanted = Wanted(self._places, root=True)
        self._survey: _Survey | None = None
        self._made = False

    def preflight(self) -> Iterator[Diagnosis]:
        """The archive to its end, then the place on the target."""
        place = self._place = self._look()
        self._wanted = Wanted(self._places, place.root)
        try:
            survey = self._survey = self._surveyed()
        except _NotThere as error:
            yield bad(
                "archive", error.message, f"pullagent show {self._ref} --files --identity FILE lists what is there"
            )
            return
        yield good("archive", f"whole; {_told(survey.kinds)}, nothing that would be unpacked elsewhere")
        yield self._tar(place)
        yield self._rights(place, survey)
        yield _room(place, survey)
        yield self._target(place)

    def act(self) -> list[Restored]:
        """Unpack, archive again what is there, and compare."""
        place, survey = self._place, self._survey
        assert place is not None
        assert survey is not None
        halfway = Halfway(self._host.name, place.path, again="--replace writes over what is there already")
        with halfway.told():
            halfway.changing()
            self._made = place.state == "absent"
            with self._snapshot.chunks(_NAME) as chunks:
                self._host.send(self._unpack(place), repacked(chunks, self._wanted.head))
            halfway.loaded()
            found = list(self._compared(place, survey))
        told = Restored(place.path, "directory", None, "holds what came back")
        return [*found, *([told] if place.path != "/" else [])]

    def discard(self) -> None:
        """Remove the directory that `act` made."""
        if self._made:
            self._host.read(f'{prologue("end of a drill")}d={self._shell_name}\n[ -O "$d" ] && rm -rf -- "$d"')

    @property
    def _ref(self) -> str:
        manifest = self._snapshot.manifest
        return f"{manifest.host}/{manifest.source}@{manifest.id}"

    def _look(self) -> _Place:
        command = (
            f"{prologue('look at where files are to go')}d={self._shell_name}\n"
            "v=$(tar --version) || exit; printf '%s\\n' \"$v\" | head -n 1; id -u; p=$d\n"
            'if [ -d "$d" ]; then [ -z "$(ls -A -- "$d")" ] && echo empty || echo filled\n'
            'elif [ -e "$d" ] || [ -L "$d" ]; then echo other; else echo absent; fi\n'
            'while [ ! -d "$p" ]; do p=$(dirname -- "$p"); done\n'
            '[ -w "$p" ] && [ -x "$p" ] && echo writable || echo closed\n'
            "stat -f -c '%a %S %d' -- \"$p\"; printf '%s' \"$d\""
        )
        answer = self._host.read(command).decode(errors="surrogateescape")
        match = re.fullmatch(
            r"(.*)\n([0-9]+)\n(absent|empty|filled|other)\n(writable|closed)\n([0-9]+) ([0-9]+) ([0-9]+)\n(/.*)", answer
        )
        if match is None:
            raise HostError(f"{self._host.name} answers {answer[:120]!r}", "does a login script print something there?")
        tar, user, state, writable, blocks, block, nodes, path = match.groups()
        path = re.sub(r"/+", "/", path).rstrip("/") or "/"
        return _Place(path, state, user == "0", writable == "writable", int(blocks) * int(block), int(nodes), tar)

    def _surveyed(self) -> _Survey:
        """Read all of it: ContentError for whatever must not be unpacked. Links to what is not chosen are refused."""
        survey, missing = _Survey(Counter(), []), set(self._places)
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
                    survey.roots.append(member.name)
                survey.kinds[member.kind] += 1
                survey.bytes += -(-member.stored // _BLOCK) * _BLOCK + _BLOCK
                survey.privileged += member.kind in DEVICES or bool(member.mode & 0o6000 and member.kind == "file")
        if missing:
            names = ", ".join("/" + b"/".join(key).decode(errors="replace") for key in sorted(missing))
            raise _NotThere(f"the snapshot does not hold {names}")
        return survey

    def _tar(self, place: _Place) -> Diagnosis:
        if place.tar.startswith("tar (GNU tar) "):
            return good("tar", place.tar)
        return bad("tar", f"{self._host.name} has {place.tar!r}, not GNU tar", "apt-get install tar there")

    def _rights(self, place: _Place, survey: _Survey) -> Diagnosis:
        special = f"{survey.privileged} setuid or setgid files and devices"
        if place.root:
            what = f"; {special} come back as such" if survey.privileged else ""
            return good("rights", f"root: owners and modes come back as they were{what}")
        also = f", {survey.left_out} devices are left out" if survey.left_out else ""
        return doubtful(
            "rights",
            f"without root: all will belong to this login{also}, and its owner may read and write each",
            f"log in as root for owners:  --to root@{self._host.name}",
        )

    def _target(self, place: _Place) -> Diagnosis:
        other = "or name another directory:  --into DIR"
        if not place.writable:
            return bad("target", f"{place.path} cannot be written to by this login", f"log in as root, {other}")
        if place.state == "other":
            return bad("target", f"{place.path} is there, and is no directory", f"move it away, {other}")
        if place.state != "filled":
            return good("target", f"{place.path} is {'made' if place.state == 'absent' else 'there, and empty'}")
        said = f"{place.path} holds something already"
        if not self._options.replace:
            return bad("target", said, f"add --replace, which writes over what is there, {other}; nothing was changed")
        return doubtful(
            "target", f"{said}: files of the same names will be OVERWRITTEN, others stay", "is it the right host?"
        )

    def _unpack(self, place: _Place) -> str:
        root = "--same-owner --xattrs-include '*'" if place.root else "--no-same-owner"
        return (
            f'{prologue("unpack files")}umask 077\nunset TAR_OPTIONS\nd={self._shell_name}\nmkdir -p -- "$d" || exit\n'
            'exec tar --extract --file - --directory "$d" --numeric-owner --same-permissions --acls --xattrs ' + root
        )

    def _again(self, roots: Sequence[str]) -> str:
        names = "".join(f"{_octal(root)}\\000" for root in roots)
        return (
            f"{prologue('archive of what came back')}unset TAR_OPTIONS\nd={self._shell_name}\n"
            f"printf '{names}' | tar {shlex.join(ARCHIVE)} --directory \"$d\" --null --files-from -"
        )

    def _compared(self, place: _Place, survey: _Survey) -> Iterator[Restored]:
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


def compared(
    stored: Iterator[tuple[Member, str]],
    there: Iterator[tuple[Member, str]],
    wanted: Wanted,
    roots: Sequence[str],
) -> Iterator[Restored]:
    """Both sorted: the members that differ, the first 200 of them, then each root with how many are equal.

    What is there besides is nobody's concern: it was there before.
    """
    expected, equal, differing = Counter[str](), Counter[str](), 0
    found = next(there, None)
    root = 0
    for member, digest in stored:
        if not wanted.takes(member):
            continue
        while found is not None and found[0].key < member.key:
            found = next(there, None)
        while not below(member.key, key_of(roots[root])):
            root += 1
        expected[roots[root]] += 1
        same = found if found is not None and found[0].key == member.key else None
        traits = wanted.traits(member, digest)
        answer = wanted.traits(*same) if same else {}
        if traits == answer:
            equal[roots[root]] += 1
            continue
        differing += 1
        if differing <= _SHOWN:
            names = [name for name in traits if traits[name] != answer.get(name)]
            shown = [", ".join(f"{n} {t[n]}" for n in names) if t else "missing" for t in (traits, answer)]
            yield Restored(f"/{member.name}", member.kind, shown[0] if answer else "present", shown[1])
    for name in roots:
        yield Restored(f"/{name}", "tree", expected[name], equal[name])


def _room(place: _Place, survey: _Survey) -> Diagnosis:
    said = f"{size(place.free)} free for {size(survey.bytes)}"
    # some file systems do not count their files
    if place.free < survey.bytes or 0 < place.nodes < survey.count:
        return bad("free space", f"{place.path}: {said}", "free some there, or name a directory elsewhere:  --into DIR")
    return good("free space", said)


def _told(kinds: Counter[str]) -> str:
    return ", ".join(f"{count:,} {_plural(kind) if count > 1 else kind}" for kind, count in kinds.most_common())


def _plural(kind: str) -> str:
    return "directories" if kind == "directory" else f"{kind}s"


def _cleaned(path: str) -> str:
    """A --path as members are named."""
    name = re.sub(r"/+", "/", path).strip("/")
    if not name or any(part in (".", "..") for part in name.split("/")):
        raise UsageError(f"--path: found {path!r}", "write it as `pullagent show REF --files` lists it: /etc/ssh")
    return name


def _octal(name: str) -> str:
    """For the shell's printf: any bytes, in letters that no shell or locale changes."""
    plain = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")
    return "".join(chr(b) if b in plain else f"\\{b:03o}" for b in name.encode(errors="surrogateescape"))
