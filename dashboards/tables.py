"""Tables: one line per thing, its newest values side by side, which no set of graphs shows at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, Final

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from agent.catalogue import Attribute
from dashboards.panel import DATASOURCE, Query, Step, mapping, target, thresholds

UUID_WIDTH: Final = 340
"""Pixels that a GPU's UUID needs."""
_MERGED: Final = "merge"
"""Grafana's transformation that makes one line of the lines that agree in every label they share."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A column with a label's value. Where it is not ``shown`` it is there for links alone.

    ``number`` sorts 10 behind 9; ``link`` is where a click leads; ``colors`` give the label's values a
    colour; ``width`` is in pixels.
    """

    attribute: Attribute
    heading: str
    width: int = 0
    shown: bool = True
    number: bool = False
    link: str = ""
    link_title: str = ""
    colors: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A column with a number: ``expression`` gives one per line.

    ``steps`` colour the cell; ``states`` put words for numbers, each with its colour; ``full`` is the
    value at which a bar in the cell is full.
    """

    expression: str
    heading: str
    unit: str = units.Short
    width: int = 0
    steps: Sequence[Step] = ()
    states: Sequence[tuple[int, str, str]] = ()
    full: float | None = None


Column = Fact | Figure


def overview(
    title: str,
    lines: str,
    columns: Sequence[Column],
    *,
    description: str,
    absent: str,
    by: str = "",
    falling: bool = False,
) -> table.Panel:
    """Return a table with a line per series of ``lines``, whose labels are the facts.

    A figure's labels must be among those of ``lines``: a line without it has an empty cell, and a figure
    without a line would make one of its own. ``by`` is the
    heading that the table is sorted by, the first column's where none is given. At most 26 queries fit.
    """
    figures = [column for column in columns if isinstance(column, Figure)]
    queries = [lines, *(figure.expression for figure in figures)]
    letters = ascii_uppercase[: len(queries)]
    values = [f"Value #{letter}" for letter in letters] if figures else ["Value"]
    fields = iter(values[1:])
    headings = {
        (next(fields) if isinstance(column, Figure) else column.attribute.label): column.heading
        for column in columns
    }
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets(
            [
                target(Query(query, ""), letter).instant().format(PromQueryFormat.TABLE)
                for query, letter in zip(queries, letters, strict=True)
            ]
        )
        .unit(units.NoUnit)
        .no_value(absent)
        .show_header(True)
        .align(words.FieldTextAlignment.AUTO)
        .cell_height(words.TableCellHeight.SM)
        .sort_by(
            [common.TableSortByFieldState().display_name(by or columns[0].heading).desc(falling)]
        )
    )
    if figures:
        panel.with_transformation(model.DataTransformerConfig(id_val=_MERGED, options={}))
    if numbers := [c.attribute.label for c in columns if isinstance(c, Fact) and c.number]:
        panel.with_transformation(_converted(numbers))
    for transformation in _arranged(headings):
        panel.with_transformation(transformation)
    for column in columns:
        if properties := _properties(column):
            panel.override_by_name(column.heading, properties)
    return panel


def _converted(fields: Sequence[str]) -> model.DataTransformerConfig:
    conversions = [{"targetField": field, "destinationType": "number"} for field in fields]
    return model.DataTransformerConfig(
        id_val="convertFieldType", options={"conversions": conversions, "fields": {}}
    )


def _arranged(headings: dict[str, str]) -> Sequence[model.DataTransformerConfig]:
    """Keep the named fields alone, in this order and under these headings."""
    return (
        model.DataTransformerConfig(
            id_val="filterFieldsByName", options={"include": {"names": list(headings)}}
        ),
        model.DataTransformerConfig(
            id_val="organize",
            options={
                "indexByName": {field: place for place, field in enumerate(headings)},
                "renameByName": headings,
            },
        ),
    )


def _properties(column: Column) -> list[model.DynamicConfigValue]:
    """Return what differs from a plain column."""
    found: dict[str, Any] = {}
    if column.width:
        found["custom.width"] = column.width
    if isinstance(column, Figure):
        found |= _of_figure(column)
    else:
        found |= _of_fact(column)
    return [model.DynamicConfigValue(id_val=name, value=value) for name, value in found.items()]


def _of_fact(column: Fact) -> dict[str, Any]:
    found: dict[str, Any] = {"noValue": ""}
    if column.number:
        found["custom.align"] = "left"
    if not column.shown:
        found["custom.hidden"] = True
    if column.link:
        found["links"] = [{"title": column.link_title, "url": column.link}]
    if column.colors:
        found["mappings"] = [
            {
                "type": "value",
                "options": {
                    word: {"color": color, "index": place, "text": word}
                    for place, (word, color) in enumerate(column.colors)
                },
            }
        ]
        found["custom.cellOptions"] = {"type": "color-text"}
    return found


def _of_figure(column: Figure) -> dict[str, Any]:
    found: dict[str, Any] = {"unit": column.unit, "noValue": ""}
    if column.states:
        found["mappings"] = [mapping(column.states)]
        found["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
        found["custom.align"] = "center"
        found["thresholds"] = thresholds([(None, "transparent")]).build()
    elif column.full is not None:
        found |= {"min": 0, "max": column.full}
        found["custom.cellOptions"] = {"type": "gauge", "mode": "basic"}
    elif column.steps:
        found["custom.cellOptions"] = {"type": "color-text"}
    if column.steps:
        found["thresholds"] = thresholds(column.steps).build()
        found["color"] = {"mode": "thresholds"}
    return found
