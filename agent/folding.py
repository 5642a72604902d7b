"""Folds what is sampled fast into what is exported slowly, so that nothing in between is lost.

The window trails: what is exported is true of the last seconds before the newest sample, not of the time
since somebody last looked, because several scrapers and a push all see the same snapshot. Counters (busy
seconds, distributions) take in every sample once and so have no window.

Time that nobody saw counts for nothing: a value stands for the time since the one before it, but never for
more than two intervals, and for none after a pause. Sources that sample finer than they are asked say
themselves how much time they saw (`agent.snapshot.Train`).
"""

from collections.abc import Iterable
from operator import itemgetter, mul
from typing import Final

from agent.catalogue import Metric
from agent.catalogue.window import FOLDS, Fold
from agent.observations import Observations
from agent.snapshot import Batch, Reading, SeriesKey, Train
from agent.trailing import Cell, Trailing

WINDOW: Final = 15.0
"""Seconds: the usual interval of exports and scrapes."""
_LONGEST: Final = 2.0
"""Intervals that a value stands for at most: its own, and one that came late."""
_REMEMBERED: Final = 4096
"""No more counters than this are kept, those of series that are gone included: they may come back."""
_FOLDS: Final = {metric.name: fold for metric, fold in FOLDS.items()}
_MEAN_ALONE: Final = Fold()
_METRIC: Final = itemgetter(0)

_Key = tuple[str, tuple[str, ...]]
"""A metric's name and the attributes: hashed faster than a `SeriesKey`."""


class _Counters:
    """What only grows of one series, window or no window."""

    __slots__ = ("integral", "observations")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.integral = 0.0
        self.observations = Observations(bounds)


class _Series:
    """One gauge that is folded, and what is made of it."""

    __slots__ = (
        *("attributes", "counters", "extremes", "fold", "key"),
        *("mean", "metric", "position", "told", "trailing"),
    )

    def __init__(self, key: _Key, metric: Metric, fold: Fold, counters: _Counters) -> None:
        self.key = key
        self.metric = metric
        self.attributes = key[1]
        self.fold = fold
        self.counters = counters
        self.position = 0
        self.trailing: Trailing | None = None
        """`None` before its first value: a value alone stands for no time."""
        self.told: tuple[float, float, float] | None = None
        self.mean: Reading | None = None
        """Instead of the newest value; `None` where that is exported itself."""
        self.extremes: tuple[Reading, ...] = ()

    def tell(self, told: tuple[float, float, float]) -> None:
        """Make the readings of mean, least and greatest; the same objects serve until they change."""
        self.told = told
        mean, low, high = told
        metric, fold, attributes = self.metric, self.fold, self.attributes
        if metric.fold:
            self.mean = Reading(metric, attributes, mean)
        self.extremes = tuple(
            Reading(extreme, attributes, value)
            for extreme, value in ((fold.minimum, low), (fold.maximum, high))
            if extreme is not None
        )


