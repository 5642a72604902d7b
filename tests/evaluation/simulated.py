"""False alarms and delay on simulated traffic: lengths of requests with a daily cycle and bursts.

Lengths are lognormal (sigma 1.2, mean 300 tokens). "cycle and bursts": the mean goes 15 % up and down over
the day, and an AR(1) of 10 % with a memory of 30 minutes is on top. A reference is learned from the first
day, as the process does; bounds from the first 14 days, as calibration does; the next 30 days have no
drift; then the lengths grow. Scores are taken each 5 minutes (1h) and each 15 (1d) from counts by minute.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any, Final, NamedTuple

import numpy as np

from agent.drift.calibration import FACTOR, HOLD, Point, bound_of, episodes
from agent.drift.column import Column
from agent.drift.counting import counter
from agent.drift.difference import psi, rank_shift
from agent.drift.reference import FeatureReference
from tests.evaluation.detectors import (
    EVIDENTLY_ALARM,
    P_VALUE,
    PSI_ALARM,
    doane_edges,
    evidently_scorer,
    is_enough,
    js_numeric,
    learned,
    p_value,
)

MINUTE: Final = 60.0
DAY: Final = 1_440
"""Minutes."""
LEARNED_DAYS: Final = 14
QUIET_DAYS: Final = 30
DRIFT_DAYS: Final = 2
MONTH_MINUTES: Final = 30 * DAY
SIGMA: Final = 1.2
MEAN: Final = 300.0
REFERENCE_ROWS: Final = 20_000
STEP: Final = {"1h": 5, "1d": 15, "10m": 5}
"""Minutes between two evaluations, as calibration asks Prometheus."""
WINDOW: Final = {"1h": 60, "1d": DAY, "10m": 10}


@dataclass(frozen=True)
class Cell:
    """One kind of traffic. ``rate`` is requests a second."""

    name: str
    rate: float
    cycle: float = 0.0
    bursts: float = 0.0


CELLS: Final = (
    Cell("2 req/s, steady", 2.0),
    Cell("2 req/s, cycle and bursts", 2.0, 0.15, 0.10),
    Cell("0.1 req/s, cycle and bursts", 0.1, 0.15, 0.10),
)
SHIFTS: Final = (1.2, 1.5)


class Outcome(NamedTuple):
    """What one detector did in one run: false alarms in 30 days, and minutes until each shift was told."""

    false_alarms: float
    delays: Mapping[float, float | None]


class Traffic:
    """Requests minute by minute, the same for the same seed."""

    def __init__(self, cell: Cell, seed: int) -> None:
        self._cell = cell
        self._random = np.random.default_rng(seed)
        self._burst = 0.0
        self._minute = 0

    def take(self, minutes: int, factor: float = 1.0) -> list[Any]:
        """Return the lengths of each of the next minutes."""
        keep = np.exp(-1 / 30)
        found = []
        for _ in range(minutes):
            self._burst = keep * self._burst + self._random.normal() * np.sqrt(1 - keep**2)
            swing = self._cell.cycle * np.sin(2 * np.pi * self._minute / DAY)
            mean = MEAN * factor * (1 + swing) * np.exp(self._cell.bursts * self._burst)
            count = self._random.poisson(self._cell.rate * MINUTE)
            mu = log(mean) - SIGMA**2 / 2
            found.append(np.ceil(self._random.lognormal(mu, SIGMA, count)))
            self._minute += 1
        return found


class Counted:
    """Counts of the reference's bins by minute, summed over windows."""

    def __init__(self, feature: FeatureReference) -> None:
        self.feature = feature
        self._counter = counter(feature)
        self._sums = [np.array(self._counter.counts)]

    def add(self, minutes: Sequence[Any]) -> None:
        """Count minutes by the code that counts live traffic."""
        for values in minutes:
            self._counter.add(Column(values.tolist()))
            self._sums.append(np.array(self._counter.counts))

    def scores(self, window: str, first: int, last: int) -> tuple[list[Point], list[Point]]:
        """Return rank shift and PSI of each window that ends between two minutes, where there are enough."""
        shifts, scores = [], []
        for end in range(max(first, WINDOW[window]), last + 1, STEP[window]):
            counts = self._sums[end] - self._sums[end - WINDOW[window]]
            if window != "10m" and not is_enough(self.feature, int(counts.sum())):
                continue
            current = replace(self.feature, counts=tuple(map(int, counts)))
            shift = rank_shift(self.feature, current)
            if shift is not None:
                shifts.append(Point(end * MINUTE, shift))
                scores.append(Point(end * MINUTE, psi(self.feature, current)))
        return shifts, scores


