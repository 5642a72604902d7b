"""Bins that never move: what makes counts of two nodes, and of two days, comparable and addable.

Numeric features are cut at quantiles of the reference, so that each bin held about the same share there;
equal widths would let one outlier decide what is seen. Every feature has two more
bins: `MISSING` for what was not there, `OTHER` for what fits no bin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import inf, isnan
from typing import Final, Protocol

from agent.catalogue.drift import MISSING, OTHER, SMOOTHING

QUANTILE_BINS: Final = 10
"""Bins of a numeric feature: with more, PSI and chi-square need more samples to see the same shift."""
RESERVED: Final = frozenset({MISSING, OTHER})
"""Names that no category can have; a value that is spelled like one is in `OTHER`."""
CATEGORIES: Final = 10
"""Categories with a bin of their own, the most frequent of the reference; with `MISSING` and `OTHER` a
feature has 12 series."""


class Bins(Protocol):
    """How a feature's values are told apart."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the bins, `MISSING` and `OTHER` last."""

    @property
    def ordered(self) -> int:
        """How many of the bins, from the first, stand in order: those that have a rank."""


@dataclass(frozen=True)
class NumericBins:
    """Bins between ``edges``, ascending: bin i holds what is above edge i-1 and up to edge i.

    The first and the last bin are open. NaN is missing; infinities are `OTHER`: no measurement.
    """

    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse edges that cannot cut anything. Raises ValueError."""
        if any(isnan(edge) or abs(edge) == inf for edge in self.edges):
            raise ValueError("an edge of a bin is no finite number")
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError("edges of bins must ascend")

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names that sort in the order of the values: ``03 12.5..30``."""
        ends = ("", *(f"{edge:.6g}" for edge in self.edges), "")
        names = (f"{number:02} {low}..{high}" for number, (low, high) in enumerate(pairwise(ends)))
        return (*names, MISSING, OTHER)

    @property
    def ordered(self) -> int:
        """All but `MISSING` and `OTHER`."""
        return len(self.edges) + 1


@dataclass(frozen=True)
class CategoryBins:
    """A bin for each of the ``categories`` that the reference had most of."""

    categories: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a category that stands there twice or has a reserved name. Raises ValueError."""
        if len(set(self.categories)) < len(self.categories):
            raise ValueError("a category stands there twice")
        if reserved := RESERVED & set(self.categories):
            raise ValueError(f"{min(reserved)} is no category but a bin that every feature has")

    @property
    def labels(self) -> tuple[str, ...]:
        """The categories themselves."""
        return (*self.categories, MISSING, OTHER)

    @property
    def ordered(self) -> int:
        """Categories have no order."""
        return 0


def smoothed(counts: Sequence[float]) -> tuple[float, ...]:
    """Return shares with half an observation more in every bin, so that none is 0 and no logarithm infinite.

    The same as is done to the traffic: (count + 0.5) / (samples + 0.5 * bins).
    """
    whole = sum(counts) + SMOOTHING * len(counts)
    return tuple((count + SMOOTHING) / whole for count in counts)


def midranks(counts: Sequence[float]) -> tuple[float, ...]:
    """Return for each bin, in order, the mean rank of its values among all, 0 to 1 (ridit, Bross 1958).

    Their mean over the reference itself is 0.5; over other traffic it is the probability that one of its
    values is greater than one of the reference's, ties counting half. Half an observation in every bin
    more, as in `smoothed`.
    """
    shares = smoothed(counts)
    below = 0.0
    ranks = []
    for share in shares:
        ranks.append(below + share / 2)
        below += share
    return tuple(ranks)
