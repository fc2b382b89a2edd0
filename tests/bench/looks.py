"""What an operator waits for at the keyboard: the start of the program, and a look at many snapshots."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.bench.contest import Asked, cpus, walls
from tests.bench.measure import Measured, measure
from tests.bench.results import Curve, Part, Row
from tests.integration.agent import Agent
from tests.lab.production import ProductionHost
from tests.many import SOURCES, many

_TIMES = 5
_HELP_S, _LIST_CPU_S = 0.25, 0.7
_MANY = 10_000
COUNTS = (10, 100, 1_000, _MANY)
_HOST = '[hosts.{host}]\naddress = "{host}"\nuser = "pullagent"\n'
_SOURCE = '[hosts.{host}.sources.{source}]\nkind = "mysql"\ndatabases = ["{source}"]\n'


def looks(asked: Asked) -> Iterator[Part]:
    """`--help`, and `list`, `status` and `prune --dry-run` of ten thousand snapshots."""
    with asked.place() as place:
        agent = _agent(place / "many", _MANY)
        started = [_call(agent, "--help") for _ in range(_TIMES)]
        what = "pullagent --help"
        yield Row("looks", f"{what}: wall time", "", "s", "at most", walls(started), reach=_HELP_S)
        yield Row("looks", f"{what}: CPU", "", "s", "at most", cpus(started), reach=_HELP_S)
        for verb, reach in ((("list",), _LIST_CPU_S), (("status",), None), (("prune", "--dry-run"), None)):
            found = [_call(agent, *verb) for _ in range(_TIMES)]
            what = f"pullagent {' '.join(verb)}, {_MANY:,} snapshots: CPU"
            yield Row("looks", what, "", "s", "at most", cpus(found), reach=reach)


def grown(asked: Asked) -> Iterator[Part]:
    """CPU of `list` and `status` by the number of snapshots."""
    found: dict[str, list[tuple[float, float]]] = {"list": [], "status": []}
    with asked.place() as place:
        for count in COUNTS:
            agent = _agent(place / str(count), count)
            for verb, points in found.items():
                points.append((count, min(cpus([_call(agent, verb) for _ in range(_TIMES)]))))
    for verb, points in found.items():
        yield Curve("grown looks", verb, "snapshots", "s of CPU", tuple(points))


def _call(agent: Agent, *arguments: str) -> Measured:
    # status ends with what it found; no source here was ever pulled in time
    return measure(agent.argv(*arguments), env=agent.environment(), cwd=agent.home, good=(0, 1, 2))


def _agent(place: Path, count: int) -> Agent:
    agent = Agent(place, ProductionHost(place / "host", influx=False))
    hosts = dict.fromkeys(host for host, _ in SOURCES)
    tables = [_HOST.format(host=host) for host in hosts]
    tables += [_SOURCE.format(host=host, source=source) for host, source in SOURCES]
    general, _, _ = agent.config_file.read_text().partition("[hosts.")
    agent.configure(general + "".join(tables))
    many(agent.store, count, datetime.now(UTC) - timedelta(hours=3))
    return agent
