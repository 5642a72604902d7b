"""Rules for how right a model is: estimated from its scores, and in truth once labels come.

Estimates are confidence-based (CBPE) on bins: each bin's count times what a score in that bin was worth in
the labelled reference. They see a model that became unsure; that the world changed under it, only
labels tell.
"""

from typing import Final

from agent.catalogue import drift
from agent.catalogue import recorded_drift as scores
from agent.catalogue import recorded_performance as recorded
from agent.catalogue.attributes import (
    BIN,
    DRIFT_MODEL,
    DRIFT_MODEL_VERSION,
    FEATURE,
    OUTCOME,
    REFERENCE,
)
from agent.catalogue.metric import Attribute
from agent.catalogue.promql import aggregate, equals, labels, matches, select
from agent.catalogue.recorded import Recorded
from agent.catalogue.recorded_drift import PER_BIN, PER_FEATURE
from agent.catalogue.recorded_performance import PER_MODEL
from alerts.drift_counts import HOURS_OF_DAY
from alerts.recording import Recording
from alerts.rule import DRIFT_DASHBOARD, Component, Rule, Severity

FEWEST: Final = 500
"""Scores, or labels: with 500, the standard error of an accuracy of 90 % is 1.3 %."""
SCORE_BINS: Final = 20
"""Bins of a score at most; each has a term of its own in the area under the curve."""
LESS_RIGHT: Final = 0.05
"""Share of right predictions by which a model may fall behind its reference: over three standard errors."""
_RIGHT: Final = "right|true_.*"
_POSITIVE: Final = "true_positive|false_negative"
_NEGATIVE: Final = "true_negative|false_positive"


def reference_recordings() -> tuple[Recording, ...]:
    """Return what each bin of a score is worth, once, however many replicas export it."""
    share, worth = _of_score(scores.REF_PROPORTION), recorded.CORRECTNESS.name
    return (
        _record(recorded.CORRECTNESS, aggregate("max", PER_BIN, select(drift.SCORE_CORRECTNESS))),
        _record(
            recorded.POSITIVE_RATE, aggregate("max", PER_BIN, select(drift.SCORE_POSITIVE_RATE))
        ),
        _record(
            recorded.REFERENCE_ACCURACY,
            f"{_sum(f'{share} * {worth}')}\n/ {_sum(f'{share} and {worth}')}",
        ),
    )


def hour_recordings() -> tuple[Recording, ...]:
    """Return the performance of the last hour."""
    by = (*PER_BIN, OUTCOME)
    return _recordings("1h", aggregate("sum", by, f"increase({select(drift.LABELS, window='1h')})"))


def day_recordings() -> tuple[Recording, ...]:
    """Return the performance of the last 24 whole hours."""
    return _recordings("1d", f"sum_over_time({recorded.LABELS['1h'].name}[{HOURS_OF_DAY}])")


def _recordings(window: str, came: str) -> tuple[Recording, ...]:
    counts, worth = recorded.SCORE_COUNT[window].name, recorded.CORRECTNESS.name
    rate, told = recorded.POSITIVE_RATE.name, recorded.LABELS[window].name
    expected = recorded.ESTIMATED_POSITIVES[window], recorded.ESTIMATED_NEGATIVES[window]
    labelled = recorded.LABELLED_POSITIVES[window], recorded.LABELLED_NEGATIVES[window]
    return (
        # Once, and then of the scores alone: most of a model's features are none.
        _record(recorded.SCORE_COUNT[window], f"{_of_score(scores.BIN_COUNT[window])} and {worth}"),
        _record(
            recorded.ESTIMATED_ACCURACY[window],
            f"{_sum(f'{counts} * {worth}')}\n/ ({_sum(counts)} >= {FEWEST})",
        ),
        _record(expected[0], f"{counts} * {rate}"),
        _record(expected[1], f"{counts} * (1 - {rate})"),
        _record(recorded.ESTIMATED_ROC_AUC[window], _area(*expected)),
        _record(recorded.LABELS[window], came),
        _record(labelled[0], _of(told, _POSITIVE)),
        _record(labelled[1], _of(told, _NEGATIVE)),
        _record(
            recorded.ACCURACY[window],
            f"{_sum(_with(told, OUTCOME, _RIGHT))}\n/ ({_sum(told)} >= {FEWEST})",
        ),
        _record(recorded.ROC_AUC[window], _area(*labelled)),
    )