class Folding:
    """The memory of one collector's folded series. ``interval`` is how often it collects, seconds.

    ``window`` is the length of the trailing window, seconds. A collector that gives fewer than two batches
    a window has nothing to fold: its batches pass as they are. ``distributions``: also make histograms.
    """

    def __init__(
        self, *, interval: float, window: float = WINDOW, distributions: bool = False
    ) -> None:
        self._window = window
        self._longest = _LONGEST * interval
        self._active = 2 * interval <= window
        self._distributions = distributions
        self._last: float | None = None
        self._paused = True
        self._plan: list[_Series] = []
        self._metrics: tuple[Metric, ...] = ()
        self._attributes: list[tuple[str, ...]] = []
        """Of the plan's series, as `_metrics` are of all readings: by them a batch is known to fit."""
        self._counters: dict[_Key, _Counters] = {}
        self.keys: frozenset[SeriesKey] = frozenset()
        """The series that the last folded batch has and the batch as collected has not."""

    def lapse(self) -> None:
        """Take in that the collector gives no values now: windows end, counters wait."""
        self._plan, self._metrics, self._attributes, self.keys = [], (), [], frozenset()
        self._paused = True

    def fold(self, batch: Batch) -> Batch:
        """Return the batch as it is exported, itself where nothing is folded. It must be vetted."""
        if not self._active or not batch.readings:
            self.lapse()
            return batch
        if self._last is not None and batch.taken_at < self._last:
            self.lapse()  # the clock was set back: ends of cells would lie in the future
        if not self._fits(batch.readings):
            self._arrange(batch.readings)
        elapsed = 0.0 if self._last is None else max(0.0, batch.taken_at - self._last)
        seen = 0.0 if self._paused else min(elapsed, self._longest)
        self._last, self._paused = batch.taken_at, False
        if not self._plan:
            return batch
        return Batch(
            taken_at=batch.taken_at,
            readings=self._fold(batch, elapsed, seen),
            problems=batch.problems,
            events=batch.events,
            holders=batch.holders,
        )

    def _fold(self, batch: Batch, elapsed: float, seen: float) -> tuple[Reading, ...]:
        now = batch.taken_at
        horizon = now - self._window
        trains = {(train[0].name, train[1]): train for train in batch.trains if train[2]}
        readings, more = list(batch.readings), list[Reading]()
        for series in self._plan:
            value: float = readings[series.position][2]  # type: ignore[assignment]  # gauges alone
            trailing, weight = series.trailing, seen
            if trailing is None:
                trailing = series.trailing = Trailing()
                weight = 0.0
            train = trains.get(series.key) if trains else None
            if train is None:
                cell = now, weight, value * weight, value, value
            else:
                cell = _cell(now, weight, elapsed, value, train)
            told = trailing.add(cell, value, horizon)
            if told != series.told:
                series.tell(told)
            if series.mean is not None:
                readings[series.position] = series.mean
            if series.fold is not _MEAN_ALONE:
                more += series.extremes
                if series.fold.integral is not None:
                    series.counters.integral += cell[2]
                    total = series.counters.integral
                    more.append(Reading(series.fold.integral, series.attributes, total))
                if self._distributions and series.fold.distribution is not None:
                    more.append(_distribution(series, series.fold.distribution, value, train))
        readings += more
        return tuple(readings)

    def _fits(self, readings: tuple[Reading, ...]) -> bool:
        """Whether batches still look like the one that the plan was made for."""
        if tuple(map(_METRIC, readings)) != self._metrics:
            return False
        return [readings[series.position][1] for series in self._plan] == self._attributes

    def _arrange(self, readings: tuple[Reading, ...]) -> None:
        """Find what is to be folded in batches that look like this, and go on with what is known."""
        known = {series.key: series for series in self._plan}
        self._plan = []
        for position, (metric, attributes, _) in enumerate(readings):
            if not metric.fold and metric.name not in _FOLDS:
                continue
            key = metric.name, attributes
            series = known.get(key) or self._series(key, metric)
            series.position = position
            self._plan.append(series)
        self._metrics = tuple(map(_METRIC, readings))
        self._attributes = [series.attributes for series in self._plan]
        self.keys = frozenset(
            (made, series.attributes)
            for series in self._plan
            for made in _made(series.fold, distributions=self._distributions)
        )
        self._forget()

    def _series(self, key: _Key, metric: Metric) -> _Series:
        fold = _FOLDS.get(metric.name, _MEAN_ALONE)
        if fold.only is not None and key[1][-1] != fold.only:
            fold = _MEAN_ALONE
        counters = self._counters.get(key)
        if counters is None:
            counters = _Counters(fold.bounds)
            if fold.integral is not None or fold.distribution is not None:
                self._counters[key] = counters
        return _Series(key, metric, fold, counters)

    def _forget(self) -> None:
        """Keep the memory of series that are gone within bounds, those seen longest ago going first."""
        if len(self._counters) <= _REMEMBERED:
            return
        here = {series.key for series in self._plan}
        gone = [key for key in self._counters if key not in here]
        for key in gone[: len(self._counters) - _REMEMBERED]:
            del self._counters[key]


def _cell(now: float, weight: float, elapsed: float, value: float, train: Train) -> Cell:
    """Return what a train says: its mean for the time, and the extremes of it and of the value.

    The source may have seen more than this agent did, but not more than time went by.
    """
    held, samples = zip(*train.samples, strict=True)
    seconds = sum(held)
    weight = min(elapsed, max(weight, seconds))
    mean = sum(map(mul, held, samples)) / seconds if seconds else value
    return now, weight, mean * weight, min(value, *samples), max(value, *samples)


def _distribution(series: _Series, metric: Metric, value: float, train: Train | None) -> Reading:
    """Count the samples there were: the train's, else the one value."""
    observations = series.counters.observations
    observations.add([sample for _, sample in train.samples] if train else (value,))
    return Reading(metric, series.attributes, observations.distribution())


def _made(fold: Fold, *, distributions: bool) -> Iterable[Metric]:
    """Return what is exported beside a gauge."""
    made = [fold.minimum, fold.maximum, fold.integral]
    if distributions:
        made.append(fold.distribution)
    return [metric for metric in made if metric is not None]
