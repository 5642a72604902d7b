"""From exported series back to a reference and its counts, and from counts back to rows.

A report wants rows, and no row ever left a node. What did leave are counts per bin: rows made of them fall
into the same bins as often, and say nothing about what came together in one row.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from agent.catalogue.attributes import (
    BIN,
    DRIFT_MODEL,
    DRIFT_MODEL_VERSION,
    DRIFT_WINDOW,
    FEATURE,
    REFERENCE,
    STATISTIC,
)
from agent.catalogue.drift import (
    FEATURE_OBSERVATIONS,
    MISSING,
    OTHER,
    REFERENCE_MIDRANK,
    REFERENCE_PROPORTION,
    REFERENCE_SAMPLES,
    THRESHOLD,
)
from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.reference import FeatureReference, Reference

NEEDED: Final = (
    FEATURE_OBSERVATIONS,
    REFERENCE_PROPORTION,
    REFERENCE_MIDRANK,
    REFERENCE_SAMPLES,
    THRESHOLD,
)
"""The metrics that a report is made of."""
_OF_REPORTS: Final = {STATISTIC: "psi", DRIFT_WINDOW: "1d"}
"""Of thresholds, the one that a report compares with: it is of days, not of hours."""
_ALIKE: Final = 1e-12
"""Of its upper end: a bin that is not wider holds one value."""
_ENDS: Final = re.compile(r"\d\d+ (.*)\.\.(.*)")


class UnusableSeriesError(ValueError):
    """The series do not tell what a report needs; the sentence says what is missing."""


class Sample(NamedTuple):
    """One value of one series. ``series`` is its Prometheus name."""

    series: str
    labels: Mapping[str, str]
    value: float


class Exported(NamedTuple):
    """What a process, or a fleet, exports of one version of a model against one reference."""

    reference: Reference
    identity: str
    """The reference's own id: ``reference`` is rebuilt, with edges of six digits, and has another."""
    counts: Mapping[str, tuple[int, ...]]
    """Per feature and bin, in the order of the bins' labels."""
    bounds: Mapping[str, float] = {}
    """Per feature, the PSI of a day above which it has drifted, where that was learned."""


def exported(
    samples: Iterable[Sample], *, model: str = "", model_version: str = "", identity: str = ""
) -> Exported:
    """Return what the series tell of the one version of a model that they are narrowed down to.

    Counts of several replicas add up. Raises `UnusableSeriesError`.
    """
    wanted = {DRIFT_MODEL: model, DRIFT_MODEL_VERSION: model_version, REFERENCE: identity}
    names = {metric.family for metric in NEEDED}
    chosen = [
        sample
        for sample in samples
        if sample.series in names
        and all(sample.labels.get(key.label) == value for key, value in wanted.items() if value)
    ]
    keys = (DRIFT_MODEL, DRIFT_MODEL_VERSION, REFERENCE)
    told = [(tuple(each.labels.get(key.label, "") for key in keys), each) for each in chosen]
    # Counts of a window go back to references that were given up since; what is in use tells its size too.
    in_use = {key for key, each in told if each.series == REFERENCE_SAMPLES.family}
    found = sorted(in_use or {key for key, _ in told})
    if not found:
        raise UnusableSeriesError(
            f"there is no {FEATURE_OBSERVATIONS.family} of {model or 'any model'}; is this the drift "
            "process, and has it learned a reference?"
        )
    if len(found) > 1:
        said = "; ".join(" ".join(filter(None, each)) for each in found)
        raise UnusableSeriesError(
            f"there are several: {said}; choose with --model, --model-version and --reference-id"
        )
    return _exported(found[0], [each for key, each in told if key == found[0]])


def _exported(identity: tuple[str, ...], samples: Sequence[Sample]) -> Exported:
    tables: dict[str, dict[tuple[str, str], float]] = {metric.family: {} for metric in NEEDED}
    for sample in samples:
        if sample.series == THRESHOLD.family and not _is_of_reports(sample):
            continue
        table = tables[sample.series]
        place = sample.labels.get(FEATURE.label, ""), sample.labels.get(BIN.label, "")
        before = table.get(place, 0.0)
        # Counts add up over replicas; a reference is the same on each.
        adds = sample.series == FEATURE_OBSERVATIONS.family
        table[place] = before + sample.value if adds else sample.value
    shares, samples_of = tables[REFERENCE_PROPORTION.family], tables[REFERENCE_SAMPLES.family]
    ranked = {name for name, _ in tables[REFERENCE_MIDRANK.family]}
    features, counts = [], {}
    for (name, _), size in sorted(samples_of.items()):
        told = {label: share for (feature, label), share in shares.items() if feature == name}
        feature = _feature(name, told, size, ordered=name in ranked)
        features.append(feature)
        seen = tables[FEATURE_OBSERVATIONS.family]
        counts[name] = tuple(round(seen.get((name, label), 0)) for label in _order(feature, told))
    if not features:
        raise UnusableSeriesError(f"there is no {REFERENCE_SAMPLES.family}: the page is cut off")
    model, version, known = identity
    bounds = {name: bound for (name, _), bound in tables[THRESHOLD.family].items()}
    return Exported(Reference(model, version, tuple(features)), known, counts, bounds)


