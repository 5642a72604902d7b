"""Row about drift without a payload: what the servers' own histograms say."""

from grafana_foundation_sdk.builders import common
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import units

from agent.catalogue import recorded_drift_serving as recorded
from agent.catalogue.attributes import DRIFT_MODEL, FINISH_REASON
from agent.catalogue.recorded import Recorded
from agent.catalogue.recorded_drift_serving import AGAINST, SIGNAL
from dashboards.layout import Row, Tile
from dashboards.panel import COUNT, RED, Look, Panel, Query, graph
from dashboards.rows.drift import of_model, without_limits
from dashboards.scope import legend


def row() -> Row:
    """Return the row."""
    return Row(
        "Without payloads: the servers' own histograms, against the day and the week before",
        (
            Tile(_distance(), 12, 8),
            Tile(
                _change("Means", recorded.MEAN_CHANGE, legend(SIGNAL, DRIFT_MODEL, AGAINST)), 12, 8
            ),
            Tile(_reasons(), 12, 8),
            Tile(_otherwise(), 12, 8),
            Tile(_cache(), 12, 8),
            Tile(
                _change(
                    "Hits of the prefix cache",
                    recorded.CACHE_HITS_CHANGE,
                    legend(DRIFT_MODEL, AGAINST),
                ),
                12,
                8,
            ),
        ),
        collapsed=True,
    )


def _distance() -> Panel:
    floor = f"max by ({SIGNAL.label}, {DRIFT_MODEL.label}) ({of_model(recorded.KS_NOISE.name)})"
    return without_limits(
        "Distance of lengths and durations",
        Query(of_model(recorded.KS.name), legend(SIGNAL, DRIFT_MODEL, AGAINST)),
        Query(floor, f"noise {legend(SIGNAL, DRIFT_MODEL)}"),
        unit=COUNT,
        description=f"{recorded.KS.description} Alerts where prompts or answers are above 0.1 and above the "
        "noise: ModelPromptsShifted, ModelAnswersShifted.",
        look=Look(steps=((None, "transparent"), (0.1, RED)), dashed="/^noise/"),
    )


def _change(what: str, series: Recorded, shown: str) -> Panel:
    return graph(
        f"{what}, change",
        Query(of_model(series.name), shown),
        unit=units.PercentUnit,
        description=series.description,
        look=Look(signed=True),
    )


def _reasons() -> Panel:
    panel = graph(
        "Why requests ended",
        Query(of_model(recorded.FINISH_SHARE.name), legend(FINISH_REASON, DRIFT_MODEL)),
        unit=units.PercentUnit,
        description=recorded.FINISH_SHARE.description,
    )
    return panel.fill_opacity(60).stacking(
        common.StackingConfig().mode(words.StackingMode.NORMAL).group("A")
    )


def _otherwise() -> Panel:
    return graph(
        "Requests that ended otherwise than before",
        Query(of_model(recorded.FINISH_TVD.name), legend(DRIFT_MODEL, AGAINST)),
        unit=units.PercentUnit,
        description=f"{recorded.FINISH_TVD.description} Alert: ModelFinishReasonsChanged.",
        look=Look(steps=((None, "transparent"), (0.1, RED))),
    )


def _cache() -> Panel:
    return graph(
        "Hits of the prefix cache",
        Query(of_model(recorded.CACHE_HITS.name), legend(DRIFT_MODEL)),
        unit=units.PercentUnit,
        description=recorded.CACHE_HITS.description,
        look=Look(ceiling=1),
    )
