"""Short lines without axes: the shape of the last two minutes, as paths of an SVG."""

from itertools import pairwise
from typing import Final, NamedTuple

from exporters.status.history import SPACING, SPAN
from exporters.status.model import Trend

WIDTH: Final = 120
HEIGHT: Final = 24
_INSET: Final = 1.5
"""Keeps the stroke inside the box."""
_GAP: Final = 2.5
"""A hole this many usual distances wide is shown as one: nothing was read then."""


class Sparkline(NamedTuple):
    """The ``d`` of two paths in a box of `WIDTH` by `HEIGHT`: the line, and the area under it."""

    line: str
    under: str


def sparkline(
    trend: Trend, low: float | None = None, high: float | None = None
) -> Sparkline | None:
    """Return the drawing of a trend; `None` with fewer than two points.

    ``low`` and ``high`` fix the scale (0 and 1 for a share); what is not given comes from the values.
    """
    if len(trend) < 2:
        return None
    values = [value for _, value in trend]
    bottom = min(values) if low is None else low
    top = max(values) if high is None else high
    strokes = [
        [(_x(age), _y(value, bottom, top)) for age, value in stroke] for stroke in _strokes(trend)
    ]
    return Sparkline("".join(map(_line, strokes)), "".join(map(_under, strokes)))


def _strokes(trend: Trend) -> list[list[tuple[float, float]]]:
    """Cut a trend where there is a hole."""
    distances = sorted(older - newer for (older, _), (newer, _) in pairwise(trend))
    longest = _GAP * max(SPACING, distances[len(distances) // 2])
    strokes = [[trend[0]]]
    for (before, _), point in pairwise(trend):
        if before - point[0] <= longest:
            strokes[-1].append(point)
        else:
            strokes.append([point])
    return strokes


def _x(age: float) -> float:
    return WIDTH * (1 - min(max(age, 0.0), SPAN) / SPAN)


def _y(value: float, bottom: float, top: float) -> float:
    share = min(1.0, max(0.0, (value - bottom) / ((top - bottom) or 1.0)))
    return HEIGHT - _INSET - share * (HEIGHT - 2 * _INSET)


def _line(stroke: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in stroke)


def _under(stroke: list[tuple[float, float]]) -> str:
    return f"{_line(stroke)}V{HEIGHT}H{stroke[0][0]:.1f}Z"
