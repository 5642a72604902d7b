"""Tables: what each column asks for, and how Grafana puts the answers into one line per thing."""

from typing import Any

import pytest

from agent.catalogue.attributes import GPU_INDEX, HW_ID
from dashboards import build, gpu_node
from dashboards.panel import RED
from dashboards.tables import Column, Fact, Figure, overview

LINES = "max by (hw_gpu_index, hw_id) (hw_gpu_info)"
INDEX = Fact(attribute=GPU_INDEX, heading="GPU", number=True)
UUID = Fact(attribute=HW_ID, heading="UUID", shown=False)
STATE = Figure(
    expression="hw_gpu_lost", heading="State", states=((0, "well", ""), (1, "lost", RED))
)
POWER = Figure(expression="hw_power_watts", heading="Power", unit="watt")


def made(*columns: Column) -> dict[str, Any]:
    """Return a table of GPUs as Grafana stores it."""
    panel = overview("GPUs", LINES, columns, description="All GPUs.", absent="no GPU").build()
    found: dict[str, Any] = panel.to_json()
    return found


def headings(table: dict[str, Any]) -> list[str]:
    """Return the headings in the order that the table puts them in."""
    organize = table["transformations"][-1].options
    order = sorted(organize["indexByName"], key=organize["indexByName"].__getitem__)
    return [organize["renameByName"][field] for field in order]


def test_each_figure_asks_for_itself_and_lines_come_first() -> None:
    """The first query gives the lines, each further one a figure, all at one moment."""
    table = made(INDEX, STATE, POWER)

    assert [target.expr for target in table["targets"]] == [LINES, "hw_gpu_lost", "hw_power_watts"]
    assert [target.ref_id for target in table["targets"]] == ["A", "B", "C"]
    assert all(target.instant for target in table["targets"])


def test_columns_stand_as_they_are_named() -> None:
    """Facts and figures keep their order, whatever the order of the queries."""
    table = made(STATE, INDEX, POWER, UUID)

    assert headings(table) == ["State", "GPU", "Power", "UUID"]
    assert table["transformations"][-1].options["renameByName"] == {
        "Value #B": "State",
        "hw_gpu_index": "GPU",
        "Value #C": "Power",
        "hw_id": "UUID",
    }


@pytest.mark.parametrize(
    ("columns", "steps"),
    [
        ((INDEX, POWER), ["merge", "convertFieldType", "filterFieldsByName", "organize"]),
        ((UUID,), ["filterFieldsByName", "organize"]),
    ],
)
def test_answers_are_merged_before_they_are_arranged(
    columns: tuple[Column, ...], steps: list[str]
) -> None:
    """What is one line per GPU is merged first; a table of facts alone has nothing to merge."""
    assert [step.id_val for step in made(*columns)["transformations"]] == steps


def test_hidden_fact_is_there_for_links() -> None:
    """A UUID that nobody reads is hidden and not left out: a link needs it."""
    (override,) = [
        each
        for each in made(INDEX, UUID)["fieldConfig"].overrides
        if each.matcher.options == "UUID"
    ]

    assert {each.id_val: each.value for each in override.properties}["custom.hidden"] is True


def test_gpu_has_one_colour_in_all_its_graphs() -> None:
    """Each graph with a line per GPU gives GPU 3 the same colour, and GPU 11 that of GPU 3."""
    panels = build.render(gpu_node.build())

    assert panels.count('"options": "/^GPU (3|11)$/"') > 10
    assert panels.count('"#FF9830"') == panels.count('"options": "/^GPU (3|11)$/"')
