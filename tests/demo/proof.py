"""The proof: everything that a restore must bring back, before the host was lost and after."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.lab.data import checksums, influx_points
from tests.lab.production import ProductionHost

DATABASE = "logs"
"""The one InfluxDB database that is backed up."""

_LABEL = 36
_NOTES = {"rows": ", by table or view", "points": ", by measurement", "fields": ", by measurement"}

Contents = Mapping[tuple[str, str], str]
"""What something is and its name -> its definition, or the count and hash of what it holds."""


def contents(host: ProductionHost) -> Contents:
    """All objects, rows and accounts of the database server, and all points of `logs`; empty for a new host.

    The servers are asked directly: pullagent takes no part in it.
    """
    found = {}
    for name, value in checksums(host.server).items():
        what, _, rest = name.partition(" ")
        found[f"{host.server.kind} {what}", rest] = value
    influxdb = host.influxdb
    if influxdb is not None and DATABASE in influxdb.column("SHOW DATABASES"):
        for name, value in influx_points(influxdb, DATABASE).items():
            found[_influx_name(name)] = value
    return found


def _influx_name(name: str) -> tuple[str, str]:
    if name == "policies":
        return "influxdb policies", DATABASE
    if name.startswith("fields "):
        return "influxdb fields", name.removeprefix("fields ")
    return "influxdb points", name


@dataclass(frozen=True)
class Proof:
    """Two contents side by side."""

    before: Contents
    after: Contents

    @property
    def differing(self) -> list[str]:
        """What is not equal, is missing, or was not there before."""
        names = dict.fromkeys([*self.before, *self.after])
        return [" ".join(name) for name in names if self.before.get(name) != self.after.get(name)]

    @property
    def holds(self) -> bool:
        """Whether all came back as it was; false when there was nothing to compare."""
        return bool(rows(self.before) and points(self.before)) and not self.differing

    def table(self) -> Iterator[str]:
        """Lines of plain text: for each kind of thing how many there were, are, and are equal."""
        yield f"{'':{_LABEL}}{'before':>8}{'after':>8}{'equal':>8}"
        equal = {name for name, value in self.before.items() if self.after.get(name) == value}
        counts = [Counter(what for what, _ in names) for names in (self.before, self.after, equal)]
        for what in dict.fromkeys(what for what, _ in (*self.before, *self.after)):
            yield f"{what + _NOTES.get(what.rpartition(' ')[2], ''):{_LABEL}}" + "".join(
                f"{count[what]:8}" for count in counts
            )
        yield f"{'together':{_LABEL}}" + "".join(f"{count.total():8}" for count in counts)


def rows(held: Contents) -> int:
    """The number of rows in tables and views."""
    return _amount(held, "rows")


def points(held: Contents) -> int:
    """The number of InfluxDB points."""
    return _amount(held, "points")


def _amount(held: Contents, unit: str) -> int:
    counts = [re.match(rf"(\d+) {unit}, ", text) for (what, _), text in held.items() if what.endswith(f" {unit}")]
    return sum(int(match[1]) for match in counts if match)
