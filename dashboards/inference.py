"""The dashboard of all models: fast or slow, up or down, overloaded or not, and whether promises are kept."""

from grafana_foundation_sdk.models import dashboard as model

from dashboards.frame import about_models
from dashboards.layout import place
from dashboards.rows import latency, models, objectives, probing, scraping, serving, signals
from dashboards.served import CHOSEN, FLEET_UID

UID = FLEET_UID


def build() -> model.Dashboard:
    """Return the dashboard."""
    board = about_models(
        "Warpwatch / Models",
        UID,
        "All models on all servers, in one language whatever the kind of server: is each fast, is it up, "
        "is it overloaded, what does it cost, and is what was promised kept? Its tables lead to the server.",
    )
    place(
        board,
        (
            models.of_fleet(),
            models.servers(),
            latency.of_models(),
            serving.load(serving.FLEETWIDE),
            objectives.row(CHOSEN),
            serving.tokens(serving.FLEETWIDE),
            serving.endings(serving.FLEETWIDE),
            latency.of_models_in_detail(),
            serving.costs(serving.FLEETWIDE),
            serving.more(serving.FLEETWIDE),
            probing.row(CHOSEN, collapsed=True),
            scraping.row(CHOSEN),
            signals.row(CHOSEN),
        ),
    )
    return board.build()
