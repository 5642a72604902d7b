"""Series that Prometheus computes of scores and labels: how right a model is, estimated and in truth.

They are of a version of a model against one reference, over the whole fleet, as those of `recorded_drift`.
"""

from typing import Final

from agent.catalogue.attributes import DRIFT_MODEL, DRIFT_MODEL_VERSION, OUTCOME, REFERENCE
from agent.catalogue.metric import Attribute
from agent.catalogue.recorded import Recorded
from agent.catalogue.recorded_drift import PER_BIN, WINDOWS

PER_MODEL: Final = (DRIFT_MODEL, DRIFT_MODEL_VERSION, REFERENCE)
"""A version of a model against one reference."""


def _recorded(what: str, description: str, attributes: tuple[Attribute, ...]) -> Recorded:
    return Recorded(name=f"drift:{what}", description=description, attributes=attributes)


CORRECTNESS = _recorded(
    "score_correctness:max", "How probably a prediction with such a score is right, once.", PER_BIN
)
POSITIVE_RATE = _recorded(
    "score_positive_rate:max", "How probably the label of such a score is positive, once.", PER_BIN
)
REFERENCE_ACCURACY = _recorded(
    "reference_accuracy:mean", "Share of right predictions in the reference.", PER_MODEL
)


def _windowed(
    what: str, description: str, attributes: tuple[Attribute, ...] = PER_MODEL
) -> dict[str, Recorded]:
    return {
        window: _recorded(f"{what}:{window}", description.format(window=window), attributes)
        for window in WINDOWS
    }


SCORE_COUNT = _windowed(
    "score_bin_count", "Scores per bin in {window}, of those whose worth is known.", PER_BIN
)
ESTIMATED_ACCURACY = _windowed(
    "estimated_accuracy",
    "Share of right predictions to be expected in {window}, of scores alone; absent below 500 of them.",
)
ESTIMATED_POSITIVES = _windowed(
    "estimated_positives",
    "Positive labels to be expected per bin of the score in {window}.",
    PER_BIN,
)
ESTIMATED_NEGATIVES = _windowed(
    "estimated_negatives",
    "Negative labels to be expected per bin of the score in {window}.",
    PER_BIN,
)
ESTIMATED_ROC_AUC = _windowed(
    "estimated_roc_auc",
    "Area under the ROC curve to be expected in {window}, of scores alone; absent below 500 of them.",
)
LABELS = _windowed(
    "labels",
    "Labels that came in {window}, by bin of the score and outcome.",
    (*PER_BIN, OUTCOME),
)
LABELLED_POSITIVES = _windowed(
    "labelled_positives", "Positive labels that came in {window}, by bin of the score.", PER_BIN
)
LABELLED_NEGATIVES = _windowed(
    "labelled_negatives", "Negative labels that came in {window}, by bin of the score.", PER_BIN
)
ACCURACY = _windowed(
    "accuracy",
    "Share of right predictions among those whose label came in {window}; absent below 500 of them.",
)
ROC_AUC = _windowed(
    "roc_auc",
    "Area under the ROC curve of those whose label came in {window}; absent below 500 of them.",
)

OF_REFERENCE: Final = (CORRECTNESS, POSITIVE_RATE, REFERENCE_ACCURACY)
WINDOWED: Final = (
    SCORE_COUNT,
    ESTIMATED_ACCURACY,
    ESTIMATED_POSITIVES,
    ESTIMATED_NEGATIVES,
    ESTIMATED_ROC_AUC,
    LABELS,
    LABELLED_POSITIVES,
    LABELLED_NEGATIVES,
    ACCURACY,
    ROC_AUC,
)
RECORDED_PERFORMANCE: Final = (
    *OF_REFERENCE,
    *(windowed[window] for window in WINDOWS for windowed in WINDOWED),
)
