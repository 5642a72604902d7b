"""Rows about features: which have drifted, how their shares moved, on which replica, and what was wrong."""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import common, timeseries
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units

from agent.catalogue import Attribute, drift
from agent.catalogue import recorded_drift as recorded
from agent.catalogue.attributes import (
    BIN,
    DRIFT_MODEL,
    DRIFT_MODEL_VERSION,
    FEATURE,
    NODE,
    QUALITY_ISSUE,
    REFUSAL,
    ROAD,
)
from agent.catalogue.promql import Condition, aggregate, labels, matches, rate, value
from agent.catalogue.recorded_drift import INSTANCE, PER_FEATURE
from dashboards.layout import Row, Tile
from dashboards.panel import (
    COUNT,
    GREEN,
    RED,
    YELLOW,
    Look,
    Panel,
    Query,
    graph,
    number,
    per_second,
)
from dashboards.rows.drift_table import Column, scores
from dashboards.scope import RATE, legend

OF_MODEL: Final = (matches(DRIFT_MODEL, "$model"),)
OF_FEATURE: Final = (*OF_MODEL, matches(FEATURE, "$feature"))
_VERSION: Final = (DRIFT_MODEL, DRIFT_MODEL_VERSION)
_NAMED: Final = (*_VERSION, FEATURE)
_LIMIT: Final = "/^bound/"


def of_model(series: str) -> str:
    """Return a recorded series of the chosen models."""
    return _chosen(series, OF_MODEL)


def of_feature(series: str) -> str:
    """Return a recorded series of the chosen models and features."""
    return _chosen(series, OF_FEATURE)


def _chosen(series: str, conditions: Sequence[Condition]) -> str:
    return f"{series}{{{', '.join(map(str, conditions))}}}"


def overview() -> Row:
    """Return what has drifted and what is not measured, of all that is chosen."""
    return Row(
        "Which models have drifted",
        (
            Tile(_drifted(), 6, 5),
            Tile(_diverged(), 6, 5),
            Tile(_unmeasured(), 6, 5),
            Tile(_learning(), 6, 5),
            Tile(_table(), 24, 11),
        ),
    )


def _over(score: str, bound: str) -> str:
    return f"{score} > on ({labels(PER_FEATURE)}) {bound}"


def _beyond() -> str:
    """Return the features that are beyond a bound, over an hour or a day."""
    parts = []
    for window in recorded.WINDOWS:
        shift = f"abs({of_model(recorded.RANK_SHIFT_GUARDED[window].name)})"
        parts.append(_over(shift, of_model(recorded.THRESHOLD_RANK[window].name)))
    day = of_model(recorded.PSI_GUARDED["1d"].name)
    above = _over(day, of_model(recorded.THRESHOLD_PSI["1d"].name))
    noise = of_model(recorded.NOISE["1d"].name)
    parts.append(f"({above}) > on ({labels(PER_FEATURE)}) {noise}")
    return "\nor ".join(f"({part})" for part in parts)


def _counted(expression: str, of: str) -> str:
    """Return a count that is 0 where there is nothing to count, and absent where nothing is known."""
    return f"count({expression})\nor count({of}) * 0"


def _drifted() -> Panel:
    return number(
        "Features that have drifted",
        Query(_counted(_beyond(), of_model(recorded.PSI_GUARDED["1d"].name)), "features"),
        unit=COUNT,
        description="Features beyond a bound now: shifted over an hour or a day, or of another shape over a "
        "day. Alerts: ModelFeatureShiftedFast, ModelFeatureShifted, ModelFeatureShapeChanged.",
        steps=((None, GREEN), (1, RED)),
    )


def _diverged() -> Panel:
    worst = of_model(recorded.REPLICA_PSI_MAX["1h"].name)
    return number(
        "Worst replica, PSI",
        Query(f"max({worst})", "worst"),
        unit=COUNT,
        description=f"{recorded.REPLICA_PSI_MAX['1h'].description} Above 0.25 while all together are below "
        "0.1: alert ModelReplicaDiverged.",
        steps=((None, GREEN), (0.1, YELLOW), (0.25, RED)),
    )


def _unmeasured() -> Panel:
    known = of_model(recorded.REF_SAMPLES.name)
    scored = of_model(recorded.PSI_GUARDED["1d"].name)
    return number(
        "Features not measured",
        Query(_counted(f"{known} unless on ({labels(PER_FEATURE)}) {scored}", known), "features"),
        unit=COUNT,
        description="Features that have a reference and no score over a day: too few values, or not a whole "
        "day yet. Alert: DriftNotMeasured.",
        steps=((None, GREEN), (1, YELLOW)),
    )


