"""Progress of long verbs: bars on a terminal, one plain line for each source elsewhere."""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

from pullagent.cli import ui
from pullagent.cli.service import Priority, tell_status, watched
from pullagent.cli.tally import Tally, Warnings, retry
from pullagent.model import Observer, Outcome, SourceName


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
        ui.say(retry(names, pause_s, attempt, attempts), Priority.WARNING)

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
            self._pause = retry(names, pause_s, attempt, attempts)
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


def progress(*, quiet: bool = False, sources: int = 0) -> AbstractContextManager[Observer]:
    """Bars on a terminal, plain lines elsewhere; nothing when `quiet`. A service manager that asks hears it too.

    `sources`: how many are to be pulled.
    """
    shown: AbstractContextManager[Observer] = nullcontext(Warnings())
    if not quiet:
        shown = _bars(sources) if ui.err.is_terminal else Lines()
    return Status(shown) if watched() else shown


def _bars(sources: int) -> AbstractContextManager[Observer]:
    # what draws them is loaded for a terminal alone
    from pullagent.cli.bars import Bars

    return Bars(ui.err.console, sources)


def paused(observer: Observer) -> AbstractContextManager[None]:
    """Keep bars out of the way meanwhile."""
    return observer.paused() if isinstance(observer, Warnings) else nullcontext()
