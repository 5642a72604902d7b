"""How two references differ, in the scores that traffic is judged by: to see what a new one would change."""

from math import log
from typing import NamedTuple

from agent.drift.reference import FeatureReference, Reference


class FeatureDifference(NamedTuple):
    """How one feature differs. Scores are `None` where the bins differ: shares of other bins say nothing."""

    name: str
    change: str
    """added, removed, rebinned, moved or same."""
    psi: float | None = None
    rank_shift: float | None = None
    samples: tuple[int, int] = (0, 0)


def differences(old: Reference, new: Reference) -> list[FeatureDifference]:
    """Return how each feature of either differs, by name."""
    names = sorted(old.by_name.keys() | new.by_name.keys())
    return [_difference(name, old.by_name.get(name), new.by_name.get(name)) for name in names]


def _difference(
    name: str, old: FeatureReference | None, new: FeatureReference | None
) -> FeatureDifference:
    if old is None or new is None:
        return FeatureDifference(
            name,
            "removed" if new is None else "added",
            samples=(old.samples if old else 0, new.samples if new else 0),
        )
    samples = old.samples, new.samples
    if old.bins != new.bins:
        return FeatureDifference(name, "rebinned", samples=samples)
    change = "same" if old.counts == new.counts else "moved"
    return FeatureDifference(name, change, psi(old, new), rank_shift(old, new), samples)


def psi(reference: FeatureReference, current: FeatureReference) -> float:
    """Return the population stability index of two references with the same bins, both smoothed."""
    pairs = zip(reference.proportions, current.proportions, strict=True)
    return sum((now - then) * log(now / then) for then, now in pairs)


def rank_shift(reference: FeatureReference, current: FeatureReference) -> float | None:
    """Return how much more often than not a current value is above one of the reference: -0.5 to 0.5.

    `None` for categories, and where there is no current value.
    """
    counts = current.counts[: reference.bins.ordered]
    if not sum(counts):
        return None
    weighed = sum(c * r for c, r in zip(counts, reference.midranks, strict=True))
    return weighed / sum(counts) - 0.5
