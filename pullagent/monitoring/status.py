"""Use case: how every source of hosts.toml stands against its objectives."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from pullagent import clock, programs
from pullagent.config import Config
from pullagent.errors import UsageError, system_error
from pullagent.ledger import Ledger
from pullagent.model import Refusal, Snapshot, SourceName, id_time
from pullagent.monitoring import metrics, verdicts
from pullagent.monitoring.chronicle import Facts, facts_of
from pullagent.monitoring.copies import Copy, with_copy
from pullagent.monitoring.verdicts import Standing
from pullagent.sources.base import mirrored
from pullagent.store import Store
from pullagent.tables import ObjectivesTable

TIMER = "pullagent.timer"
_NEXT = "NextElapseUSecRealtime"


@dataclass(frozen=True)
class StatusReport:
    """All sources at `now` (UTC); `next_run` is the timer's, None where there is none or it cannot be asked."""

    now: datetime
    next_run: datetime | None
    objectives: ObjectivesTable
    standings: tuple[Standing, ...]
    copies: Mapping[SourceName, Copy] = field(default_factory=dict)
    """The clear mirrors of those sources that have one."""
    doubted: Refusal | None = None
    """Why the clock is not believed, so that nothing is pruned."""

    @property
    def verdict(self) -> str:
        """The worst of the sources'."""
        return verdicts.worst(s.verdict for s in self.standings)


def read(config: Config, now: datetime) -> StatusReport:
    """Judge every source; what the store holds of sources that are no longer in hosts.toml does not count.

    Of each source only its newest snapshots are read. StoreError where the store is unreadable.
    """
    store = Store(config.store)
    ledger = Ledger(store.ledger_path)
    facts = facts_of(ledger.entries())
    standings = [_judge(store, n, facts.get(n, Facts()), config, now) for n in config.source_names()]
    copies = _copies(store, config)
    judged = [with_copy(s, copies[s.name], config.objectives, now) if s.name in copies else s for s in standings]
    taken = (id_time(identifier) for name in config.source_names() for identifier in store.ids(name))
    doubted = clock.refusal(ledger.record(), taken, now)
    return StatusReport(now, next_run(), config.objectives, tuple(judged), copies, doubted)


def _copies(store: Store, config: Config) -> dict[SourceName, Copy]:
    found = {}
    for name in config.source_names():
        source = mirrored(config.hosts[name.host].sources[name.source])
        if source is not None:
            found[name] = Copy(store.mirror_note(name), source.taken_from(store.mirror_place(name)))
    return found


def _judge(store: Store, name: SourceName, facts: Facts, config: Config, now: datetime) -> Standing:
    damaged = facts.damaged.intersection(store.ids(name)) if facts.damaged else frozenset[str]()
    return verdicts.judge(name, _newest(store, name, damaged, now), damaged, facts, config.objectives, now)


def _newest(store: Store, name: SourceName, damaged: frozenset[str], now: datetime) -> Sequence[Snapshot]:
    """As many as a trend shows, and on down to the newest that is good and not of the future."""
    snapshots = store.newest(name)
    found = list(islice(snapshots, verdicts.TREND))
    while not any(s.state == "good" and s.ref.id not in damaged and s.taken <= now for s in found[-verdicts.TREND :]):
        more = next(snapshots, None)
        if more is None:
            break
        found.append(more)
    return found


def next_run() -> datetime | None:
    """When systemd will start the next run (UTC); None where it cannot say."""
    if not Path("/run/systemd/system").is_dir():
        return None
    answer = programs.ask("env", "TZ=UTC", "LC_ALL=C", "systemctl", "show", TIMER, f"--property={_NEXT}", "--value")
    return elapse(answer or "")


def elapse(text: str) -> datetime | None:
    """A time as systemctl prints it with TZ=UTC, `Tue 2026-11-24 01:00:00 UTC`; None for any other text."""
    try:
        return datetime.strptime(text.strip(), "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    except ValueError:
        return None


def write_metrics(report: StatusReport, file: Path) -> None:
    """Put the report where node_exporter's textfile collector reads it, whole or not at all. UsageError, StoreError."""
    if file.is_dir() or not file.parent.is_dir():
        raise UsageError(
            f"{file}: {'a directory' if file.is_dir() else 'its directory is not there'}",
            "name a file, in the directory that node_exporter's --collector.textfile.directory names",
        )
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as temporary:
                temporary.write(
                    metrics.text(report.now, report.next_run, report.objectives, report.standings, report.copies)
                )
                # node_exporter runs as another user, and there is no secret in it
                os.fchmod(temporary.fileno(), 0o644)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise system_error(file, error) from error
