"""Placement of panels."""

import pytest
from grafana_foundation_sdk.builders import dashboard, text

from dashboards.layout import Row, Tile, place


def test_tiles_wrap_at_the_width_of_the_grid() -> None:
    """A tile that does not fit beside the last one starts below the highest of its line."""
    target = dashboard.Dashboard("x")
    tiles = [Tile(text.Panel(), 12, 4), Tile(text.Panel(), 12, 6), Tile(text.Panel(), 12, 2)]

    place(target, [Row("one", tiles), Row("two", tiles[:1])])

    placed = [(p.id_val, p.grid_pos.x, p.grid_pos.y) for p in target.build().panels or []]  # type: ignore[union-attr]
    assert placed == [
        (100, 0, 0),
        (101, 0, 1),
        (102, 12, 1),
        (103, 0, 7),
        (200, 0, 9),
        (201, 0, 10),
    ]


def test_refuses_a_tile_that_cannot_fit() -> None:
    """A tile wider than the grid is a mistake of the dashboard's author."""
    with pytest.raises(ValueError, match="25 wide"):
        place(dashboard.Dashboard("x"), [Row("one", [Tile(text.Panel(), 25, 4)])])


def test_a_collapsed_row_holds_its_tiles_and_takes_one_line() -> None:
    """The row behind a collapsed one starts right below its title, as Grafana stores it."""
    target = dashboard.Dashboard("x")
    tiles = [Tile(text.Panel(), 12, 4), Tile(text.Panel(), 12, 6)]

    place(target, [Row("shut", tiles, collapsed=True), Row("open", tiles[:1])])

    shut, opened, panel = target.build().panels or []
    held = [(p.id_val, p.grid_pos.x, p.grid_pos.y) for p in shut.panels]  # type: ignore[union-attr]
    assert held == [(101, 0, 1), (102, 12, 1)]
    assert [(p.id_val, p.grid_pos.y) for p in (opened, panel)] == [(200, 1), (201, 2)]  # type: ignore[union-attr]
