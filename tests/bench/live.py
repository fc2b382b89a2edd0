"""Pulls of living servers, where the dump is the limit."""

import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.bench.contest import OURS, Asked, Contender, contest, cpus, walls
from tests.bench.ground import Ground
from tests.bench.pulls import pulled, size
from tests.bench.results import Part, Row
from tests.integration.agent import LOGS
from tests.lab.database import DatabaseServer
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL

_INFLUX_POINTS = 400_000


class RoomyMariaDB(MariaDB):
    """With memory for a database of this size, as a production server has it."""

    def __init__(self, directory: Path, options: Sequence[str] = ()) -> None:
        roomy = ("--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M", "--innodb-doublewrite=0")
        super().__init__(directory, (*roomy, *options))


class RoomyMySQL(MySQL):
    """The same of the other product."""

    def __init__(self, directory: Path, options: Sequence[str] = ()) -> None:
        roomy = ("--innodb-buffer-pool-size=1G", "--innodb-redo-log-capacity=1G", "--innodb-doublewrite=OFF")
        super().__init__(directory, (*roomy, "--skip-log-bin", "--gtid-mode=OFF", *options))


def live(asked: Asked) -> Iterator[Part]:
    """mysqldump of MariaDB and of MySQL, and a backup of InfluxDB."""
    for product in (RoomyMariaDB, RoomyMySQL):
        yield from _dumped(asked, product)
    yield from _influx(asked)


def _dumped(asked: Asked, product: type[DatabaseServer]) -> Iterator[Part]:
    length = asked.size // 2
    with asked.place() as place, Ground(place, product) as there:
        recorded = there.record(length)
        there.shell(f"{shlex.join(there.host.server.client())} <{shlex.quote(str(recorded.path))}")
        recorded.path.unlink()
        what = f"live dump of {there.host.server.kind}, {size(length)}"
        against = "ssh mysqldump | zstd -3 -T1 | age"
        yield from _compared(asked, there, what, against, there.pipeline(), "pavroto-2/agama", 1.0)


def _influx(asked: Asked) -> Iterator[Part]:
    with asked.place() as place, Ground(place, influx=True) as there:
        there.host.seed(rows=1, points=_INFLUX_POINTS)
        server = there.host.influxdb
        assert server is not None
        backup = f'influxd backup -portable -host 127.0.0.1:{server.backup_port} -database logs "$d"'
        remote = f'd=$(mktemp -d) && {backup} >&2 && tar -C "$d" -cf - . && rm -rf "$d"'
        piped = f"{there.ssh} {shlex.quote(remote)} | zstd -q -3 -T1 | age -r {there.agent.recipient} >logs.zst.age"
        what = f"live backup of influxdb, {_INFLUX_POINTS:,} points"
        yield from _compared(asked, there, what, "ssh influxd backup, tar | zstd | age", piped, LOGS, None)


def _compared(
    asked: Asked, there: Ground, what: str, against: str, piped: str, source: str, reach: float | None
) -> Iterator[Part]:
    contenders: dict[str, Contender] = {OURS: partial(pulled, there, source), against: lambda: there.shell(piped)}
    found = contest(contenders, asked.pairs)
    ours, theirs = found[OURS], found[against]
    yield Row("live", f"{what}: wall time", against, "s", "times as fast", walls(ours), walls(theirs), reach)
    yield Row("live", f"{what}: CPU", against, "s", "of its CPU", cpus(ours), cpus(theirs))