def _learning() -> Panel:
    learning = value(drift.LEARNING_ROWS, _VERSION, *OF_MODEL, operator="sum")
    known = of_model(recorded.REF_SAMPLES.name)
    return number(
        "Models that are learning",
        Query(_counted(learning, known), "models"),
        unit=COUNT,
        description=f"{drift.LEARNING_ROWS.description} Alert after a week: DriftNotMeasured.",
        steps=((None, GREEN), (1, YELLOW)),
    )


def _per_feature(expression: str) -> str:
    return aggregate("max", PER_FEATURE, expression)


def _table() -> Panel:
    shift, psi = (
        of_model(series["1d"].name)
        for series in (recorded.RANK_SHIFT_GUARDED, recorded.PSI_GUARDED)
    )
    shift_bound, psi_bound = (
        of_model(series["1d"].name) for series in (recorded.THRESHOLD_RANK, recorded.THRESHOLD_PSI)
    )
    on = f"on ({labels(PER_FEATURE)})"
    # Whichever is more; features without an order have no shift.
    used = f"(abs({shift}) / {on} {shift_bound} >= {on} {psi} / {on} {psi_bound}) or {psi} / {on} {psi_bound}"
    return scores(
        "Features, those closest to their bounds first",
        (
            Column(_per_feature(used), "Of its bound", judged=True),
            Column(_per_feature(shift), "Shift 1d"),
            Column(_per_feature(shift_bound), "Bound"),
            Column(_per_feature(psi), "PSI 1d"),
            Column(_per_feature(psi_bound), "Bound "),
            Column(_per_feature(of_model(recorded.REPLICA_PSI_MAX["1h"].name)), "Replica 1h"),
            Column(
                _per_feature(of_model(recorded.MISSING_SHARE["1h"].name)), "Missing 1h", share=True
            ),
            Column(_per_feature(of_model(recorded.SAMPLES["1d"].name)), "Values 1d", whole=True),
        ),
        description="How much of its bound each feature has used over the last day, by shift or by PSI, "
        "whichever is more: above 100 % it has drifted. Empty where there are too few values to tell. "
        "Calibration learns bounds; until then they are 0.05 and 0.25.",
    )


def features() -> Row:
    """Return the scores over time."""
    return Row(
        "How far",
        (
            *(Tile(_shift(window), 12, 8) for window in recorded.WINDOWS),
            *(Tile(_psi(window), 12, 8) for window in recorded.WINDOWS),
        ),
    )


def without_limits(
    title: str, *queries: Query, unit: str, description: str, look: Look
) -> timeseries.Panel:
    """Return a graph whose dashed lines are not listed beside it: there are two for each of the others."""
    hidden = model.DynamicConfigValue(
        id_val="custom.hideFrom", value={"legend": True, "tooltip": True, "viz": False}
    )
    panel = graph(title, *queries, unit=unit, description=description, look=look)
    return panel.override_by_regexp(look.dashed, [hidden])


def _shift(window: str) -> Panel:
    bound = of_feature(recorded.THRESHOLD_RANK[window].name)
    return without_limits(
        f"Shift, {window}",
        Query(of_feature(recorded.RANK_SHIFT_GUARDED[window].name), legend(*_NAMED)),
        Query(bound, f"bound {legend(*_NAMED)}"),
        Query(f"-{bound}", f"bound below {legend(*_NAMED)}"),
        unit=COUNT,
        description=f"{recorded.RANK_SHIFT[window].description} Above 0: values are higher than they were.",
        look=Look(signed=True, dashed=_LIMIT),
    )


def _psi(window: str) -> Panel:
    return without_limits(
        f"PSI, {window}",
        Query(of_feature(recorded.PSI_GUARDED[window].name), legend(*_NAMED)),
        Query(of_feature(recorded.THRESHOLD_PSI[window].name), f"bound {legend(*_NAMED)}"),
        unit=COUNT,
        description=f"{recorded.PSI[window].description} 0.1 is customarily noticeable, 0.25 large.",
        look=Look(dashed=_LIMIT),
    )


def bins() -> Row:
    """Return the shares of the bins, and how the replicas differ."""
    return Row(
        "Which values: choose one feature",
        (
            Tile(_stack("Share of each bin, 1h", recorded.PROPORTION["1h"].name), 12, 9),
            Tile(_stack("Share of each bin, reference", recorded.REF_PROPORTION.name), 12, 9),
            Tile(_moved(), 12, 9),
            Tile(_worst(), 12, 9),
            Tile(_replica_scores(), 12, 7),
            Tile(_replicas(), 12, 7),
        ),
    )


