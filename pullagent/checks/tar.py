"""Reads tar archives as they pass, to their end-of-archive blocks, which the tarfile module does not insist on.

Format: POSIX.1-2017 pax, section "ustar Interchange Format", and the GNU extensions for long names and large sizes.
"""

import re
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import PurePosixPath
from typing import Any, ClassVar

from pullagent.checks.answers import read_json
from pullagent.errors import ContentError

_BLOCK = 512
# what GNU tar writes at once unless told otherwise
RECORD = 20 * _BLOCK
_ZERO = bytes(_BLOCK)
_META_LIMIT = 64 << 10
# members that say something about the next one: GNU's long name and link, pax's records for one and for all
_META = (b"L", b"K", b"x", b"g")
_NAME_LIMIT = 4096
# a file has no more attributes than the system lists in 64 KiB
_RECORDS_LIMIT = 20_000
_KEPT_LIMIT = 2 << 20
_MEMBER_LIMIT = 20_000
_FILE_NAME_LIMIT = 255


class TarReader:
    """Walks an archive fed in chunks of any size. `member` is called with each regular member's name and size, and
    gives what is to be fed with its bytes (or None); at its end that one is called with b"". An archive must be a
    multiple of `record` bytes long; with `plain_only` links, devices and directories but those are refused.
    """

    META: ClassVar[tuple[bytes, ...]] = _META
    META_LIMIT: ClassVar[int] = _META_LIMIT
    NAME_LIMIT: ClassVar[int] = _NAME_LIMIT
    KEEPS_HEAD: ClassVar[bool] = False
    """Whether `_head` holds a member's headers as they came."""

    def __init__(
        self,
        member: Callable[[str, int], Callable[[bytes], None] | None],
        record: int = _BLOCK,
        plain_only: Collection[str] = (),
    ) -> None:
        self._member, self._record, self._plain_only, self._total = member, record, plain_only, 0
        self._buffer = b""
        self._left = self._padding = 0
        self._sink: Callable[[bytes], None] | None = None
        self._zero_blocks = 0
        self._long_name: str | None = None
        self._long_size: int | None = None
        self._head: list[bytes] = []
        self._ahead: set[bytes] = set()
        self._records: dict[bytes, bytes] = {}
        self.count = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; ContentError when they are not tar."""
        self._total += len(chunk)
        data = self._buffer + chunk if self._buffer else chunk
        position = 0
        while True:
            if self._left:
                part = data[position : position + self._left]
                if not part:
                    break
                position += len(part)
                self._left -= len(part)
                if self._sink is not None:
                    self._sink(part)
                    if not self._left:
                        self._sink(b"")
            elif self._padding:
                step = min(self._padding, len(data) - position)
                if not step:
                    break
                position += step
                self._padding -= step
            elif len(data) - position >= _BLOCK:
                self._block(data[position : position + _BLOCK])
                position += _BLOCK
            else:
                break
        self._buffer = data[position:]

    def finish(self) -> None:
        """ContentError unless the archive reached its two zero blocks and nothing was cut."""
        if self._left or self._padding or self._buffer or self._zero_blocks < 2 or self._total % self._record:
            raise ContentError("the archive is cut short: its end-of-archive blocks are missing")

    def _block(self, block: bytes) -> None:
        if block == _ZERO:
            self._zero_blocks += 1
            return
        if self._zero_blocks:
            raise ContentError(
                "the archive goes on after its end" if self._zero_blocks > 1 else "a header of the archive is blank"
            )
        self._header(block)

    def _header(self, block: bytes) -> None:
        stated = _octal(block[148:156])
        if stated != sum(block[:148]) + 8 * 32 + sum(block[156:]):
            raise ContentError(
                f"not a tar archive, or damaged: a header has a wrong checksum ({block[:40]!r}…)",
                "does a login script (.bashrc, .profile) print something for every SSH login? It must be silent",
            )
        size, kind = number_of(block[124:136]), block[156:157]
        name = block[:100].split(b"\0", 1)[0].decode(errors="surrogateescape")
        prefix = (
            block[345:500].split(b"\0", 1)[0].decode(errors="surrogateescape") if block[257:263] == b"ustar\0" else ""
        )
        name = f"{prefix}/{name}" if prefix else name
        self._keep(block)
        if kind not in self.META:
            name, size = self._long_name or name, size if self._long_size is None else self._long_size
            self._long_name = self._long_size = None
        self._left, self._padding, self._sink = size, -size % _BLOCK, None
        if kind in self.META:
            if size > self.META_LIMIT:
                raise ContentError(f"a name in the archive is {size} bytes long")
            # one of each kind is what is held at most
            if kind in self._ahead:
                raise ContentError("two headers of the archive tell the same of one member")
            self._ahead.add(kind)
            self._sink = _Collector({b"L": self._long_name_read, b"x": self._pax_read}.get(kind, lambda _: None))
            return
        if len(name) > self.NAME_LIMIT or name.startswith("/") or ".." in name.split("/"):
            raise ContentError(f"the archive holds {name[:100]!r}, which would be unpacked outside its directory")
        self.count += 1
        sink = self._found(name, size, block)
        self._ahead.clear()
        self._head.clear()
        self._records.clear()
        if kind in (b"0", b"\0", b"7"):
            self._sink = sink
            if not size and self._sink is not None:
                self._sink(b"")
        else:
            self._left = self._padding = 0

    def _found(self, name: str, size: int, block: bytes) -> Callable[[bytes], None] | None:
        """Judges one member by its header; what is to be fed with its bytes."""
        kind = block[156:157]
        if kind in (b"0", b"\0", b"7"):
            return self._member(name, size)
        if self._plain_only and not (kind == b"5" and name.rstrip("/") in self._plain_only):
            raise ContentError(f"the archive holds {name[:100]!r}, which is not a file that belongs there")
        return None

    def _keep(self, block: bytes) -> None:
        if self.KEEPS_HEAD:
            self._head.append(block)

    def _long_name_read(self, data: bytes) -> None:
        self._keep(data + bytes(-len(data) % _BLOCK))
        self._long_name = data.rstrip(b"\0").decode(errors="surrogateescape")

    def _pax_read(self, data: bytes) -> None:
        self._keep(data + bytes(-len(data) % _BLOCK))
        for count, (key, value) in enumerate(_pax_records(data)):
            self._records[key] = value
            if count == _RECORDS_LIMIT:
                raise ContentError(f"the archive tells more than {_RECORDS_LIMIT} things of one member")
            if key == b"path":
                self._long_name = value.decode(errors="surrogateescape")
            elif key == b"size":
                self._long_size = _decimal(value)


class _Collector:
    """Gathers what did not fit a header."""

    def __init__(self, done: Callable[[bytes], None]) -> None:
        self._done, self._data = done, bytearray()

    def __call__(self, part: bytes) -> None:
        if part:
            self._data += part
        else:
            self._done(bytes(self._data))


def _pax_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of `LENGTH KEY=VALUE\\n` records; a value may hold line ends, so that the length alone counts."""
    at = 0
    while at < len(data):
        blank = data.find(b" ", at, at + 21)
        end = at + _decimal(data[at : max(blank, at)])
        key, equals, value = data[blank + 1 : end].partition(b"=")
        if not equals or not value.endswith(b"\n") or end > len(data):
            raise ContentError("an extended header of the archive is damaged")
        yield key, value[:-1]
        at = end


