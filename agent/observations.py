"""Counts samples in buckets: Prometheus' classic ones with fixed bounds, and OTLP's exponential ones.

Both of the same samples at once, since the two roads out of the agent speak of the same snapshot. The
exponential buckets have one fixed scale, so that all GPUs of a fleet can be added up bucket by bucket.
"""

from bisect import bisect_left
from collections.abc import Iterable
from math import ceil, log2
from typing import Final

from agent.snapshot import Distribution, Exponential

SCALE: Final = 3
"""Eight buckets for each doubling: a bucket is 9 % wide."""
_PER_DOUBLING: Final = 1 << SCALE
_FIRST: Final = -10 * _PER_DOUBLING
"""The bucket of a thousandth; what is less counts as zero."""
_LAST: Final = 17 * _PER_DOUBLING - 1
"""The bucket that ends at 131,072: more than any board draws, so memory is bounded."""


class Observations:
    """What has been observed so far. ``bounds`` are those of the classic buckets, ascending."""

    __slots__ = ("_bounds", "_classic", "_exponential", "_sum", "_zero")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._classic = [0] * (len(bounds) + 1)
        self._exponential: dict[int, int] = {}
        self._zero = 0
        self._sum = 0.0

    def add(self, values: Iterable[float]) -> None:
        """Count values, which are not negative; one on a bound is below it, as OpenTelemetry has it."""
        bounds, classic, exponential = self._bounds, self._classic, self._exponential
        for value in values:
            classic[bisect_left(bounds, value)] += 1
            self._sum += value
            bucket = ceil(log2(value) * _PER_DOUBLING) - 1 if value > 0 else _FIRST - 1
            if bucket < _FIRST:
                self._zero += 1
            else:
                bucket = min(bucket, _LAST)
                exponential[bucket] = exponential.get(bucket, 0) + 1

    def distribution(self) -> Distribution:
        """Return all that was counted."""
        counts = self._exponential
        first, last = min(counts, default=0), max(counts, default=-1)
        buckets = tuple(counts.get(bucket, 0) for bucket in range(first, last + 1))
        exponential = Exponential(SCALE, self._zero, first, buckets)
        return Distribution(self._bounds, tuple(self._classic), self._sum, exponential)