def _stack(title: str, series: str) -> Panel:
    by_bin = aggregate("avg", (BIN,), of_feature(series))
    panel = graph(
        title,
        Query(by_bin, legend(BIN)),
        unit=units.PercentUnit,
        description="Stacked, so that a bin that grew is a band that widened. Of several features or "
        "versions: the mean.",
        look=Look(ceiling=1),
    )
    return panel.fill_opacity(60).stacking(
        common.StackingConfig().mode(words.StackingMode.NORMAL).group("A")
    )


def _moved() -> Panel:
    now, before = (
        aggregate("avg", (BIN,), of_feature(series))
        for series in (recorded.PROPORTION["1h"].name, recorded.REF_PROPORTION.name)
    )
    return graph(
        "Share of each bin, less that of the reference",
        Query(f"{now} - {before}", legend(BIN)),
        unit=units.PercentUnit,
        description="Which bins grew and which shrank, in points of all values of an hour.",
        look=Look(signed=True),
    )


def _worst() -> Panel:
    return graph(
        "PSI of the worst replica",
        Query(of_feature(recorded.REPLICA_PSI_MAX["1h"].name), legend(*_NAMED)),
        unit=COUNT,
        description=f"{recorded.REPLICA_PSI_MAX['1h'].description} A replica that sees other values than the "
        "rest is another version, another client, or broken. Alert: ModelReplicaDiverged.",
        look=Look(steps=((None, "transparent"), (0.25, RED))),
    )


def _replica_scores() -> Panel:
    by = (NODE, INSTANCE)
    scores_of_one = of_feature(recorded.REPLICA_PSI["1h"].name)
    return graph(
        "PSI of an hour, by replica",
        Query(aggregate("max", by, scores_of_one), legend(*by)),
        unit=COUNT,
        description=f"{recorded.REPLICA_PSI['1h'].description} Of several features or "
        "versions: the largest.",
        look=Look(steps=((None, "transparent"), (0.25, RED))),
    )


def _replicas() -> Panel:
    by = (NODE, INSTANCE)
    counted = rate(drift.FEATURE_OBSERVATIONS, by, *OF_FEATURE, window="1h", function="increase")
    return graph(
        "Values in an hour, by replica",
        Query(counted, legend(*by)),
        unit=COUNT,
        description="Values that one replica counted in an hour. One that gets much less than the rest, or "
        "nothing, is not part of what is compared.",
    )


def quality() -> Row:
    """Return what is missing or wrong, and what came in."""
    return Row(
        "Missing, malformed, refused",
        (
            Tile(_missing(), 12, 8),
            Tile(_issues(), 12, 8),
            Tile(_intake(), 12, 8),
            Tile(_refused(), 12, 8),
        ),
        collapsed=True,
    )


def _missing() -> Panel:
    return graph(
        "Missing values",
        Query(of_feature(recorded.MISSING_SHARE["1h"].name), legend(*_NAMED)),
        unit=units.PercentUnit,
        description=f"{recorded.MISSING_SHARE['1h'].description} Alert: ModelFeatureMissing.",
    )


def _issues() -> Panel:
    by: Sequence[Attribute] = (*_NAMED, QUALITY_ISSUE)
    grown = rate(drift.QUALITY_ISSUES, by, *OF_FEATURE, window=RATE)
    columns = rate(drift.SCHEMA_VIOLATIONS, _VERSION, *OF_MODEL, window=RATE)
    labels_alone = rate(drift.LABELS_UNMATCHED, _VERSION, *OF_MODEL, window=RATE)
    return graph(
        "Values that something is wrong with",
        Query(f"{grown} > 0", legend(QUALITY_ISSUE, *_NAMED)),
        Query(f"{columns} > 0", f"columns {legend(*_VERSION)}"),
        Query(f"{labels_alone} > 0", f"labels of no row {legend(*_VERSION)}"),
        unit=per_second("values"),
        description=f"{drift.QUALITY_ISSUES.description} {drift.SCHEMA_VIOLATIONS.description}",
        look=Look(narrow=True),
    )


def _intake() -> Panel:
    return graph(
        "Rows taken in, all models",
        Query(rate(drift.INTAKE_ROWS, (ROAD,), window=RATE), legend(ROAD)),
        unit=per_second("rows"),
        description=drift.INTAKE_ROWS.description,
    )


def _refused() -> Panel:
    by = (ROAD, REFUSAL)
    return graph(
        "Refused, all models",
        Query(f"{rate(drift.INTAKE_REFUSED, by, window=RATE)} > 0", legend(*by)),
        unit=per_second("bodies"),
        description=drift.INTAKE_REFUSED.description,
    )
