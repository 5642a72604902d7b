"""How much a server's counters and histograms grew from one scrape to the next.

A value below the last one was reset and counts from 0. A histogram is judged by its counts and never by
its sum, which can fall without a restart, and its buckets are reset together.
"""

from collections.abc import Sequence
from math import isclose
from operator import lt
from typing import NamedTuple

from agent.snapshot import Distribution


class Growth(NamedTuple):
    """Observations that came: ``good`` of them within the bound, ``total`` in all."""

    good: int
    total: int


def bound_for(bounds: Sequence[float], threshold: float) -> float | None:
    """Return the greatest bound that is not above ``threshold``; `None` where there is none.

    What lies between that bound and the threshold counts as too slow: a bucket does not say where in it
    an observation was, and an objective must not look kept because of what cannot be told. Bounds that
    a change of units has moved by a rounding error are still equal.
    """
    fitting = [
        bound for bound in bounds if bound < threshold or isclose(bound, threshold, rel_tol=1e-9)
    ]
    return fitting[-1] if fitting else None


def within(value: Distribution, bound: float) -> int:
    """Return how many observations were not above ``bound``, which is one of its bounds."""
    return sum(value.counts[: value.bounds.index(bound) + 1])


def growth(before: Distribution | None, now: Distribution, threshold: float) -> Growth | None:
    """Return what came since ``before``, which is `None` for a histogram that began after the last scrape.

    Where the server's bounds changed without a reset, only a bound that both have can tell; without one
    nothing is known of the time between the two scrapes, and `None` is returned.
    """
    if before is None or was_reset(before, now):
        bound = bound_for(now.bounds, threshold)
        return None if bound is None else Growth(within(now, bound), now.observations)
    bound = bound_for([each for each in now.bounds if each in before.bounds], threshold)
    if bound is None:
        return None
    total = now.observations - before.observations
    good = within(now, bound) - within(before, bound)
    return Growth(min(max(good, 0), total), total)


def was_reset(before: Distribution, now: Distribution) -> bool:
    """Whether the histogram began anew: it, or any bucket of the same bounds, counts less than it did."""
    if now.observations < before.observations:
        return True
    return now.bounds == before.bounds and any(map(lt, now.counts, before.counts))


def counted(before: float, now: float) -> float:
    """Return by how much a counter grew; one that fell was reset."""
    return now if now < before else now - before
