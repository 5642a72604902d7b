"""Latencies and rates of the last minute, from counts that only grow."""

from typing import Final

from agent.catalogue import Metric
from agent.snapshot import Distribution
from exporters.status.history import Point, baseline
from exporters.status.lookup import Lookup
from exporters.status.model import Latency, Quantile


def latency(lookup: Lookup, metric: Metric, *attributes: str) -> Latency | None:
    """Return the latency over the last minute; `None` where nothing was observed in it."""
    now = lookup.point(metric, *attributes)
    first = now and _baseline(lookup, metric, attributes, now)
    if not now or not first:
        return None
    value, before = now[1], first[1]
    if not isinstance(value, Distribution) or not isinstance(before, Distribution):
        return None
    counts = tuple(
        later - earlier for earlier, later in zip(before.counts, value.counts, strict=True)
    )
    requests = sum(counts)
    if not requests:
        return None
    return Latency(
        requests=requests,
        window=now[0] - first[0],
        mean=(value.sum - before.sum) / requests,
        p50=quantile(0.50, value.bounds, counts),
        p95=quantile(0.95, value.bounds, counts),
    )


def _baseline(
    lookup: Lookup, metric: Metric, attributes: tuple[str, ...], now: Point
) -> Point | None:
    points = lookup.history(metric, *attributes)
    return baseline(points, now, lookup.started_at(metric, *attributes))


def quantile(share: float, bounds: tuple[float, ...], counts: tuple[int, ...]) -> Quantile | None:
    """Return a quantile as Prometheus' `histogram_quantile` estimates it.

    Linear within its bucket, whose lower end is 0 for the first one above 0; what lies above the last
    bound is known to be at least that. `None` without bounds or observations.
    """
    total = sum(counts)
    if not bounds or not total:
        return None
    rank, below = share * total, 0
    for position, upper in enumerate(bounds):
        count = counts[position]
        if below + count >= rank and count:
            lower = bounds[position - 1] if position else min(0.0, upper)
            return Quantile(lower + (upper - lower) * (rank - below) / count, at_least=False)
        below += count
    return Quantile(bounds[-1], at_least=True)


def growth(lookup: Lookup, metric: Metric, *beginning: str) -> tuple[float, float] | None:
    """Return by how much counters grew together, and over how many seconds.

    `None` where none of the series that begin with these attributes has a point to compare with.
    """
    grown, window = 0.0, _UNKNOWN
    for attributes, now in lookup.numbers(metric, *beginning):
        first = _baseline(lookup, metric, attributes, now)
        if first is not None and not isinstance(first[1], Distribution):
            grown += now[1] - first[1]
            window = max(window, now[0] - first[0])
    return None if window == _UNKNOWN else (grown, window)


_UNKNOWN: Final = -1.0


def per_second(lookup: Lookup, metric: Metric, *beginning: str) -> float | None:
    """Return how fast counters grew together over the last minute."""
    grown = growth(lookup, metric, *beginning)
    return None if grown is None else grown[0] / grown[1]
