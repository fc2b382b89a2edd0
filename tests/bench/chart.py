"""Charts as SVG. Two kinds with one look need less than a drawing library brings, and the same figures give the same
bytes with every version of everything, so that a test can tell whether a chart is current.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from tests.bench.results import number

Points = Sequence[tuple[float, float]]
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 74, 40, 52, 58
_HEIGHT, _INSET = 360, 30
_BAR, _GAP, _BARS, _LETTER = 20, 10, 420, 7.2
# each pair stands out on its ground, and the colours differ for the colour-blind too
_STYLE = """
  .ground { fill: #ffffff } text { fill: #24292f; font: 13px sans-serif } .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: #d8dee4 } .axis { stroke: #6e7781 } .limit { stroke: #cf222e; stroke-dasharray: 6 4 }
  .mark { stroke: #24292f; stroke-width: 3 }
  .a { stroke: #0969da } .b { stroke: #bc4c00 } .fill-a { fill: #0969da } .fill-b { fill: #bc4c00 }
  .line { fill: none; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d } .axis { stroke: #8b949e }
    .limit { stroke: #ff7b72 } .mark { stroke: #e6edf3 } .a { stroke: #58a6ff } .b { stroke: #f0883e }
    .fill-a { fill: #58a6ff } .fill-b { fill: #f0883e }
  }
"""


@dataclass(frozen=True)
class Bar:
    """One bar: `value` long, told as `text`; `mark`, where given, is what it is to reach."""

    name: str
    value: float
    text: str
    mark: float | None = None
    other: bool = False


def lines(title: str, x_name: str, y_name: str, series: Mapping[str, Points], limit: float | None = None) -> str:
    """One or two lines over an axis of powers, with each point's value; `limit` is drawn across. Axes tell units."""
    points = [point for each in series.values() for point in each]
    across = _Scale([x for x, _ in points], _LEFT + _INSET, _WIDTH - _RIGHT - _INSET, log=True)
    heights = [y for _, y in points] + ([limit] if limit else [])
    up = _Scale(heights, _HEIGHT - _BOTTOM, _TOP + 12, log=max(heights) > 10 * min(heights))
    found = [_text(_LEFT, 24, title, "title"), _text(_LEFT, 42, y_name)]
    for tick in up.ticks():
        y = up(tick)
        found += [_line(_LEFT, y, _WIDTH - _RIGHT, y, "grid"), _text(_LEFT - 8, y + 4, _told(tick), anchor="end")]
    for x in sorted({x for x, _ in points}):
        bottom = _HEIGHT - _BOTTOM
        found += [_line(across(x), bottom, across(x), bottom + 5, "axis")]
        found += [_text(across(x), bottom + 21, _told(x), anchor="middle")]
    found += [_line(_LEFT, _HEIGHT - _BOTTOM, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM, "axis")]
    found += [_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 14, x_name, anchor="middle")]
    if limit:
        found += [_line(_LEFT, up(limit), _WIDTH - _RIGHT, up(limit), "limit")]
        found += [_text(_WIDTH - _RIGHT, up(limit) - 6, f"limit {_told(limit)}", anchor="end")]
    for (name, each), colour, side in zip(series.items(), "ab", (-10, 20), strict=False):
        found += _curve(name if len(series) > 1 else "", [(across(x), up(y), number(y)) for x, y in each], colour, side)
    return _svg(_WIDTH, _HEIGHT, title, found)


def bars(title: str, x_name: str, entries: Sequence[Bar]) -> str:
    """Bars from nought, one below the other; a mark across each says what is to be reached."""
    height = _TOP + len(entries) * (_BAR + _GAP) + _BOTTOM
    left = 24 + _LETTER * max(len(entry.name) for entry in entries)
    longest = max(max(entry.value, entry.mark or 0.0) for entry in entries)
    scale = _Scale([0.0, longest], left, left + _BARS - 130, log=False)
    bottom, found = height - _BOTTOM, [_text(16, 24, title, "title")]
    for tick in scale.ticks():
        found += [_line(scale(tick), _TOP - 8, scale(tick), bottom, "grid")]
        found += [_text(scale(tick), bottom + 18, _told(tick), anchor="middle")]
    found += [_line(left, _TOP - 8, left, bottom, "axis"), _text(left, height - 14, x_name)]
    for index, entry in enumerate(entries):
        y = _TOP + index * (_BAR + _GAP)
        width = max(scale(entry.value) - left, 1.0)
        colour = "b" if entry.other else "a"
        found += [_text(left - 10, y + 15, entry.name, anchor="end")]
        found += [f'<rect x="{left:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" class="fill-{colour}"/>']
        end = max(scale(entry.value), scale(entry.mark or 0.0))
        found += [_text(end + 8, y + 15, entry.text)]
        if entry.mark is not None:
            found += [_line(scale(entry.mark), y - 4, scale(entry.mark), y + _BAR + 4, "mark")]
    return _svg(round(left) + _BARS, height, title, found)


class _Scale:
    """From values to places in the drawing."""

    def __init__(self, values: Sequence[float], first: float, last: float, *, log: bool) -> None:
        self._log, self._first, self._last = log, first, last
        if log:
            self._low, self._high = math.log10(min(values)), math.log10(max(values))
            if first > last:
                # upwards the axis begins and ends with a tick
                self._low, self._high = _step_below(self._low), -_step_below(-self._high)
        else:
            self._low, self._high = 0.0, max(values) * 1.06

    def __call__(self, value: float) -> float:
        place = math.log10(value) if self._log else value
        share = (place - self._low) / ((self._high - self._low) or 1.0)
        return self._first + share * (self._last - self._first)

    def ticks(self) -> list[float]:
        """Round values within the scale."""
        if not self._log:
            step = _round_step(self._high / 6)
            return [index * step for index in range(int(self._high / step) + 1)]
        few = self._high - self._low > 2
        steps = (1,) if few else (1, 2, 5)
        powers = range(math.floor(self._low), math.ceil(self._high) + 1)
        candidates = [step * 10.0**power for power in powers for step in steps]
        return [tick for tick in candidates if self._low - 1e-9 <= math.log10(tick) <= self._high + 1e-9]


def _step_below(logarithm: float) -> float:
    """The logarithm of the next of 1, 2, 5, 10 … downwards, or of 1, 0.5, 0.2 … for the negative of one."""
    power = math.floor(logarithm + 1e-9)
    return max(power + math.log10(step) for step in (1, 2, 5) if power + math.log10(step) <= logarithm + 1e-9)


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least)


def _curve(name: str, places: Sequence[tuple[float, float, str]], colour: str, side: int) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    last = len(places) - 1
    found = [f'<polyline points="{path}" class="line {colour}"/>']
    for index, (x, y, told) in enumerate(places):
        found += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="fill-{colour}"/>']
        found += [_text(x, y + side, f"{name} {told}" if name and index == last else told, anchor="middle")]
    return found


def _told(value: float) -> str:
    return f"{value:,.10g}"


def _line(x: float, y: float, to_x: float, to_y: float, style: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" class="{style}"/>'


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(text)}</text>'


def _svg(width: int, height: int, title: str, found: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    body = "\n".join(('<rect width="100%" height="100%" class="ground"/>', *found))
    return f'{head} role="img" aria-label="{escape(title)}">\n<style>{_STYLE}</style>\n{body}\n</svg>\n'
