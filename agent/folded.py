"""One gauge that is folded: its window, and what is made of it."""

from collections.abc import Iterable
from math import inf
from operator import mul
from typing import Final

from agent.catalogue import Metric
from agent.catalogue.window import Fold
from agent.observations import Observations
from agent.snapshot import Reading, Train
from agent.trailing import Cell, Trailing

MEAN_ALONE: Final = Fold()
"""Of a gauge that has nothing but its mean."""
Tick = tuple[float, float]
"""When a batch came (Unix seconds), and for how many seconds before it what it says held."""
Key = tuple[str, tuple[str, ...]]
"""A metric's name and the attributes: hashed faster than a `SeriesKey`."""


class Counters:
    """What only grows of one series, window or no window."""

    __slots__ = ("integral", "observations")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.integral = 0.0
        self.observations = Observations(bounds)


class Folded:
    """One gauge that is folded, and what is made of it."""

    __slots__ = (
        *("attributes", "counted", "counters", "extremes", "fold", "high", "key", "low", "mean"),
        *("metric", "passed", "position", "settled", "since", "told", "trailing", "trained"),
        "unweighed",
    )

    def __init__(self, key: Key, metric: Metric, fold: Fold, counters: Counters) -> None:
        self.key = key
        self.metric = metric
        self.attributes = key[1]
        self.fold = fold
        self.counters = counters
        self.position = 0
        self.trailing: Trailing | None = None
        """`None` before its first value: a value alone stands for no time."""
        self.since = 0.0
        """When its first value came, which stands for no time."""
        self.trained = False
        """Whether its source samples finer: then its cells are its own, and it never settles."""
        self.unweighed = self.passed = 0.0
        """Of how many seconds it was told, and how many went by, since its last cell."""
        self.low, self.high = inf, -inf
        """The least and the greatest value since then."""
        self.settled: float | None = None
        """The one value that it had for a whole window, instead of `trailing`."""
        self.told: tuple[float, float, float] | None = None
        self.mean: Reading | None = None
        """Instead of the newest value; `None` where that is exported itself."""
        self.extremes: tuple[Reading, ...] = ()
        self.counted: tuple[Reading, ...] = ()
        """The counters, as of its last cell."""

    def settle(self, value: float) -> None:
        """Let go of a window that holds one value only."""
        self.settled, self.trailing, self.mean = value, None, None

    def unsettle(self, ticks: Iterable[Tick]) -> None:
        """Make the window anew: one cell for each batch since the first value came."""
        value, self.settled, self.told = self.settled, None, None
        if value is None:
            return
        self.trailing = Trailing()
        for end, seen in ticks:
            if end >= self.since:
                weight = seen if end > self.since else 0.0
                self.trailing.add((end, weight, value * weight, value, value), value, -inf)

    def tell(self, told: tuple[float, float, float]) -> None:
        """Make the readings of mean, least and greatest; the same objects serve until they change."""
        self.told = told
        mean, low, high = told
        if self.metric.fold:
            self.mean = Reading(self.metric, self.attributes, mean)
        if self.fold is not MEAN_ALONE:
            self.extremes = tuple(
                [
                    Reading(extreme, self.attributes, value)
                    for extreme, value in ((self.fold.minimum, low), (self.fold.maximum, high))
                    if extreme is not None
                ]
            )

    def waits(self, seen: float, elapsed: float, value: float, patience: float) -> bool:
        """Whether a value without samples waits for those of its source; then it is part of their cell.

        A source that says nothing for ``patience`` seconds is waited for no longer.
        """
        if not self.trained:
            return False
        if self.passed + elapsed > patience:
            self.trained = False
            return False
        self.unweighed += seen
        self.passed += elapsed
        self.low, self.high = min(self.low, value), max(self.high, value)
        return True

    def take(
        self, tick: tuple[float, float, float, float], value: float, train: Train | None
    ) -> float:
        """Take in a value, and the samples that came with it; return what the integral grows by.

        ``tick`` is when it came, for how long it holds, how long ago the one before came, and where the
        window begins.
        """
        now, weight, elapsed, horizon = tick
        trailing = self.trailing
        if trailing is None:
            trailing = self.trailing = Trailing()
            self.since, weight = now, 0.0
        low = high = value
        if self.passed:
            weight, elapsed = weight + self.unweighed, elapsed + self.passed
            low, high = min(low, self.low), max(high, self.high)
            self.unweighed = self.passed = 0.0
            self.low, self.high = inf, -inf
        if train is None:
            cell = now, weight, value * weight, low, high
        else:
            cell = _cell((now, weight, elapsed), value, (low, high), train)
        told = trailing.add(cell, value, horizon)
        if told != self.told:
            self.tell(told)
        if told[1] == told[2] and self.fold is MEAN_ALONE and not self.trained:
            self.settle(value)
        return cell[2]

    def count(
        self, grown: float, value: float, train: Train | None, *, distributions: bool
    ) -> None:
        """Take what came last into the counters; ``grown`` is for the integral."""
        readings, fold, counters = list[Reading](), self.fold, self.counters
        if fold.integral is not None:
            counters.integral += grown
            readings.append(Reading(fold.integral, self.attributes, counters.integral))
        if distributions and fold.distribution is not None:
            observations = counters.observations
            observations.add([sample for _, sample in train.samples] if train else (value,))
            distribution = observations.distribution()
            readings.append(Reading(fold.distribution, self.attributes, distribution))
        self.counted = tuple(readings)


def _cell(
    times: tuple[float, float, float], value: float, extremes: tuple[float, float], train: Train
) -> Cell:
    """Return what a train says: its mean for the time, and the extremes of it and of the values.

    ``times`` are when it came, for how long the values hold, and how long ago the cell before came. The
    source may have seen more than this agent did, but not more than time went by.
    """
    now, weight, elapsed = times
    held, samples = zip(*train.samples, strict=True)
    low, high = extremes
    seconds = sum(held)
    weight = min(elapsed, max(weight, seconds))
    mean = sum(map(mul, held, samples)) / seconds if seconds else value
    return now, weight, mean * weight, min(low, *samples), max(high, *samples)
