"""Learns from weeks of history what is normal for each score, and says beforehand how often it would alert.

A bound that holds for all traffic is always wrong: a daily cycle of a chat is a scandal for a scoring
model. The largest value of the reference period, and a third more, is quiet in every traffic that was
tried (docs/drift-evaluation.md); a minimum effect keeps a bound from being smaller than anybody cares for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from agent.drift.thresholds import Threshold

FACTOR: Final = 1.3
"""Of the largest value seen: 0.00 (1h) and 0.06 (1d) false alarms a feature and month in the worst simulated
traffic; with 1.1 there are 0.44 to 0.75."""
LEAST: Final[Mapping[tuple[str, str], float]] = {
    ("rank_shift", "1h"): 0.03,
    ("rank_shift", "1d"): 0.02,
    ("psi", "1h"): 0.1,
    ("psi", "1d"): 0.1,
}
"""Effects that are smaller are not worth anybody's time, however surely they are there."""
HOLD: Final = {"1h": 15 * 60.0, "1d": 30 * 60.0}
"""Seconds for which the alert rules want a score above its bound."""
LINGER: Final = {"1h": 30 * 60.0, "1d": 2 * 3600.0}
"""Seconds for which an alert goes on once its score is back below: what rises again within is no new one."""
_SECONDS: Final = {"1h": 3_600.0, "1d": 86_400.0}
DAYS: Final = 14.0
"""Of history at least: two weekends."""
_DAY: Final = 86_400.0
_MONTH: Final = 30 * _DAY
_WEEK: Final = 7 * _DAY
_UNSTEADY: Final = 2.5
"""How many times the quietest week's largest score the loudest's may be: beyond it, the history holds a
change that a bound above all of it would take for normal."""
_GAP: Final = 3.0
"""Steps between two points beyond which nothing was measured between them."""


class Identity(NamedTuple):
    """What a score is of."""

    model: str
    model_version: str
    reference: str
    feature: str


class Point(NamedTuple):
    """A score at a time (Unix seconds)."""

    time: float
    value: float


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was learned of one score: its bound, or why there is none."""

    identity: Identity
    statistic: str
    window: str
    points: tuple[Point, ...]
    days: float
    threshold: Threshold | None
    why_not: str = ""
    doubt: str = ""
    """Why the bound is not to be relied on, if it is not."""
    alerts: tuple[float, ...] = ()
    """When the history would have alerted, Unix seconds."""


def calibrate(
    identity: Identity,
    statistic: str,
    window: str,
    points: Sequence[Point],
    *,
    step: float,
    days: float = DAYS,
    factor: float = FACTOR,
) -> Calibrated:
    """Learn the bound of one score from its history.

    ``step`` is seconds between two points. With less than ``days`` of measured time there is no bound: a
    week-end that is not in it would be drift.
    """
    ordered = _merged(points)
    measured = measured_days(ordered, step)
    if measured + step / _DAY < days:
        why = f"measured for {measured:.1f} days of {days:g}"
        return Calibrated(identity, statistic, window, ordered, measured, None, why)
    bound = bound_of(ordered, statistic, window, factor)
    alerts = expected_alerts(ordered, statistic, window, step=step, factor=factor)
    expected = None if alerts is None else len(alerts) * _MONTH / (measured * _DAY)
    threshold = Threshold(
        **identity._asdict(),
        statistic=statistic,
        window=window,
        value=bound,
        days=round(measured, 2),
        alerts_per_month=None if expected is None else round(expected, 3),
    )
    doubt = _doubt(ordered, LEAST[statistic, window])
    return Calibrated(
        identity,
        statistic,
        window,
        ordered,
        measured,
        threshold,
        doubt=doubt,
        alerts=tuple(alerts or ()),
    )


def _merged(points: Iterable[Point]) -> tuple[Point, ...]:
    """Return one point for each time, in order: of several, as of two clusters, the one farthest from 0."""
    found: dict[float, Point] = {}
    for point in points:
        known = found.get(point.time)
        if known is None or abs(point.value) > abs(known.value):
            found[point.time] = point
    return tuple(sorted(found.values()))


def _doubt(points: Sequence[Point], least: float) -> str:
    """Return in words that the weeks are not alike, nothing if they are or if none matters."""
    peaks = [max(abs(point.value) for point in week) for week in _weeks(points)]
    low, high = max(min(peaks), least / FACTOR), max(peaks)
    if high <= _UNSTEADY * low:
        return ""
    return (
        f"one week goes {high / low:.1f} times as far as another: if that was drift, the bound hides it; "
        "calibrate with --leave-out and its days, or take a new reference"
    )


def without(
    points: Iterable[Point], spans: Iterable[tuple[float, float]], window: str
) -> list[Point]:
    """Return the points less those of which a part of the window is within a span, Unix seconds each."""
    left_out = [(begin, end + _SECONDS[window]) for begin, end in spans]
    return [
        point for point in points if not any(low <= point.time <= high for low, high in left_out)
    ]


def bound_of(points: Iterable[Point], statistic: str, window: str, factor: float = FACTOR) -> float:
    """Return the bound that a history gives: above its largest value, or the least that counts."""
    largest = max((abs(point.value) for point in points), default=0.0)
    return max(LEAST[statistic, window], factor * largest)


def measured_days(points: Sequence[Point], step: float) -> float:
    """Return for how long there were scores; gaps do not count."""
    times = [point.time for point in points]
    spans = (later - earlier for earlier, later in pairwise(times))
    return sum(span for span in spans if span <= _GAP * step) / _DAY


def expected_alerts(
    points: Sequence[Point],
    statistic: str,
    window: str,
    *,
    step: float,
    factor: float = FACTOR,
) -> list[float] | None:
    """Return when the history would have alerted, Unix seconds.

    Each week is judged by a bound that was learned from the other weeks: one that had been learned from
    the week itself would never alert in it. A history of less than two weeks cannot tell: `None`.
    """
    weeks = _weeks(points)
    if len(weeks) < 2:
        return None
    alerts: list[float] = []
    for week in weeks:
        others = (each for other in weeks if other is not week for each in other)
        bound = bound_of(others, statistic, window, factor)
        alerts += alert_times(week, bound, hold=HOLD[window], linger=LINGER[window], step=step)
    return alerts


def _weeks(points: Sequence[Point]) -> list[list[Point]]:
    """Return the points week by week, what is left at the end with the last one; empty weeks are none."""
    whole = max(1, int((points[-1].time - points[0].time) // _WEEK)) if points else 1
    found: dict[int, list[Point]] = {}
    for point in points:
        number = min(int((point.time - points[0].time) // _WEEK), whole - 1)
        found.setdefault(number, []).append(point)
    return list(found.values())


def episodes(
    points: Sequence[Point], bound: float, *, hold: float, step: float, linger: float = 0.0
) -> int:
    """Count how often a score would have alerted, see `alert_times`."""
    return len(alert_times(points, bound, hold=hold, step=step, linger=linger))


def alert_times(
    points: Sequence[Point], bound: float, *, hold: float, step: float, linger: float = 0.0
) -> list[float]:
    """Return when a score had been above a bound for ``hold`` seconds; a gap ends an episode.

    One that comes back within ``linger`` seconds is the same.
    """
    found: list[float] = []
    since, last, over = 0.0, None, None
    for time, value in points:
        if last is None or time - last > _GAP * step:
            since, over = time, None
        if abs(value) > bound:
            if over is not None:
                over = time
            elif time - since >= hold - step:
                found.append(time)
                over = time
        elif over is None or time - over > linger:
            since, over = time + step, None
        last = time
    return found
