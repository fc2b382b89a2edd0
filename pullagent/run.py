"""Use case: a whole run: pull, try failed sources again, then whatever follows the pulls."""

from collections.abc import Sequence
from dataclasses import replace

from pullagent.config import Config
from pullagent.model import Observer, Outcome, RunReport, SourceName, StopSignal
from pullagent.pull import Connect, Puller

# a wrong configuration and an unknown host key need hands: waiting does not mend them
_HOPELESS = frozenset({2, 13})


def run(
    config: Config,
    names: Sequence[SourceName],
    *,
    jobs: int = 2,
    wait_s: float = 0.0,
    observer: Observer | None = None,
    stop: StopSignal | None = None,
    connect: Connect | None = None,
) -> RunReport:
    """Pull `names`; sources that failed are tried again, as often and after as long as [run] says.

    `jobs` and `wait_s` are those of `Puller.run`, and so are the errors.
    """
    observer, stop = observer or Observer(), stop or StopSignal()
    puller = Puller(config, observer=observer, stop=stop, connect=connect)
    report = puller.run(names, jobs=jobs, wait_s=wait_s)
    for attempt in range(2, config.run.attempts + 1):
        failed = [o.name for o in report.outcomes if o.outcome == "failed" and o.exit_code not in _HOPELESS]
        if not failed:
            break
        pause_s = config.run.retry_minutes * 60
        observer.retrying(failed, pause_s, attempt, config.run.attempts)
        stop.wait(pause_s)
        stop.check()
        report = _after(report, puller.run(failed, jobs=jobs, wait_s=wait_s))
    return report


def _after(report: RunReport, again: RunReport) -> RunReport:
    """The run with what the sources tried again came to in the end."""
    later = {o.name: o for o in again.outcomes}
    outcomes = tuple(_told(o, later[o.name]) if o.name in later else o for o in report.outcomes)
    return replace(report, ended=again.ended, outcomes=outcomes)


def _told(before: Outcome, after: Outcome) -> Outcome:
    if after.outcome != "stored":
        return after
    return replace(after, warnings=(*after.warnings, f"an earlier attempt failed: {before.error}"))
