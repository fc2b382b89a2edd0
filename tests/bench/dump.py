"""A dump of a realistic kind and of any size: what the real dump program writes of a server, with many more rows.

Users, articles and log events: hashes, text, numbers and times, which zstd makes a third of, as it does with real
dumps. The same seed gives the same bytes.
"""

import itertools
import math
import os
import random
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SEED = 8
SCHEMA = """
CREATE DATABASE agama CHARACTER SET utf8mb4;
USE agama;
CREATE TABLE account (
  id INT UNSIGNED NOT NULL, name VARCHAR(80) NOT NULL, email VARCHAR(120) NOT NULL, password CHAR(64) NOT NULL,
  created DATETIME NOT NULL, seen TIMESTAMP NULL, PRIMARY KEY (id), UNIQUE KEY email (email), KEY seen (seen));
CREATE TABLE article (
  id INT UNSIGNED NOT NULL, account_id INT UNSIGNED NOT NULL, title VARCHAR(200) NOT NULL, body TEXT NOT NULL,
  changed DATETIME NOT NULL, PRIMARY KEY (id), KEY account_id (account_id), KEY changed (changed));
CREATE TABLE event (
  id INT UNSIGNED NOT NULL, account_id INT UNSIGNED NOT NULL, kind VARCHAR(20) NOT NULL, token BINARY(16) NOT NULL,
  detail VARCHAR(255) NULL, amount DECIMAL(10,2) NOT NULL, at DATETIME NOT NULL,
  PRIMARY KEY (id), KEY account_id (account_id), KEY at (at));
"""
_HEAD_BYTES = 4096
_SEGMENT_ROWS = 20_000
_STATEMENT_ROWS = 4_000
_SYLLABLES = (
    "ka",
    "le",
    "mi",
    "ro",
    "sa",
    "tu",
    "ve",
    "no",
    "pi",
    "da",
    "lu",
    "en",
    "ar",
    "is",
    "on",
    "el",
    "ta",
    "re",
    "mo",
    "ni",
)
_KINDS = ("login", "logout", "purchase", "refund", "viewed", "searched", "password reset", "exported")


@cache
def _phrases() -> list[str]:
    """Runs of words, frequent ones more often: as much repetition as there is in prose."""
    chance = random.Random(SEED)
    words = ["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(12_000)]
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
    return [" ".join(chance.choices(words, cum_weights=weights, k=chance.randint(1, 4))) for _ in range(40_000)]


class _Chance:
    """What rows are made of; one for each segment, so that segments can be made side by side."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self.draw = self.random.random

    def text(self, phrases: int) -> str:
        return " ".join(self.random.choices(_phrases(), k=phrases))

    def hash(self, count: int) -> str:
        return self.random.randbytes(count).hex()

    def time(self, number: int) -> str:
        minute, second = divmod(number * 37 + int(self.draw() * 30), 60)
        hour, minute = divmod(minute, 60)
        day, hour = divmod(hour, 24)
        return f"{2016 + day // 336 % 12}-{day // 28 % 12 + 1:02}-{day % 28 + 1:02} {hour:02}:{minute:02}:{second:02}"


def _account(chance: _Chance, number: int) -> str:
    name = chance.text(1)
    return (
        f"({number},'{name.title()}','{name.replace(' ', '.')}{number}@example.org','{chance.hash(32)}',"
        f"'{chance.time(number)}','{chance.time(number * 3)}')"
    )


def _article(chance: _Chance, number: int) -> str:
    phrases = int(-30 * math.log(1 - chance.draw())) + 3
    author = int(chance.draw() * 200_000) + 1
    return f"({number},{author},'{chance.text(2)}','{chance.text(phrases)}','{chance.time(number)}')"


def _event(chance: _Chance, number: int) -> str:
    draw = chance.draw()
    detail = f"'{chance.text(2)}'" if draw < 0.3 else "NULL"
    return (
        f"({number},{int(draw * 200_000) + 1},'{_KINDS[int(draw * 997) % 8]}',0x{chance.hash(16)},{detail},"
        f"{int(draw * 99_999)}.{int(draw * 1e7) % 100:02},'{chance.time(number)}')"
    )


# each table's rows and its share of the bytes
TABLES: dict[str, tuple[Callable[[_Chance, int], str], float]] = {
    "account": (_account, 0.10),
    "article": (_article, 0.62),
    "event": (_event, 0.28),
}
ONE_OF_EACH = "".join(f"INSERT INTO {name} VALUES {row(_Chance('one'), 1)};" for name, (row, _) in TABLES.items())
"""SQL for a server whose dump has rows of every table."""


def rows(table: str, first: int, count: int) -> str:
    """Rows `first` to `first + count - 1`, ready to stand behind VALUES."""
    make = TABLES[table][0]
    chance = _Chance(f"{SEED} {table} {first}")
    return ",\n".join([make(chance, number) for number in range(first, first + count)])


def inserts(table: str, first: int, count: int) -> bytes:
    """Whole INSERT statements, as mariadb-dump breaks them."""
    starts = range(first, first + count, _STATEMENT_ROWS)
    return "".join(
        f"INSERT INTO `{table}` VALUES\n{rows(table, start, min(_STATEMENT_ROWS, first + count - start))};\n"
        for start in starts
    ).encode()


@dataclass(frozen=True)
class Recorded:
    """A dump in a file, `size` bytes; from `first` to `last` lie rows of one table, which may be handed out again."""

    path: Path
    size: int
    first: int
    last: int

    def script(self, size: int) -> str:
        """Shell that writes the dump, made about `size` bytes long by repeating those rows."""
        file, length = shlex.quote(str(self.path)), self.last - self.first
        more = max(0, round((size - self.size) / length))
        if more == 0:
            return f"exec cat {file}"
        rows = f"tail -c +{self.first + 1} {file} | head -c {length}"
        again = f"n=0; while [ $n -lt {more} ]; do {rows}; n=$((n + 1)); done"
        return f"head -c {self.last} {file}; {again}; exec tail -c +{self.last + 1} {file}"

    def renamed(self, old: str, new: str, path: Path) -> None:
        """Write the same dump of a database by another name to `path`."""
        with self.path.open("rb") as source, path.open("wb") as target:
            # only the head names it
            target.write(source.read(_HEAD_BYTES).replace(f"`{old}`".encode(), f"`{new}`".encode()))
            shutil.copyfileobj(source, target, 1 << 20)


def record(skeleton: bytes, path: Path, size: int) -> Recorded:
    """Write a dump of about `size` bytes to `path`: `skeleton`, a real dump, with rows in place of its own."""
    first = last = 0
    with path.open("wb") as file, ProcessPoolExecutor(os.cpu_count()) as pool:
        for part in re.split(rb"(INSERT INTO `\w+` VALUES\s.*?;\n)", skeleton, flags=re.DOTALL):
            table = re.match(rb"INSERT INTO `(\w+)`", part)
            if table is None:
                file.write(part)
                continue
            begin = file.tell()
            for block in _blocks(pool, table[1].decode(), size):
                file.write(block)
            if file.tell() - begin > last - first:
                first, last = begin, file.tell()
        return Recorded(path, file.tell(), first, last)


def _blocks(pool: ProcessPoolExecutor, table: str, size: int) -> Iterator[bytes]:
    sample = 500
    count = round(size * TABLES[table][1] / len(rows(table, 1, sample)) * sample)
    firsts = range(1, count + 1, _SEGMENT_ROWS)
    counts = [min(_SEGMENT_ROWS, count + 1 - first) for first in firsts]
    yield from pool.map(inserts, [table] * len(firsts), firsts, counts)
