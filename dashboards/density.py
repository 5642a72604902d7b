"""A heatmap: how many observations were in each bucket of a histogram, over time."""

from grafana_foundation_sdk.builders import common, heatmap
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.panel import COUNT, DATASOURCE, EVENT_STEP, Panel, Query, target


def density(title: str, buckets: str, *, unit: str, description: str, absent: str) -> Panel:
    """Return how many observations were in each bucket over time: ``buckets`` is cumulative, per ``le``."""
    asked = (
        target(Query(buckets, "{{le}}"), "A").format(PromQueryFormat.HEATMAP).interval(EVENT_STEP)
    )
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets([asked])
        .unit(COUNT)
        .no_value(absent)
        .calculate(calculate=False)
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(words.AxisPlacement.LEFT))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heat.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .steps(64)
        )
        .show_legend()
        .scale_distribution(common.ScaleDistributionConfig().type(words.ScaleDistribution.LINEAR))
    )
