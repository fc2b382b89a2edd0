"""Data worth restoring, and the comparison of two servers (re-exported from `compare`)."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.lab.agama import (
    ACCOUNTS_SQL,
    MARIADB_EXTRA,
    MYSQL_EXTRA,
    PROGRAMS_SQL,
    TABLE_GRANTS_SQL,
    TABLES_SQL,
    literal,
)
from tests.lab.compare import checksums, influx_points
from tests.lab.database import DatabaseServer
from tests.lab.influxdb import InfluxDB

__all__ = [
    "AGAMA_SQL",
    "EXTRA",
    "MARIADB_EXTRA",
    "MYSQL_EXTRA",
    "agama_sql",
    "checksums",
    "influx_lines",
    "influx_points",
    "seed_database",
    "seed_influx",
]

EXTRA = {"mariadb": MARIADB_EXTRA, "mysql": MYSQL_EXTRA}
_ROWS_PER_INSERT = 500
_ALL_BYTES = bytes(range(256))


def agama_sql(rows: int) -> str:
    """The whole of `agama` for both products, with `rows` purchases and a tenth as many customers."""
    customers = max(1, rows // 10)
    parts = [
        ACCOUNTS_SQL,
        TABLES_SQL,
        _customers(customers),
        _purchases(rows, customers),
        _small_tables(),
        PROGRAMS_SQL,
        TABLE_GRANTS_SQL,
    ]
    return "".join(parts)


def seed_database(server: DatabaseServer, rows: int = 300) -> None:
    """Load `agama` and what only this product has."""
    server.load(agama_sql(rows))
    server.load(EXTRA[server.kind], "agama")


def _customers(count: int) -> str:
    def row(number: int) -> str:
        name = literal(f"Müller {number} 🐘 \\ 'n' \"x\"\n\tŠõ")
        email = literal(f"user{number}@example.org") if number % 7 else "NULL"
        profile = {"n": number, "tags": ["a", "ü"], "deep": {"x": None}}
        joined = datetime(2024, 2, 29, 12, 0, 0, 123456, UTC) + timedelta(minutes=number)
        values = [
            f"{number},{name},{email},'{joined:%Y-%m-%d %H:%M:%S.%f}',{number / 3!r},b'{number % 512:09b}'",
            f"'o''dd',{literal(json.dumps(profile, ensure_ascii=False))}",
        ]
        return f"({','.join(values)})"

    return _inserts("customer", "`id`,`name`,`email`,`joined`,`rating`,`flags`,`kind`,`profile`", count, row)


def _purchases(count: int, customers: int) -> str:
    noise = random.Random(7)

    def row(number: int) -> str:
        payload = "0x" + (_ALL_BYTES if number % 10 == 1 else noise.randbytes(40)).hex()
        amount = f"{noise.randrange(1, 9999)}.{noise.randrange(100):02d}"
        return f"({number},{number % customers + 1},{number % 9 + 1},{amount},{payload},'2025-06-01 00:00:00')"

    return _inserts("purchase", "`id`,`customer_id`,`quantity`,`price`,`payload`,`changed`", count, row)


def _inserts(table: str, columns: str, count: int, row: Callable[[int], str]) -> str:
    statements = []
    for start in range(1, count + 1, _ROWS_PER_INSERT):
        values = ",\n".join(row(number) for number in range(start, min(start + _ROWS_PER_INSERT, count + 1)))
        statements.append(f"INSERT INTO `{table}` ({columns}) VALUES\n{values};\n")
    return "".join(statements)


def _small_tables() -> str:
    days = ",".join(f"('{2024 + n % 4}-03-01',{n})" for n in range(40))
    return f"""
INSERT INTO `place` VALUES
  (1, ST_GeomFromText('POINT(24.7 59.4)'), 'Tallinn'),
  (2, ST_GeomFromText('POINT(-1.5 0)'), NULL);
