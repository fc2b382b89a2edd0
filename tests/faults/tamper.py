"""Damages a finished InfluxDB backup as faults of influxd do: `python -I tamper.py DIRECTORY KIND FRACTION`.

FRACTION (0 to 1) says where. Runs on the host, in place of what comes after `influxd backup`; standard library only.
"""

import gzip
import json
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

_BLOCK = 512


def shard(directory: Path, fraction: float) -> Path:
    """One of the shard files: the larger, the likelier."""
    files = sorted(directory.glob("*.tar.gz"), key=lambda path: path.stat().st_size)
    return files[int((1 - fraction**2) * len(files) * 0.999_999)]


def manifest(directory: Path) -> tuple[Path, dict[str, Any]]:
    """The manifest and its content."""
    path = next(directory.glob("*.manifest"))
    return path, json.loads(path.read_text())


def repack(directory: Path, file: Path, data: bytes) -> None:
    """Write a shard file whose gzip is sound, and have the manifest agree with it."""
    file.write_bytes(gzip.compress(data))
    path, content = manifest(directory)
    for entry in content["files"]:
        if entry["fileName"] == file.name:
            entry["size"] = len(data)
    path.write_text(json.dumps(content))


def boundaries(data: bytes) -> list[int]:
    """Where members begin and the last one ends, less the start."""
    from io import BytesIO

    with tarfile.open(fileobj=BytesIO(data)) as tar:
        return [m.offset_data + -(-m.size // _BLOCK) * _BLOCK for m in tar]


def tamper(directory: Path, kind: str, fraction: float) -> None:
    """Do the damage called `kind`."""
    file = shard(directory, fraction)
    whole = gzip.decompress(file.read_bytes())
    ends = boundaries(whole)
    path, content = manifest(directory)
    if kind == "file cut":
        file.write_bytes(file.read_bytes()[: int(file.stat().st_size * fraction)])
    elif kind == "archive cut":
        repack(directory, file, whole[: int(ends[-1] * fraction)])
    elif kind == "archive cut after a member":
        repack(directory, file, whole[: ends[int(len(ends) * fraction * 0.999_999)]])
    elif kind == "one end block":
        repack(directory, file, whole[: ends[-1] + _BLOCK])
    elif kind == "no archive":
        repack(directory, file, b"")
    elif kind == "member lost":
        file.write_bytes(gzip.compress(whole[: ends[-2] if len(ends) > 1 else 0] + bytes(2 * _BLOCK)))
    elif kind == "shard lost":
        file.unlink()
    elif kind == "shard lost, manifest too":
        file.unlink()
        content["files"] = [entry for entry in content["files"] if entry["fileName"] != file.name]
        path.write_text(json.dumps(content))
    elif kind == "all shards lost, manifest too":
        for each in directory.glob("*.tar.gz"):
            each.unlink()
        path.write_text(json.dumps(content | {"files": None}))
    elif kind == "manifest lost":
        path.unlink()
    elif kind == "manifest cut":
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * fraction)])
    elif kind == "second manifest":
        shutil.copy(path, directory / "20200101T000000Z.manifest")
    elif kind == "metastore lost":
        next(directory.glob("*.meta")).unlink()
    elif kind == "foreign shard":
        content["files"][0]["database"] = "latency"
        path.write_text(json.dumps(content))
    elif kind == "link":
        (directory / "20200101T000000Z.s9.tar.gz").symlink_to("/etc/passwd")
    else:
        raise SystemExit(f"unknown kind {kind!r}")


if __name__ == "__main__":
    tamper(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
