"""Since when a cumulative series has been counting.

OTLP wants the start of every sum and histogram. A source that restarts begins again at a lower value:
then the count started somewhere after it was last seen. Histograms are judged by their count, never by
their sum, which can fall without a restart (a negative observation).
"""

from collections.abc import Mapping
from typing import NamedTuple

from agent.catalogue import Kind
from agent.snapshot import Batch, Distribution, SeriesKey


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
        if metric.kind is not Kind.COUNTER and metric.kind is not Kind.HISTOGRAM:
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
