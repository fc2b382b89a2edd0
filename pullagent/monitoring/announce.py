"""What the outside hears: of a run its start and end, and of sources that are overdue. Nothing here can fail a run."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from pullagent.config import Config
from pullagent.errors import PullAgentError
from pullagent.ledger import Ledger
from pullagent.model import Observer, RunReport, SourceName
from pullagent.monitoring import bulletin, status
from pullagent.monitoring.bulletin import Bulletin
from pullagent.monitoring.chronicle import last_told
from pullagent.monitoring.notify import Notifier
from pullagent.monitoring.status import StatusReport
from pullagent.store import Store


class Announcement:
    """Goes around one run: says that it starts, and however it ends, how. Pings are for runs of all sources alone: one
    of a single source must not look like the night's.
    """

    def __init__(self, config: Config, names: Sequence[SourceName], observer: Observer) -> None:
        self._config, self._observer = config, observer
        self._whole = set(names) >= set(config.source_names())
        self._notifier = Notifier(config)
        self._troubled: frozenset[SourceName] = frozenset()
        self._problems: list[str] = []

    def __enter__(self) -> Self:
        self._guarded("the start ping", lambda: self._send("/start", "", None))
        if self._notifier.sends_messages:
            self._guarded("the state before the run", self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception):
            return
        known = isinstance(error, PullAgentError)
        code = error.exit_code if isinstance(error, PullAgentError) else 1
        told = bulletin.of_error(code, str(error) if known else repr(error), details=self._notifier.details)
        self._settle()
        self._guarded("the fail ping", lambda: self._send("/fail", told.body, told))
        self._settle()

    def ended(self, report: RunReport) -> RunReport:
        """Tell how the run ended, and write the textfile for Prometheus; the report with what went wrong in that."""
        self._guarded("the textfile", self._write_metrics)
        # a start that arrives after the end would open the next run
        self._settle()
        self._guarded("a message", lambda: self._tell(report))
        self._settle()
        return replace(report, problems=tuple(self._problems))

    def _look(self) -> None:
        standings = status.read(self._config, datetime.now(UTC)).standings
        failed = {s.name for s in standings if s.facts.pulled is not None and not s.facts.pulled.ok}
        self._troubled = frozenset(failed | {s.name for s in standings if s.verdict == "LATE"})

    def _write_metrics(self) -> None:
        file = self._config.monitoring.prometheus_file
        if file is not None:
            report = status.read(self._config, datetime.now(UTC))
            status.write_metrics(report, self._config.path.absolute().parent / file)

    def _tell(self, report: RunReport) -> None:
        told = None
        if self._notifier.sends_messages:
            standings = status.read(self._config, datetime.now(UTC)).standings
            told = bulletin.of_run(report, standings, self._troubled, details=self._notifier.details)
        self._send("/fail" if report.exit_code else "", bulletin.summary(report), told)

    def _send(self, suffix: str, log: str, told: Bulletin | None) -> None:
        if self._whole:
            self._notifier.ping(suffix, log)
        if told is not None:
            self._notifier.message(_titled(told), told.body)

    def _settle(self) -> None:
        for problem in self._notifier.settle():
            self._warn(problem)

    def _guarded(self, what: str, act: Callable[[], None]) -> None:
        """Do it; what goes wrong is told and does no more harm."""
        try:
            act()
        except PullAgentError as error:
            self._warn(f"{what}: {error.message}")
        except Exception as error:
            # by its kind alone: a defect's text may hold a URL
            self._warn(f"{what}: internal error: {type(error).__name__}")

    def _warn(self, problem: str) -> None:
        self._problems.append(problem)
        self._observer.warned(problem)


def tell_overdue(config: Config, report: StatusReport) -> list[str]:
    """Send a message about sources that are LATE, NEVER or DAMAGED, unless the same was told within a day; what went
    wrong in that. StoreError where the ledger, which keeps what was sent, cannot be read or written. Where there is
    nobody to send it to nothing is written, or a timer would fill the ledger.
    """
    ledger = Ledger(Store(config.store).ledger_path)
    critical = [s for s in report.standings if s.critical]
    last, told = last_told(ledger.entries())
    if not bulletin.is_news(critical, told, last, report.now):
        return []
    notifier, begun = Notifier(config), time.monotonic()
    if not notifier.sends_messages:
        return [*notifier.settle(), "[notify] names nobody to send messages to"]
    letter = bulletin.of_overdue(critical, details=notifier.details)
    notifier.message(_titled(letter), letter.body)
    problems = notifier.settle()
    Store(config.store).prepare()
    ledger.append(
        "notify",
        ok=not problems,
        exit_code=1 if problems else 0,
        took_s=time.monotonic() - begun,
        detail={"told": {str(s.name): s.verdict for s in critical}} | ({"problems": problems} if problems else {}),
        now=report.now,
    )
    return problems


def _titled(letter: Bulletin) -> str:
    return f"pullagent on {os.uname().nodename}: {letter.title}"
