"""A run over several sources: each whole or not at all, and none takes another along."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pullagent.config import Config
from pullagent.errors import CommandFailed, ContentError, HostKeyError, SealError, SourceError
from pullagent.gate import digest_of
from pullagent.ledger import Ledger
from pullagent.model import RunReport, SourceName, StopSignal
from pullagent.plausibility import judge
from pullagent.pull import Connect, Puller
from pullagent.sources.base import Remote
from pullagent.store import Store
from pullagent.wire.commands import commands_of
from tests.unit.toml import changed, loaded
from tests.vectors import label
from tests.vectors.canned import CannedHost

AGAMA, LOGS = SourceName("pavroto-2", "agama"), SourceName("pavroto-2", "logs")
WHEN = datetime(2026, 11, 23, 1, 0, 3, tzinfo=UTC)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """One host with a MySQL and an InfluxDB source."""
    return loaded(tmp_path, changed("store path", "store"))


class Both(CannedHost):
    """Answers for both sources; `failing` is a word in a command's label, `error` what then happens."""

    def __init__(self, config: Config, failing: str = "", error: BaseException | None = None) -> None:
        agama, logs = config.hosts["pavroto-2"].sources.values()
        super().__init__(agama, "mariadb-10.11")
        other = CannedHost(logs, "influxdb-1.6")
        self._declared |= other._declared
        self._answers |= other._answers
        self._failing, self._error = failing, error

    def read(self, command: str, limit: int = 16 << 20) -> bytes:
        """A recorded answer, or the failure."""
        if self._error is not None and self._failing == label(command):
            raise self._error
        return super().read(command, limit)


def run(config: Config, host: CannedHost, *, jobs: int = 2, connect: Connect | None = None) -> RunReport:
    """Pull both sources."""

    def canned(_: Any) -> AbstractContextManager[Remote]:
        return host.opened()

    puller = Puller(config, connect=connect or canned, clock=lambda: WHEN)
    return puller.run(config.source_names(), jobs=jobs)


def stored(config: Config) -> list[str]:
    """What the store lists."""
    return [str(s.ref.name) for s in Store(config.store).snapshots()]


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_both_are_stored(config: Config, jobs: int) -> None:
    """One after the other or side by side."""
    report = run(config, Both(config), jobs=jobs)
    assert report.exit_code == 0
    assert [o.name for o in report.outcomes] == [AGAMA, LOGS]
    assert stored(config) == ["pavroto-2/agama", "pavroto-2/logs"]


@pytest.mark.parametrize("failing", ["version-and-grants", "inventory", "accounts", "dump"])
@pytest.mark.parametrize(
    "error",
    [SourceError("no"), ContentError("no"), HostKeyError("no"), ValueError("a defect"), RecursionError("a defect")],
    ids=lambda error: type(error).__name__,
)
def test_one_that_fails_leaves_the_other(config: Config, failing: str, error: Exception) -> None:
    """Whatever goes wrong with one source, at whichever step, and be it a defect of ours: the other is stored."""
    report = run(config, Both(config, failing, error))
    assert report.exit_code == 3
    assert [o.outcome for o in report.outcomes] == ["failed", "stored"]
    assert stored(config) == ["pavroto-2/logs"]
    lines = list(Ledger(config.store / "ledger.jsonl").entries())
    assert {line["source"]: line["ok"] for line in lines} == {"agama": False, "logs": True}


def test_nothing_of_a_failed_pull_stays(config: Config) -> None:
    """The artifacts that were sealed before the failure are gone."""
    run(config, Both(config, "dump", ContentError("cut short")))
    assert [p for p in config.store.rglob("*.zst.age") if "agama" in str(p)] == []


def test_both_failing_for_one_cause_give_its_code(config: Config) -> None:
    """An unknown host key fails all of a host's sources."""

    def refuse(_: Any) -> AbstractContextManager[Remote]:
        raise HostKeyError("unknown key")

    report = run(config, Both(config), connect=refuse)
    assert report.exit_code == 13


def test_a_locked_source_is_left_alone(config: Config) -> None:
    """Another run holds one of them."""
    store = Store(config.store)
    store.prepare()
    with store.locked(AGAMA):
        report = run(config, Both(config))
    assert [(o.outcome, o.exit_code) for o in report.outcomes] == [("failed", 11), ("stored", 0)]


def test_a_recipient_that_age_refuses_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    """Nothing is asked of any host when what comes could not be encrypted."""
    value = changed("store path", "store")
    value["encryption"]["recipients"] = ["age1nonsense"]
    config = loaded(tmp_path, value)
    host = Both(config)
    with pytest.raises(SealError):
        run(config, host)
    assert host.sent == []
    assert not config.store.exists()


