"""The GPU fleet dashboard: which node is ill, who holds idle GPUs, whose work runs out of memory."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from dashboards.frame import about_a_fleet
from dashboards.layout import place
from dashboards.rows import fleet

UID: Final = "warpwatch-gpu-fleet"
"""Part of every link to the dashboard: never change it."""


def build() -> model.Dashboard:
    """Return the dashboard."""
    board = about_a_fleet(
        "Warpwatch / GPU fleet",
        UID,
        "All GPU nodes: which is ill, who holds idle GPUs, whose work runs out of GPU memory. Its tables "
        "lead to the node and the GPU.",
    )
    place(board, fleet.rows())
    return board.build()
