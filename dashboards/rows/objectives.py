"""Row about objectives: what was promised, what of the budget is left, how fast it burns."""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import recorded, serving_slo
from agent.catalogue.attributes import CLUSTER, MODEL, SLO, SLO_SIGNAL
from agent.catalogue.promql import Condition, aggregate, labels, rate, select, value
from agent.catalogue.recorded import BURN_BASE, BURN_RATES, OUTAGE, PROMISED
from dashboards.layout import Row, Tile
from dashboards.panel import COUNT, ORANGE, RED, Look, Panel, Query, graph
from dashboards.scope import IN_CLUSTER, legend
from dashboards.served import narrowed, told
from dashboards.tables import Fact, Figure, overview

WINDOWS: Final = {"7d": 7 * 86_400, "28d": 28 * 86_400, "30d": 30 * 86_400}
"""The windows that an objective can have, and their seconds."""
_OBJECTIVE: Final = (SLO, CLUSTER)
_SAME: Final = f"on ({labels(_OBJECTIVE)}) group_left ()"
_BURNING: Final = ((None, "text"), (0.5, ORANGE), (1, RED))
_LEFT: Final = ((None, RED), (0.000_001, ORANGE), (0.25, "text"))
_TIMES: Final = "suffix: x"
_NO_OBJECTIVE: Final = "no objective of the configuration is about what is chosen"


def row(where: Sequence[Condition]) -> Row:
    """Return the row."""
    return Row(
        "Service level objectives",
        (
            Tile(_table(where), 24, 8),
            *(Tile(_burning(window, where), 8, 8) for window in ("1h", "6h")),
            Tile(_good(where), 8, 8),
        ),
    )


def _table(where: Sequence[Condition]) -> Panel:
    objective = value(serving_slo.SLO_OBJECTIVE, (*_OBJECTIVE, SLO_SIGNAL), *IN_CLUSTER)
    signal = f"topk by ({labels(_OBJECTIVE)}) (1, {objective})"
    there = _there(where)
    lines = f"{there}\n* on ({labels(_OBJECTIVE)}) group_left ({SLO_SIGNAL.label}) ({signal})"
    bounds = value(serving_slo.SLO_THRESHOLD, PROMISED, *narrowed(serving_slo.SLO_THRESHOLD, where))
    days = f"{value(serving_slo.SLO_WINDOW, _OBJECTIVE, *IN_CLUSTER)} / 86400"
    return overview(
        "Objectives now",
        lines,
        (
            Fact(attribute=SLO, heading="Objective", width=120),
            Fact(attribute=MODEL, heading="Model"),
            Fact(attribute=SLO_SIGNAL, heading="Signal", width=155),
            Fact(attribute=CLUSTER, heading="Cluster", shown=False),
            Figure(
                expression=bounds,
                heading="Up to",
                unit=units.Seconds,
                width=85,
            ),
            Figure(
                expression=f"{there} * {_SAME} ({_promise()})",
                heading="Target",
                unit=units.PercentUnit,
                width=80,
            ),
            Figure(
                expression=f"{there} * {_SAME} ({days})",
                heading="Within",
                unit="suffix: d",
                width=75,
            ),
            Figure(
                expression=_about(told(recorded.SLO_EVENTS["6h"], where), where),
                heading="Events, 6 h",
                unit=COUNT,
                width=95,
            ),
            Figure(
                expression=_left(where),
                heading="Budget left",
                unit=units.PercentUnit,
                width=100,
                steps=_LEFT,
            ),
            *(
                Figure(
                    expression=_of_limit(window, where),
                    heading=f"Burn, {window}",
                    unit=_TIMES,
                    width=90,
                    steps=_BURNING,
                )
                for window in BURN_RATES
            ),
        ),
        description="Up to: the bound of the server's own histogram that good is counted by, the greatest "
        "where servers differ. Budget left: of what may fail within the objective's time, by what of it "
        "Prometheus keeps; below 0 the promise is broken. Burn: how many times faster it is used up than "
        "the alert for that time allows: above 1 in both of its times it fires, once there are 100 events.",
        absent=_NO_OBJECTIVE,
        by="Budget left",
    )


def _there(where: Sequence[Condition]) -> str:
    """Return one series of value 1 for each objective and model that is about what is chosen."""
    counted = narrowed(serving_slo.SLO_TOTAL, where)
    return aggregate("group", PROMISED, select(serving_slo.SLO_TOTAL, *counted))


def _about(expression: str, where: Sequence[Condition]) -> str:
    """Keep the objectives that are about what is chosen; each is kept, or not, by all servers together."""
    return f"{expression}\nand on ({labels(PROMISED)}) ({_there(where)})"


def _promise() -> str:
    return value(serving_slo.SLO_OBJECTIVE, _OBJECTIVE, *IN_CLUSTER)


def _left(where: Sequence[Condition]) -> str:
    """Return what is left of each budget; how long it is for is data, a range in PromQL is not."""
    left = "\nor ".join(_left_within(window, where) for window in WINDOWS)
    return _about(f"({left})", where)


def _left_within(window: str, where: Sequence[Condition]) -> str:
    good, total = (
        rate(metric, PROMISED, *_of_objective(where), window=window, function="increase")
        for metric in (serving_slo.SLO_GOOD, serving_slo.SLO_TOTAL)
    )
    bad = f"(1 - {good} / on ({labels(PROMISED)}) ({total} > 0))"
    length = value(serving_slo.SLO_WINDOW, _OBJECTIVE, *IN_CLUSTER)
    same = f"on ({labels(_OBJECTIVE)})"
    allowed = f"((1 - {_promise()}) and {same} ({length} == {WINDOWS[window]}))"
    return f"1 - {bad} / {_SAME} {allowed}"


def _of_limit(window: str, where: Sequence[Condition]) -> str:
    length = value(serving_slo.SLO_WINDOW, _OBJECTIVE, *IN_CLUSTER)
    scaled = (
        f"(1 - {_promise()}) * on ({labels(_OBJECTIVE)}) {length} * "
        f"{BURN_RATES[window]:g} / {BURN_BASE}"
    )
    burnt = f"{told(recorded.SLO_RATIOS[window], where)}\n/ {_SAME} clamp_max({scaled}, {OUTAGE:g})"
    return _about(burnt, where)


def _of_objective(where: Sequence[Condition]) -> tuple[Condition, ...]:
    return tuple(condition for condition in where if condition.attribute in PROMISED)


def _burning(window: str, where: Sequence[Condition]) -> Panel:
    return graph(
        f"Burn over {window}, times its limit",
        Query(_of_limit(window, where), legend(SLO, MODEL)),
        unit=_TIMES,
        description=f"How fast the budget was used up over the last {window}, by what its alert allows. At "
        f"1 that is {BURN_RATES[window]:g} times faster than even, for an objective of 30 days; for a "
        "shorter one less.",
        look=Look(narrow=True, steps=((None, "transparent"), (1, RED)), absent=_NO_OBJECTIVE),
    )


def _good(where: Sequence[Condition]) -> Panel:
    return graph(
        "Share of bad events, 5 min",
        Query(_about(told(recorded.SLO_RATIOS["5m"], where), where), legend(SLO, MODEL)),
        unit=units.PercentUnit,
        description=f"{recorded.SLO_RATIOS['5m'].description} Good: {serving_slo.SLO_GOOD.description}",
        look=Look(narrow=True, absent=_NO_OBJECTIVE),
    )
