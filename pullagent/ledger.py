"""ledger.jsonl: one line for each thing done: who, what, when, how it ended. Append-only, fsynced."""

import errno
import fcntl
import json
import os
import pwd
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pullagent import clock
from pullagent.clock import Record
from pullagent.errors import StoreError, store_error
from pullagent.model import rfc3339

VERSION = 1


class Ledger:
    """The ledger at `path`; made, private, by the first line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(
        self,
        event: str,
        *,
        ok: bool,
        exit_code: int,
        took_s: float,
        host: str | None = None,
        source: str | None = None,
        ref: str | None = None,
        detail: dict[str, Any] | None = None,
        now: datetime | None = None,
    ) -> None:
        """Write one line and have it on disk; StoreError when that fails. A torn last line is closed first."""
        entry = {
            "v": VERSION,
            "time": rfc3339(now or datetime.now(UTC)),
            "event": event,
            "who": who(),
            "host": host,
            "source": source,
            "ref": ref,
            "ok": ok,
            "exit_code": exit_code,
            "took_s": round(took_s, 3),
            "detail": detail or {},
        }
        line = json.dumps(entry, ensure_ascii=True).encode() + b"\n"
        try:
            self._write(line)
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}", "the ledger could not be written") from error

    def _write(self, line: bytes) -> None:
        # no link: root may write here too, in a directory that is another's
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            self._give_to_owner(file.fileno())
            fcntl.flock(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    line = b"\n" + line
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        if not size:
            self._sync_name()

    def _sync_name(self) -> None:
        """Have the name of a new ledger on disk too."""
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _give_to_owner(self, descriptor: int) -> None:
        """What root begins (by a trust, say) must stay writable to the account that pulls: the store's owner."""
        if os.geteuid() == 0:
            owner = self.path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)

    def entries(self, events: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        """Every readable line, or those of `events`, oldest first; torn lines are passed over. StoreError."""
        # most lines are of other events, and need not be parsed to know that
        words = [json.dumps(event).encode() for event in events]
        try:
            lines = self.path.open("rb")
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unreadable(error) from error
        with lines:
            try:
                for line in lines:
                    if not words or any(word in line for word in words):
                        entry = _parsed(line)
                        if entry is not None and (not events or entry.get("event") in events):
                            yield entry
            except OSError as error:
                raise self._unreadable(error) from error

    def record(self) -> Record:
        """What it says of the clock; nothing where nothing was written yet. StoreError."""
        return clock.record(self.entries())

    def _unreadable(self, error: OSError) -> StoreError:
        return store_error(self.path.parent, error)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        # twice as fast as the standard library's, which takes what this one refuses: halves of characters
        entry = msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            return None
    return entry if isinstance(entry, dict) and entry.get("v") == VERSION else None


def looked_at(entries: Iterable[Mapping[str, Any]], *, sound: bool) -> dict[str, str]:
    """When each snapshot was last verified, by its reference: only if found `sound`, or however it ended.

    The times are RFC 3339, UTC. Snapshots never verified are absent.
    """
    found: dict[str, str] = {}
    for entry in entries:
        detail = entry.get("detail")
        if entry.get("event") != "verify" or not isinstance(detail, dict):
            continue
        for key in ("ids",) if sound else ("ids", "damaged"):
            identifiers = detail.get(key)
            for identifier in identifiers if isinstance(identifiers, list) else []:
                found[f"{entry.get('host')}/{entry.get('source')}@{identifier}"] = str(entry.get("time"))
    return found


def who() -> str:
    """The person behind the process: the sudo caller where there is one."""
    caller = os.environ.get("SUDO_USER")
    if caller:
        return caller
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
