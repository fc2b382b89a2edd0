"""Progress on a terminal: a bar for each job."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pullagent.cli import ui
from pullagent.cli.service import Priority
from pullagent.cli.tally import Tally, Warnings, retry
from pullagent.model import Observer, Outcome, SourceName

# below this there is no room for a bar
_WIDE = 100


class _Amount(ProgressColumn):
    """Bytes so far, of how many where that is known, and the rate."""

    def render(self, task: Task) -> Text:
        """One cell."""
        if not task.completed:
            return Text("")
        done = ui.size(int(task.completed))
        whole = f" of {ui.size(int(task.total))}" if task.total else ""
        rate = f"  {ui.size(int(task.speed))}/s" if task.speed else ""
        return Text(f"{done}{whole}{rate}", no_wrap=True)


class _Bar(BarColumn):
    """A bar where the end is known."""

    def render(self, task: Task) -> Text:  # type: ignore[override]  # a bar or nothing
        """One cell."""
        return super().render(task) if task.total else Text("")  # type: ignore[return-value]


class _Left(TimeRemainingColumn):
    """How long it will still take, where the end is known."""

    def render(self, task: Task) -> Text:
        """One cell."""
        if not task.total or task.finished or task.time_remaining is None:
            return Text("")
        minutes, seconds = divmod(round(task.time_remaining), 60)
        return Text(f"{minutes}:{seconds:02} left", no_wrap=True)


class Bars(Warnings):
    """One line for each job: what it does, bytes, rate, elapsed time, and how long it will still take. Where there are
    several `sources`, one above them says how many are over.
    """

    def __init__(self, console: Console, sources: int = 0) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            *([_Bar(bar_width=16)] if console.width >= _WIDE else []),
            _Amount(),
            TimeElapsedColumn(),
            _Left(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._sources, self._tally = sources, Tally()
        self._whole = self._progress.add_task(self._summary(), total=None) if sources > 1 else None
        self._lock = threading.Lock()

    def __enter__(self) -> Observer:
        self._progress.start()
        return self

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Out of the way meanwhile, of a question for instance."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, job: str, step: str, total_bytes: int | None = None) -> None:
        """Show the step with a fresh count."""
        with self._lock:
            self._drop(job)
            name = job.partition("@")[0]
            self._tasks[job] = self._progress.add_task(ui.clean(f"{name} {step}"), total=total_bytes)

    def advanced(self, job: str, count: int) -> None:
        """Move its bar on."""
        task = self._tasks.get(job)
        if task is not None:
            self._progress.advance(task, count)

    def retrying(self, names: Sequence[SourceName], pause_s: float, attempt: int, attempts: int) -> None:
        """A line above the bars."""
        with self._lock:
            self._tally.again(names)
            self._count()
        ui.tell(retry(names, pause_s, attempt, attempts), Priority.WARNING)

    def defect(self, trace: str) -> None:
        """All of it, for the report."""
        ui.tell(trace.rstrip(), Priority.ERROR)

    def ended(self, outcome: Outcome) -> None:
        """Take its bar away, and count it: the table at the end says how it went."""
        with self._lock:
            self._drop(str(outcome.name))
            self._tally.ended(outcome)
            self._count()

    def _count(self) -> None:
        if self._whole is not None:
            self._progress.update(self._whole, description=self._summary())

    def _summary(self) -> str:
        told = f"{self._tally.total} of {self._sources} done"
        return f"{told}: {self._tally}" if self._tally.total else told

    def _drop(self, job: str) -> None:
        task = self._tasks.pop(job, None)
        if task is not None:
            self._progress.remove_task(task)
