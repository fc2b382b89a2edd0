"""Tar archives and InfluxDB backups, composed in memory."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
END = bytes(1024)
STAMP = "20261123T010003Z"


def bare_tar(members: Mapping[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    """Headers and contents without the end-of-archive blocks."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        end = archive.offset
    return out.getvalue()[:end]


def go_tar(members: Mapping[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    """As influxd writes a shard: two zero blocks at the end, and no padding to a record."""
    return bare_tar(members, form) + END


def gnu_tar(members: Mapping[str, bytes], form: int = tarfile.GNU_FORMAT, *, ahead: bytes = b"") -> bytes:
    """As tar writes to a pipe: padded to a record of 10,240 bytes. `ahead`: members that are there already."""
    data = ahead + go_tar(members, form)
    return data + bytes(-len(data) % 10_240)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> bytes:
    """One header alone, of any type."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info.tobuf(tarfile.GNU_FORMAT)


SHARD = go_tar({"000000001-000000001.tsm": b"\x16\xd1\x16\xd1" * 300, "fields.idx": b"f" * 40, "empty": b""})


def zipped(tar: bytes) -> bytes:
    """A shard file."""
    return gzip.compress(tar, mtime=0)


def entry(number: int, size: int, database: str = "logs") -> dict[str, Any]:
    """A shard's entry in the manifest; `size` is that of the uncompressed tar."""
    return {
        "database": database,
        "policy": "autogen",
        "shardID": number,
        "fileName": f"{STAMP}.s{number}.tar.gz",
        "size": size,
        "lastModified": 0,
    }


class Backup:
    """The files of one database's portable backup, whole until a test changes `files`."""

    def __init__(self, shards: Mapping[int, bytes] | None = None, database: str = "logs") -> None:
        shards = {1: SHARD, 2: SHARD} if shards is None else shards
        self.database = database
        self.manifest: dict[str, Any] = {
            "meta": {"fileName": f"{STAMP}.meta", "size": 3},
            "limited": False,
            "files": [entry(number, len(tar), database) for number, tar in shards.items()],
        }
        self.files: dict[str, bytes] = {f"{STAMP}.s{number}.tar.gz": zipped(tar) for number, tar in shards.items()}
        self.files[f"{STAMP}.meta"] = b"\1\2\3"

    def members(self) -> dict[str, bytes]:
        """Member names and contents."""
        files = self.files | {f"{STAMP}.manifest": json.dumps(self.manifest).encode()}
        return {f"{self.database}/{name}": data for name, data in files.items()}

    def tar(self) -> bytes:
        """The artifact, as tar writes it on the host."""
        return gnu_tar(self.members(), ahead=member(f"{self.database}/", tarfile.DIRTYPE))