def run(cell: Cell, seed: int) -> dict[str, Outcome]:
    """Return what every detector does with one seed's traffic."""
    traffic = Traffic(cell, seed)
    history = traffic.take(LEARNED_DAYS * DAY)
    sample = _sample(history[: max(DAY, int(REFERENCE_ROWS / cell.rate / MINUTE))], seed)
    feature = learned("prompt.length", sample.tolist())
    counted = Counted(feature)
    counted.add(history)
    quiet = traffic.take(QUIET_DAYS * DAY)
    counted.add(quiet)
    start, end = LEARNED_DAYS * DAY, (LEARNED_DAYS + QUIET_DAYS) * DAY
    drifted = {shift: _drifted(cell, seed, shift) for shift in SHIFTS}
    after = {shift: _continued(counted, quiet, minutes) for shift, minutes in drifted.items()}
    return {
        **_windowed(counted, after, start, end),
        **_batched(sample, history, quiet, drifted),
    }


def _sample(minutes: Sequence[Any], seed: int) -> Any:
    values = np.concatenate(minutes)
    chosen = min(REFERENCE_ROWS, len(values))
    return np.random.default_rng(seed).choice(values, chosen, replace=False)


def _drifted(cell: Cell, seed: int, shift: float) -> list[Any]:
    traffic = Traffic(cell, seed + 1_000)
    return traffic.take(DRIFT_DAYS * DAY, shift)


def _continued(counted: Counted, quiet: Sequence[Any], minutes: Sequence[Any]) -> Counted:
    """Return the counts of the last quiet day with drifted ones after it."""
    after = Counted(counted.feature)
    after.add([*quiet[-DAY:], *minutes])
    return after


def _windowed(
    counted: Counted, after: Mapping[float, Counted], start: int, end: int
) -> dict[str, Outcome]:
    """Return the detectors that the recording rules have the scores for."""
    found = {}
    for window, tier in (("1h", "fast"), ("1d", "slow")):
        learned_shifts, _ = counted.scores(window, 0, start)
        bound = bound_of(learned_shifts, "rank_shift", window, FACTOR)
        shifts, _ = counted.scores(window, start, end)
        found[f"Warpwatch, {tier} ({window})"] = Outcome(
            float(episodes(shifts, bound, hold=HOLD[window], step=STEP[window] * MINUTE)),
            {
                shift: _delay(each.scores(window, DAY, _last(each))[0], bound, HOLD[window])
                for shift, each in after.items()
            },
        )
    for window in ("10m", "1h"):
        _, scores = counted.scores(window, start, end)
        found[f"PSI > 0.1 ({window})"] = Outcome(
            float(episodes(scores, PSI_ALARM, hold=0.0, step=STEP[window] * MINUTE)),
            {
                shift: _delay(each.scores(window, DAY, _last(each))[1], PSI_ALARM, 0.0)
                for shift, each in after.items()
            },
        )
    return found


def _last(counted: Counted) -> int:
    return len(counted._sums) - 1


def _delay(points: Sequence[Point], bound: float, hold: float) -> float | None:
    """Return the minutes from the shift (after a day) until an alert; `None` where there is none in time."""
    since: float | None = None
    for time, value in points:
        if abs(value) <= bound:
            since = None
            continue
        since = time if since is None else since
        if time - since >= hold and time > DAY * MINUTE:
            return time / MINUTE - DAY
    return None


def _batched(
    sample: Any,
    history: Sequence[Any],
    quiet: Sequence[Any],
    drifted: Mapping[float, Sequence[Any]],
) -> dict[str, Outcome]:
    """Return the detectors that compare rows, hour by hour, as a job that runs each hour would."""
    before = _hours(history)
    edges = doane_edges(sample)
    distances = [js_numeric(sample, edges, hour) for hour in before]
    bound = float(np.mean(distances) + 3 * np.std(distances))
    evidently = evidently_scorer(sample.tolist())
    rules: dict[str, Callable[[Any], bool]] = {
        "KS p < 0.05 (1h)": lambda hour: p_value(sample, hour) < P_VALUE,
        "Evidently default (1h)": lambda hour: evidently(hour.tolist()) > EVIDENTLY_ALARM,
        "NannyML JS, 3 sigma (1h)": lambda hour: js_numeric(sample, edges, hour) > bound,
    }
    found = {}
    for name, fires in rules.items():
        said = [fires(hour) for hour in _hours(quiet)]
        begun = sum(now and not then for then, now in zip([False, *said], said, strict=False))
        delays = {}
        for shift, minutes in drifted.items():
            told = (60.0 * (n + 1) for n, hour in enumerate(_hours(minutes)) if fires(hour))
            delays[shift] = next(told, None)
        found[name] = Outcome(float(begun), delays)
    return found


def _hours(minutes: Sequence[Any]) -> list[Any]:
    hours = (np.concatenate(minutes[at : at + 60]) for at in range(0, len(minutes), 60))
    return [hour for hour in hours if len(hour) >= 30]
