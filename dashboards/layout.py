"""Where panels stand on a dashboard, and by which number links find them.

Numbers follow the row and the place in it, so that a panel added to one row leaves the links to the others
as they were.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.panel import Panel

T = TypeVar("T")
WIDTH: Final = 24
"""Columns of Grafana's grid."""
_ROW_HEIGHT: Final = 1


@dataclass(frozen=True)
class Tile:
    """A panel and its size, in columns and rows of Grafana's grid."""

    panel: Panel
    width: int
    height: int


@dataclass(frozen=True)
class Row:
    """A titled row; its tiles flow from left to right and wrap at the grid's width.

    A row that is ``collapsed`` shows its title alone, and asks Prometheus nothing, until somebody opens it.
    """

    title: str
    tiles: Sequence[Tile]
    collapsed: bool = False


def place(target: dashboard.Dashboard, rows: Sequence[Row]) -> None:
    """Put the rows on the dashboard, from the top down.

    Raises `ValueError` where a tile does not fit the grid.
    """
    top = 0
    for number, row in enumerate(rows, start=1):
        placed = tuple(_flow(row, number * 100, top + _ROW_HEIGHT))
        header = dashboard.Row(row.title).id(number * 100)
        header.grid_pos(model.GridPos(x=0, y=top, w=WIDTH, h=_ROW_HEIGHT))
        # Grafana keeps the panels of a collapsed row inside of it, and those of an open one behind it.
        if row.collapsed:
            _put(header, placed)
        target.with_row(header)
        if not row.collapsed:
            _put(target, placed)
        top = top + _ROW_HEIGHT if row.collapsed else _bottom(placed)


def _put(holder: dashboard.Dashboard | dashboard.Row, panels: Sequence[model.Panel]) -> None:
    for panel in panels:
        holder.with_panel(Built(panel))


def _flow(row: Row, number: int, top: int) -> Iterator[model.Panel]:
    """Give the panels of one row, numbered and placed below ``top``."""
    left, height = 0, 0
    for position, tile in enumerate(row.tiles, start=1):
        if not 0 < tile.width <= WIDTH:
            raise ValueError(f"{row.title}: a tile {tile.width} wide does not fit {WIDTH} columns")
        if left + tile.width > WIDTH:
            left, top, height = 0, top + height, 0
        built = copy(tile.panel.build())  # build() hands out the builder's own object
        built.id_val = number + position
        built.grid_pos = model.GridPos(x=left, y=top, w=tile.width, h=tile.height)
        yield built
        left, height = left + tile.width, max(height, tile.height)


def _bottom(panels: Sequence[model.Panel]) -> int:
    """Return where the next row starts."""
    places = (panel.grid_pos for panel in panels)
    return max(place.y + place.h for place in places if place is not None)


class Built(Builder[T]):
    """Something finished, in the shape of a builder, which is all that the SDK's dashboard takes."""

    def __init__(self, finished: T) -> None:
        self._finished = finished

    def build(self) -> T:
        """Return it."""
        return self._finished
