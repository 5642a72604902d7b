"""What dashboards share: variables, marks of what happened, links to each other."""

from collections.abc import Callable, Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from agent.catalogue import gpu, itself
from agent.catalogue.attributes import CONFIDENCE, EVENT_NAME, XID
from agent.catalogue.events import COLLECTOR_FAILED, GPU_LOST, SERVER_DOWN
from agent.catalogue.promql import Condition, matches, rate
from dashboards.layout import Built
from dashboards.panel import BLUE, DATASOURCE, ORANGE, RED, Query
from dashboards.scope import (
    ON_GPU,
    ON_NODE,
    RATE,
    cluster_variables,
    legend,
    marks,
    of_gpu,
    variables,
)
from dashboards.served import fleet_variables, of_held, server_variables

TAG: Final = "warpwatch"
_NEWS: Final = (GPU_LOST, SERVER_DOWN, COLLECTOR_FAILED)


def about_a_node(title: str, uid: str, description: str) -> dashboard.Dashboard:
    """Return a dashboard without panels, about the chosen node, with marks of what happened on it."""
    return (
        _empty(title, uid, description)
        .variables(variables())
        .annotations(_annotations(of_gpu, ON_GPU))
    )


def about_a_fleet(title: str, uid: str, description: str) -> dashboard.Dashboard:
    """Return a dashboard without panels, about all nodes of the chosen cluster.

    Without marks: on a large fleet something happens at any time.
    """
    return _empty(title, uid, description).variables(cluster_variables())


def about_models(title: str, uid: str, description: str) -> dashboard.Dashboard:
    """Return a dashboard without panels, about the chosen models on all their servers; without marks."""
    return _empty(title, uid, description, "inference").variables(fleet_variables())


def about_a_server(title: str, uid: str, description: str) -> dashboard.Dashboard:
    """Return a dashboard without panels, about one model server, with marks of what happened on its node."""
    board = _empty(title, uid, description, "inference")
    return board.variables(server_variables()).annotations(_annotations(of_held, ON_NODE))


def _empty(title: str, uid: str, description: str, kind: str = "gpu") -> dashboard.Dashboard:
    """Return what all have: the menu leads to the others, with what is chosen and the time kept."""
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(f"{description} Generated; changes made here are lost.")
        .tags([TAG, kind])
        .readonly()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Warpwatch")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(as_dropdown=True)
            .include_vars(include_vars=True)
            .keep_time(keep_time=True)
        )
    )


def leading_to(title: str, uid: str) -> dashboard.DashboardLink:
    """Return a link in the head of a dashboard to another one, with node and time kept."""
    return (
        dashboard.DashboardLink(title)
        .type(model.DashboardLinkType.LINK)
        .url(f"/d/{uid}")
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
    )


def _annotations(
    of: Callable[..., Query], where: Sequence[Condition]
) -> list[Builder[model.AnnotationQuery]]:
    """Mark on every graph what happened, counters that grew; ``of`` says to which GPUs."""
    news = "|".join(kind.name.replace(".", "\\.") for kind in _NEWS)
    told = rate(
        itself.EVENTS,
        (EVENT_NAME,),
        *ON_NODE,
        matches(EVENT_NAME, news),
        window=RATE,
        function="increase",
    )
    return [
        _mark("XID errors", of(marks(gpu.XID_EVENTS, XID, where), XID), RED),
        _mark(
            "Out of GPU memory", of(marks(gpu.OOM_EVENTS, CONFIDENCE, where), CONFIDENCE), ORANGE
        ),
        _mark(
            "Lost GPUs, silent servers and collectors",
            Query(f"{told} > 0", legend(EVENT_NAME)),
            BLUE,
        ),
    ]


def _mark(name: str, query: Query, color: str) -> Builder[model.AnnotationQuery]:
    return Built(_Mark(name, query, color))


class _Mark(model.AnnotationQuery):
    """An annotation from Prometheus: the SDK's own has no field for its title."""

    def __init__(self, name: str, query: Query, color: str) -> None:
        super().__init__(
            name=name,
            datasource=DATASOURCE,
            icon_color=color,
            expr=query.expression,
        )
        self._title = f"{name}: {query.legend}"

    def to_json(self) -> dict[str, object]:
        """Return the annotation as Grafana stores it."""
        return {**super().to_json(), "titleFormat": self._title}
