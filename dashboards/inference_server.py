"""The dashboard of one model server: its engines side by side, and its latency above the GPUs it holds."""

from grafana_foundation_sdk.models import dashboard as model

from dashboards.frame import about_a_server, leading_to
from dashboards.layout import place
from dashboards.rows import (
    engines,
    held,
    latency,
    models,
    objectives,
    probing,
    scraping,
    serving,
    signals,
)
from dashboards.served import FLEET_UID, ON_SERVER, SERVER_UID

UID = SERVER_UID


def build() -> model.Dashboard:
    """Return the dashboard."""
    board = (
        about_a_server(
            "Warpwatch / Model server",
            UID,
            "One model server: is it fast, is it up, is it overloaded, which of its engines lags, and is it "
            "slow because of the GPUs that it holds?",
        )
        .link(leading_to("All models", FLEET_UID))
        .link(leading_to("GPU node", "warpwatch-gpu-node"))
    )
    place(
        board,
        (
            models.of_server(),
            latency.of_server(),
            held.row(),
            engines.row(),
            serving.load(serving.ENGINES),
            serving.tokens(serving.ENGINES),
            serving.endings(serving.ENGINES),
            objectives.row(ON_SERVER),
            latency.of_server_in_detail(),
            serving.costs(serving.ENGINES),
            serving.more(serving.ENGINES),
            probing.row(ON_SERVER, collapsed=True),
            scraping.row(ON_SERVER, single=True),
            signals.row(ON_SERVER, height=4),
        ),
    )
    return board.build()
