"""Use case: see that what is stored is still what was stored; without a key, or down to its content with one."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby

from pullagent import seal
from pullagent.errors import (
    Interrupted,
    LockedError,
    NoSuchSnapshot,
    PullAgentError,
    SealError,
    StoreError,
    UsageError,
    WrongIdentity,
)
from pullagent.examine import Look, Problem, examine, examine_content
from pullagent.ledger import Ledger
from pullagent.model import Observer, RefQuery, Snapshot, SourceName, id_time, is_safe_name, rfc3339
from pullagent.opened import OpenedSnapshot
from pullagent.seal import Identity
from pullagent.sources.base import Source
from pullagent.store import Store
from pullagent.store.damage import Damage

JOB = "verify"


@dataclass
class VerifyReport:
    """How a verification ended: a look at each snapshot, and strangers beside them (with no reference).

    `warnings`: what could not be noted down about it.
    """

    looks: list[Look] = field(default_factory=list)
    strangers: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[Problem]:
        """All of them."""
        return [*self.strangers, *(p for look in self.looks for p in look.problems)]

    @property
    def bytes(self) -> int:
        """How much was read, as stored."""
        return sum(look.bytes for look in self.looks)

    @property
    def exit_code(self) -> int:
        """4 for any problem; else 12 when the identity did not open all; else 0."""
        return _exit_code(self.looks) if not self.strangers else 4


@dataclass(frozen=True)
class Scope:
    """What is to be verified: everything, a host, a source, or one snapshot; `since` leaves out earlier ones (UTC)."""

    host: str | None = None
    source: str | None = None
    which: str | None = None
    since: datetime | None = None

    @classmethod
    def parse(cls, text: str | None, since: datetime | None = None) -> "Scope":
        """Read `HOST`, `HOST/SOURCE` or a reference; NoSuchSnapshot for any other form."""
        if text is None:
            return cls(since=since)
        if "@" in text:
            query = RefQuery.parse(text)
            return cls(query.name.host, query.name.source, query.which, since)
        host, slash, source = text.partition("/")
        if not is_safe_name(host) or (slash and not is_safe_name(source)):
            raise NoSuchSnapshot(
                f"{text!r} names no host, source or snapshot", "write HOST, HOST/SOURCE or a reference"
            )
        return cls(host, source or None, since=since)

    def snapshots(self, store: Store) -> list[Snapshot]:
        """Those that it means, newest first within their source; NoSuchSnapshot where a name has none at all."""
        if self.host and self.source and self.which:
            found = [store.resolve(RefQuery(SourceName(self.host, self.source), self.which))]
        else:
            found = store.snapshots(self.host, self.source)
        if self.host and not found:
            name = f"{self.host}/{self.source}" if self.source else self.host
            raise NoSuchSnapshot(f"there are no snapshots of {name}", "what there is: pullagent list")
        return [s for s in found if self.since is None or s.taken >= self.since]


def parse_since(text: str) -> datetime:
    """A day, a time or a snapshot's id, in UTC unless it names a zone; UsageError."""
    with suppress(ValueError):
        return id_time(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since {text!r} is not a date", "write 2026-11-22 or 2026-11-22T01:00:00Z (UTC)") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_share(text: str) -> float:
    """`10%` or `10` as percent, above 0 and at most 100; UsageError."""
    with suppress(ValueError):
        percent = float(text.removesuffix("%"))
        if 0 < percent <= 100:
            return percent
    raise UsageError(f"--sample {text!r} is not a share", "write 10%, above 0% and at most 100%")


def sample(snapshots: Sequence[Snapshot], looked: Mapping[str, str], percent: float) -> list[Snapshot]:
    """That share of the snapshots, rounded up, that nobody has looked at for longest; in the order they came in.

    `looked` maps references to the time (RFC 3339) of the last look; the pull itself was the first one. Repeated, it
    comes round to every snapshot that is kept, whatever else is added.
    """
    by_age = sorted(snapshots, key=lambda s: (max(looked.get(str(s.ref), ""), rfc3339(s.taken)), s.ref))
    chosen = {s.ref for s in by_age[: math.ceil(len(by_age) * percent / 100)]}
    return [s for s in snapshots if s.ref in chosen]


class Verifier:
    """Verifies snapshots of one store, marks what it finds damaged, and keeps the ledger.

    Where the store cannot be written, results are only returned, with a warning. `kinds` knows the content checks.
    """

    def __init__(
        self,
        store: Store,
        kinds: Mapping[str, type[Source]],
        *,
        identity: Identity | None = None,
        observer: Observer | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._kinds, self._identity = store, kinds, identity
        self._observer, self._clock = observer or Observer(), clock
        self._ledger = Ledger(store.ledger_path)
        self._report = VerifyReport()

    def verify(self, snapshots: Sequence[Snapshot], strangers: Iterable[tuple[str, str]] = ()) -> VerifyReport:
        """Look at every snapshot, to the end. `strangers` are what `Store.foreign` found.

        WrongIdentity at once when the identity opens the newest of no source; UsageError when it is none; SealError
        when there is no age program.
        """
        if self._identity is not None:
            seal.age_version()
            _check_identity(snapshots, self._identity)
        self._report.strangers = [Problem(None, path, "foreign", _stranger(kind)) for path, kind in strangers]
        self._observer.started(JOB, _count(snapshots), sum(self._size(s) for s in snapshots))
        for name, group in groupby(snapshots, key=lambda s: s.ref.name):
            looks: list[Look] = []
            with self._recorded(name, looks):
                for snapshot in group:
                    looks.extend(self._look(snapshot))
        return self._report

    def _size(self, snapshot: Snapshot) -> int:
        plain = snapshot.plain_bytes if self._identity else 0
        return (snapshot.stored_bytes or 0) + (plain or 0)

    def _look(self, snapshot: Snapshot) -> list[Look]:
        """One look, or none when prune has taken or is taking the snapshot."""
        try:
            with self._store.reading(snapshot):
                look = examine(snapshot, lambda count: self._observer.advanced(JOB, count))
                if self._identity is not None:
                    examine_content(snapshot, look, self._kinds, self._identity, _Counted(self._observer))
                self._mark(snapshot, look)
        except (NoSuchSnapshot, LockedError):
            return []
        except StoreError as error:
            look = Look(snapshot.ref)
            look.add(".", "unreadable", error.message)
        return [look]

    def _mark(self, snapshot: Snapshot, look: Look) -> None:
        """Mark what was found damaged, and take the mark from what is sound again."""
        present = self._store.damage(snapshot)
        if present is not None and present.content and not look.opened and not look.damaged:
            look.add(present.file, "changed", "its content was found damaged; only --identity can find it sound again")
            return
        wanted = _damage(look, present, self._clock())
        if wanted == present:
            return
        try:
            self._store.mark_damaged(snapshot, wanted)
        except StoreError as error:
            self._report.warnings.append(f"{snapshot.ref} could not be marked: {error.message}")

    @contextmanager
    def _recorded(self, name: SourceName, looks: list[Look]) -> Iterator[None]:
        """Keep what was found of one source, in the report and in the ledger, even if the rest is interrupted."""
        begun, code = time.monotonic(), 1
        try:
            yield
            code = _exit_code(looks)
        except (PullAgentError, Interrupted) as error:
            code = error.exit_code
            raise
        finally:
            self._report.looks += looks
            self._record(name, looks, code, time.monotonic() - begun)

    def _record(self, name: SourceName, looks: list[Look], code: int, took_s: float) -> None:
        detail = {
            "ids": [look.ref.id for look in looks if not look.problems],
            "damaged": [look.ref.id for look in looks if look.damaged],
            "bytes": sum(look.bytes for look in looks),
            "decrypted": self._identity is not None and all(look.opened for look in looks),
        }
        try:
            self._ledger.append(
                "verify", ok=code == 0, exit_code=code, took_s=took_s, host=name.host, source=name.source, detail=detail
            )
        except StoreError as error:
            warning = f"not written to the ledger: {error.message}"
            self._report.warnings += [] if warning in self._report.warnings else [warning]


class _Counted(Observer):
    """Counts the bytes of every step toward the one bar."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def advanced(self, job: str, count: int) -> None:
        """Whatever the step."""
        self._observer.advanced(JOB, count)


def _check_identity(snapshots: Sequence[Snapshot], identity: Identity) -> None:
    """Find out at the start, not at the end, that the identity opens nothing."""
    refused: WrongIdentity | None = None
    for _, group in groupby((s for s in snapshots if s.manifest), key=lambda s: s.ref.name):
        newest = next(group)
        try:
            OpenedSnapshot(replace(newest, state="good"), identity).check_identity(1)
            return
        except WrongIdentity as error:
            refused = error
        except (SealError, StoreError):
            # damaged, or gone: the look at it will tell
            return
    if refused is not None:
        raise refused


def _damage(look: Look, present: Damage | None, now: datetime) -> Damage | None:
    """The mark that a snapshot deserves after a look: the present one when that found the same."""
    if not look.damaged:
        return None
    # what a content check says may repeat a part of the content
    lines = tuple(f"{p.file}: {p.problem}" + ("" if p.content else f": {p.detail}") for p in look.damage)
    if present is not None and present.problems == lines:
        return present
    still = present is not None and present.content and not look.opened
    return Damage(rfc3339(now), still or any(p.content for p in look.damage), lines)


def _exit_code(looks: Sequence[Look]) -> int:
    if any(look.problems for look in looks):
        return 4
    return 12 if any(look.opened is False for look in looks) else 0


def _stranger(kind: str) -> str:
    return f"{kind} that is no host, source or snapshot"


def _count(snapshots: Sequence[Snapshot]) -> str:
    return f"{len(snapshots)} snapshot{'s' if len(snapshots) != 1 else ''}"
