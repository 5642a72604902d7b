"""A new reference from what Prometheus remembers: the same bins, filled with the traffic of other days.

For a model whose normal has moved: a new season, a new market. Bins stay, so nothing has to be sent again.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from agent.catalogue.attributes import BIN, FEATURE
from agent.drift.reference import FeatureReference, InvalidReferenceError, Reference
from agent.drift.rows import SCORE


def rebased(
    reference: Reference, counts: Mapping[tuple[str, str], float], *, origin: str, created: float
) -> Reference:
    """Return a reference with the bins of ``reference`` and these counts, by feature and bin.

    ``created`` is Unix seconds. Features that were not counted are left out, an embedding as a whole, and
    what the score was worth with the score. Raises `InvalidReferenceError` where nothing was counted.
    """
    found = {
        feature.name: each
        for feature in reference.features
        if (each := _rebased(feature, counts)) is not None
    }
    projections = tuple(
        each for each in reference.projections if found.keys() >= set(each.features)
    )
    gone = {
        name for each in reference.projections if each not in projections for name in each.features
    }
    features = tuple(each for name, each in found.items() if name not in gone)
    if not features:
        raise InvalidReferenceError(
            f"Prometheus has no counts of {reference.model} against {reference.id} in that time"
        )
    return replace(
        reference,
        features=features,
        projections=projections,
        calibration=reference.calibration if SCORE in found else None,
        origin=origin,
        created=created,
    )


def _rebased(
    feature: FeatureReference, counts: Mapping[tuple[str, str], float]
) -> FeatureReference | None:
    found = tuple(round(counts.get((feature.name, label), 0.0)) for label in feature.bins.labels)
    return replace(feature, counts=found) if sum(found) > 0 else None


def counts_of(result: Any) -> dict[tuple[str, str], float]:
    """Return counts by feature and bin from the result of an instant query of Prometheus."""
    found: dict[tuple[str, str], float] = {}
    for series in result if isinstance(result, list) else ():
        labels, value = series.get("metric", {}), series.get("value", (0, "0"))
        try:
            number = float(value[1])
            if isfinite(number) and number >= 0:
                found[str(labels[FEATURE.label]), str(labels[BIN.label])] = number
        except (KeyError, IndexError, TypeError, ValueError):
            continue
    return found
