"""What was measured, as values: rows of a comparison, curves of growth, shares of a profile; to and from JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

FORMAT = 1
# how a row is judged, and in which words its result is told
Kind = Literal["times as fast", "of its CPU", "of its time", "at most", "margin"]
MARGIN_SHARE, MARGIN_S = 1.05, 2.0
_AND = " and "


@dataclass(frozen=True)
class Row:
    """One comparison. `ours` and `theirs` hold a value for each run, in `unit`; the n-th of both ran side by side.

    `kind` with `reach`: ours is to be at least `reach` times as fast; or to take at most `reach` times their
    processor time, or their wall time; or at most `reach` units; a margin allows 5 % or 2 s more than theirs. A row
    without `reach` is told for comparison. `why` says what was left out where nothing could be measured.
    """

    group: str
    what: str
    against: str
    unit: str
    kind: Kind
    ours: tuple[float, ...] = ()
    theirs: tuple[float, ...] = ()
    reach: float | None = None
    why: str = ""

    @property
    def each(self) -> tuple[float, ...]:
        """The figure of each run, or of each pair of runs; empty where nothing was measured."""
        if self.kind == "at most":
            return self.ours
        if not self.ours or not self.theirs:
            return ()
        pairs = tuple(zip(self.ours, self.theirs, strict=True))
        if self.kind == "times as fast":
            return tuple(their / our for our, their in pairs)
        if self.kind == "margin":
            return tuple(our - their for our, their in pairs)
        return tuple(our / their for our, their in pairs)

    @property
    def score(self) -> float | None:
        """The figure that is held against `reach`: the median, or the most memory; None where nothing was measured."""
        if not self.each:
            return None
        return max(self.each) if self.kind == "at most" and self.unit != "s" else median(self.each)

    @property
    def reached(self) -> bool | None:
        """Whether it is as good as it is to be; None where that is not asked, or was not measured."""
        score = self.score
        if score is None:
            return None
        if self.kind == "margin":
            return score <= max(MARGIN_S, (MARGIN_SHARE - 1) * median(self.theirs))
        if self.reach is None:
            return None
        return score >= self.reach if self.kind == "times as fast" else score <= self.reach


@dataclass(frozen=True)
class Curve:
    """How a figure grows: `points` are pairs of x and y, x as in `against`, y in `unit`."""

    group: str
    name: str
    against: str
    unit: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Share:
    """Processor seconds of one part of the work within one run."""

    whose: str
    part: str
    cpu_s: float


@dataclass(frozen=True)
class Fact:
    """One figure beside the tables; its name ends with its unit."""

    name: str
    value: float


@dataclass(frozen=True)
class Command:
    """A command line that was run, as an operator would write it."""

    name: str
    line: str


Part = Row | Curve | Share | Fact | Command


@dataclass(frozen=True)
class Results:
    """One benchmark: on which machine, with what, and all that was found."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    commands: Mapping[str, str]
    rows: tuple[Row, ...] = ()
    curves: tuple[Curve, ...] = ()
    shares: tuple[Share, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> str:
        """All of it, with each row's result beside its runs."""
        found = asdict(self)
        for row, told in zip(self.rows, found["rows"], strict=True):
            told |= {"score": row.score, "reached": row.reached}
        return json.dumps({"format": FORMAT, **found}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Results":
        """What `to_json` wrote."""
        found = json.loads(text)
        return cls(
            machine=found["machine"],
            versions=found["versions"],
            commands=found["commands"],
            rows=tuple(_row(told) for told in found["rows"]),
            curves=tuple(
                Curve(**{**told, "points": tuple((x, y) for x, y in told["points"])}) for told in found["curves"]
            ),
            shares=tuple(Share(**told) for told in found["shares"]),
            facts=found["facts"],
        )

    def with_part(self, part: Part) -> "Results":
        """These with one part more."""
        if isinstance(part, Row):
            return replace(self, rows=(*self.rows, part))
        if isinstance(part, Curve):
            return replace(self, curves=(*self.curves, part))
        if isinstance(part, Share):
            return replace(self, shares=(*self.shares, part))
        if isinstance(part, Fact):
            return replace(self, facts={**self.facts, part.name: part.value})
        return replace(self, commands={**self.commands, part.name: part.line})

    def joined(self, earlier: "Results") -> "Results":
        """These, and of an earlier benchmark what these do not tell anew: parts can be measured on their own."""
        groups = {row.group for row in self.rows} | {curve.group for curve in self.curves}
        return Results(
            self.machine,
            {name: _both(earlier.versions.get(name), told) for name, told in self.versions.items()},
            {**earlier.commands, **self.commands},
            tuple(row for row in earlier.rows if row.group not in groups) + self.rows,
            tuple(curve for curve in earlier.curves if curve.group not in groups) + self.curves,
            self.shares or earlier.shares,
            {**earlier.facts, **self.facts},
        )


def _both(earlier: str | None, now: str) -> str:
    """The versions that parts were measured with."""
    each = earlier.split(_AND) if earlier else []
    return _AND.join(each if now in each else [*each, now])


def _row(told: Mapping[str, Any]) -> Row:
    known = {key: value for key, value in told.items() if key not in ("score", "reached")}
    return Row(**{**known, "ours": tuple(told["ours"]), "theirs": tuple(told["theirs"])})


def read(path: Path) -> Results:
    """The results in a file."""
    return Results.from_json(path.read_text())


def number(value: float) -> str:
    """A figure with three digits that count."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def told_result(row: Row) -> str:
    """A row's result in words."""
    score = row.score
    if score is None:
        return row.why or "not measured"
    if row.kind == "times as fast":
        return f"{score:.2f} times as fast"
    if row.kind == "at most":
        return f"{number(score)} {row.unit}"
    if row.kind == "margin":
        return f"{score:+.1f} s ({median(row.theirs) / median(row.ours):.2f} times as fast)"
    return f"{score:.2f} {row.kind}"


def told_reach(row: Row) -> str:
    """What a row is to reach, in words."""
    if row.kind == "margin":
        return "at most 5 % or 2 s slower"
    if row.reach is None:
        return ""
    if row.kind == "times as fast":
        return f"at least {row.reach:g}"
    return f"at most {row.reach:g}{f' {row.unit}' if row.kind == 'at most' else ''}"


def told_runs(values: Sequence[float], unit: str) -> str:
    """The median, and how far apart the runs were: `6.12 s (5.9–6.6)`."""
    if not values:
        return ""
    middle = f"{number(median(values))} {unit}"
    return middle if len(values) == 1 else f"{middle} ({number(min(values))}–{number(max(values))})"
