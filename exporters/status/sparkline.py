"""Short lines without axes: the shape of the last two minutes, as the path of an SVG."""

from itertools import pairwise
from statistics import median
from typing import Final

from exporters.status.history import SPACING, SPAN
from exporters.status.model import Trend

WIDTH: Final = 120
HEIGHT: Final = 24
_INSET: Final = 1.5
"""Keeps the stroke inside the box."""
_GAP: Final = 2.5
"""A hole this many usual distances wide is shown as one: nothing was read then."""


def sparkline(trend: Trend, low: float | None = None, high: float | None = None) -> str:
    """Return the ``d`` of a path in a box of `WIDTH` by `HEIGHT`; empty with fewer than two points.

    ``low`` and ``high`` fix the scale (0 and 1 for a share); what is not given comes from the values.
    """
    if len(trend) < 2:
        return ""
    values = [value for _, value in trend]
    bottom = min(values) if low is None else low
    top = max(values) if high is None else high
    reach = top - bottom or 1.0
    longest = _GAP * max(SPACING, median(a - b for (a, _), (b, _) in pairwise(trend)))
    steps, last = [], None
    for age, value in trend:
        stroke = "L" if last is not None and last - age <= longest else "M"
        share = min(1.0, max(0.0, (value - bottom) / reach))
        x = WIDTH * (1 - min(age, SPAN) / SPAN)
        y = HEIGHT - _INSET - share * (HEIGHT - 2 * _INSET)
        steps.append(f"{stroke}{x:.1f} {y:.1f}")
        last = age
    return "".join(steps)
