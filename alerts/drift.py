"""Alerts about drift: few, for a model, and silent where nothing is known; what is not measured is said.

Two tiers: an hour for shifts so large that they cannot be the day's cycle, a day for small ones that last.
What counts as large is learned from the model's own traffic (`warpwatch drift calibrate`); until then a
cautious bound is used. None of them wakes anybody: a model that answers differently is looked at by day.
"""

from typing import Final

from agent.catalogue import drift
from agent.catalogue import recorded_drift as recorded
from agent.catalogue.attributes import BIN, DRIFT_MODEL, DRIFT_MODEL_VERSION, FEATURE, REFERENCE
from agent.catalogue.metric import Attribute
from agent.catalogue.promql import aggregate, equals, labels, select, value
from agent.catalogue.recorded_drift import PER_FEATURE
from alerts.drift_scores import FEWEST_PER_BIN
from alerts.rule import DRIFT_DASHBOARD, Component, Rule, Severity

DIVERGED: Final = 0.25
"""PSI of one replica against the reference; the customary bound of a significant shift."""
TOGETHER: Final = 0.1
"""PSI of all replicas together below which the fleet as a whole has not moved."""
LEARNING_TOO_LONG: Final = "7d"
REMEMBERED: Final = "1d"
"""How long a model that nobody tells of any more is missed."""
MISSING_MORE: Final = 0.05
"""Share of values by which more are missing than in the reference."""

_MODEL: Final = (
    f"{{{{ $labels.{DRIFT_MODEL.label} }}}}"
    f"{{{{ with $labels.{DRIFT_MODEL_VERSION.label} }}}} {{{{ . }}}}{{{{ end }}}}"
)
_FEATURE: Final = f"{{{{ $labels.{FEATURE.label} }}}}"
_AGAINST: Final = f"the reference {{{{ $labels.{REFERENCE.label} }}}}"
_UP_OR_DOWN: Final = "moved {{ if gt $value 0.0 }}up{{ else }}down{{ end }}"
_CHOSEN: Final = (DRIFT_MODEL, FEATURE)


def rules() -> tuple[Rule, ...]:
    """Return the rules."""
    return (
        _shift("1h", "ModelFeatureShiftedFast", "15m", "30m"),
        _shift("1d", "ModelFeatureShifted", "30m", "2h"),
        _shape(),
        _replica(),
        _missing(),
        _not_measured(),
    )


def _shift(window: str, alert: str, hold: str, linger: str) -> Rule:
    shift = recorded.RANK_SHIFT_GUARDED[window].name
    threshold = recorded.THRESHOLD_RANK[window].name
    return _rule(
        alert=alert,
        expression=f"{shift}\nand {_on()} (abs({shift}) > {_on()} {threshold})",
        hold=hold,
        linger=linger,
        summary=f"{_MODEL}: {_FEATURE} has {_UP_OR_DOWN} ({{{{ $value | printf `%+.2f` }}}} over {window})",
        description=f"Values of the last {window} are mostly "
        f"{{{{ if gt $value 0.0 }}}}above{{{{ else }}}}below{{{{ end }}}} those of {_AGAINST}: the "
        "probability that one is above is 0.5 "
        "{{ $value | printf `%+.3f` }}, where 0.5 is no change. This is beyond the feature's threshold.",
        action="See in the dashboard which bins grew, on which replicas, since when; compare with releases.",
    )


def _shape() -> Rule:
    psi, noise = recorded.PSI_GUARDED["1d"].name, recorded.NOISE["1d"].name
    threshold = recorded.THRESHOLD_PSI["1d"].name
    return _rule(
        alert="ModelFeatureShapeChanged",
        expression=f"({psi} > {_on()} {threshold})\nand {_on()} ({psi} > {_on()} {noise})",
        hold="30m",
        linger="2h",
        summary=f"{_MODEL}: {_FEATURE} is distributed differently, PSI {{{{ $value | printf `%.2f` }}}}",
        description=f"The shares of the bins of the last day differ from {_AGAINST} by a PSI of "
        "{{ $value | printf `%.3f` }}, more than its threshold and more than samples of this size can by "
        "chance. Categories, or a change that does not move the middle.",
        action="See in the dashboard which bins grew; a new category or a missing field is often a release.",
    )


