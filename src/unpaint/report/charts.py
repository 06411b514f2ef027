"""Charts as SVG written by hand: in the page's colours, light and dark; equal numbers give equal bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from unpaint.unlearn.monotone import monotone

MINUS = "\N{MINUS SIGN}"
Interval = tuple[float, float, float]
"""A value and the ends of its 95 % interval."""
Values = tuple[str, Sequence[tuple[str, int, Interval, int]]]
"""A value of a dimension, and per series its name, number, accuracy and how many pictures that is of."""
Text = Callable[[float], str]
"""How the numbers of an axis are written."""


@dataclass(frozen=True)
class Point:
    """A mark: its name, the number of its series (0 is the base model), and where it lies."""

    name: str
    series: int
    x: Interval
    y: Interval


@dataclass(frozen=True)
class Scale:
    """Numbers from `low` to `high` onto pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a number; what lies outside is put at the edge."""
        value = min(self.high, max(self.low, value))
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers within the scale."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            every, mantissas = max(1, (last - first) // 4), (1, 2, 5) if last - first <= 3 else (1,)
            found = [factor * 10.0**power for power in range(first, last + 1, every) for factor in mantissas]
            return [tick for tick in found if self.low <= tick <= self.high]
        rough = (self.high - self.low) / count
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def tradeoff(points: Sequence[Point], x: str, y: str, *, percent: bool) -> str:
    """One score against another, every model a mark with its intervals; `percent` is whether y is a share."""
    width, height, left, right, top, bottom = 460, 330, 66, 20, 16, 46
    across = Scale(0, 1, left, width - right)
    up = _around([bound for point in points for bound in point.y], height - bottom, top, 1.0 if percent else None)
    parts = [_frame(across, up, _share, _share if percent else _number)]
    for point in points:
        cx, cy = across(point.x[0]), up(point.y[0])
        parts.append(
            f'<g class="s{_colour(point.series)}"><title>{escape(point.name)}: {_describe(point, percent)}</title>'
            f'<path class="whisker" d="M{across(point.x[1]):.1f} {cy:.1f}H{across(point.x[2]):.1f}'
            f'M{cx:.1f} {up(point.y[1]):.1f}V{up(point.y[2]):.1f}"/>{mark(point.series, cx, cy, 5.5)}</g>'
        )
    middle = (left + width - right) / 2
    parts.append(f'<text class="axis" x="{middle}" y="{height - 8}" text-anchor="middle">{escape(x)}</text>')
    parts.append(
        f'<text class="axis" transform="translate(13 {(top + height - bottom) / 2}) rotate(-90)"'
        f' text-anchor="middle">{escape(y)}</text>'
    )
    label = f"{y} against {x}: " + "; ".join(f"{point.name}: {_describe(point, percent)}" for point in points)
    return _svg(width, height, parts, label)


def losses(steps: Sequence[float], forget: Sequence[float], retain: Sequence[float]) -> str:
    """Forget loss (meant to rise) and retain loss (meant to stay), each with its running mean."""
    found = [value for value in (*forget, *retain) if value > 0]
    log = bool(found) and max(found) > 20 * min(found)
    low, high = (min(found) * 0.8, max(found) * 1.25) if log else (0, max([*found, 1e-9]) * 1.08)
    across, up, parts = _panel(steps, low, high, log=log)
    parts += [_line(across, up, steps, values, colour) for values, colour in ((retain, "keep"), (forget, "lose"))]
    return _svg(
        *PANEL,
        parts,
        f"forget loss from {forget[0]:.3g} to {forget[-1]:.3g}, retain loss from {retain[0]:.3g} to {retain[-1]:.3g}",
    )


def cosine(steps: Sequence[float], values: Sequence[float]) -> str:
    """Cosine of the two gradients; where it is negative they are in conflict, and the ground is shaded."""
    across, up, parts = _panel(steps, -1, 1, log=False)
    zero = up(0)
    parts.insert(
        0,
        f'<rect class="bad" x="{across.start}" y="{zero:.1f}" width="{across.end - across.start}"'
        f' height="{up.start - zero:.1f}"/>',
    )
    parts.append(f'<path class="zero" d="M{across.start} {zero:.1f}H{across.end}"/>')
    parts.append(_line(across, up, steps, values, "plain"))
    parts.append(f'<text class="note" x="{across.end - 5}" y="{up.start - 6:.1f}" text-anchor="end">conflict</text>')
    return _svg(*PANEL, parts, f"cosine of the gradients from {min(values):.2f} to {max(values):.2f}")


def changes(steps: Sequence[float], forget: Sequence[float], retain: Sequence[float]) -> str:
    """First-order changes of both losses by the steps taken; above 0 a step makes things worse.

    The scale holds 98 % of the steps; the others are drawn at its edge.
    """
    sizes = sorted(abs(value) for value in (*forget, *retain))
    size = (sizes[int(0.98 * (len(sizes) - 1))] or sizes[-1] or 1e-9) * 1.1
    across, up, parts = _panel(steps, -size, size, log=False)
    zero = up(0)
    parts.insert(
        0,
        f'<rect class="bad" x="{across.start}" y="{up.end}" width="{across.end - across.start}"'
        f' height="{zero - up.end:.1f}"/>',
    )
    parts.append(f'<path class="zero" d="M{across.start} {zero:.1f}H{across.end}"/>')
    for values, colour in ((retain, "keep"), (forget, "lose")):
        dots = "".join(f"M{across(x):.1f} {up(y):.1f}h0" for x, y in zip(steps, values, strict=True))
        parts.append(f'<path class="dots {colour}" d="{dots}"/>')
    parts.append(f'<text class="note" x="{across.end - 5}" y="{up.end + 13:.1f}" text-anchor="end">worse</text>')
    worse = sum(not monotone(f, r) for f, r in zip(forget, retain, strict=True))
    return _svg(*PANEL, parts, f"first-order changes of {len(forget)} steps, {worse} of which worsen a loss")


def values(rows: Sequence[Values], floor: float) -> str:
    """Per-value accuracy from `floor` to 1: a line per value, on it a mark per series."""
    width, right, top, bottom = 360, 16, 6, 26
    left = min(150, max(74, 18 + 7 * max(len(value) for value, _ in rows)))
    each = 9 * max(len(marks) for _, marks in rows) + 9
    height = top + bottom + each * len(rows)
    across = Scale(floor, 1, left, width - right)
    parts = _verticals(across, top, height - bottom, _share)
    for number, (value, marks) in enumerate(rows):
        y = top + each * number
        parts.append(
            f'<text class="value" x="{left - 10}" y="{y + each / 2 + 4:.1f}" text-anchor="end">{escape(_short(value))}'
            f'</text><path class="grid" d="M{left} {y + each}H{width - right}"/>'
        )
        for place, (name, series, interval, n) in enumerate(marks):
            cy = y + 9 * (place + 1)
            low, high, cx = (across(interval[end]) for end in (1, 2, 0))
            parts.append(
                f'<g class="s{_colour(series)}"><title>{escape(value)}, {escape(name)}: {_text(interval, True)},'
                f" {n} pictures</title>"
                f'<path class="whisker" d="M{low:.1f} {cy}H{high:.1f}"/>{mark(series, cx, cy, 3.6)}</g>'
            )
    label = "; ".join(
        f"{value}: " + ", ".join(f"{name} {_share(interval[0])}" for name, _, interval, _ in marks)
        for value, marks in rows
    )
    return _svg(width, height, parts, label)


def legend_mark(series: int) -> str:
    """The mark of a series, for a line of text; its name stands beside it."""
    return f'<svg class="key s{_colour(series)}" viewBox="0 0 14 14" aria-hidden="true">{mark(series, 7, 7, 5)}</svg>'


def mark(series: int, x: float, y: float, r: float) -> str:
    """A mark of its own shape per series, so that colour is not needed to tell them apart."""
    if series == 0:
        return f'<circle class="mark hollow" cx="{x:.1f}" cy="{y:.1f}" r="{r}"/>'
    match series % 5:
        case 1:
            return f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="{r}"/>'
        case 2:
            return (
                f'<rect class="mark" x="{x - r * 0.9:.1f}" y="{y - r * 0.9:.1f}" width="{r * 1.8}" height="{r * 1.8}"/>'
            )
        case 3:
            corners = [(x, y - r * 1.2), (x + r * 1.1, y + r * 0.8), (x - r * 1.1, y + r * 0.8)]
        case 4:
            corners = [(x, y - r * 1.3), (x + r * 1.3, y), (x, y + r * 1.3), (x - r * 1.3, y)]
        case _:
            corners = [(x, y + r * 1.2), (x + r * 1.1, y - r * 0.8), (x - r * 1.1, y - r * 0.8)]
    return '<polygon class="mark" points="{}"/>'.format(" ".join(f"{px:.1f},{py:.1f}" for px, py in corners))


PANEL = (360, 210)


def _panel(steps: Sequence[float], low: float, high: float, *, log: bool) -> tuple[Scale, Scale, list[str]]:
    """The frame of a curve over steps."""
    width, height = PANEL
    across = Scale(min(steps), max([*steps, min(steps) + 1]), 52, width - 12)
    up = Scale(low, high, height - 26, 8, log)
    return across, up, [_frame(across, up, _count, _number)]


def _frame(across: Scale, up: Scale, x: Text, y: Text) -> str:
    horizontals = []
    for tick in up.ticks():
        at = up(tick)
        horizontals.append(
            f'<path class="grid" d="M{across.start} {at:.1f}H{across.end}"/>'
            f'<text class="tick" x="{across.start - 7}" y="{at + 4:.1f}" text-anchor="end">{y(tick)}</text>'
        )
    return "".join([*horizontals, *_verticals(across, up.end, up.start, x)])


def _verticals(across: Scale, top: float, bottom: float, text: Text) -> list[str]:
    parts = []
    for tick in across.ticks():
        at = across(tick)
        parts.append(
            f'<path class="grid" d="M{at:.1f} {top}V{bottom}"/>'
            f'<text class="tick" x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{text(tick)}</text>'
        )
    return parts


def _line(across: Scale, up: Scale, steps: Sequence[float], given: Sequence[float], colour: str) -> str:
    """The values, faint, and their running mean over a twentieth of the steps."""
    half = max(1, len(given) // 40)
    smooth = [
        sum(given[max(0, at - half) : at + half + 1]) / len(given[max(0, at - half) : at + half + 1])
        for at in range(len(given))
    ]
    raw, mean = (
        "M" + "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in zip(steps, line, strict=True))
        for line in (given, smooth)
    )
    return f'<path class="raw {colour}" d="{raw}"/><path class="line {colour}" d="{mean}"/>'


def _around(found: Sequence[float], start: float, end: float, most: float | None) -> Scale:
    """A scale with some air around the numbers; `most` is a bound that they cannot pass."""
    low, high = min(found), max(found)
    air = max((high - low) * 0.12, 1e-3)
    top = high + air if most is None else min(most, high + air)
    return Scale(max(0.0, low - air) if most is not None else low - air, top, start, end)


def _describe(point: Point, percent: bool) -> str:
    return f"{_text(point.x, True)} and {_text(point.y, percent)}"


def _text(interval: Interval, percent: bool) -> str:
    show = _share if percent else _number
    return f"{show(interval[0])} ({show(interval[1])} to {show(interval[2])})"


def _colour(series: int) -> int:
    return series and (series - 1) % 6 + 1


def _short(text: str) -> str:
    return text if len(text) <= 19 else f"{text[:18]}\N{HORIZONTAL ELLIPSIS}"


def _share(value: float) -> str:
    return f"{round(value * 100, 1):g}{chr(0x202F)}%"


def _count(value: float) -> str:
    return f"{value:g}"


def _number(value: float) -> str:
    text = f"{value:.3g}"
    if 0 < abs(value) < 1e-3:
        digits, _, power = f"{value:.2e}".partition("e")
        text = f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    return text.replace("-", MINUS)


def _svg(width: int, height: int, parts: Sequence[str], label: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )
