"""Configuration files of a snapshot against those of a target: compared unasked, put in place on request."""

import difflib
import hashlib
import tarfile
from collections.abc import Iterator, Sequence

from pullagent.diagnosis import Diagnosis, bad, good
from pullagent.errors import CommandFailed
from pullagent.sources.base import Remote, Restored
from pullagent.sources.influxdb.commands import Commands

_KIND = "configuration file"
_DIFF_LINES = 60


class ConfigFiles:
    """The files of `wanted` (paths, also of directories) that `archive` holds; names from it alone are not trusted."""

    def __init__(self, host: Remote, commands: Commands, archive: tarfile.TarFile, wanted: Sequence[str]) -> None:
        self._host, self._commands = host, commands
        self._stored = dict(_chosen(archive, wanted))
        self._missing = [path for path in wanted if not any(_within(p, path) for p in self._stored)]

    def writable(self) -> Diagnosis:
        """Whether they could be put in place; looked at before anything is changed."""
        refused = [path for path in self._stored if not self._answers(self._commands.may_write(path))]
        if not refused:
            return good("configuration", f"{len(self._stored)} files can be put in place")
        hint = f"log in as root, or leave --config-files out; as whom it was tried:  ssh {self._host.name} id"
        return bad("configuration", f"{', '.join(refused)} cannot be written there by this login", hint)

    def compare(self) -> Iterator[Restored]:
        """How each differs from the target's; told, not judged: a rebuilt host may have a better one."""
        for path in self._missing:
            yield Restored(path, _KIND, None, "not in the snapshot")
        for path, (content, _) in self._stored.items():
            yield Restored(path, _KIND, None, self._difference(path, content))

    def put_in_place(self) -> Iterator[Restored]:
        """Write those that differ; what stood there stays beside them."""
        for path in self._missing:
            yield Restored(path, _KIND, None, "not in the snapshot")
        for path, (content, mode) in self._stored.items():
            yield self._put(path, content, mode)

    def _put(self, path: str, content: bytes, mode: int) -> Restored:
        before, _ = self._look(path)
        if self._difference(path, content) == "equal":
            return Restored(path, _KIND, None, "equal")
        digest = hashlib.sha256(content).hexdigest()
        try:
            self._host.send(self._commands.put(path, digest, mode), iter([content]))
        except CommandFailed as error:
            return Restored(path, _KIND, "put in place", f"cannot be written: {error.stderr.strip()[-200:]}")
        kept = f"; the old one is {path}.before-restore" if before != "missing" else ""
        return Restored(path, _KIND, None, f"put in place{kept}; influxd reads it when it is restarted")

    def _difference(self, path: str, content: bytes) -> str:
        state, found = self._look(path)
        if state != "there":
            return {"missing": "missing on the target", "unreadable": "not readable there by this login"}.get(
                state, state
            )
        if found == content:
            return "equal"
        old, new = (text.decode(errors="replace").splitlines() for text in (found, content))
        lines = list(difflib.unified_diff(old, new, f"{path} there", f"{path} in the snapshot", lineterm=""))
        left_out = [f"… and {len(lines) - _DIFF_LINES} more lines"] if len(lines) > _DIFF_LINES else []
        return "\n".join(["differs from the snapshot's:", *lines[:_DIFF_LINES], *left_out])

    def _look(self, path: str) -> tuple[str, bytes]:
        state, _, content = self._host.read(self._commands.look_at(path)).partition(b"\n")
        return state.decode(errors="replace"), content

    def _answers(self, command: str) -> bool:
        try:
            self._host.read(command)
        except CommandFailed:
            return False
        return True


def _chosen(archive: tarfile.TarFile, wanted: Sequence[str]) -> Iterator[tuple[str, tuple[bytes, int]]]:
    """Path to content and mode of the plain files at or below `wanted`."""
    for member in archive:
        path = "/" + member.name
        known = any(_within(path, w) for w in wanted) and ".." not in path.split("/")
        opened = archive.extractfile(member) if known and member.isfile() else None
        if opened is not None:
            yield path, (opened.read(), member.mode & 0o777)


def _within(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")
