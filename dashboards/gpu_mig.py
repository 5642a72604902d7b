"""The MIG dashboard: what the parts of divided GPUs do; empty on a node whose GPUs are whole."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from dashboards.frame import about_a_node, leading_to
from dashboards.layout import place
from dashboards.rows import mig

UID: Final = "warpwatch-gpu-mig"
"""Part of every link to the dashboard: never change it."""
_NODE: Final = "warpwatch-gpu-node"


def build() -> model.Dashboard:
    """Return the dashboard."""
    board = about_a_node(
        "Warpwatch / MIG devices",
        UID,
        "The MIG devices of one node: which there are, how full their memory is, how busy they are. "
        "Empty where no GPU is divided.",
    ).link(leading_to("GPU node", _NODE))
    place(board, mig.rows())
    return board.build()
