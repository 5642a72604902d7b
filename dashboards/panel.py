"""Panels from the catalogue: a metric brings its unit and its description, a query its legend.

The SDK's own defaults are filled in where Grafana needs more: every panel has a description, every query a
letter, every value a unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Final

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.cog import variants as cogvariants
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units

from agent.catalogue import Kind, Metric
from agent.catalogue.attributes import GPU_INDEX

DATASOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"
COUNT: Final = units.Short
EACH_GPU: Final = f"GPU {{{{{GPU_INDEX.label}}}}}"
"""The legend of a series per GPU: what people call it by on one node. Its model would fill half of a graph
with what is the same for all eight; the table of the node's GPUs has it."""
_GPU_COLORS: Final = (
    "#73BF69", "#F2CC0C", "#5794F2", "#FF9830", "#F2495C", "#B877D9", "#5FD3C8", "#FF9DE8",
)  # fmt: skip
"""Of GPU 0 to 7, far apart for the eye; with more GPUs they begin again."""
_MOST_GPUS: Final = 16
NO_DATA: Final = "no data"
NONE_SO_FAR: Final = "none in the time shown"
EVENT_STEP: Final = "1m"
"""Least step of bars that count what happened. Rates look back over four scrapes at least: with steps
shorter than that, one event would be drawn as several."""
_BESIDE: Final = words.LegendDisplayMode.TABLE
_BELOW: Final = words.LegendDisplayMode.LIST
_UNITS: Final = {
    "By": units.BytesIEC,
    "By/s": units.BytesPerSecondIEC,
    "s": units.Seconds,
    "W": units.Watt,
    "J": units.Joule,
    "Cel": units.Celsius,
    "Hz": units.Hertz,
}
_MEASURED: Final = frozenset({Kind.GAUGE, Kind.HISTOGRAM})
"""Kinds whose unit 1 is a share; of the others it is yes or no."""
Panel = Builder[model.Panel]
Step = tuple[float | None, str]
"""A threshold: from this value on (`None`: from the start), this colour."""


@dataclass(frozen=True)
class Query:
    """One line of PromQL in a panel, and what to call the series that it gives."""

    expression: str
    legend: str


def unit_of(metric: Metric) -> str:
    """Return Grafana's unit for the metric's own, which is UCUM; a plain count where it has none."""
    if metric.unit == "1":
        return units.PercentUnit if metric.kind in _MEASURED else COUNT
    return _UNITS.get(metric.unit, COUNT)


def per_second(word: str) -> str:
    """Return a unit for a rate of countable things, such as `tok` for tokens."""
    return f"suffix: {word}/s"


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a graph differs from the plain one.

    ``steps`` draw dashed lines at thresholds; ``ceiling`` fixes the top of the axis; ``dashed`` is a pattern
    for the names of series that are limits and not values, ``faint`` one for those that say less than the
    others; ``narrow`` puts the legend below; ``events``
    draws bars, for what happens now and then and has no line between; ``absent`` is what stands there
    where nothing is to be drawn.
    """

    steps: Sequence[Step] = ()
    ceiling: float | None = None
    dashed: str = ""
    faint: str = ""
    narrow: bool = False
    events: bool = False
    absent: str = NO_DATA
    signed: bool = False
    """Below 0 means the other way, so the axis does not begin there."""


def graph(
    title: str,
    *queries: Query,
    unit: str,
    description: str,
    look: Look = Look(),
    links: Sequence[Builder[model.DashboardLink]] = (),
) -> timeseries.Panel:
    """Return lines over time."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets(_targets(queries))
        .unit(unit)
        .line_width(1)
        .fill_opacity(0)
        .show_points(words.VisibilityMode.NEVER)
        .legend(_legend(_BELOW if look.narrow else _BESIDE))
        .tooltip(
            common.VizTooltipOptions()
            .mode(words.TooltipDisplayMode.MULTI)
            .sort(words.SortOrder.DESCENDING)
        )
        .data_links(list(links))
        .no_value(look.absent)
    )
    if unit != units.Celsius and not look.signed:
        panel.min(0)  # degrees of margin go below 0; nothing else does
    if any(query.legend == EACH_GPU for query in queries):
        _color_gpus(panel)
    _dress(panel, look)
    return panel


