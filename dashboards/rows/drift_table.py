"""A table of scores: a line per feature, the newest values side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, table
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from agent.catalogue.attributes import DRIFT_MODEL, DRIFT_MODEL_VERSION, FEATURE, REFERENCE
from dashboards.panel import COUNT, DATASOURCE, GREEN, RED, YELLOW

_FACTS: Final = (
    (DRIFT_MODEL, "Model"),
    (DRIFT_MODEL_VERSION, "Version"),
    (FEATURE, "Feature"),
    (REFERENCE, "Reference"),
)
_TO_FEATURE: Final = (
    "/d/warpwatch-drift?${__url_time_range}&var-model=${__data.fields.Model}"
    "&var-feature=${__data.fields.Feature}"
)


@dataclass(frozen=True)
class Column:
    """A number per feature: a ``share``, one ``judged`` by how near to 1 it is, or a ``whole`` count."""

    expression: str
    heading: str
    share: bool = False
    judged: bool = False
    whole: bool = False


def scores(title: str, columns: Sequence[Column], *, description: str) -> table.Panel:
    """Return the table, sorted by its first column, greatest first."""
    letters = ascii_uppercase[: len(columns)]
    values = [f"Value #{letter}" for letter in letters]
    order = [attribute.label for attribute, _ in _FACTS] + values
    names = {attribute.label: heading for attribute, heading in _FACTS}
    names |= {key: column.heading for key, column in zip(values, columns, strict=True)}
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets(
            [
                prometheus.Dataquery()
                .ref_id(letter)
                .datasource(DATASOURCE)
                .expr(column.expression)
                .legend_format("")
                .instant()
                .format(PromQueryFormat.TABLE)
                for letter, column in zip(letters, columns, strict=True)
            ]
        )
        .unit(COUNT)
        .no_value("-")
        .show_header(True)
        .align(words.FieldTextAlignment.AUTO)
        .cell_height(words.TableCellHeight.SM)
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={
                    "indexByName": {name: place for place, name in enumerate(order)},
                    "renameByName": names,
                    "excludeByName": {"Time": True},
                },
            )
        )
        .override_by_name("Feature", [_links(), _width(220)])
        .override_by_name("Version", [_width(90)])
        .override_by_name("Reference", [_width(130)])
        .sort_by([common.TableSortByFieldState().display_name(columns[0].heading).desc(desc=True)])
    )
    for column in columns:
        panel.override_by_name(column.heading, _dress(column))
    return panel


def _links() -> model.DynamicConfigValue:
    link = {"title": "This feature alone", "url": _TO_FEATURE}
    return model.DynamicConfigValue(id_val="links", value=[link])


def _width(pixels: int) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val="custom.width", value=pixels)


def _dress(column: Column) -> list[model.DynamicConfigValue]:
    if column.whole:
        return [model.DynamicConfigValue(id_val="decimals", value=0)]
    if column.share:
        return _AS_SHARE
    if not column.judged:
        return [model.DynamicConfigValue(id_val="decimals", value=3)]
    thresholds = (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=color) for value, color in _STEPS])
    )
    return [
        *_AS_SHARE,
        model.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
        model.DynamicConfigValue(id_val="thresholds", value=thresholds.build()),
    ]


_STEPS: Final = ((None, GREEN), (0.7, YELLOW), (1, RED))
_AS_SHARE: Final = [
    model.DynamicConfigValue(id_val="unit", value=units.PercentUnit),
    model.DynamicConfigValue(id_val="decimals", value=0),
]
