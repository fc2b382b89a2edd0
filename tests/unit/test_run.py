"""What a run does about sources that fail."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pullagent import run as runs
from pullagent.clock import VOUCHED
from pullagent.config import Config
from pullagent.errors import (
    CommandFailed,
    ConfigError,
    Denied,
    HostKeyError,
    ProgramMissing,
    PullAgentError,
    SourceError,
    Stopped,
)
from pullagent.gate import REFUSED, REFUSED_STATUS
from pullagent.ledger import Ledger
from pullagent.model import Observer, Refusal, RunReport, SnapshotRef, SourceName, StopSignal
from pullagent.sources.base import Remote
from pullagent.store import Store
from tests.unit.storing import put
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


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HostKeyError("its key is not the pinned one"), 13),
        (Denied("login was denied"), 1),
        (ConfigError("the SSH key does not exist"), 2),
        (ProgramMissing("there is no zstd program"), 1),
        (CommandFailed("status 126", status=REFUSED_STATUS, stderr=f"{REFUSED}\n"), 1),
    ],
    ids=["host key", "login", "configuration", "program", "gate"],
)
def test_what_needs_hands_is_not_tried_again(tmp_path: Path, error: PullAgentError, code: int) -> None:
    """What stays as it is until somebody acts is told at once."""
    heard = Heard()
    report = run(config_with(tmp_path, 3), 2, error, heard)
    assert (heard.attempts, report.exit_code) == ([], code)


def test_what_needs_hands_does_not_keep_the_others_from_another_attempt(tmp_path: Path) -> None:
    """Of two that failed, the one that may yet succeed is tried again."""
    heard, errors = Heard(), iter([Denied("login was denied"), SourceError("the server is away")])
    config = config_with(tmp_path, 3)

    def connect(_: Any) -> AbstractContextManager[Remote]:
        for error in errors:
            raise error
        return Both(config).opened()

    report = runs.run(config, config.source_names(), jobs=1, observer=heard, connect=connect)
    assert [(names, attempt) for names, _, attempt, _ in heard.attempts] == [([LOGS], 2)]
    assert [o.outcome for o in report.outcomes] == ["failed", "stored"]


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


DAY = timedelta(days=1)
GONE = SourceName("gone", "away")


def old(config: Config) -> dict[SourceName, list[SnapshotRef]]:
    """Five snapshots of 20 and more days ago of each source, and of one that hosts.toml does not name."""
    store = Store(config.store)
    start = datetime.now(UTC) - 20 * DAY
    for name in (AGAMA, LOGS, GONE):
        for days in range(5):
            put(store, start - days * DAY, name)
    return {name: [s.ref for s in store.snapshots(name.host, name.source)] for name in (AGAMA, LOGS, GONE)}


def lines(config: Config, event: str) -> list[dict[str, Any]]:
    """The ledger's lines of one verb."""
    return [e for e in Ledger(Store(config.store).ledger_path).entries() if e["event"] == event]


def test_a_run_prunes(tmp_path: Path) -> None:
    """After the pulls what is too old goes; the newest good ones stay, also of a source that is no longer named."""
    config = config_with(tmp_path, 1)
    before = old(config)
    report = run(config, 0, SourceError("none"))
    assert (report.exit_code, report.refused) == (0, None)
    assert [*report.pruned] == [*before[GONE][3:], *before[AGAMA][2:], *before[LOGS][2:]]
    (line,) = lines(config, "prune")
    assert line["ok"]
    assert line["detail"] == {"removed": [*map(str, report.pruned)], "kept": 9, "refused": None, "swept": []}


def test_a_run_with_nothing_to_prune_writes_no_line(tmp_path: Path) -> None:
    """The history is not to be filled with what did not happen."""
    config = config_with(tmp_path, 1)
    assert run(config, 0, SourceError("none")).pruned == ()
    assert lines(config, "prune") == []


def test_a_source_that_failed_loses_nothing(tmp_path: Path) -> None:
    """Nor does one that was not asked for."""
    config = config_with(tmp_path, 1)
    before = old(config)
    report = run(config, 1, SourceError("the server is away"))
    assert report.exit_code == 3
    assert [*report.pruned] == [*before[GONE][3:], *before[LOGS][2:]]


def test_a_run_that_stored_nothing_prunes_nothing(tmp_path: Path) -> None:
    """Whatever the age."""
    config = config_with(tmp_path, 1)
    old(config)
    assert run(config, 2, SourceError("the server is away")).pruned == ()
    assert len(Store(config.store).snapshots()) == 15


def test_a_run_whose_prune_refuses_ends_with_5(tmp_path: Path) -> None:
    """All was stored, nothing was removed, and it is said why; the ledger keeps it."""
    config = config_with(tmp_path, 1)
    old(config)
    future = put(Store(config.store), datetime.now(UTC) + DAY, GONE)
    report = run(config, 0, SourceError("none"))
    assert (report.exit_code, report.pruned) == (5, ())
    assert report.refused is not None
    assert future.name in report.refused.hint
    (line,) = lines(config, "prune")
    assert (line["ok"], line["exit_code"]) == (False, 1)
    assert "future" in line["detail"]["refused"]


def test_a_clock_that_leapt_is_seen_before_the_pulls_hide_it(tmp_path: Path) -> None:
    """The run's own lines have the leapt clock's time: the entry from before them counts."""
    config = config_with(tmp_path, 1)
    year_ago = datetime.now(UTC) - 365 * DAY
    old(config)
    put(Store(config.store), year_ago, AGAMA)
    Ledger(Store(config.store).ledger_path).append("run", ok=True, exit_code=0, took_s=0, now=year_ago)
    report = run(config, 0, SourceError("none"))
    assert report.exit_code == 5
    assert report.refused is not None
    assert "nothing was done here from" in report.refused.reason
    assert report.refused.hint.endswith("pullagent prune --clock-is-right")
    again = run(config, 0, SourceError("none"))
    assert (again.exit_code, again.pruned) == (5, ())
    Ledger(Store(config.store).ledger_path).append(VOUCHED, ok=True, exit_code=0, took_s=0)
    after = run(config, 0, SourceError("none"))
    assert after.exit_code == 0
    assert after.pruned


def test_a_prune_that_fails_is_told_and_takes_no_snapshot_along(tmp_path: Path) -> None:
    """What was pulled is stored; that the rest went wrong is in the report."""
    config = config_with(tmp_path, 1)
    old(config)
    (config.store / ".trash").rmdir()
    (config.store / ".trash").touch()
    with pytest.raises(PullAgentError):
        run(config, 0, SourceError("none"))
    (config.store / ".trash").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pullagent.run._PRUNE_WAIT_S", 0.0)
        with Store(config.store).removing():
            report = run(config, 0, SourceError("none"))
    assert [o.outcome for o in report.outcomes] == ["stored", "stored"]
    assert report.exit_code == 5
    assert report.refused == Refusal("another prune or forget is at work", "try again in a moment")
