"""Reads archives of directory trees as the source kind `files` has them made: pax, sorted by name, each name once.

The order is what makes them safe to judge in constant memory: what lies below a link would follow right after it, and
nothing can come twice. Sparse members: GNU tar's manual, section "PAX Format, Version 1.0".
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from pullagent.checks.tar import RECORD, TarReader, number_of
from pullagent.errors import ContentError

_BLOCK = 512
_KINDS = {
    b"0": "file",
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"5": "directory",
    b"6": "fifo",
}
DEVICES = ("character device", "block device")
_XATTR, _ACL = b"SCHILY.xattr.", b"SCHILY.acl."
# another key could mean to the tar that unpacks what this reader did not judge
_KNOWN = {
    b"path",
    b"linkpath",
    b"size",
    b"uid",
    b"gid",
    b"uname",
    b"gname",
    b"mtime",
    b"atime",
    b"ctime",
    b"hdrcharset",
}
_SPARSE = {b"GNU.sparse.major", b"GNU.sparse.minor", b"GNU.sparse.name", b"GNU.sparse.realsize"}
_PIECE = 4096
_PIECES_LIMIT = 1 << 20
_SEND = 256 << 10
# the system takes paths of 4,095 bytes, and a directory may come to stand before them
_PATH_BYTES, _PATHS_KEPT = 4000, 20
_ROOTS_LIMIT, _OBJECT = 4 << 20, 64
LINK_HINT = "the link alone would be stored: name what it points to in `paths`"

Key = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """One thing in a tree. `name` has no slash at either end; `size` counts holes, `stored` the bytes in the archive.

    `mtime`: seconds since 1970 as the archive writes them. `attributes`: ACLs and extended attributes. `head`: its
    headers as they came.
    """

    name: str
    key: Key
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    stored: int
    mtime: str
    link: str
    device: tuple[int, int]
    attributes: Mapping[bytes, bytes]
    sparse: bool
    head: bytes


def key_of(name: str) -> Key:
    """What members are sorted by; a directory stands right before what lies in it."""
    return tuple(name.encode(errors="surrogateescape").split(b"/"))


def below(key: Key, place: Key) -> bool:
    """Whether it is `place`, or lies below it."""
    return key[: len(place)] == place


class TreeReader(TarReader):
    """Walks such an archive. `found` is called with each member, and gives what is to be fed with its bytes.

    ContentError for a member that would be unpacked elsewhere than below the directory that is unpacked into: by its
    name, by a link on its way, or as another name of a file elsewhere.
    """

    META: ClassVar[tuple[bytes, ...]] = (b"x",)
    META_LIMIT: ClassVar[int] = 4 << 20
    NAME_LIMIT: ClassVar[int] = 32 << 10
    KEEPS_HEAD: ClassVar[bool] = True

    def __init__(self, found: Callable[[Member], Callable[[bytes], None] | None]) -> None:
        super().__init__(lambda *_: None, RECORD)
        self._each = found
        self._last: Member | None = None
        self.roots: list[str] = []
        """The members that do not lie below another."""
        self._roots_bytes = 0
        self.kinds: Counter[str] = Counter()

    def _found(self, name: str, size: int, block: bytes) -> Callable[[bytes], None] | None:
        member = _member(name, size, block, self._records, b"".join(self._head))
        if self._last is not None and member.key <= self._last.key:
            raise ContentError(f"the archive holds {_shown(name)} twice, or out of order")
        if self._last is not None and self._last.kind != "directory" and below(member.key, self._last.key):
            raise ContentError(f"the archive holds {_shown(name)} below {_shown(self._last.name)}, no directory")
        if member.kind == "hard link" and not key_of(member.link) < member.key:
            raise _elsewhere(member.link)
        if not self.roots or not below(member.key, key_of(self.roots[-1])):
            self.roots.append(member.name)
            self._roots_bytes += len(member.name) + _OBJECT
            if self._roots_bytes > _ROOTS_LIMIT:
                raise ContentError("the archive holds too many members that lie below no other")
        self._last = member
        self.kinds[member.kind] += 1
        return self._each(member)


def _member(name: str, size: int, block: bytes, records: Mapping[bytes, bytes], head: bytes) -> Member:
    kind = _KINDS.get(block[156:157])
    odd = [key for key in records if key not in _KNOWN and key not in _SPARSE and not key.startswith((_XATTR, _ACL))]
    if kind is None or odd:
        raise ContentError(f"the archive holds {_shown(name)} in a form that GNU tar does not write")
    sparse = b"GNU.sparse.major" in records
    if sparse:
        if not records.keys() >= _SPARSE or records[b"GNU.sparse.major"] != b"1" or kind != "file":
            raise ContentError(f"the archive holds {_shown(name)}, a sparse file of an unknown form")
        name = records[b"GNU.sparse.name"].decode(errors="surrogateescape")
    name = name.removesuffix("/") if kind == "directory" else name
    link = ""
    if kind.endswith("link"):
        link = records.get(b"linkpath", block[157:257].split(b"\0", 1)[0]).decode(errors="surrogateescape")
    for path in (name, link) if kind == "hard link" else (name,):
        if not path or any(part in ("", ".", "..") for part in path.split("/")):
            raise _elsewhere(path)
    if size and kind != "file":
        raise ContentError(f"the archive holds {_shown(name)}, a {kind} with content")
    return Member(
        name,
        key_of(name),
        kind,
        number_of(block[100:108]) & 0o7777,
        _decimal(records, b"uid", number_of(block[108:116])),
        _decimal(records, b"gid", number_of(block[116:124])),
        _decimal(records, b"GNU.sparse.realsize", size) if sparse else size,
        size,
        records.get(b"mtime", str(number_of(block[136:148])).encode()).decode(errors="replace"),
        link,
        (number_of(block[329:337]), number_of(block[337:345])) if kind in DEVICES else (0, 0),
        MappingProxyType({k: v for k, v in records.items() if k.startswith((_XATTR, _ACL))}),
        sparse,
        head,
    )


def _elsewhere(path: str) -> ContentError:
    return ContentError(f"the archive holds {_shown(path)}, which would be unpacked outside its directory")


def _shown(name: str) -> str:
    return repr(name if len(name) <= 100 else name[:99] + "…")


def _decimal(records: Mapping[bytes, bytes], key: bytes, otherwise: int) -> int:
    text = records.get(key)
    if text is None:
        return otherwise
    if not text.isdigit() or len(text) > 20:
        raise ContentError("an extended header of the archive is damaged")
    return int(text)


class TreeCheck:
    """An archive that must be whole, hold each of `paths` (without their first slash) and what lies there, no mere link
    to it, and nothing beside them.
    """

    def __init__(self, paths: Sequence[str] = ()) -> None:
        self._paths = [key_of(path) for path in paths]
        self._reader = TreeReader(self._judge)
        self.too_long: list[str] = []
        """Members whose paths are too long to be unpacked as they stand, the first of them; `many_too_long`: all."""
        self.many_too_long = 0

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes; ContentError as soon as they cannot be right."""
        self._reader.feed(chunk)

    def finish(self) -> None:
        """ContentError unless it is whole, and nothing that was asked for is missing."""
        self._reader.finish()
        found = {key_of(root) for root in self._reader.roots}
        lost = [path for path in self._paths if path not in found]
        if lost:
            raise self._lacks(lost)
        if not self._reader.count:
            raise ContentError("the archive is empty")

    @staticmethod
    def _lacks(lost: Iterable[Key]) -> ContentError:
        shown = ", ".join("/" + b"/".join(path).decode(errors="replace") for path in lost)
        return ContentError(f"the archive lacks {shown}", "does `exclude` in hosts.toml leave it out?")

    def _judge(self, member: Member) -> None:
        if len(member.name) > _PATH_BYTES // 4 and len(b"/".join(member.key)) > _PATH_BYTES:
            self.many_too_long += 1
            self.too_long += [member.name][: _PATHS_KEPT - len(self.too_long)]
        if self._paths and member.name == self._reader.roots[-1] and member.key not in self._paths:
            lost = [path for path in self._paths if below(member.key, path)]
            if lost:
                raise self._lacks(lost)
            raise ContentError(f"the archive holds {_shown(member.name)}, which nobody asked for")
        if member.kind == "symbolic link" and member.key in self._paths:
            raise ContentError(f"{_shown(f'/{member.name}')} is a symbolic link to {_shown(member.link)}", LINK_HINT)


