"""What an InfluxDB server holds, as its client answers in JSON, and how two such answers compare. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pullagent.checks.answers import read_json
from pullagent.errors import ContentError, SourceError
from pullagent.sources.base import Restored

Points = dict[str, dict[str, dict[str, dict[str, int]]]]


def database_name(name: str) -> str:
    """`name`, where a source or a restore may have it; ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_ .-]*", name) or name == "_internal":
        raise ValueError(f"found {name!r}; write a database's name of letters, digits, '_', '.', '-' and spaces")
    return name


@dataclass(frozen=True)
class Inventory:
    """Databases, shard ids by database, and point counts, at one moment."""

    existing: frozenset[str]
    shards: dict[str, set[int]]
    points: Points
    slow: bool

    @classmethod
    def parse(cls, answer: str, host: str) -> "Inventory":
        """Read the lines of `Commands.inventory`; ContentError when they are not that."""
        try:
            return cls._parse(answer, host)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise ContentError(f"the answer of InfluxDB's client on {host} cannot be read: {error!r}") from error

    @classmethod
    def _parse(cls, answer: str, host: str) -> "Inventory":
        existing: set[str] = set()
        shards: dict[str, set[int]] = {}
        points: Points = {}
        slow = False
        for line in filter(None, answer.split("\n")):
            kind, _, rest = line.partition("\t")
            if kind == "databases":
                existing = {row["name"] for row in rows_of(parse_json(rest, host))}
            elif kind == "shards":
                for row in rows_of(parse_json(rest, host)):
                    shards.setdefault(row["database"], set()).add(int(row["id"]))
            elif kind == "points" and rest.endswith("\tslow"):
                slow = True
            elif kind == "points":
                database, policy, counts = rest.split("\t", 2)
                points.setdefault(database, {})[policy] = _counts(parse_json(counts, host))
            else:
                raise ContentError(
                    f"InfluxDB's client on {host} answers {line[:80]!r}", "does a login script print something there?"
                )
        return cls(frozenset(existing), shards, points, slow)


def databases_in(answer: str, host: str) -> frozenset[str]:
    """The names that SHOW DATABASES answers; ContentError when they are not that."""
    try:
        return frozenset(str(row["name"]) for row in rows_of(parse_json(answer, host)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ContentError(f"the answer of InfluxDB's client on {host} cannot be read: {error!r}") from error


def free_bytes(answer: str, host: str) -> int:
    """Blocks times their size, as `Commands.space` answers them; ContentError when it is not that."""
    match = re.fullmatch(r"([0-9]{1,18}) ([0-9]{1,9})\n", answer)
    if match is None:
        raise ContentError(
            f"asked for its free space {host} answers {answer[:80]!r}", "does a login script print something there?"
        )
    return int(match[1]) * int(match[2])


def _counts(answer: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Points of each field, by measurement."""
    return {
        series["name"]: {
            column.removeprefix("count_"): value
            for column, value in zip(series["columns"], series["values"][0], strict=True)
            if column != "time" and value is not None
        }
        for series in _series(answer)
    }


def compare(database: str, target: str, wanted: dict[str, Any], restored: "Inventory") -> Iterator[Restored]:
    """The database, restored as `target`, and its counts, which must lie between those before and after the backup."""
    yield Restored(target, "database", "present", "present" if target in restored.existing else "missing")
    found = restored.points
    low, high = wanted["points_before"].get(database, {}), wanted["points_after"].get(database, {})
    for policy in sorted(low.keys() | high.keys()):
        for measurement in sorted(low.get(policy, {}).keys() | high.get(policy, {}).keys()):
            least = sum(low.get(policy, {}).get(measurement, {}).values())
            most = sum(high.get(policy, {}).get(measurement, {}).values())
            count = sum(found.get(target, {}).get(policy, {}).get(measurement, {}).values())
            # points may come and go while a backup runs
            expected = count if min(least, most) <= count <= max(least, most) else least
            yield Restored(f"{target}.{policy}.{measurement}", "field values", expected, count)


def has_points(policies: dict[str, dict[str, dict[str, int]]]) -> bool:
    return any(count for policy in policies.values() for fields in policy.values() for count in fields.values())


def parse_json(text: str, host: str) -> dict[str, Any]:
    try:
        answer = read_json(text)
        errors = [r["error"] for r in answer["results"] if "error" in r]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ContentError(
            f"InfluxDB's client on {host} answers {text[:80]!r}", "does a login script print something there?"
        ) from error
    if errors:
        raise SourceError(f"InfluxDB on {host} says: {errors[0]}")
    return dict(answer)


def _series(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for result in answer["results"]:
        yield from result.get("series", [])


def rows_of(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for series in _series(answer):
        for values in series.get("values", []):
            yield dict(zip(series["columns"], values, strict=True))


def column_of(answer: dict[str, Any], series: str, column: str) -> str | None:
    for table in _series(answer):
        if table.get("name") == series:
            return str(dict(zip(table["columns"], table["values"][0], strict=True)).get(column))
    return None
