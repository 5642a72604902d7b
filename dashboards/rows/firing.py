"""Which alerts fire about the node: series of Prometheus's own, there where it evaluates the rules."""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import Attribute
from agent.catalogue.attributes import CLUSTER, GPU_INDEX, MODEL, NODE, SERVER, SLO
from agent.catalogue.promql import Condition, aggregate, equals, matches
from dashboards.panel import BLUE, COUNT, GREEN, ORANGE, RED, Panel, Query, number
from dashboards.scope import ON_NODE
from dashboards.tables import Fact, Figure, overview

ALERT: Final = Attribute("alertname", "The alert's name, which is its runbook's.")
SEVERITY: Final = Attribute(
    "severity", "Wake somebody, or look during the day.", ("critical", "warning")
)
STATE: Final = Attribute("alertstate", "Whether the alert waits or fires.", ("pending", "firing"))
FIRING: Final = "ALERTS"
SINCE: Final = "ALERTS_FOR_STATE"
_NONE: Final = "none"
_NOTE: Final = (
    "None as well where the data source's Prometheus does not evaluate Warpwatch's rules."
)


def count(where: Sequence[Condition] = ON_NODE) -> Panel:
    """Return how many alerts fire."""
    firing = _select(FIRING, *where, equals(STATE, "firing"))
    return number(
        "Alerts firing",
        Query(f"count({firing}) or vector(0)", "firing"),
        unit=COUNT,
        description=f"Alerts about what is chosen, pages and tickets. {_NOTE}",
        steps=((None, GREEN), (1, RED)),
        absent=_NONE,
    )


def per(by: Sequence[Attribute], where: Sequence[Condition]) -> str:
    """Return how many alerts fire, by what they carry; nothing where none does."""
    return aggregate("count", by, _select(FIRING, *where, equals(STATE, "firing")))


def listed() -> Panel:
    """Return a table of the alerts that fire, pages first."""
    by = (ALERT, SEVERITY, GPU_INDEX)
    firing = _select(FIRING, *ON_NODE, equals(STATE, "firing"))
    since = f"{_select(SINCE, *ON_NODE)} and ignoring ({STATE.label}) {firing}"
    return overview(
        "Alerts firing on this node",
        aggregate("max", by, firing),
        (
            Fact(
                attribute=SEVERITY,
                heading="Severity",
                colors=(("critical", RED), ("warning", ORANGE)),
                width=90,
            ),
            Fact(attribute=ALERT, heading="Alert"),
            Fact(attribute=GPU_INDEX, heading="GPU", width=60, number=True),
            Figure(
                expression=f"{aggregate('min', by, since)} * 1000",
                heading="True since",
                unit=units.DateTimeFromNow,
                width=130,
                steps=((None, BLUE),),
            ),
        ),
        description="Critical ones page. The alert's name is that of its runbook, to which the page leads. "
        f"{_NOTE}",
        absent=_NONE,
    )


OF_MODELS: Final = matches(ALERT, "Model(Errors|FirstToken|Preemption|Queue|SLO|Server).+")
"""The alerts about model servers, by how they are called."""


def objectives(where: Sequence[Condition]) -> Panel:
    """Return of how many objectives the budget burns fast enough for an alert."""
    burning = _select(FIRING, *where, equals(STATE, "firing"), matches(ALERT, "ModelSLO.+"))
    return number(
        "SLOs burning",
        Query(
            f"count({aggregate('group', (SLO, MODEL, CLUSTER), burning)}) or vector(0)", "burning"
        ),
        unit=COUNT,
        description="Objectives, each of a model, whose budget is used up many times faster than it may be: "
        f"an alert fires. The row of objectives says which. {_NOTE}",
        steps=((None, GREEN), (1, RED)),
        absent=_NONE,
    )


def of_models(where: Sequence[Condition]) -> Panel:
    """Return a table of the alerts that fire about models and their servers, pages first.

    An alert about a model on all its servers has no server: it is shown wherever its model is chosen.
    """
    by = (ALERT, SEVERITY, MODEL, SERVER, NODE, SLO)
    firing = _select(FIRING, *where, equals(STATE, "firing"), OF_MODELS)
    since = f"{_select(SINCE, *where, OF_MODELS)} and ignoring ({STATE.label}) {firing}"
    return overview(
        "Alerts firing",
        aggregate("max", by, firing),
        (
            Fact(
                attribute=SEVERITY,
                heading="Severity",
                colors=(("critical", RED), ("warning", ORANGE)),
                width=90,
            ),
            Fact(attribute=ALERT, heading="Alert", width=230),
            Fact(attribute=MODEL, heading="Model"),
            Fact(attribute=SERVER, heading="Server"),
            Fact(attribute=NODE, heading="Node"),
            Fact(attribute=SLO, heading="Objective"),
            Figure(
                expression=f"{aggregate('min', by, since)} * 1000",
                heading="True since",
                unit=units.DateTimeFromNow,
                width=130,
                steps=((None, BLUE),),
            ),
        ),
        description="Critical ones page. The alert's name is that of its runbook, to which the page leads. "
        f"{_NOTE}",
        absent=_NONE,
    )


def _select(name: str, *conditions: Condition) -> str:
    return f"{name}{{{', '.join(map(str, conditions))}}}"