def walk(chunks: Iterable[bytes]) -> Iterator[Member | bytes]:
    """Each member of a whole archive, followed by its bytes in parts; ContentError as `TreeReader` raises it."""
    found: list[Member | bytes] = []

    def sink(part: bytes) -> None:
        if part:
            found.append(part)

    def each(member: Member) -> Callable[[bytes], None]:
        found.append(member)
        return sink

    reader = TreeReader(each)
    for chunk in chunks:
        reader.feed(chunk)
        yield from found
        found.clear()
    reader.finish()


def repacked(chunks: Iterable[bytes], head: Callable[[Member], bytes | None]) -> Iterator[bytes]:
    """The archive with the members for which `head` gives headers, in parts of 256 KiB and more."""
    buffer, total, padding, taken = bytearray(), 0, b"", False
    for item in walk(chunks):
        if isinstance(item, Member):
            buffer += padding
            headers = head(item)
            taken = headers is not None
            buffer += headers or b""
            padding = bytes(-item.stored % _BLOCK) if taken else b""
        elif taken:
            buffer += item
        if len(buffer) >= _SEND:
            total += len(buffer)
            yield bytes(buffer)
            buffer.clear()
    buffer += padding + bytes(2 * _BLOCK)
    yield bytes(buffer) + bytes(-(total + len(buffer)) % RECORD)


