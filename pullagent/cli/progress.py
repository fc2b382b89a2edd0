"""Progress of long verbs: bars on a terminal, one plain line per event elsewhere."""

import threading
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from pullagent.cli import ui
from pullagent.model import Observer


class Bars(Observer):
    """One line for each job: what it does, bytes, rate, elapsed time."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            DownloadColumn(),
            TransferSpeedColumn(),
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
            self._tasks[job] = self._progress.add_task(ui.clean(f"{job.partition('@')[0]} {step}"), total=total_bytes)

    def advanced(self, job: str, count: int) -> None:
        """Move its bar on."""
        task = self._tasks.get(job)
        if task is not None:
            self._progress.advance(task, count)

    def ended(self, job: str, text: str, failed: bool = False) -> None:
        """Take its bar away and leave a line."""
        with self._lock:
            self._drop(job)
        self._progress.console.print(ui.clean(f"{job}: {text}"), style="red" if failed else None)

    def _drop(self, job: str) -> None:
        task = self._tasks.pop(job, None)
        if task is not None:
            self._progress.remove_task(task)


class Lines(Observer):
    """For the journal: what began and what ended, no bars."""

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ended(self, job: str, text: str, failed: bool = False) -> None:
        """One line."""
        ui.tell(f"{job}: {text}")
