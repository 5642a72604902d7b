"""The GPU health dashboard: what is wrong with a node's GPUs, or about to be."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from dashboards.frame import about_a_node, leading_to
from dashboards.layout import place
from dashboards.rows import health, links, wear

UID: Final = "warpwatch-gpu-health"
"""Part of every link to the dashboard: never change it."""
_NODE: Final = "warpwatch-gpu-node"


def build() -> model.Dashboard:
    """Return the dashboard."""
    board = about_a_node(
        "Warpwatch / GPU health",
        UID,
        "The health of one node's GPUs: the driver's verdict, errors, throttling, memory that wears "
        "out, and the links to the host and to each other.",
    ).link(leading_to("GPU node", _NODE))
    place(board, (*health.rows(), *wear.rows(), *links.rows()))
    return board.build()