def with_mode(member: Member, mode: int) -> bytes:
    """A member's headers, but with this mode."""
    block = bytearray(member.head[-_BLOCK:])
    block[100:108] = b"%07o\0" % mode
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return member.head[:-_BLOCK] + bytes(block)


def digested(chunks: Iterable[bytes]) -> Iterator[tuple[Member, str]]:
    """Each member with a hash of its content that does not depend on where a file has holes and where zeros."""
    member, content = None, None
    for item in walk(chunks):
        if isinstance(item, Member):
            if member is not None:
                yield member, content.digest() if content else ""
            member = item
            content = _Content(item) if item.kind == "file" else None
        elif content is not None:
            content.feed(item)
    if member is not None:
        yield member, content.digest() if content else ""


class _Content:
    """SHA-256 over the pages of a file that are not all zeros, each with its place."""

    _ZERO = bytes(_PIECE)

    def __init__(self, member: Member) -> None:
        self._sha, self._page, self._number = hashlib.sha256(b"%d\0" % member.size), bytearray(), 0
        self._map: _SparseMap | None = _SparseMap() if member.sparse else None

    def feed(self, part: bytes) -> None:
        """The next bytes that the archive holds of it."""
        if self._map is None:
            self._data(part)
            return
        for offset, piece in self._map.pieces(part):
            self._skip_to(offset)
            self._data(piece)

    def digest(self) -> str:
        """The hash, in hex."""
        self._flush()
        return self._sha.hexdigest()

    def _data(self, part: bytes) -> None:
        view = memoryview(part)
        while view:
            room = _PIECE - len(self._page)
            self._page += view[:room]
            view = view[room:]
            if len(self._page) == _PIECE:
                self._flush()

    def _skip_to(self, offset: int) -> None:
        number, within = divmod(offset, _PIECE)
        if number != self._number:
            self._page += bytes(_PIECE - len(self._page)) if self._page else b""
            self._flush()
            self._number = number
        self._page += bytes(max(0, within - len(self._page)))

    def _flush(self) -> None:
        page = bytes(self._page).rstrip(b"\0") if self._page != self._ZERO[: len(self._page)] else b""
        if page:
            self._sha.update(b"%d %d\0" % (self._number, len(page)))
            self._sha.update(page)
        self._page.clear()
        self._number += 1


class _SparseMap:
    """The list of a sparse member's pieces, which its data begin with; then places for the bytes that follow."""

    def __init__(self) -> None:
        self._text, self._numbers, self._taken = b"", array("Q"), 0
        self._padding: int | None = None
        self._piece = self._done = 0

    def pieces(self, part: bytes) -> Iterator[tuple[int, bytes]]:
        """The data in `part`, each stretch with its offset in the file."""
        if self._padding is None:
            part = self._list(part)
        if self._padding:
            skipped, part = part[: self._padding], part[self._padding :]
            self._padding -= len(skipped)
        while part and 2 * self._piece + 2 < len(self._numbers):
            offset, length = self._numbers[2 * self._piece + 1], self._numbers[2 * self._piece + 2]
            stretch = part[: length - self._done]
            if stretch:
                yield offset + self._done, stretch
            self._done += len(stretch)
            part = part[len(stretch) :]
            if self._done == length:
                self._piece, self._done = self._piece + 1, 0

    def _list(self, part: bytes) -> bytes:
        """Read numbers, a line each, until there are as many as the first announces; what is left of `part`."""
        text, at = self._text + part, 0
        while not self._numbers or len(self._numbers) < 1 + 2 * self._numbers[0]:
            end = text.find(b"\n", at)
            line = text[at : end if end >= 0 else None]
            if len(line) > 19 or (end >= 0 and not line.isdigit()) or len(self._numbers) > 2 * _PIECES_LIMIT:
                raise ContentError("a sparse file in the archive has no readable list of its pieces, or too many")
            if end < 0:
                self._text = line
                return b""
            self._numbers.append(int(line))
            self._taken += end + 1 - at
            at = end + 1
        self._padding = -self._taken % _BLOCK
        return text[at:]
