"""Use case: keep the clear mirrors up to what their upstreams hold."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pullagent import config as configs
from pullagent.config import Config
from pullagent.errors import LockedError, PullAgentError, SourceError, Stopped, UsageError
from pullagent.gate import explained
from pullagent.host import Host
from pullagent.ledger import Ledger
from pullagent.logins import limits, pull_login
from pullagent.model import Artifact, Observer, SourceName, StopSignal
from pullagent.plausibility import must_stay_free
from pullagent.sources.base import Bench, Followed, Mirrored, Nowhere, Remote, Source, mirrored
from pullagent.store import Store
from pullagent.store.mirrors import Note
from pullagent.wire.pace import paces
from pullagent.wire.remote import paced
from pullagent.workers import workers

_AT_ONCE = 4
_NOT_EQUAL = "nothing was removed from the mirror; is url in hosts.toml still the right one?"
_ANEW = (
    "the mirror was not there any more and was made anew: what upstream had given up before is in it no longer,"
    " only in the bundles of earlier snapshots"
)
_KEPT_SHOWN = 50
Connect = Callable[[configs.Host], AbstractContextManager[Remote]]


@dataclass(frozen=True)
class Passed:
    """How one mirror's comparison ended. `outcome` is same, updated, failed or skipped; `news`: whether it
    ended otherwise than the one before.
    """

    name: SourceName
    outcome: str
    took_s: float
    news: bool = False
    followed: Followed | None = None
    error: str = ""
    hint: str = ""
    exit_code: int = 0


@dataclass(frozen=True)
class MirrorReport:
    """One pass over several mirrors."""

    outcomes: tuple[Passed, ...]

    @property
    def exit_code(self) -> int:
        """0 when none failed; 3 when some did; when all did: their code, or 1."""
        codes = {o.exit_code for o in self.outcomes if o.outcome == "failed"}
        if not codes:
            return 0
        if any(o.outcome != "failed" for o in self.outcomes):
            return 3
        return codes.pop() if len(codes) == 1 else 1


def chosen(config: Config, targets: list[str]) -> list[SourceName]:
    """The mirrors that `HOST` and `HOST/SOURCE` arguments mean; all without any. UsageError where one has none."""
    names = config.select(targets)
    for name in names:
        if str(name) in targets and _of(config, name) is None:
            raise UsageError(
                f"{name} keeps no mirror here",
                f"a source of kind git does, unless it says clear_mirror = false:  pullagent run {name}",
            )
    found = [name for name in names if _of(config, name) is not None]
    if not found:
        raise UsageError("no source keeps a mirror", 'those of kind = "git" do, unless they say clear_mirror = false')
    return found


def _of(config: Config, name: SourceName) -> Mirrored | None:
    return mirrored(config.hosts[name.host].sources[name.source])


def mirror(
    config: Config,
    names: Sequence[SourceName],
    *,
    stop: StopSignal | None = None,
    observer: Observer | None = None,
    connect: Connect | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> MirrorReport:
    """Compare each mirror with its upstream and bring it up to it; one that a run or another pass has is skipped.

    StoreError when the store cannot be used at all.
    """
    stop = stop or StopSignal()
    Store(config.store).prepare()
    connect = connect or (lambda host: Host(pull_login(config, host), limits(config), stop))
    one = _Pass(config, stop, observer or Observer(), connect, clock)
    with workers(_AT_ONCE, "mirror", stop) as pool:
        return MirrorReport(tuple(pool.map(one.over, names)))


class _Pass:
    """One look at each mirror."""

    def __init__(
        self,
        config: Config,
        stop: StopSignal,
        observer: Observer,
        connect: Connect,
        clock: Callable[[], datetime],
    ) -> None:
        self._config, self._stop, self._observer, self._connect, self._clock = config, stop, observer, connect, clock
        self._store = Store(config.store)
        self._paces = paces({host.name: host.bytes_per_s for host in config.hosts.values()}, stop)

    def over(self, name: SourceName) -> Passed:
        """Compare one; whatever goes wrong with it is in what is returned."""
        begun = time.monotonic()
        recording = Recording(self._config, name, self._clock)
        host = self._config.hosts[name.host]
        source: Source = host.sources[name.source]
        try:
            with (
                self._store.locked(name, 0, self._stop),
                recording.ends(),
                reached(host, source, self._connect) as there,
            ):
                recording.follow(source, paced(there, self._paces.get(name.host)), self._stop, self._observer)
        except LockedError as error:
            return Passed(name, "skipped", time.monotonic() - begun, error=error.message)
        except PullAgentError as error:
            told, took = explained(error, name.host), time.monotonic() - begun
            return Passed(
                name, "failed", took, recording.news, error=told.message, hint=told.hint, exit_code=told.exit_code
            )
        followed, took = recording.followed, time.monotonic() - begun
        assert followed is not None
        if not followed.agree:
            why = "; ".join(followed.warnings)
            return Passed(name, "failed", took, recording.news, error=why, hint=_NOT_EQUAL, exit_code=1)
        return Passed(name, "updated" if followed.changed else "same", took, recording.news, followed)


def reached(host: configs.Host, source: Source, connect: Connect) -> AbstractContextManager[Remote]:
    """The host of a source; nobody logs in where it has no command to send."""
    return connect(host) if source.commands() else Nowhere(host.name)


@dataclass
class Recording:
    """Follows one mirror and writes down how that ended: always when it was, and what is new into the ledger.

    The caller holds the source's lock.
    """

    config: Config
    name: SourceName
    clock: Callable[[], datetime]
    followed: Followed | None = None
    news: bool = False
    _begun: float = field(default_factory=time.monotonic)

    @property
    def _store(self) -> Store:
        return Store(self.config.store)

    def follow(self, source: Source, host: Remote, stop: StopSignal, observer: Observer) -> Followed:
        """Bring the mirror up to its upstream; all of it is looked at when the last time ended badly."""
        assert isinstance(source, Mirrored)
        job = str(self.name)
        before, bench = self._store.mirror_note(self.name), bench_of(self.config, self.name, self.clock(), stop)
        observer.started(job, "mirror")
        bench = replace(bench, advanced=lambda count: observer.advanced(job, count))
        anew = before is not None and before.compared is not None and not bench.directory.exists()
        followed = source.follow(host, bench, recheck=before is not None and bool(before.error))
        self.followed = replace(followed, warnings=(*followed.warnings, _ANEW)) if anew else followed
        return self.followed

    def watched(self, artifacts: Iterator[Artifact]) -> Iterator[Artifact]:
        """The same; a mirror that turns out to be damaged is noted as such, and looked at by the next pass."""
        try:
            yield from artifacts
        except SourceError as error:
            self._write(error, sound=False)
            raise

    @contextmanager
    def ends(self) -> Iterator[None]:
        """Write down how the block ended."""
        try:
            yield
        except (Stopped, LockedError):
            raise
        except PullAgentError as error:
            self._write(error)
            raise
        self._write(None)

    def _write(self, error: PullAgentError | None, *, sound: bool = True) -> None:
        before, followed = self._store.mirror_note(self.name), self.followed
        if error is not None or followed is None:
            compared, agree = (before.compared, before.agree) if before else (None, False)
            note = Note(compared, agree and sound, error.message if error else "")
        else:
            note = Note(self.clock(), followed.agree)
        self._store.note_mirror(self.name, note)
        changed = followed is not None and bool(followed.changed)
        self.news = changed or before is None or (before.agree, before.error) != (note.agree, note.error)
        if self.news:
            self._append(error)

    def _append(self, error: PullAgentError | None) -> None:
        followed = self.followed
        detail: dict[str, object] = {"error": error.message} if error else {}
        if followed is not None and error is None:
            detail = {} if followed.agree else {"error": "; ".join(followed.warnings)}
            detail |= {"changed": followed.changed, "agree": followed.agree, **followed.counts}
            if followed.kept:
                detail["kept"] = [*followed.kept[:_KEPT_SHOWN]]
            if followed.warnings:
                detail["warnings"] = [*followed.warnings]
        Ledger(self._store.ledger_path).append(
            "mirror",
            ok=error is None and followed is not None and followed.agree,
            exit_code=error.exit_code if error else int(followed is None or not followed.agree),
            took_s=time.monotonic() - self._begun,
            host=self.name.host,
            source=self.name.source,
            detail=detail,
        )


def bench_of(config: Config, name: SourceName, now: datetime, stop: StopSignal) -> Bench:
    """Where the mirror of a source lies, the time, and what must stay free there. StoreError."""
    store = Store(config.store)
    capacity, _ = store.space()
    return Bench(store.mirror_place(name), now, stop, must_stay_free(capacity, config.min_free_percent, 1, 0))
