"""Refuses values that cannot be true before anybody sees them.

Collectors know their sources' sentinels; what holds for every source is checked here, from the catalogue
alone: finite numbers, ratios within 0..1, nothing negative that counts or measures an amount, no series
twice; and of the samples between two batches the same. What is refused is absent, and counted as a
problem.
"""

import sys
from collections.abc import Iterable
from functools import cache
from math import isfinite
from operator import lt

from agent.catalogue import Kind, Metric
from agent.moves import moves
from agent.snapshot import Batch, Distribution, Problem, Reading, SeriesKey, Train, series_key

_NEVER_NEGATIVE_UNITS = frozenset({"By", "W", "J", "Hz", "s"})


def fault(metric: Metric, value: float | Distribution) -> str:
    """Return why ``value`` cannot be true for ``metric``, in one word for a label; empty if it can."""
    if isinstance(value, Distribution) is not (metric.kind in (Kind.HISTOGRAM, Kind.SUMMARY)):
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
    trains, faults = _vetted_trains(batch.trains)
    if not refused and not faults:
        return batch, frozenset(keys)
    return _without(batch, dict(refused), trains, faults), frozenset(keys)


class Vetting:
    """`vet` for the batches of one collector, which mostly look like the one before.

    While they do, only what moved is looked at, and compared with its limits. The judgement is the same.
    """

    def __init__(self) -> None:
        self._believed: tuple[Reading, ...] = ()
        self._limits: list[_Limits] = []
        self._keys: frozenset[SeriesKey] = frozenset()
        self.moved: list[int] | None = None
        """Where the last batch was another than the one before; `None` where it had other series."""

    def vet(self, batch: Batch) -> tuple[Batch, frozenset[SeriesKey]]:
        """Return the batch without what cannot be true, and the keys of the series that it holds.

        The keys are the same object as long as batches have the same series in the same order.
        """
        moved = moves(batch.readings, self._believed)
        if moved is not None and self._believes(batch, moved):
            self._believed, self.moved = batch.readings, moved
            return batch, self._keys
        self.moved = None
        vetted, keys = vet(batch)
        if vetted is batch:
            self._believed, self._keys = batch.readings, keys
            self._limits = [_limits(metric) for metric, _, _ in batch.readings]
        return vetted, keys

    def _believes(self, batch: Batch, moved: Iterable[int]) -> bool:
        readings, limits = batch.readings, self._limits
        for position in moved:
            value = readings[position][2]
            if isinstance(value, Distribution):
                if _distribution_fault(value):
                    return False
                continue
            low, high = limits[position]
            if not low <= value <= high:
                return False
        return not any(map(_train_fault, batch.trains))


_Limits = tuple[float, float]


@cache
def _limits(metric: Metric) -> _Limits:
    """Return between what a number is believed; neither infinity nor NaN is. As in `fault`."""
    highest = sys.float_info.max
    if metric.kind is Kind.GAUGE and metric.unit == "1":
        return 0.0, 1.0
    if metric.kind is Kind.COUNTER or metric.unit in _NEVER_NEGATIVE_UNITS:
        return 0.0, highest
    return -highest, highest


def _vetted_trains(trains: tuple[Train, ...]) -> tuple[tuple[Train, ...], list[Problem]]:
    """Return the trains that can be true, and a problem for each other one."""
    faults = [(train, _train_fault(train)) for train in trains]
    return (
        tuple(train for train, reason in faults if not reason),
        [
            Problem(
                reason, " ".join((train.metric.name, *filter(None, train.attributes))), "samples"
            )
            for train, reason in faults
            if reason
        ],
    )


def _train_fault(train: Train) -> str:
    """Judge a train by its sum and extremes: nothing in between can be worse."""
    if not train.samples:
        return ""
    seconds, values = zip(*train.samples, strict=True)
    if not isfinite(sum(values)) or not isfinite(sum(seconds)):
        return "not_finite"
    if min(seconds) < 0:
        return "negative"
    return fault(train.metric, min(values)) or fault(train.metric, max(values))


def _without(
    batch: Batch,
    refused: dict[int, Problem],
    trains: tuple[Train, ...],
    faults: Iterable[Problem],
) -> Batch:
    kept: Iterable[Reading] = (
        reading for position, reading in enumerate(batch.readings) if position not in refused
    )
    return Batch(
        taken_at=batch.taken_at,
        readings=tuple(kept),
        problems=(*batch.problems, *refused.values(), *faults),
        events=batch.events,
        holders=batch.holders,
        trains=trains,
    )


def _distribution_fault(value: Distribution) -> str:
    if len(value.counts) != len(value.bounds) + 1:
        return "malformed_histogram"
    if not isfinite(value.sum) or not all(map(isfinite, value.bounds)):
        return "not_finite"
    if not all(isfinite(number) for pair in value.quantiles for number in pair):
        return "not_finite"
    if min(value.counts) < 0 or not all(map(lt, value.bounds, value.bounds[1:])):
        return "malformed_histogram"
    return ""
