"""Whether a stored snapshot is whole: by the stock programs and what is known of the content, not by the agent."""

import hashlib
import io
import json
import tarfile
import zlib
from pathlib import Path
from typing import Any

from tests.integration.agent import open_sealed
from tests.lab.errors import LabError

_BESIDE = {"manifest.json", "SHA256SUMS", "RESTORE.txt"}
FOREIGN = "foreign"
"""A file of this name is a test's own, and no part of a snapshot."""
_NAMES = {
    "mysql": {"dump.sql", "accounts.sql", "grants.sql", "inventory.json"},
    "influxdb": {"backup.tar", "config.tar", "inventory.json"},
    "files": {"files.tar"},
}


class Contents:
    """Judges snapshots by the first good one of their source: the data on the hosts do not change."""

    def __init__(self, identity: Path) -> None:
        self._identity = identity
        self._expected: dict[str, Any] = {}
        self._known: dict[str, list[str]] = {}

    def problems(self, ref: str, folder: Path, fingerprint: str) -> list[str]:
        """What is wrong with the snapshot in `folder`; the first of each source is what later ones must equal."""
        key = f"{ref} {fingerprint}"
        if key not in self._known:
            try:
                self._known[key] = [f"{ref}: {problem}" for problem in self._look(ref, folder)]
            except (OSError, LabError, ValueError, KeyError, tarfile.TarError, zlib.error) as error:
                self._known[key] = [f"{ref}: {type(error).__name__}: {error}"]
        return self._known[key]

    def _look(self, ref: str, folder: Path) -> list[str]:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        found = _sums(folder)
        if {a["name"] for a in manifest["artifacts"]} != _NAMES[manifest["kind"]]:
            found.append("artifacts are missing")
        plain = {}
        for artifact in manifest["artifacts"]:
            file = folder / artifact["file"]
            stored = file.read_bytes()
            if (len(stored), _sha256(stored)) != (artifact["stored_bytes"], artifact["stored_sha256"]):
                found.append(f"{file.name} is not what its manifest says")
            data = plain[artifact["name"]] = open_sealed(file, self._identity)
            if (len(data), _sha256(data)) != (artifact["plain_bytes"], artifact["plain_sha256"]):
                found.append(f"{artifact['name']} is not what its manifest says")
        if not found:
            content = _CONTENT[manifest["kind"]](plain)
            expected = self._expected.setdefault(ref.partition("@")[0], content)
            found += [f"{name} differs from a whole one" for name in content if content[name] != expected[name]]
        return found


def _sums(folder: Path) -> list[str]:
    lines = (line.partition("  ") for line in (folder / "SHA256SUMS").read_text().splitlines())
    stated = {name: digest for digest, _, name in lines}
    present = {path.name for path in folder.iterdir()} - {"SHA256SUMS", FOREIGN}
    found = [f"{name} is not in SHA256SUMS, or not there" for name in stated.keys() ^ present]
    found += [f"{name} is missing" for name in _BESIDE - present - {"SHA256SUMS"}]
    return found + [
        f"{name}: SHA256SUMS says otherwise"
        for name in stated.keys() & present
        if _sha256((folder / name).read_bytes()) != stated[name]
    ]


def _dump(plain: dict[str, bytes]) -> dict[str, object]:
    lines = plain["dump.sql"].splitlines()
    assert lines[-1].startswith(b"-- Dump completed"), lines[-1]
    # what the server spells in two ways, and the line that tells when
    same = [line.replace(b" CHARACTER SET utf8mb4 COLLATE ", b" COLLATE ") for line in lines[:-1]]
    # a restarted server may list the accounts in another order
    accounts = {name: sorted(plain[name].splitlines()) for name in ("accounts.sql", "grants.sql")}
    return {"dump.sql": same, **accounts}


def _backup(plain: dict[str, bytes]) -> dict[str, object]:
    """The shards of a backup, each read to its end, and the points counted with it."""
    shards, manifests = {}, []
    for name, data in _members(plain["backup.tar"]):
        if name.endswith(".tar.gz"):
            unpacked = zlib.decompressobj(wbits=31)
            inner = unpacked.decompress(data)
            assert unpacked.eof, f"{name} is cut short"
            shards[name.rpartition(".s")[2]] = len(_members(inner)) > 0
        elif name.endswith(".manifest"):
            manifests.append(json.loads(data))
    assert len(manifests) == 1, "not one manifest"
    assert len(manifests[0]["files"]) == len(shards), "shards are missing"
    points = json.loads(plain["inventory.json"])["points_after"]
    return {"shards": shards, "points": points, "config.tar": sorted(name for name, _ in _members(plain["config.tar"]))}


def _tree(plain: dict[str, bytes]) -> dict[str, object]:
    """All of an archive but the times of access, which reading changes."""
    assert plain["files.tar"].endswith(bytes(1024)), "the archive is cut short"
    with tarfile.open(fileobj=io.BytesIO(plain["files.tar"])) as tar:
        return {"files.tar": [(m.name, m.type, m.mode, m.uid, m.gid, m.mtime, m.size, m.linkname) for m in tar]}


_CONTENT = {"mysql": _dump, "influxdb": _backup, "files": _tree}


def _members(archive: bytes) -> list[tuple[str, bytes]]:
    """The files of a tar archive that ends as it must."""
    assert archive.endswith(bytes(1024)), "the archive is cut short"
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = [(member.name, tar.extractfile(member)) for member in tar if member.isfile()]
        return [(name, file.read()) for name, file in files if file is not None]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
