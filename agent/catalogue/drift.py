"""Metrics of drift: counts per bin and what they are compared with. Scores are made of them in PromQL.

Labels are short here (``model``, not ``gen_ai.request.model``) because people write these rules by hand.
A model may be any model, not only a generative one.
"""

from typing import Final

from agent.catalogue.attributes import (
    BIN,
    DRIFT_MODEL,
    DRIFT_MODEL_VERSION,
    DRIFT_WINDOW,
    FEATURE,
    OUTCOME,
    QUALITY_ISSUE,
    REFERENCE,
    REFUSAL,
    ROAD,
    SCORED_BY,
    STATISTIC,
)
from agent.catalogue.metric import Attribute, Kind, Metric

MISSING: Final = "__missing__"
"""The bin of what was not there."""
OTHER: Final = "__other__"
"""The bin of what fits no other one: a word among numbers, a category that the reference has no bin for."""

SCORE: Final = "score"
"""The feature that is a classifier's score, whatever the payloads call it."""
BY_PROCESS: Final = SCORED_BY.values[0]
"""What the counters of a process say that tells its own scores."""
SMOOTHING: Final = 0.5
"""Of a value, added to each bin: no bin is empty then, and no logarithm infinite."""
FEWEST_OF_REPLICA: Final = 500
"""Values that one process must have counted to be compared with the others."""

_OF_VERSION: Final = (DRIFT_MODEL, DRIFT_MODEL_VERSION)
_OF_MODEL: Final = (*_OF_VERSION, REFERENCE)


def _metric(
    name: str,
    kind: Kind,
    unit: str,
    description: str,
    *attributes: Attribute,
    of: tuple[Attribute, ...] = _OF_MODEL,
) -> Metric:
    return Metric(
        name=name,
        kind=kind,
        unit=unit,
        description=description,
        attributes=(*of, *attributes),
        group="drift",
    )


FEATURE_OBSERVATIONS = _metric(
    "model.drift.feature.observations",
    Kind.COUNTER,
    "{observation}",
    "Values per bin since the reference came into use; each bin begins at 0.",
    FEATURE,
    BIN,
    SCORED_BY,
)
REFERENCE_PROPORTION = _metric(
    "model.drift.reference.proportion",
    Kind.GAUGE,
    "{proportion}",
    "Share of the reference's values in the bin, smoothed by half an observation a bin.",
    FEATURE,
    BIN,
)
REFERENCE_MIDRANK = _metric(
    "model.drift.reference.midrank",
    Kind.GAUGE,
    "{rank}",
    "Mean rank, 0 to 1, of the bin's values among the reference's; only of bins that have an order.",
    FEATURE,
    BIN,
)
REFERENCE_SAMPLES = _metric(
    "model.drift.reference.samples",
    Kind.GAUGE,
    "{sample}",
    "Values that the reference was made of.",
    FEATURE,
)
REPLICA_PSI = _metric(
    "model.drift.replica.psi",
    Kind.GAUGE,
    "{score}",
    "Population stability index of what this process counted in the window, or since its start, against the "
    "reference; absent below 500 values.",
    FEATURE,
    DRIFT_WINDOW,
)
SCORE_CORRECTNESS = _metric(
    "model.drift.score.correctness",
    Kind.GAUGE,
    "{probability}",
    "Probability that a prediction with a score in the bin is right, learned from labelled rows.",
    FEATURE,
    BIN,
)
SCORE_POSITIVE_RATE = _metric(
    "model.drift.score.positive_rate",
    Kind.GAUGE,
    "{probability}",
    "Probability that the label of a row with a score in the bin is the positive one.",
    FEATURE,
    BIN,
)
LABELS = _metric(
    "model.drift.labels",
    Kind.COUNTER,
    "{label}",
    "Labels that came, by bin of the score and by how they agree with the prediction; each begins at 0.",
    FEATURE,
    BIN,
    OUTCOME,
)
LABELS_UNMATCHED = _metric(
    "model.drift.labels.unmatched",
    Kind.COUNTER,
    "{label}",
    "Labels that found no row within an hour, of those that came within the week before or since.",
    of=_OF_VERSION,
)
THRESHOLD = _metric(
    "model.drift.threshold",
    Kind.GAUGE,
    "{score}",
    "Score above which a feature has drifted, learned by calibration from the model's own traffic.",
    FEATURE,
    STATISTIC,
    DRIFT_WINDOW,
)
QUALITY_ISSUES = _metric(
    "model.drift.quality.issues",
    Kind.COUNTER,
    "{value}",
    "Values that something is wrong with, by what it is; each begins at 0.",
    FEATURE,
    QUALITY_ISSUE,
)
SCHEMA_VIOLATIONS = _metric(
    "model.drift.schema.violations",
    Kind.COUNTER,
    "{violation}",
    "Values that are not what their feature is declared to be; of other features, columns by batch that the "
    "reference does not know, or that it knows and that did not come.",
    of=_OF_VERSION,
)
LEARNING_ROWS = _metric(
    "model.drift.learning.rows",
    Kind.UP_DOWN_COUNTER,
    "{row}",
    "Rows that a reference has been learned from so far; absent once there is one.",
    of=_OF_VERSION,
)
INTAKE_ROWS = _metric(
    "model.drift.intake.rows",
    Kind.COUNTER,
    "{row}",
    "Rows taken in, by the road they came by.",
    ROAD,
    of=(),
)
INTAKE_REFUSED = _metric(
    "model.drift.intake.refused",
    Kind.COUNTER,
    "{request}",
    "Bodies and records refused, by road and reason.",
    ROAD,
    REFUSAL,
    of=(),
)

METRICS: Final = (
    FEATURE_OBSERVATIONS,
    REFERENCE_PROPORTION,
    REFERENCE_MIDRANK,
    REFERENCE_SAMPLES,
    REPLICA_PSI,
    SCORE_CORRECTNESS,
    SCORE_POSITIVE_RATE,
    LABELS,
    LABELS_UNMATCHED,
    THRESHOLD,
    QUALITY_ISSUES,
    SCHEMA_VIOLATIONS,
    LEARNING_ROWS,
    INTAKE_ROWS,
    INTAKE_REFUSED,
)
