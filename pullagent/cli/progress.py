"""Progress of long verbs: bars on a terminal, one plain line for each source elsewhere."""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
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
)
from rich.text import Text

from pullagent.cli import ui
from pullagent.model import Observer, Outcome, SourceName


class _Amount(ProgressColumn):
    """Bytes so far, of how many where that is known, and the rate."""

    def render(self, task: Task) -> Text:
        """One cell."""
        if not task.completed:
            return Text("")
        done = ui.size(int(task.completed))
        whole = f" of {ui.size(int(task.total))}" if task.total else ""
        rate = f"  {ui.size(int(task.speed))}/s" if task.speed else ""
        return Text(f"{done}{whole}{rate}")


class _Bar(BarColumn):
    """A bar where the end is known."""

    def render(self, task: Task) -> Text:  # type: ignore[override]  # a bar or nothing
        """One cell."""
        return super().render(task) if task.total else Text("")  # type: ignore[return-value]


class Bars(Observer):
    """One line for each job: what it does, bytes, rate, elapsed time."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            _Bar(bar_width=16),
            _Amount(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Observer:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, job: str, step: str, total_bytes: int | None = None) -> None:
        """Show the step with a fresh count."""
        with self._lock:
            self._drop(job)
            name = job.partition("@")[0]
            self._tasks[job] = self._progress.add_task(ui.clean(f"{name:20} {step:14}"), total=total_bytes)

    def advanced(self, job: str, count: int) -> None:
        """Move its bar on."""
        task = self._tasks.get(job)
        if task is not None:
            self._progress.advance(task, count)

    def retrying(self, names: Sequence[SourceName], pause_s: float, attempt: int, attempts: int) -> None:
        """A line above the bars."""
        ui.tell(_retry(names, pause_s, attempt, attempts))

    def defect(self, trace: str) -> None:
        """All of it, for the report."""
        ui.tell(trace.rstrip())

    def ended(self, outcome: Outcome) -> None:
        """Take its bar away: the table at the end says how it went."""
        with self._lock:
            self._drop(str(outcome.name))

    def _drop(self, job: str) -> None:
        task = self._tasks.pop(job, None)
        if task is not None:
            self._progress.remove_task(task)


class Lines(Observer):
    """For the journal: a line for each source that has ended."""

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def retrying(self, names: Sequence[SourceName], pause_s: float, attempt: int, attempts: int) -> None:
        """One line."""
        ui.say(_retry(names, pause_s, attempt, attempts))

    def defect(self, trace: str) -> None:
        """All of it, for the report."""
        ui.tell(trace.rstrip())

    def ended(self, outcome: Outcome) -> None:
        """One line."""
        took = ui.duration(outcome.took_s)
        if outcome.ref is None:
            ui.say(f"{outcome.name}: {outcome.outcome} after {took}")
            return
        sizes = f"{ui.size(outcome.plain_bytes)}, stored as {ui.size(outcome.stored_bytes)}"
        ui.say(f"{outcome.name}: stored {outcome.ref}: {sizes}, in {took}{', SHRUNK' if outcome.shrunk else ''}")


def _retry(names: Sequence[SourceName], pause_s: float, attempt: int, attempts: int) -> str:
    failed = ", ".join(map(str, names))
    return f"{failed}: failed; attempt {attempt} of {attempts} in {ui.duration(pause_s)}"


def progress(*, quiet: bool = False) -> AbstractContextManager[Observer]:
    """Bars on a terminal, plain lines elsewhere; nothing when `quiet`."""
    if quiet:
        return nullcontext(Observer())
    return Bars(ui.err) if ui.err.is_terminal else Lines()