def _color_gpus(panel: timeseries.Panel) -> None:
    """Give each GPU its colour, the same in every graph, whichever others are drawn beside it."""
    for first, color in enumerate(_GPU_COLORS):
        alike = "|".join(map(str, range(first, _MOST_GPUS, len(_GPU_COLORS))))
        panel.override_by_regexp(
            f"/^GPU ({alike})$/",
            [
                model.DynamicConfigValue(
                    id_val="color", value={"mode": "fixed", "fixedColor": color}
                )
            ],
        )


def _dress(panel: timeseries.Panel, look: Look) -> None:
    if look.events:
        panel.draw_style(words.GraphDrawStyle.BARS).fill_opacity(80).interval(EVENT_STEP)
    if look.ceiling is not None:
        panel.max(look.ceiling)
    if look.steps:
        panel.thresholds(thresholds(look.steps)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(words.GraphThresholdsStyleMode.DASHED)
        )
    if look.dashed:
        panel.override_by_regexp(look.dashed, _AS_LIMIT)
    if look.faint:
        panel.override_by_regexp(look.faint, _AS_LIMIT[:1])


def number(
    title: str,
    query: Query,
    *,
    unit: str,
    description: str,
    steps: Sequence[Step],
    names: bool = False,
    absent: str = NO_DATA,
    links: Sequence[Builder[model.DashboardLink]] = (),
) -> stat.Panel:
    """Return the newest value as a number on its colour, with its history behind it."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets(_targets((query,)))
        .unit(unit)
        .no_value(absent)
        .thresholds(thresholds(steps))
        .data_links(list(links))
        .color_mode(words.BigValueColorMode.BACKGROUND)
        .graph_mode(words.BigValueGraphMode.AREA)
        .text_mode(words.BigValueTextMode.VALUE_AND_NAME if names else words.BigValueTextMode.VALUE)
        .reduce_options(_newest())
    )


def bars(
    title: str,
    query: Query,
    *,
    unit: str,
    description: str,
    steps: Sequence[Step],
    ceiling: float | None = None,
) -> bargauge.Panel:
    """Return the newest values side by side, to compare GPUs at a glance."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets(_targets((query,)))
        .unit(unit)
        .no_value(NO_DATA)
        .min(0)
        .thresholds(thresholds(steps))
        .orientation(words.VizOrientation.HORIZONTAL)
        .display_mode(words.BarGaugeDisplayMode.BASIC)
        .reduce_options(_newest())
    )
    return panel if ceiling is None else panel.max(ceiling)


def timeline(
    title: str,
    *queries: Query,
    description: str,
    states: Sequence[tuple[int, str, str]],
    absent: str = NO_DATA,
) -> statetimeline.Panel:
    """Return a band per series; ``states`` say what each value means, and its colour."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets(_targets(queries))
        .unit(COUNT)
        .no_value(absent)
        .mappings([mapping(states)])
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .thresholds(thresholds([(None, GREEN)]))
        .show_value(words.VisibilityMode.NEVER)
        .merge_values(merge_values=True)
        .row_height(0.8)
        .fill_opacity(80)
        .legend(_legend(_BELOW))
    )


def _targets(queries: Sequence[Query]) -> list[Builder[cogvariants.Dataquery]]:
    return [target(query, letter) for query, letter in zip(queries, ascii_uppercase, strict=False)]


def target(query: Query, letter: str) -> prometheus.Dataquery:
    """Return a query as a panel holds it, under its letter."""
    return (
        prometheus.Dataquery()
        .ref_id(letter)
        .datasource(DATASOURCE)
        .expr(query.expression)
        .legend_format(query.legend)
        .range()
    )


def _legend(mode: words.LegendDisplayMode) -> common.VizLegendOptions:
    legend = common.VizLegendOptions().display_mode(mode).show_legend(True)
    if mode is _BELOW:
        return legend.placement(words.LegendPlacement.BOTTOM)
    return legend.placement(words.LegendPlacement.RIGHT).calcs(["lastNotNull", "max"])


def _newest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def thresholds(steps: Sequence[Step]) -> dashboard.ThresholdsConfig:
    """Return colours by value."""
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=color) for value, color in steps])
    )


def mapping(states: Sequence[tuple[int, str, str]]) -> model.ValueMap:
    """Return words and colours for numbers: (number, word, colour)."""
    return model.ValueMap(
        options={
            str(value): model.ValueMappingResult(text=text, color=color, index=index)
            for index, (value, text, color) in enumerate(states)
        }
    )


_AS_LIMIT: Final = [
    model.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 8]}),
    model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": RED}),
]