def _of_score(series: Recorded) -> str:
    return f"{series.name}{{{equals(FEATURE, drift.SCORE)}}}"


def _of(told: str, outcomes: str) -> str:
    return aggregate("sum", PER_BIN, _with(told, OUTCOME, outcomes))


def _area(positives: Recorded, negatives: Recorded) -> str:
    """Return the area under the curve: how often a positive is in a higher bin than a negative.

    PromQL has no sum over all lower bins, so each bin has its term: its positives times the negatives below
    it and half of those beside it. A score with fewer bins has fewer terms.
    """
    pairs = "\nor ".join(
        f"({_with(positives.name, BIN, _numbered(number))} * {_on(PER_FEATURE)} group_left () "
        f"({_lower(negatives.name, number)}))"
        for number in range(SCORE_BINS)
    )
    both = f"{_sum(positives.name)} * {_sum(negatives.name)}"
    enough = f"{_sum(positives.name)} + {_sum(negatives.name)} >= {FEWEST}"
    return f"{_sum(pairs)}\n/ (({both}) > 0 and ({enough}))"


def _lower(negatives: str, number: int) -> str:
    beside = aggregate("sum", PER_FEATURE, _with(negatives, BIN, _numbered(number)))
    if number == 0:
        return f"0.5 * {beside}"
    below = _with(negatives, BIN, f"({'|'.join(f'{each:02}' for each in range(number))}) .*")
    return f"{aggregate('sum', PER_FEATURE, below)} + 0.5 * {beside}"


def _numbered(number: int) -> str:
    return f"{number:02} .*"


def rules() -> tuple[Rule, ...]:
    """Return the alerts: one before anybody knows the truth, one after."""
    return (
        _less_right(
            "ModelAccuracyEstimatedLow",
            recorded.ESTIMATED_ACCURACY["1d"],
            "is probably right less often",
            "By the scores of the last day alone, {{ $value | humanizePercentage }} fewer predictions are "
            "to be expected to be right than in {reference}: the model has become less sure. No label was "
            "needed to say so, and none confirms it yet.",
            "See in the dashboard which features shifted with it; label a sample of today's rows to be sure.",
        ),
        _less_right(
            "ModelAccuracyLow",
            recorded.ACCURACY["1d"],
            "is right less often",
            "Of the predictions whose labels came within the last day, {{ $value | humanizePercentage }} "
            "fewer were right than in {reference}.",
            "Find out since when and for which inputs; consider going back to the version before.",
        ),
    )


def _less_right(alert: str, series: Recorded, says: str, description: str, action: str) -> Rule:
    model = (
        f"{{{{ $labels.{DRIFT_MODEL.label} }}}}"
        f"{{{{ with $labels.{DRIFT_MODEL_VERSION.label} }}}} {{{{ . }}}}{{{{ end }}}}"
    )
    reference = f"the reference {{{{ $labels.{REFERENCE.label} }}}}"
    return Rule(
        alert=alert,
        expression=f"{recorded.REFERENCE_ACCURACY.name} - {series.name} > {LESS_RIGHT}",
        severity=Severity.WARNING,
        component=Component.MODEL,
        hold="30m",
        linger="2h",
        summary=f"{model} {says}, by {{{{ $value | humanizePercentage }}}}",
        description=description.replace("{reference}", reference),
        action=action,
        dashboard=DRIFT_DASHBOARD,
        chosen=(DRIFT_MODEL,),
    )


def _sum(expression: str) -> str:
    return aggregate("sum", PER_MODEL, expression)


def _with(series: str, attribute: Attribute, pattern: str) -> str:
    return f"{series}{{{matches(attribute, pattern)}}}"


def _on(attributes: tuple[Attribute, ...]) -> str:
    return f"on ({labels(attributes)})"


def _record(series: Recorded, expression: str) -> Recording:
    return Recording(recorded=series, expression=expression)
