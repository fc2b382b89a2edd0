"""Use case: a whole run: pull, try failed sources again, then prune."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pullagent.clock import Record
from pullagent.config import Config
from pullagent.errors import PullAgentError
from pullagent.ledger import Ledger
from pullagent.model import Observer, Outcome, Refusal, RunReport, SourceName, StopSignal
from pullagent.monitoring.announce import Announcement
from pullagent.prune import prune
from pullagent.pull import Connect, Puller
from pullagent.store import Store

# another run's prune takes seconds
_PRUNE_WAIT_S = 60.0


def run(
    config: Config,
    names: Sequence[SourceName],
    *,
    jobs: int = 2,
    wait_s: float = 0.0,
    observer: Observer | None = None,
    stop: StopSignal | None = None,
    connect: Connect | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> RunReport:
    """Pull `names`; sources that failed are tried again, as often and after as long as [run] says, unless their failure
    lasts until somebody acts. Then prune.

    `jobs` and `wait_s` are those of `Puller.run`, and so are the errors. Of a source of hosts.toml that was not stored
    nothing is removed, and nothing at all when none was.
    """
    observer, stop = observer or Observer(), stop or StopSignal()
    pruner = _Pruner(config)
    puller = Puller(config, observer=observer, stop=stop, connect=connect)
    with Announcement(config, names, observer) as announcement:
        report = _pull(config, puller, names, jobs, wait_s, observer, stop)
        return announcement.ended(pruner.after(report, clock(), stop))


def _pull(
    config: Config,
    puller: Puller,
    names: Sequence[SourceName],
    jobs: int,
    wait_s: float,
    observer: Observer,
    stop: StopSignal,
) -> RunReport:
    report = puller.run(names, jobs=jobs, wait_s=wait_s)
    for attempt in range(2, config.run.attempts + 1):
        failed = [o.name for o in report.outcomes if o.outcome == "failed" and not o.lasting]
        if not failed:
            break
        pause_s = config.run.retry_minutes * 60
        observer.retrying(failed, pause_s, attempt, config.run.attempts)
        stop.wait(pause_s)
        stop.check()
        report = _after(report, puller.run(failed, jobs=jobs, wait_s=wait_s))
    return report


class _Pruner:
    """What follows the pulls. Made before them: what the ledger says by then tells whether the clock is right."""

    def __init__(self, config: Config) -> None:
        self._config, self._ledger = config, Ledger(Store(config.store).ledger_path)
        self._record = Record()
        self._unread: PullAgentError | None = None
        try:
            self._record = self._ledger.record()
        except PullAgentError as error:
            self._unread = error

    def after(self, report: RunReport, now: datetime, stop: StopSignal) -> RunReport:
        """The report with what was pruned; a prune that fails is told as one that refused."""
        stored = {o.name for o in report.outcomes if o.outcome == "stored"}
        if not stored:
            return report
        begun, spared = time.monotonic(), set(self._config.source_names()) - stored
        try:
            if self._unread is not None:
                raise self._unread
            done = prune(self._config, now, record=self._record, spared=spared, wait_s=_PRUNE_WAIT_S, stop=stop)
        except PullAgentError as error:
            return replace(report, refused=Refusal(error.message, error.hint))
        try:
            if done.removed or done.swept or done.expired or done.exit_code:
                took_s = time.monotonic() - begun
                ok = done.exit_code == 0
                self._ledger.append("prune", ok=ok, exit_code=done.exit_code, took_s=took_s, detail=done.detail)
        except PullAgentError as error:
            report = report.with_warning(f"what was pruned is not in the ledger: {error.message}")
        failed = Refusal(done.failed.message, done.failed.hint) if done.failed else None
        return replace(report, pruned=done.removed, refused=done.refused or failed)


def _after(report: RunReport, again: RunReport) -> RunReport:
    """The run with what the sources tried again came to in the end."""
    later = {o.name: o for o in again.outcomes}
    outcomes = tuple(_told(o, later[o.name]) if o.name in later else o for o in report.outcomes)
    return replace(report, ended=again.ended, outcomes=outcomes)


def _told(before: Outcome, after: Outcome) -> Outcome:
    return after.with_warning(f"an earlier attempt failed: {before.error}") if after.outcome == "stored" else after