def _decimal(text: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,20}", text):
        raise ContentError("an extended header of the archive is damaged")
    return int(text)


class TarCheck:
    """A tar archive that must be whole; member contents are passed over."""

    def __init__(self) -> None:
        self._reader = TarReader(lambda _, __: None, RECORD)

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        self._reader.feed(chunk)

    def finish(self) -> None:
        """ContentError unless it is whole."""
        self._reader.finish()


class InfluxBackupCheck:
    """The tar of one portable backup directory for each database: `DATABASE/<UTC>.manifest`, `.meta`, `.s<ID>.tar.gz`.

    Each shard is decompressed and its own tar read to the end: influxd reports success for shards cut short.
    `shards` holds the ids that the manifests name, by database.
    """

    def __init__(self, databases: tuple[str, ...]) -> None:
        self.shards: dict[str, set[int]] = {database: set() for database in databases}
        self._sizes: dict[str, int] = {}
        self._manifests: dict[str, bytearray] = {}
        self._kept = 0
        self._reader = TarReader(self._member, RECORD, plain_only=self.shards)

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes; ContentError as soon as they cannot be right."""
        self._reader.feed(chunk)

    def finish(self) -> None:
        """ContentError unless every database's manifest, metastore and shards are there and whole."""
        self._reader.finish()
        for database in self.shards:
            self._check_database(database)

    def _member(self, name: str, size: int) -> Callable[[bytes], None] | None:
        path = str(PurePosixPath(name))
        parts = path.split("/")
        if len(parts) != 2 or parts[0] not in self.shards or parts[1] in ("", ".", "..") or path in self._sizes:
            raise ContentError(f"the backup holds an unexpected member {name[:100]!r}")
        if len(parts[1]) > _FILE_NAME_LIMIT:
            raise ContentError(f"the backup holds a member with a name of {len(parts[1])} characters")
        self._sizes[path] = size
        if len(self._sizes) > _MEMBER_LIMIT:
            raise ContentError(f"the backup has more than {_MEMBER_LIMIT} members")
        if path.endswith(".tar.gz"):
            return _Shard(path, self._shard_read)
        if path.endswith(".manifest"):
            self._kept += size
            if self._kept > _KEPT_LIMIT:
                raise ContentError(f"the backup's manifests are more than {_KEPT_LIMIT} bytes long")
            self._manifests[path] = bytearray()
            return lambda part: self._keep(path, part)
        return None

    def _keep(self, path: str, part: bytes) -> None:
        self._manifests[path] += part

    def _shard_read(self, path: str, size: int) -> None:
        self._sizes[path] = size

    def _check_database(self, database: str) -> None:
        manifests = [path for path in self._manifests if PurePosixPath(path).parent.name == database]
        if len(manifests) != 1:
            raise ContentError(f"the backup of {database} holds {len(manifests)} manifests, not one")
        folder = PurePosixPath(manifests[0]).parent
        manifest = _json(manifests[0], bytes(self._manifests[manifests[0]]))
        meta = manifest["meta"]
        names = [meta.get("fileName")]
        least = meta.get("size")
        if self._sizes.get(str(folder / str(names[0])), 0) < (least if isinstance(least, int) and least > 0 else 1):
            raise ContentError(f"the metastore in the backup of {database} is missing or cut short", _RETRY)
        for entry in manifest.get("files") or []:
            if entry["database"] != database:
                raise ContentError(f"the backup of {database} holds a shard of {entry['database']}")
            found = self._sizes.get(str(folder / entry["fileName"]))
            if found is not None and found != entry["size"]:
                raise ContentError(
                    f"shard file {entry['fileName']} unpacks to {found} bytes, its manifest says {entry['size']}"
                )
            names.append(entry["fileName"])
            self.shards[database].add(int(entry["shardID"]))
        for name in names:
            if not isinstance(name, str) or str(folder / name) not in self._sizes:
                raise ContentError(f"the backup of {database} lacks {name}, which its manifest names")


