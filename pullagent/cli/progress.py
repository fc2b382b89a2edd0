"""Progress of long verbs: bars on a terminal, one plain line for each source elsewhere."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
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
from pullagent.cli.service import Priority, tell_status, watched
from pullagent.model import Observer, Outcome, SourceName

# below this there is no room for a bar
_WIDE = 100
# what failed is named one by one as it fails: a line about further attempts names no more than these
_NAMED = 4


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


class Warnings(Observer):
    """What must be said even where progress is not wanted."""

    def warned(self, text: str) -> None:
        """One line."""
        ui.tell(f"warning: {text}")


class Tally:
    """How many sources ended in which way."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All that are over."""
        return self._counts.total()

    def ended(self, outcome: Outcome) -> None:
        """Count one."""
        self._counts["shrunk" if outcome.shrunk else outcome.outcome] += 1

    def again(self, names: Sequence[SourceName]) -> None:
        """These had failed, and are not over."""
        self._counts["failed"] -= len(names)

    def __str__(self) -> str:
        return ", ".join(f"{count} {outcome}" for outcome, count in self._counts.items() if count)


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
        ui.tell(_retry(names, pause_s, attempt, attempts), Priority.WARNING)

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


class Lines(Warnings):
    """For the journal: a line for each source that has ended."""

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def noted(self, job: str, text: str) -> None:
        """One line."""
        ui.say(f"{job}: {text}")

    def retrying(self, names: Sequence[SourceName], pause_s: float, attempt: int, attempts: int) -> None:
        """One line."""
        ui.say(_retry(names, pause_s, attempt, attempts), Priority.WARNING)

    def defect(self, trace: str) -> None:
        """All of it, for the report."""
        ui.tell(trace.rstrip(), Priority.ERROR)

    def ended(self, outcome: Outcome) -> None:
        """One line."""
        took = ui.duration(outcome.took_s)
        if outcome.ref is None:
            ui.say(f"{outcome.name}: {outcome.outcome} after {took}", Priority.WARNING)
            return
        sizes = f"{ui.size(outcome.plain_bytes)}, stored as {ui.size(outcome.stored_bytes)}"
        text = f"{outcome.name}: stored {outcome.ref}: {sizes}, in {took}"
        if outcome.shrunk:
            ui.say(f"{text}, SHRUNK", Priority.WARNING)
        else:
            ui.say(text)


class Status(Observer):
    """For the service manager: what is being done, as its unit's status, anew each second. `shown` hears it all too."""

    def __init__(self, shown: AbstractContextManager[Observer]) -> None:
        self._shown, self._inner = shown, Observer()
        self._jobs: dict[str, tuple[str, int]] = {}
        self._tally = Tally()
        self._pause = ""
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._reporter = threading.Thread(target=self._report, name="status", daemon=True)

    def __enter__(self) -> Observer:
        self._inner = self._shown.__enter__()
        self._reporter.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._reporter.join()
        with self._lock:
            self._jobs.clear()
        tell_status(self._text() or "done")
        self._shown.__exit__(kind, error, trace)

    def started(self, job: str, step: str, total_bytes: int | None = None) -> None:
        """Name the step; it stands last."""
        with self._lock:
            self._pause = ""
            self._jobs.pop(job, None)
            self._jobs[job] = (step, 0)
        self._inner.started(job, step, total_bytes)

    def advanced(self, job: str, count: int) -> None:
        """Count its bytes."""
        with self._lock:
            step, before = self._jobs.get(job, ("", 0))
            self._jobs[job] = (step, before + count)
        self._inner.advanced(job, count)

    def noted(self, job: str, text: str) -> None:
        """Nothing for one line."""
        self._inner.noted(job, text)

    def retrying(self, names: Sequence[SourceName], pause_s: float, attempt: int, attempts: int) -> None:
        """Say what is being waited for."""
        with self._lock:
            self._pause = _retry(names, pause_s, attempt, attempts)
            self._tally.again(names)
        self._inner.retrying(names, pause_s, attempt, attempts)

    def defect(self, trace: str) -> None:
        """Nothing for one line."""
        self._inner.defect(trace)

    def warned(self, text: str) -> None:
        """Nothing for one line."""
        self._inner.warned(text)

    def ended(self, outcome: Outcome) -> None:
        """Count it by how it ended."""
        with self._lock:
            self._pause = ""
            self._jobs.pop(str(outcome.name), None)
            self._tally.ended(outcome)
        self._inner.ended(outcome)

    def _report(self) -> None:
        last = ""
        while not self._over.is_set():
            text = self._text()
            if text != last:
                tell_status(text)
            last = text
            self._over.wait(1)

    def _text(self) -> str:
        with self._lock:
            doing = [f"{job} {step} {ui.size(count) if count else ''}".strip() for job, (step, count) in self._newest()]
            return ui.clean("; ".join(filter(None, [", ".join(doing), self._pause, str(self._tally)])))

    def _newest(self) -> list[tuple[str, tuple[str, int]]]:
        """The jobs that began a step last; of others nobody says that they are over."""
        return list(self._jobs.items())[-4:]


def _retry(names: Sequence[SourceName], pause_s: float, attempt: int, attempts: int) -> str:
    failed = ", ".join(map(str, names[:_NAMED])) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return f"{failed}: failed; attempt {attempt} of {attempts} in {ui.duration(pause_s)}"


def progress(*, quiet: bool = False, sources: int = 0) -> AbstractContextManager[Observer]:
    """Bars on a terminal, plain lines elsewhere; nothing when `quiet`. A service manager that asks hears it too.

    `sources`: how many are to be pulled.
    """
    shown: AbstractContextManager[Observer] = nullcontext(Warnings())
    if not quiet:
        shown = Bars(ui.err.console, sources) if ui.err.is_terminal else Lines()
    return Status(shown) if watched() else shown


def paused(observer: Observer) -> AbstractContextManager[None]:
    """Keep bars out of the way meanwhile."""
    return observer.paused() if isinstance(observer, Bars) else nullcontext()
