"""Row about how right a model is: estimated of its scores alone, and in truth once labels come."""

from grafana_foundation_sdk.models import units

from agent.catalogue import recorded_performance as recorded
from agent.catalogue.attributes import DRIFT_MODEL, DRIFT_MODEL_VERSION
from agent.catalogue.recorded import Recorded
from dashboards.layout import Row, Tile
from dashboards.panel import Look, Panel, Query, graph
from dashboards.rows.drift import of_model
from dashboards.scope import legend

_WHICH = legend(DRIFT_MODEL, DRIFT_MODEL_VERSION)


def row() -> Row:
    """Return the row."""
    return Row(
        "How right: estimated from scores, and by labels",
        (
            Tile(_accuracy(), 12, 8),
            Tile(_auc(), 12, 8),
        ),
        collapsed=True,
    )


def _accuracy() -> Panel:
    return _beside(
        "Accuracy",
        recorded.ESTIMATED_ACCURACY["1d"],
        recorded.ACCURACY["1d"],
        Query(of_model(recorded.REFERENCE_ACCURACY.name), f"reference {_WHICH}"),
    )


def _auc() -> Panel:
    return _beside(
        "Area under the ROC curve", recorded.ESTIMATED_ROC_AUC["1d"], recorded.ROC_AUC["1d"]
    )


def _beside(title: str, estimated: Recorded, realized: Recorded, *more: Query) -> Panel:
    return graph(
        f"{title}, 1d",
        Query(of_model(estimated.name), f"estimated {_WHICH}"),
        Query(of_model(realized.name), f"by labels {_WHICH}"),
        *more,
        unit=units.PercentUnit,
        description=f"{estimated.description} {realized.description}",
        look=Look(signed=True, dashed="/^reference/"),
    )
