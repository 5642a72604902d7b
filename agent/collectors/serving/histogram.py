"""A server's cumulative buckets as a distribution, or the reason why they are none.

A histogram that contradicts itself is refused as a whole: no part of it is more credible than the rest.
"""

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from operator import lt, sub

from agent.snapshot import Distribution

MOST_BUCKETS = 1_000
"""A histogram is one series of the budget, so it must not be a bomb itself; TGI's have 100, others 40."""
_MOST = 2**63
"""OpenTelemetry counts in 64 bits."""


class MalformedError(ValueError):
    """The numbers cannot be those of a histogram; ``reason`` is one word for a label."""

    def __init__(self, detail: str, reason: str = "malformed_histogram") -> None:
        super().__init__(detail)
        self.reason = reason


def distribution(
    bounds: Sequence[float],
    cumulative: Sequence[float],
    total: float | None,
    count: float | None,
    *,
    per: float = 1.0,
) -> Distribution:
    """Make a distribution of buckets in the page's order (``le`` and value), ``_sum`` and ``_count``.

    The bounds are the server's own, divided by ``per`` as the sum is. The format wants buckets in
    ascending order, ending in +Inf. Raises `MalformedError`.
    """
    return counted(checked_bounds(bounds, per), cumulative, total, count, per=per)


def counted(
    bounds: tuple[float, ...],
    cumulative: Sequence[float],
    total: float | None,
    count: float | None,
    *,
    per: float = 1.0,
) -> Distribution:
    """Make a distribution with bounds that are `checked_bounds` already. Raises `MalformedError`."""
    try:
        whole = tuple(map(int, cumulative))
    except (ValueError, OverflowError):  # NaN and infinity
        whole = ()
    if whole != tuple(cumulative) or whole[-1] >= _MOST:
        raise MalformedError("a bucket's count is not a whole number")
    counts = tuple(map(sub, whole, (0, *whole)))
    if min(counts) < 0:
        raise MalformedError("a bucket holds less than the one before it")
    if total is None:
        raise MalformedError("there is no _sum")
    if not isfinite(total):
        raise MalformedError(f"_sum is {total}", "not_finite")
    if count is not None and count != cumulative[-1]:
        raise MalformedError(f"_count is {count:g}, and the last bucket {cumulative[-1]:g}")
    return Distribution(bounds, counts, total if per == 1.0 else total / per)


def checked_bounds(bounds: Sequence[float], per: float = 1.0) -> tuple[float, ...]:
    """Return the bounds without infinity, in the catalogue's unit. Raises `MalformedError`."""
    if not bounds or bounds[-1] != inf:
        raise MalformedError("the last bucket is not +Inf")
    if not all(map(lt, bounds, bounds[1:])) or bounds[0] == -inf:
        raise MalformedError("the buckets are not in ascending order")
    if len(bounds) > MOST_BUCKETS:
        raise MalformedError(f"it has {len(bounds)} buckets", "too_many_series")
    return tuple(bounds[:-1]) if per == 1.0 else tuple(bound / per for bound in bounds[:-1])


def summary(
    quantiles: Mapping[float, float], total: float | None, count: float | None, *, per: float = 1.0
) -> Distribution:
    """Make a summary: ``quantiles`` by their share, of which those that are NaN (idle) are left out.

    Raises `MalformedError`.
    """
    if total is None or count is None:
        raise MalformedError("there is no _sum and _count", "malformed_summary")
    if not isfinite(total):
        raise MalformedError(f"_sum is {total}", "not_finite")
    if not count.is_integer() or not 0 <= count < _MOST:
        raise MalformedError(f"_count is {count:g}", "malformed_summary")
    if len(quantiles) > MOST_BUCKETS:
        raise MalformedError(f"it has {len(quantiles)} quantiles", "too_many_series")
    if not all(0 <= share <= 1 for share in quantiles):
        raise MalformedError("a quantile is not between 0 and 1", "malformed_summary")
    known = tuple(
        (share, limit / per) for share, limit in sorted(quantiles.items()) if isfinite(limit)
    )
    return Distribution((), (int(count),), total / per, None, known)


def merged(one: Distribution, other: Distribution) -> Distribution:
    """Return both together. Raises `MalformedError` where their bounds differ."""
    if one.bounds != other.bounds:
        raise MalformedError("two series of one model have different buckets", "ambiguous_series")
    counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
    return Distribution(one.bounds, counts, one.sum + other.sum)


def without(whole: Distribution, part: Distribution) -> Distribution:
    """Return what is left of a histogram. Raises `MalformedError` where their bounds differ."""
    counts = tuple(-count for count in part.counts)
    return merged(whole, Distribution(part.bounds, counts, -part.sum))
