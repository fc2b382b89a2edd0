"""What a run does about sources that fail."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from pullagent import run as runs
from pullagent.config import Config
from pullagent.errors import HostKeyError, PullAgentError, SourceError, Stopped
from pullagent.model import Observer, RunReport, SourceName, StopSignal
from pullagent.sources.base import Remote
from tests.unit.test_pull import AGAMA, LOGS, Both
from tests.unit.toml import changed, loaded


class Heard(Observer):
    """Keeps what was said of further attempts."""

    def __init__(self) -> None:
        self.attempts: list[tuple[Sequence[SourceName], float, int, int]] = []

    def retrying(self, names: Sequence[SourceName], pause_s: float, attempt: int, attempts: int) -> None:
        """Keep it."""
        self.attempts.append((names, pause_s, attempt, attempts))


def config_with(directory: Path, attempts: int) -> Config:
    """Both sources, and a pause that a test can wait for."""
    document = changed("store path", "store") | {"run": {"attempts": attempts, "retry_minutes": 0.001}}
    return loaded(directory, document)


def run(config: Config, failures: int, error: PullAgentError, heard: Observer | None = None) -> RunReport:
    """A run, one source after the other, whose first connections fail."""
    left = iter([error] * failures)

    def connect(_: Any) -> AbstractContextManager[Remote]:
        for failure in left:
            raise failure
        return Both(config).opened()

    return runs.run(config, config.source_names(), jobs=1, observer=heard, connect=connect)


def test_a_failed_source_is_tried_again(tmp_path: Path) -> None:
    """Only what failed is pulled again; the report says what went wrong first."""
    heard = Heard()
    report = run(config_with(tmp_path, 3), 1, SourceError("the server is away"), heard)
    assert [(n, a, of) for n, _, a, of in heard.attempts] == [([AGAMA], 2, 3)]
    assert heard.attempts[0][1] == pytest.approx(0.06)
    assert report.exit_code == 0
    assert [(o.name, o.outcome) for o in report.outcomes] == [(AGAMA, "stored"), (LOGS, "stored")]
    assert report.outcomes[0].warnings[-1] == "an earlier attempt failed: the server is away"


def test_attempts_end(tmp_path: Path) -> None:
    """What fails every time has failed, after as many attempts as were allowed."""
    heard = Heard()
    report = run(config_with(tmp_path, 3), 6, SourceError("the server is away"), heard)
    assert [attempt for _, _, attempt, _ in heard.attempts] == [2, 3]
    assert [o.outcome for o in report.outcomes] == ["failed", "failed"]


def test_one_attempt_unless_told(tmp_path: Path) -> None:
    """Without [run] a failure is told at once."""
    heard = Heard()
    report = run(loaded(tmp_path, changed("store path", "store")), 1, SourceError("the server is away"), heard)
    assert (heard.attempts, report.exit_code) == ([], 3)


def test_what_needs_hands_is_not_tried_again(tmp_path: Path) -> None:
    """An unknown host key does not mend itself."""
    heard = Heard()
    report = run(config_with(tmp_path, 3), 2, HostKeyError("its key is not the pinned one"), heard)
    assert (heard.attempts, report.exit_code) == ([], 13)


def test_a_stop_ends_the_pause(tmp_path: Path) -> None:
    """Ctrl-C while it waits ends the run at once."""
    stop = StopSignal()
    config = loaded(tmp_path, changed("store path", "store") | {"run": {"attempts": 2, "retry_minutes": 60}})

    class Impatient(Observer):
        def retrying(self, *_: object) -> None:
            stop.set()

    def connect(_: Any) -> AbstractContextManager[Remote]:
        raise SourceError("the server is away")

    with pytest.raises(Stopped):
        runs.run(config, config.source_names(), observer=Impatient(), stop=stop, connect=connect)
