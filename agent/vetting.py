"""Refuses values that cannot be true before anybody sees them.

Collectors know their sources' sentinels; what holds for every source is checked here, from the catalogue
alone: finite numbers, ratios within 0..1, nothing negative that counts or measures an amount, no series
twice. What is refused is absent, and counted as a problem.
"""

from collections.abc import Iterable
from math import isfinite

from agent.catalogue import Kind, Metric
from agent.snapshot import Batch, Distribution, Problem, Reading, SeriesKey, series_key

_NEVER_NEGATIVE_UNITS = frozenset({"By", "W", "J", "Hz", "s"})


def fault(metric: Metric, value: float | Distribution) -> str:
    """Return why ``value`` cannot be true for ``metric``, in one word for a label; empty if it can."""
    if isinstance(value, Distribution) is not (metric.kind is Kind.HISTOGRAM):
        return "wrong_kind"
    if isinstance(value, Distribution):
        return _distribution_fault(value)
    if not isfinite(value):
        return "not_finite"
    if metric.kind is Kind.GAUGE and metric.unit == "1" and not 0.0 <= value <= 1.0:
        return "out_of_range"
    if value < 0 and (metric.kind is Kind.COUNTER or metric.unit in _NEVER_NEGATIVE_UNITS):
        return "negative"
    return ""


def vet(batch: Batch) -> tuple[Batch, frozenset[SeriesKey]]:
    """Return the batch without what cannot be true, and the keys of the series that it holds."""
    keys: set[SeriesKey] = set()
    refused: list[tuple[int, Problem]] = []
    for position, (metric, attributes, value) in enumerate(batch.readings):
        reason = fault(metric, value)
        key = series_key(metric, attributes)
        if not reason and key in keys:
            reason = "duplicate_series"
        if reason:
            subject = " ".join((metric.name, *filter(None, attributes)))
            refused.append((position, Problem(reason, subject, repr(value))))
        else:
            keys.add(key)
    if not refused:
        return batch, frozenset(keys)
    return _without(batch, dict(refused)), frozenset(keys)


def _without(batch: Batch, refused: dict[int, Problem]) -> Batch:
    kept: Iterable[Reading] = (
        reading for position, reading in enumerate(batch.readings) if position not in refused
    )
    return Batch(
        taken_at=batch.taken_at,
        readings=tuple(kept),
        problems=(*batch.problems, *refused.values()),
        events=batch.events,
        holders=batch.holders,
    )


def _distribution_fault(value: Distribution) -> str:
    if len(value.counts) != len(value.bounds) + 1:
        return "malformed_histogram"
    if not isfinite(value.sum) or not all(isfinite(bound) for bound in value.bounds):
        return "not_finite"
    if min(value.counts) < 0 or any(
        low >= high for low, high in zip(value.bounds, value.bounds[1:], strict=False)
    ):
        return "malformed_histogram"
    return ""