def test_a_stop_stores_nothing(config: Config) -> None:
    """After Ctrl-C no source begins."""
    stop = StopSignal()
    stop.set()
    report = Puller(config, stop=stop, connect=lambda _: Both(config).opened(), clock=lambda: WHEN).run([AGAMA])
    assert report.exit_code == 130
    assert stored(config) == []


def test_a_snapshot_under_half_the_usual_size_is_marked(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stored, says so in the list, in its manifest and in the exit code."""
    assert run(config, Both(config)).exit_code == 0
    monkeypatch.setattr(
        "pullagent.pull.judge", lambda size, earlier: judge(size, [(state, 10 * past) for state, past in earlier[-1:]])
    )
    report = run(config, Both(config))
    assert report.exit_code == 5
    newest = Store(config.store).snapshots("pavroto-2", "agama")[0]
    assert newest.state == "shrunk"
    assert newest.manifest is not None
    assert any(w.startswith("shrunk") for w in newest.manifest.warnings)


def test_a_gate_made_from_another_hosts_toml_is_a_warning(config: Config) -> None:
    """Once for the host, though it has two sources; one that is current, or none, is not spoken of."""
    host = Both(config)
    host.gate = b"0" * 64
    warnings = [w for o in run(config, host, jobs=1).outcomes for w in o.warnings]
    assert len(warnings) == 1
    assert "pullagent gate pavroto-2" in warnings[0]
    known = config.hosts["pavroto-2"]
    host.gate = digest_of(commands_of(known.sources.values(), known.manner)).encode()
    assert [w for o in run(config, host).outcomes for w in o.warnings] == []


def test_a_refusing_gate_is_named(config: Config) -> None:
    """The error says what to do, in place of what the source makes of the failure."""
    refusal = CommandFailed("pavroto-2: status 126", status=126, stderr="pullagent-gate: refused\n")
    agama, logs = run(config, Both(config, "version-and-grants", refusal)).outcomes
    assert agama.error is not None
    assert "its gate does not know this command" in agama.error
    assert "pullagent gate pavroto-2 -o DIR" in (agama.hint or "")
    assert logs.outcome == "stored"


def test_the_store_keeps_the_configuration_of_the_run(config: Config) -> None:
    """hosts.toml lies beside the snapshots, as it was."""
    run(config, Both(config))
    assert (config.store / "hosts.toml").read_bytes() == config.text


def test_copies_are_those_of_a_run_that_stored_something(config: Config) -> None:
    """A run in which everything failed leaves the copies of hosts.toml and known_hosts in the store as they were."""
    config = replace(config, known_hosts=config.path.with_name("known_hosts"))
    config.known_hosts.write_bytes(b"pinned\n")
    run(config, Both(config))
    assert (config.store / "known_hosts").read_bytes() == b"pinned\n"
    assert (config.store / "hosts.toml").read_bytes() == config.text
    config.known_hosts.write_bytes(b"emptied by mistake\n")

    def refuse(_: Any) -> AbstractContextManager[Remote]:
        raise HostKeyError("the host key has changed")

    assert run(config, Both(config), connect=refuse).exit_code == 13
    assert (config.store / "known_hosts").read_bytes() == b"pinned\n"


def test_copies_that_fail_are_a_warning(config: Config) -> None:
    """What was stored is stored, whatever becomes of the copies beside it."""
    config.store.mkdir(mode=0o700)
    (config.store / "hosts.toml").mkdir()
    report = run(config, Both(config))
    assert report.exit_code == 0
    assert "were not copied" in report.outcomes[0].warnings[-1]


@pytest.mark.parametrize(("per_host", "most"), [(1, 1), (2, 2)])
def test_no_more_than_a_host_is_to_bear(tmp_path: Path, per_host: int, most: int) -> None:
    """However many jobs there may be: of one host so many at once as hosts.toml says."""
    config = loaded(tmp_path, changed("store path", "store") | {"run": {"jobs_per_host": per_host}})
    lock, present, seen = threading.Lock(), [0], list[int]()

    @contextmanager
    def connect(_: Any) -> Iterator[Remote]:
        with lock:
            present[0] += 1
            seen.append(present[0])
        time.sleep(0.2)
        yield Both(config)
        with lock:
            present[0] -= 1

    assert run(config, Both(config), jobs=8, connect=connect).exit_code == 0
    assert max(seen) == most