def _is_of_reports(sample: Sample) -> bool:
    return all(sample.labels.get(key.label) == value for key, value in _OF_REPORTS.items())


def _order(feature: FeatureReference, told: Mapping[str, float]) -> list[str]:
    """Return the labels as they were exported, in the order of the bins."""
    if isinstance(feature.bins, CategoryBins):
        return list(feature.bins.labels)
    return [*sorted(told.keys() - {MISSING, OTHER}), MISSING, OTHER]


def _feature(
    name: str, told: Mapping[str, float], size: float, *, ordered: bool
) -> FeatureReference:
    """Return the feature whose smoothed shares these are."""
    labels = sorted(told.keys() - {MISSING, OTHER})
    bins: NumericBins | CategoryBins
    if ordered:
        bins = NumericBins(_edges(name, labels))
    else:
        labels.sort(key=lambda label: -told[label])
        bins = CategoryBins(tuple(labels))
    whole = size + 0.5 * len(told)
    order = (*labels, MISSING, OTHER)
    counts = (max(0, round(told.get(label, 0.0) * whole - 0.5)) for label in order)
    return FeatureReference(name, bins, tuple(counts))


def _edges(name: str, labels: Sequence[str]) -> tuple[float, ...]:
    """Return the upper ends of all bins but the last. Labels have six digits: equal ones are kept apart."""
    edges: list[float] = []
    for label in labels[:-1]:
        found = _ENDS.fullmatch(label)
        try:
            edge = float(found[2] if found else "")
        except ValueError:
            raise UnusableSeriesError(f"the bin {label!r} of {name} has no ends") from None
        edges.append(max(edge, math.nextafter(edges[-1], math.inf)) if edges else edge)
    return tuple(edges)


def apportioned(counts: Sequence[int], rows: int) -> list[int]:
    """Return counts of the same shares that sum to ``rows`` at most (largest remainders)."""
    whole = sum(counts)
    if whole <= rows:
        return list(counts)
    exact = [count * rows / whole for count in counts]
    taken = [int(each) for each in exact]
    by_rest = sorted(range(len(counts)), key=lambda place: taken[place] - exact[place])
    for place in by_rest[: rows - sum(taken)]:
        taken[place] += 1
    return taken


def rebuilt(
    feature: FeatureReference, counts: Sequence[int], rows: int
) -> list[float | str | None]:
    """Return at most ``rows`` values that fall into the bins as often as ``counts``, spread within each.

    What was missing is `None`, and so is a number that was none.
    """
    taken = apportioned(counts, rows)
    values: list[float | str | None] = []
    if isinstance(feature.bins, NumericBins):
        for (low, high), count in zip(_ends(feature), taken, strict=False):
            if high - low <= _ALIKE * abs(high):  # the bin of a constant
                low = high  # noqa: PLW2901 - it has but one value
            values += (low + (high - low) * (place + 1) / (count + 1) for place in range(count))
        return [*values, *[None] * (taken[-2] + taken[-1])]
    for label, count in zip(feature.bins.labels, taken, strict=True):
        values += [None if label == MISSING else label] * count
    return values


def _ends(feature: FeatureReference) -> list[tuple[float, float]]:
    """Return where each bin begins and ends; the open ones at the least and greatest value, if known."""
    edges = feature.bins.edges if isinstance(feature.bins, NumericBins) else ()
    if not edges:
        middle = feature.low or 0.0
        return [(middle, middle)]
    width = (edges[-1] - edges[0]) / max(1, len(edges) - 1)
    if width <= _ALIKE * abs(edges[0]):
        width = abs(edges[0]) or 1.0
    known_low, known_high = feature.low, feature.high
    low = edges[0] - width if known_low is None or known_low > edges[0] else known_low
    high = edges[-1] + width if known_high is None or known_high <= edges[-1] else known_high
    return list(zip((low, *edges), (*edges, high), strict=True))
