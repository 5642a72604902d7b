"""Folds what is sampled fast into what is exported slowly, so that nothing in between is lost.

The window trails: what is exported is true of the last seconds before the newest sample, not of the time
since somebody last looked, because several scrapers and a push all see the same snapshot. Counters (busy
seconds, distributions) take in every sample once and so have no window.

Time that nobody saw counts for nothing: a value stands for the time since the one before it, but never for
more than two intervals, and for none after a pause. Sources that sample finer than they are asked say
themselves how much time they saw (`agent.snapshot.Train`); such a series goes on when they say it, which
may be every few batches.

A series that had one value for a whole window costs nothing until it has another: what its window would
hold is known from when the batches came, which is the same for all series.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from agent.catalogue import Metric
from agent.catalogue.window import FOLDS, Fold
from agent.folded import MEAN_ALONE, Counters, Folded, Key, Tick
from agent.moves import moves
from agent.snapshot import Batch, Reading, SeriesKey, Train

WINDOW: Final = 15.0
"""Seconds: the usual interval of exports and scrapes."""
_LONGEST: Final = 2.0
"""Intervals that a value stands for at most: its own, and one that came late."""
_PATIENCE: Final = 10.0
"""Seconds that a series waits for what its source sampled finer, until its values speak for themselves."""
_REMEMBERED: Final = 4096
"""No more counters than this are kept, those of series that are gone included: they may come back."""
_FOLDS: Final = {metric.name: fold for metric, fold in FOLDS.items()}


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
        self._patience = min(_PATIENCE, window)
        self._active = 2 * interval <= window
        self._distributions = distributions
        self._last: float | None = None
        self._paused = True
        self._plan: list[Folded] = []
        self._known: dict[Key, Folded] = {}
        """The same, by key."""
        self._at: dict[int, Folded] = {}
        """The same, by the position of the gauge."""
        self._unsettled: list[Folded] = []
        """Those of the plan that have a window, in its order."""
        self._ticks: deque[Tick] = deque()
        """Of the batches in the window."""
        self._layout: object = None
        self._collected: tuple[Reading, ...] = ()
        """What the plan was made for looked like this."""
        self._counters: dict[Key, Counters] = {}
        self.keys: frozenset[SeriesKey] = frozenset()
        """The series that the last folded batch has and the batch as collected has not."""

    def lapse(self) -> None:
        """Take in that the collector gives no values now: windows end, counters wait."""
        self._plan, self._known, self._layout, self._collected = [], {}, None, ()
        self._at, self._unsettled = {}, []
        self._ticks.clear()
        self.keys = frozenset()
        self._paused = True

    def fold(
        self, batch: Batch, layout: object = None, moved: Sequence[int] | None = None
    ) -> Batch:
        """Return the batch as it is exported, itself where nothing is folded. It must be vetted.

        ``layout`` is the same object as for the batch before, and not `None`, where that had the same
        series in the same order; without one this is found out. ``moved`` are then the positions of what
        is not the very same reading as in the batch before, if that is known.
        """
        if not self._active or not batch.readings:
            self.lapse()
            return batch
        if self._last is not None and batch.taken_at < self._last:
            self.lapse()  # the clock was set back: ends of cells would lie in the future
        if layout is None or layout is not self._layout:
            moved = None
        if not self._fits(batch.readings, layout):
            self._arrange(batch.readings)
        self._layout, self._collected = layout, batch.readings
        elapsed = 0.0 if self._last is None else max(0.0, batch.taken_at - self._last)
        seen = 0.0 if self._paused else min(elapsed, self._longest)
        self._last, self._paused = batch.taken_at, False
        if not self._plan:
            return batch
        return Batch(
            taken_at=batch.taken_at,
            readings=self._fold(batch, elapsed, seen, moved),
            problems=batch.problems,
            events=batch.events,
            holders=batch.holders,
        )

    def _fold(
        self, batch: Batch, elapsed: float, seen: float, moved: Sequence[int] | None
    ) -> tuple[Reading, ...]:
        now = batch.taken_at
        horizon = now - self._window
        trains = self._trains(batch.trains)
        readings, more = list(batch.readings), list[Reading]()
        looked_at = self._plan if moved is None else self._unsettled + self._woken(moved)
        for series in looked_at:
            value: float = readings[series.position][2]  # type: ignore[assignment]  # gauges alone
            if series.settled is not None:
                if series.settled == value:
                    continue
                series.unsettle(self._ticks)
            train = trains.get(series.key) if series.trained else None
            if train is not None or not series.waits(seen, elapsed, value, self._patience):
                grown = series.take((now, seen, elapsed, horizon), value, train)
                if series.fold is not MEAN_ALONE:
                    series.count(grown, value, train, distributions=self._distributions)
            if series.fold is not MEAN_ALONE:
                more += series.extremes
                more += series.counted
            if series.mean is not None:
                readings[series.position] = series.mean
        self._unsettled = [series for series in looked_at if series.settled is None]
        self._pass(now, seen, horizon)
        readings += more
        return tuple(readings)

    def _woken(self, moved: Sequence[int]) -> list[Folded]:
        """Return the series that stood still and may not any more. Such have nothing but a mean."""
        found = map(self._at.get, moved)
        return [each for each in found if each is not None and each.settled is not None]

    def _trains(self, trains: tuple[Train, ...]) -> dict[Key, Train]:
        """Return the trains that hold samples, by series; those series do not settle any more."""
        found = {(train[0].name, train[1]): train for train in trains if train[2]}
        for key in found:
            series = self._known.get(key)
            if series is not None and not series.trained:
                if series.settled is not None:
                    series.unsettle(self._ticks)
                    self._unsettled.append(series)
                series.trained = True
        return found

    def _pass(self, now: float, seen: float, horizon: float) -> None:
        """Keep when this batch came, and forget those that have left the window."""
        self._ticks.append((now, seen))
        while self._ticks[0][0] <= horizon:
            self._ticks.popleft()

    def _fits(self, readings: tuple[Reading, ...], layout: object) -> bool:
        """Whether batches still look like the one that the plan was made for."""
        if layout is not None and layout is self._layout:
            return True
        return bool(self._collected) and moves(readings, self._collected) is not None

    def _arrange(self, readings: tuple[Reading, ...]) -> None:
        """Find what is to be folded in batches that look like this, and go on with what is known."""
        known, self._plan = self._known, []
        for position, (metric, attributes, _) in enumerate(readings):
            if not metric.fold and metric.name not in _FOLDS:
                continue
            key = metric.name, attributes
            series = known.get(key) or self._series(key, metric)
            series.position = position
            self._plan.append(series)
        self._known = {series.key: series for series in self._plan}
        self._at = {series.position: series for series in self._plan}
        self.keys = frozenset(
            (made, series.attributes)
            for series in self._plan
            for made in _made(series.fold, distributions=self._distributions)
        )
        self._forget()

    def _series(self, key: Key, metric: Metric) -> Folded:
        fold = _FOLDS.get(metric.name, MEAN_ALONE)
        if fold.only is not None and key[1][-1] != fold.only:
            fold = MEAN_ALONE
        counters = self._counters.get(key)
        if counters is None:
            counters = Counters(fold.bounds)
            if fold.integral is not None or fold.distribution is not None:
                self._counters[key] = counters
        return Folded(key, metric, fold, counters)

    def _forget(self) -> None:
        """Keep the memory of series that are gone within bounds, those seen longest ago going first."""
        if len(self._counters) <= _REMEMBERED:
            return
        gone = [key for key in self._counters if key not in self._known]
        for key in gone[: len(self._counters) - _REMEMBERED]:
            del self._counters[key]


def _made(fold: Fold, *, distributions: bool) -> Iterable[Metric]:
    """Return what is exported beside a gauge."""
    made = [fold.minimum, fold.maximum, fold.integral]
    if distributions:
        made.append(fold.distribution)
    return [metric for metric in made if metric is not None]