def _replica() -> Rule:
    worst, pooled = recorded.REPLICA_PSI_MAX["1h"].name, recorded.PSI["1h"].name
    return _rule(
        alert="ModelReplicaDiverged",
        expression=f"({worst} > {DIVERGED})\nand {_on()} ({pooled} < {TOGETHER})",
        hold="15m",
        linger="30m",
        summary=f"{_MODEL}: one replica sees other values of {_FEATURE} than the rest",
        description=f"All replicas together are like {_AGAINST}, and one of them has a PSI of "
        "{{ $value | printf `%.2f` }}: another version, another preprocessing, or other users.",
        action="Find the replica in the dashboard and compare its image, its configuration and its clients.",
    )


def _missing() -> Rule:
    share = recorded.MISSING_SHARE["1h"].name
    reference = f"{recorded.REF_PROPORTION.name}{{{equals(BIN, drift.MISSING)}}}"
    enough = f"{recorded.SAMPLES['1h'].name} >= {FEWEST_PER_BIN}"
    before = f"max by ({labels(PER_FEATURE)}) ({reference})"
    return _rule(
        alert="ModelFeatureMissing",
        expression=f"({share} - {_on()} {before} > {MISSING_MORE})\nand {_on()} ({enough})",
        hold="10m",
        linger="30m",
        summary=f"{_MODEL}: {_FEATURE} is missing in {{{{ $value | humanizePercentage }}}} more of the rows",
        description=f"Of the rows of the last hour so many more lack a value than of those of {_AGAINST}. "
        "The model answers all the same, with less to go by.",
        action="Find out which client or pipeline stopped sending it.",
    )


def _not_measured() -> Rule:
    """Tell what nobody looks at: too few rows or none, a reference that is never finished, no process."""
    samples, bins = recorded.SAMPLES["1d"].name, recorded.REF_BINS.name
    model = (DRIFT_MODEL, DRIFT_MODEL_VERSION)
    known = recorded.REF_SAMPLES.name
    too_few = f"({samples} < {FEWEST_PER_BIN} * {bins} and {_on()} {known})"
    none = f"({known} unless {_on()} {samples})"
    rows = select(drift.LEARNING_ROWS)
    learning = (
        f"({value(drift.LEARNING_ROWS, model)}\n"
        f"and on ({labels(model)}) {aggregate('max', model, f'{rows} offset {LEARNING_TOO_LONG}')})"
    )
    # By model alone: a version that another one follows is not missed.
    gone = (
        f"({aggregate('max', model, f'{known} offset {REMEMBERED}')}\n"
        f"unless on ({labels(model[:1])}) {known}\nunless on ({labels(model[:1])}) {rows})"
    )
    return _rule(
        alert="DriftNotMeasured",
        expression=f"{aggregate('max', model, f'{too_few} or {none}')}\nor {learning}\nor {gone}",
        hold="6h",
        linger="1h",
        summary=f"{_MODEL}: drift is not measured",
        description="Too few rows came within a day to tell whether this model's traffic has drifted, or its "
        "reference is not finished after a week, or the drift processes that told of it are gone. That no "
        "other drift alert fires says nothing about this model.",
        action="See whether rows still arrive and are taken (model_drift_intake_rows_total by road).",
        chosen=(DRIFT_MODEL,),
    )


def _rule(
    *,
    alert: str,
    expression: str,
    hold: str,
    linger: str,
    summary: str,
    description: str,
    action: str,
    chosen: tuple[Attribute, ...] = _CHOSEN,
) -> Rule:
    return Rule(
        alert=alert,
        expression=expression,
        severity=Severity.WARNING,
        component=Component.MODEL,
        hold=hold,
        linger=linger,
        subject=_FEATURE if FEATURE in chosen else "",
        summary=summary,
        description=description,
        action=action,
        dashboard=DRIFT_DASHBOARD,
        chosen=chosen,
    )


def _on() -> str:
    return f"on ({labels(PER_FEATURE)})"
