"""The GPU node dashboard: one node, from "is it well?" down to single clocks and lanes."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from dashboards import gpu_fleet, gpu_health, gpu_mig, served
from dashboards.frame import about_a_node, leading_to
from dashboards.layout import place
from dashboards.rows import between, hardware, inside, models, state
from dashboards.rows import itself as agent_row

UID: Final = "warpwatch-gpu-node"
"""Part of every link to the dashboard, the alerts' included: never change it."""


def build() -> model.Dashboard:
    """Return the dashboard."""
    node = (
        about_a_node(
            "Warpwatch / GPU node",
            UID,
            "One GPU node: is it well, how busy is it, what limits it, who uses it, "
            "and are the model servers on it fast.",
        )
        .link(leading_to("GPU fleet", gpu_fleet.UID))
        .link(leading_to("GPU health", gpu_health.UID))
        .link(leading_to("MIG devices", gpu_mig.UID))
        .link(leading_to("Model server", served.SERVER_UID))
    )
    place(
        node,
        (
            *state.rows(),
            *hardware.rows(),
            inside.owners(),
            inside.owners_over_time(),
            inside.profiling(),
            between.row(),
            models.on_node(),
            agent_row.row(),
        ),
    )
    return node.build()
