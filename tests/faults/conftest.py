"""One host and one backup server for all faults of a test process, and the figures at the end."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults import plan
from tests.faults.bench import Bench, add_bulk
from tests.faults.content import Contents
from tests.faults.judge import Judge, Place
from tests.faults.plan import Tally
from tests.faults.zygote import Zygote
from tests.lab.mysql import MySQL
from tests.lab.production import ProductionHost

_reports: list[Any] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what only `make faults` runs to it."""
    left = [item for item in items if not plan.FULL and item.get_closest_marker("campaign")]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep what a test counted."""
    if report.when == "call":
        _reports.append(report)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures."""
    found = plan.figures(_reports)
    if found:
        terminalreporter.section("faults")
        terminalreporter.line(f"seed:               {plan.SEED}{'' if plan.FULL else ' (sample)'}")
        terminalreporter.line(f"faults tried:       {found[plan.FAULTS]}")
        terminalreporter.line(f"false successes:    {found[plan.FALSE]}")
        terminalreporter.line(f"snapshots harmed:   {found[plan.HARMED]}")
        terminalreporter.line(f"truncations:        {found[plan.CUTS_REFUSED]} of {found[plan.CUTS]} refused")
        terminalreporter.line(f"bit flips:          {found[plan.FLIPS_FOUND]} of {found[plan.FLIPS]} found")


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """The process that forks every command."""
    started = Zygote(tmp_path_factory.mktemp("zygote") / "output")
    yield started
    started.close()


@pytest.fixture(scope="session")
def place(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """MariaDB, InfluxDB and sshd with a little data, and a backup server with two snapshots of each."""
    with ProductionHost(tmp_path_factory.mktemp("faults") / "host") as host:
        host.seed(rows=60, points=600)
        add_bulk(host.server)
        yield prepared(Bench(tmp_path_factory.mktemp("bench") / "backup", host, zygote))


@pytest.fixture(scope="session")
def mysql_place(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The same with the real MySQL, without InfluxDB."""
    with ProductionHost(tmp_path_factory.mktemp("faults") / "host", MySQL, influx=False) as host:
        host.seed(rows=60)
        add_bulk(host.server)
        yield prepared(Bench(tmp_path_factory.mktemp("bench") / "backup", host, zygote))


def prepared(bench: Bench) -> Place:
    """A bench that holds two good snapshots of every source."""
    for _ in range(2):
        bench.run("run").succeeded()
    contents = Contents(bench.identity)
    for ref, fingerprint in bench.published().items():
        assert contents.problems(ref, bench.path(ref), fingerprint) == []
    return Place(bench, contents)


@pytest.fixture
def bench(place: Place) -> Iterator[Bench]:
    """The session's backup server; what the test broke on either side is mended afterwards."""
    with place.bench.mended():
        yield place.bench


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Counts for the figures."""
    return Tally(request.node.user_properties)


@pytest.fixture
def judge(bench: Bench, place: Place, tally: Tally) -> Judge:
    """The checker."""
    return Judge(bench, place.contents, tally)
