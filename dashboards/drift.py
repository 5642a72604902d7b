"""The drift dashboard: which models have drifted, in which features, and what nobody can say.

It is about models and not about nodes: its variables and its links are others than those of the GPUs'.
"""

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from agent.catalogue.attributes import DRIFT_MODEL, FEATURE
from agent.catalogue.promql import aggregate
from agent.catalogue.recorded_drift import REF_SAMPLES
from agent.catalogue.recorded_drift_serving import MEAN
from dashboards.frame import TAG
from dashboards.layout import place
from dashboards.panel import DATASOURCE
from dashboards.rows import drift as rows
from dashboards.rows import drift_performance, drift_serving

UID: Final = "warpwatch-drift"
"""Part of every link to the dashboard, the alerts' included: never change it."""
_EVERYTHING: Final = model.VariableOption(text="All", value="$__all", selected=True)


def build() -> model.Dashboard:
    """Return the dashboard."""
    made = (
        dashboard.Dashboard("Warpwatch / Drift")
        .uid(UID)
        .description(
            "Models: whose traffic is not what it was, in which features, on which replica, and what is not "
            "measured. Generated; changes made here are lost."
        )
        .tags([TAG, "model"])
        .readonly()
        .refresh("1m")
        .time("now-2d", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .variables(_variables())
        .link(
            dashboard.DashboardLink("Warpwatch")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(as_dropdown=True)
            .include_vars(include_vars=True)
            .keep_time(keep_time=True)
        )
    )
    place(
        made,
        (
            rows.overview(),
            rows.features(),
            rows.bins(),
            rows.quality(),
            drift_performance.row(),
            drift_serving.row(),
        ),
    )
    return made.build()


def _variables() -> list[Builder[model.VariableModel]]:
    known, served = (
        aggregate("count", (DRIFT_MODEL,), name) for name in (REF_SAMPLES.name, MEAN.name)
    )
    return [
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        # Models with payloads, and models that are known by their servers alone.
        _query("model", "Model", f"query_result({known} or {served})").regex(
            f'/{DRIFT_MODEL.label}="([^"]+)"/'
        ),
        _query(
            "feature",
            "Feature",
            f"label_values({rows.of_model(REF_SAMPLES.name)}, {FEATURE.label})",
        ),
    ]


def _query(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(_EVERYTHING)
    )
