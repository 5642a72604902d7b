"""Since when a cumulative series has been counting.

OTLP wants the start of every sum and histogram. A source that restarts begins again at a lower value:
then the count started somewhere after it was last seen. Histograms are judged by their count, never by
their sum, which can fall without a restart (a negative observation).
"""

from collections.abc import Mapping
from math import inf
from operator import itemgetter
from typing import Final, NamedTuple

from agent.catalogue import Kind, Metric
from agent.snapshot import Batch, Distribution, SeriesKey

_CUMULATIVE: Final = (Kind.COUNTER, Kind.HISTOGRAM, Kind.SUMMARY)


class Count(NamedTuple):
    """How far a series had counted at ``seen_at``, and since when (both Unix seconds)."""

    total: float
    start: float
    seen_at: float


def follow(previous: Mapping[SeriesKey, Count], batch: Batch) -> dict[SeriesKey, Count]:
    """Return the counts after ``batch``; series that it does not hold are forgotten."""
    counts: dict[SeriesKey, Count] = {}
    now = batch.taken_at
    for metric, attributes, value in batch.readings:
        if metric.kind not in _CUMULATIVE:
            continue
        total = float(value.observations) if isinstance(value, Distribution) else value
        last = previous.get((metric, attributes))
        if last is None:
            start = now
        elif total < last.total:
            start = min(last.seen_at, now)
        else:
            start = min(last.start, now)  # the clock may have been set back
        counts[metric, attributes] = Count(total, start, now)
    return counts


_METRIC: Final = itemgetter(0)


class Starts:
    """`follow` for the batches of one collector, which mostly look like the one before.

    While they do, the series are known and only their totals are compared: a quarter of the time. The
    result is the same.
    """

    def __init__(self) -> None:
        self._metrics: tuple[Metric, ...] = ()
        self._positions: list[int] = []
        self._attributes: list[tuple[str, ...]] = []
        self._totals: list[float] = []
        self._seen_at = -inf
        self.starts: Mapping[SeriesKey, float] = {}
        """Since when each series of the last batch has been counting, Unix seconds."""

    def follow(self, batch: Batch) -> None:
        """Take in a batch."""
        metrics = tuple(map(_METRIC, batch.readings))
        totals = self._compared(batch) if metrics == self._metrics else None
        if totals is None:
            self._meet(metrics, batch)
        else:
            self._totals, self._seen_at = totals, batch.taken_at

    def _compared(self, batch: Batch) -> list[float] | None:
        """Return the totals of a batch with the series of the last one, or None where it has others."""
        if batch.taken_at < self._seen_at:
            return None
        totals: list[float] = []
        fell: list[SeriesKey] = []
        readings = batch.readings
        for position, known, last in zip(
            self._positions, self._attributes, self._totals, strict=True
        ):
            metric, attributes, value = readings[position]
            if attributes is not known and attributes != known:
                return None
            total = float(value.observations) if isinstance(value, Distribution) else value
            if total < last:
                fell.append((metric, attributes))
            totals.append(total)
        if fell:
            self.starts = {**self.starts, **dict.fromkeys(fell, self._seen_at)}
        return totals

    def _meet(self, metrics: tuple[Metric, ...], batch: Batch) -> None:
        """Take in a batch with other series than the last one, or of an earlier time."""
        keys = [
            (self._metrics[position], attributes)
            for position, attributes in zip(self._positions, self._attributes, strict=True)
        ]
        known = {
            key: Count(total, self.starts[key], self._seen_at)
            for key, total in zip(keys, self._totals, strict=True)
        }
        counts = follow(known, batch)
        self._metrics, self._seen_at = metrics, batch.taken_at
        self._positions = [
            position
            for position, reading in enumerate(batch.readings)
            if (reading.metric, reading.attributes) in counts
        ]
        self._attributes = [batch.readings[position].attributes for position in self._positions]
        self._totals = [
            counts[batch.readings[position].metric, batch.readings[position].attributes].total
            for position in self._positions
        ]
        self.starts = {key: count.start for key, count in counts.items()}
