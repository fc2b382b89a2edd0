"""Whole restores onto living servers, over a few shapes of databases, against the shell's pipeline."""

import shlex
from collections.abc import Iterator
from functools import partial

from tests.bench import dump
from tests.bench.contest import OURS, Asked, Contender, contest, walls
from tests.bench.ground import Ground
from tests.bench.measure import Measured
from tests.bench.pulls import size
from tests.bench.results import Part, Row
from tests.integration.agent import AGAMA, HOST
from tests.lab.mariadb import MariaDB
from tests.lab.mysql import MySQL

_TABLE = """CREATE TABLE {name} (
  id INT UNSIGNED NOT NULL, account_id INT UNSIGNED NOT NULL, kind VARCHAR(20) NOT NULL, token BINARY(16) NOT NULL,
  detail VARCHAR(255) NULL, amount DECIMAL(10,2) NOT NULL, at DATETIME NOT NULL,
  PRIMARY KEY (id), KEY account_id (account_id), KEY at (at));
"""
# how many tables share the rows
SHAPES = {"one large table with two keys": 1, "four tables with two keys each": 4, "150 small tables": 150}
_AGAINST = "age -d | zstd -d | ssh mysql"
_PAIRS = 2


def restores(asked: Asked) -> Iterator[Part]:
    """Each shape on each product."""
    for product in (MariaDB, MySQL):
        with asked.place() as place, Ground(place, product) as there:
            for shape, tables in SHAPES.items():
                yield _restored(asked, there, shape, tables)


def _restored(asked: Asked, there: Ground, shape: str, tables: int) -> Row:
    length = asked.size // 10
    _fill(there, tables, length)
    there.forget()
    there.pullagent("run", AGAMA)
    contenders: dict[str, Contender] = {OURS: partial(_ours, there), _AGAINST: partial(_piped, there)}
    found = contest(contenders, min(_PAIRS, asked.pairs))
    what = f"restore onto {there.host.server.kind}, {shape}, {size(length)}"
    return Row("restore", what, _AGAINST, "s", "margin", walls(found[OURS]), walls(found[_AGAINST]))


def _fill(there: Ground, tables: int, length: int) -> None:
    server = there.host.server
    server.load("DROP DATABASE IF EXISTS agama; CREATE DATABASE agama CHARACTER SET utf8mb4")
    each = max(1, length // len(dump.rows("event", 1, 1_000)) * 1_000 // tables)
    for number in range(1, tables + 1):
        rows = dump.inserts("event", 1, each).replace(b"`event`", f"`event_{number}`".encode())
        server.load(_TABLE.format(name=f"event_{number}").encode() + rows, "agama")


def _ours(there: Ground) -> Measured:
    there.host.server.load("DROP DATABASE IF EXISTS agama")
    target = f"{there.host.sshd.user}@{HOST}"
    login = ("--to", target, "--ssh-key", there.host.identity, "--identity", there.agent.identity)
    return there.pullagent("restore", f"{AGAMA}@latest", *login, "--yes")


def _piped(there: Ground) -> Measured:
    there.host.server.load("DROP DATABASE IF EXISTS agama")
    file = there.agent.path(there.agent.latest(AGAMA)) / "dump.sql.zst.age"
    client = f"mysql --socket={there.host.server.socket} --default-character-set=utf8mb4"
    opened = f"age -d -i {there.agent.identity} {shlex.quote(str(file))} | zstd -q -d"
    return there.shell(f"{opened} | {there.ssh} {shlex.quote(client)}")
