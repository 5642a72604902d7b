"""What is exported of a model's traffic: counts, what they are compared with, and this process's own scores.

No value of a payload is.
"""

from collections.abc import Iterator

from agent.catalogue.drift import (
    BY_PROCESS,
    FEATURE_OBSERVATIONS,
    LABELS,
    LABELS_UNMATCHED,
    LEARNING_ROWS,
    QUALITY_ISSUES,
    REFERENCE_MIDRANK,
    REFERENCE_PROPORTION,
    REFERENCE_SAMPLES,
    REPLICA_PSI,
    SCHEMA_VIOLATIONS,
    SCORE_CORRECTNESS,
    SCORE_POSITIVE_RATE,
)
from agent.drift.counting import FeatureCounter
from agent.drift.reference import FeatureReference, Reference
from agent.drift.rows import SCORE
from agent.drift.traffic import Traffic
from agent.snapshot import Reading


def readings(traffic: Traffic) -> Iterator[Reading]:
    """Tell what one version of a model saw."""
    reference = traffic.reference
    version = (traffic.model, traffic.model_version)
    yield Reading(SCHEMA_VIOLATIONS, version, float(traffic.schema_violations))
    if reference is None:
        yield Reading(LEARNING_ROWS, version, float(traffic.rows))
        return
    yield Reading(LABELS_UNMATCHED, version, float(traffic.labels_unmatched))
    identity = (*version, reference.id)
    yield from _performance(identity, traffic, reference)
    for counter in traffic.counters.values():
        yield from _counted(identity, counter)
        yield from _compared_with(identity, counter.reference)


def replica_scores(traffic: Traffic, now: float) -> Iterator[Reading]:
    """Tell how far from its reference it has been of late; ``now``: seconds of a clock that never jumps."""
    if traffic.reference is None:
        return
    identity = (traffic.model, traffic.model_version, traffic.reference.id)
    for feature, window, score in traffic.windows.scores(now):
        yield Reading(REPLICA_PSI, (*identity, feature, window), score)


def _performance(
    identity: tuple[str, str, str], traffic: Traffic, reference: Reference
) -> Iterator[Reading]:
    """Tell what a score is worth, and what the labels said, where any came or are to come."""
    calibration = reference.calibration
    if calibration is not None:
        bins = reference.by_name[SCORE].bins.labels
        for label, share in zip(bins, calibration.correctness, strict=False):
            yield Reading(SCORE_CORRECTNESS, (*identity, SCORE, label), share)
        for label, share in zip(bins, calibration.positive_rates, strict=False):
            yield Reading(SCORE_POSITIVE_RATE, (*identity, SCORE, label), share)
    if traffic.labels is not None:
        for (label, outcome), count in traffic.labels:
            yield Reading(LABELS, (*identity, SCORE, label, outcome), float(count))


def _counted(identity: tuple[str, str, str], counter: FeatureCounter) -> Iterator[Reading]:
    name, labels = counter.reference.name, counter.reference.bins.labels
    for label, count in zip(labels, counter.counts, strict=True):
        yield Reading(FEATURE_OBSERVATIONS, (*identity, name, label, BY_PROCESS), float(count))
    for issue, count in counter.issues.items():
        yield Reading(QUALITY_ISSUES, (*identity, name, issue), float(count))


def _compared_with(
    identity: tuple[str, str, str], reference: FeatureReference
) -> Iterator[Reading]:
    name, labels = reference.name, reference.bins.labels
    yield Reading(REFERENCE_SAMPLES, (*identity, name), float(reference.samples))
    for label, share in zip(labels, reference.proportions, strict=True):
        yield Reading(REFERENCE_PROPORTION, (*identity, name, label), share)
    for label, rank in zip(labels, reference.midranks, strict=False):
        yield Reading(REFERENCE_MIDRANK, (*identity, name, label), rank)