class _Shard:
    """One shard file: gzip of a tar, both read to their ends."""

    def __init__(self, path: str, done: Callable[[str, int], None]) -> None:
        self._path, self._done, self._size = path, done, 0
        self._gzip = zlib.decompressobj(wbits=31)
        self._tar = TarReader(lambda _, __: None)

    def __call__(self, part: bytes) -> None:
        try:
            self._take(part) if part else self._end()
        except zlib.error as error:
            raise ContentError(f"shard file {self._path} is damaged: {error}", _RETRY) from error
        except ContentError as error:
            raise ContentError(f"shard file {self._path}: {error.message}", _RETRY) from error

    def _take(self, part: bytes) -> None:
        if self._gzip.eof:
            raise ContentError("bytes follow its end")
        while part:
            plain = self._gzip.decompress(part, 1 << 20)
            part = self._gzip.unconsumed_tail
            self._size += len(plain)
            self._tar.feed(plain)
        if self._gzip.unused_data:
            raise ContentError("bytes follow its end")

    def _end(self) -> None:
        if not self._gzip.eof:
            raise ContentError("cut short within its compressed data")
        self._tar.finish()
        self._done(self._path, self._size)


_RETRY = "influxd was cut off while it wrote the backup; look into its log, then run again"


def _json(name: str, raw: bytes) -> dict[str, Any]:
    try:
        value = read_json(raw.decode())
        if isinstance(value["meta"], dict) and all(
            type(e.get(k)) is t for e in value.get("files") or [] for k, t in _ENTRY.items()
        ):
            return dict(value)
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
        pass
    raise ContentError(f"{name} is not the manifest of a backup: {raw[:60]!r}")


_ENTRY = {"database": str, "fileName": str, "size": int, "shardID": int}


def _octal(field: bytes) -> int:
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return -1


def number_of(field: bytes) -> int:
    """A number of a header: octal, or in base 256 when it does not fit (the high bit is set)."""
    size = int.from_bytes(field[1:]) if field[0] & 0x80 else _octal(field)
    if size < 0:
        raise ContentError("a header of the archive has no valid size or number")
    return size
