"""Since when a cumulative series has been counting.

OTLP wants the start of every sum and histogram. A source that restarts begins again at a lower value:
then the count started somewhere after it was last seen. Histograms are judged by their count, never by
their sum, which can fall without a restart (a negative observation); one with other buckets is another one.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Final, NamedTuple

from agent.catalogue import Kind
from agent.snapshot import Batch, Distribution, Reading, SeriesKey

_CUMULATIVE: Final = (Kind.COUNTER, Kind.HISTOGRAM, Kind.SUMMARY)


class Count(NamedTuple):
    """How far a series had counted at ``seen_at``, and since when (both Unix seconds)."""

    total: float
    start: float
    seen_at: float
    bounds: tuple[float, ...] = ()
    """Of a histogram's buckets."""


def follow(previous: Mapping[SeriesKey, Count], batch: Batch) -> dict[SeriesKey, Count]:
    """Return the counts after ``batch``; series that it does not hold are forgotten."""
    counts: dict[SeriesKey, Count] = {}
    now = batch.taken_at
    for metric, attributes, value in batch.readings:
        if metric.kind not in _CUMULATIVE:
            continue
        total = _total(value)
        last = previous.get((metric, attributes))
        if last is None:
            start = now
        elif total < last.total or _bounds(value) != last.bounds:
            start = min(last.seen_at, now)
        else:
            start = min(last.start, now)  # the clock may have been set back
        counts[metric, attributes] = Count(total, start, now, _bounds(value))
    return counts


class Starts:
    """`follow` for the batches of one collector, which mostly look like the one before.

    While they do, the series are known and only the totals that moved are compared. The result is the
    same.
    """

    def __init__(self) -> None:
        self._positions: list[int] = []
        self._cumulative: frozenset[int] = frozenset()
        """The same."""
        self._last: Sequence[Reading] = ()
        self._layout: object = None
        self._seen_at = -inf
        self.starts: Mapping[SeriesKey, float] = {}
        """Since when each series of the last batch has been counting, Unix seconds. It is the same object
        until one of them starts."""

    def follow(
        self, batch: Batch, layout: object = None, moved: Iterable[int] | None = None
    ) -> None:
        """Take in a batch.

        ``layout`` is the same object as for the batch before, and not `None`, where that had the same
        series in the same order. ``moved`` then holds the positions, and perhaps more, of what is not the
        very same reading as there, if that is known.
        """
        known = layout is not None and layout is self._layout
        if not known or batch.taken_at < self._seen_at:
            self._meet(batch)
            self._layout = layout
            return
        last, now = self._last, batch.readings
        positions = self._positions if moved is None else self._cumulative.intersection(moved)
        fell = [
            now[position][:2]
            for position in positions
            if now[position] is not last[position]
            and _began_anew(last[position][2], now[position][2])
        ]
        if fell:
            self.starts = {**self.starts, **dict.fromkeys(fell, self._seen_at)}
        self._last, self._seen_at = now, batch.taken_at

    def _meet(self, batch: Batch) -> None:
        """Take in a batch with other series than the last one, or of an earlier time."""
        known = {
            (metric, attributes): Count(
                _total(value), self.starts[metric, attributes], self._seen_at, _bounds(value)
            )
            for metric, attributes, value in (self._last[each] for each in self._positions)
        }
        counts = follow(known, batch)
        self._positions = [
            position
            for position, (metric, attributes, _) in enumerate(batch.readings)
            if (metric, attributes) in counts
        ]
        self._cumulative = frozenset(self._positions)
        self._last, self._seen_at = batch.readings, batch.taken_at
        starts = {key: count.start for key, count in counts.items()}
        if starts != self.starts:
            self.starts = starts


def _began_anew(before: float | Distribution, now: float | Distribution) -> bool:
    return _total(now) < _total(before) or _bounds(now) != _bounds(before)


def _bounds(value: float | Distribution) -> tuple[float, ...]:
    return value.bounds if isinstance(value, Distribution) else ()


def _total(value: float | Distribution) -> float:
    return float(value.observations) if isinstance(value, Distribution) else value