INSERT INTO `no key` VALUES (1,'x'),(1,'x'),(NULL,NULL),(2,'NULL');
INSERT INTO `odd ``name$ 'of' "it"; --` VALUES (1,'-- Dump completed',0x0001FF0A0D),(2,NULL,NULL),(3,'',x'');
INSERT INTO `measure` VALUES {days};
INSERT INTO `audit` (`what`) VALUES ('first'), ('{"long" * 40}');
"""


AGAMA_SQL = agama_sql(300)


def influx_lines(now: datetime, points: int = 6_000, days: int = 20) -> str:
    """`points` points of three measurements in line protocol, evenly over the `days` before `now`.

    Oldest first. They hold tags with spaces, commas and emoji, integers up to 2^63-1, floats, strings with
    quotes, and booleans.
    """
    noise = random.Random(11)
    begin = int((now - timedelta(days=days)).timestamp()) * 1_000_000_000
    step = days * 86_400 * 1_000_000_000 // points
    lines = []
    for number in range(points):
        stamp = begin + number * step
        host = f"web\\ {number % 3}\\,é🐘"
        if number % 10 == 9:
            text, ok = 'said \\"hi\\" \\\\ $x ü🐘', str(number % 4 == 1).lower()
            lines.append(f'deploy,host={host} text="{text}",ok={ok} {stamp}')
        elif number % 2:
            size = 9_223_372_036_854_775_807 if number == 1 else noise.randrange(-(10**12), 10**12)
            code, seconds = 200 + number % 5, noise.random()
            lines.append(f"request,host={host},code={code} bytes={size}i,seconds={seconds!r} {stamp}")
        else:
            load, up = noise.uniform(-1, 9), str(number % 4 == 0).lower()
            lines.append(f"system,host={host} load={load!r},up={up} {stamp}")
    return "\n".join(lines) + "\n"


def seed_influx(server: InfluxDB, now: datetime | None = None, points: int = 6_000) -> None:
    """Fill the databases `logs` and `latency` with points that end at `now` (default: the last full hour).

    `logs` has three retention policies, one with a shard for each day, and a continuous query with its
    downsampled copy; there are users with grants on one, both or neither.
    """
    # Not a constant: a policy of ninety days refuses older points.
    now = now or datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for statement in (
        'CREATE DATABASE "logs" WITH DURATION INF SHARD DURATION 7d NAME "autogen"',
        'CREATE RETENTION POLICY "ninety days" ON "logs" DURATION 90d REPLICATION 1 SHARD DURATION 1d',
        'CREATE RETENTION POLICY "hourly" ON "logs" DURATION INF REPLICATION 1 SHARD DURATION 30d',
        'CREATE DATABASE "latency"',
        'CREATE CONTINUOUS QUERY "request hourly" ON "logs" BEGIN SELECT mean("seconds") AS "seconds" '
        'INTO "logs"."hourly"."request_1h" FROM "logs"."autogen"."request" GROUP BY time(1h), * END',
        "CREATE USER \"grafana\" WITH PASSWORD 'graf$ana \\'q\\''",
        "CREATE USER \"writer o'b\" WITH PASSWORD 'w'",
        "CREATE USER \"boss\" WITH PASSWORD 'b' WITH ALL PRIVILEGES",
        'GRANT READ ON "logs" TO "grafana"',
        'GRANT WRITE ON "logs" TO "writer o\'b"',
        'GRANT ALL ON "latency" TO "writer o\'b"',
    ):
        server.query(statement)
    server.write("logs", influx_lines(now, points))
    server.write("logs", influx_lines(now, points // 3, days=6), "ninety days")
    server.query(
        'SELECT mean("seconds") AS "seconds" INTO "logs"."hourly"."request_1h" '
        'FROM "logs"."autogen"."request" '
        f"WHERE time <= {int(now.timestamp())}s GROUP BY time(1h), *"
    )
    server.write("latency", influx_lines(now, points // 10, days=3))
