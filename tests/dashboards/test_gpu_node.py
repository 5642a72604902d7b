"""The GPU node dashboard: what Grafana, a reader and the catalogue demand of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from agent.catalogue import CATALOGUE
from dashboards import build, gpu_node
from tests.promql_catalogue import in_legend, labels_of, metrics_of, plain
from tests.real_parts.command import run

MODERN = {"bargauge", "row", "stat", "state-timeline", "table", "timeseries"}
"""Panel types of Grafana 11 that this dashboard uses; `graph` and `singlestat` are gone."""

DASHBOARD: dict[str, Any] = json.loads(build.render(gpu_node.build()))
ALL: list[dict[str, Any]] = DASHBOARD["panels"]
PANELS = [panel for panel in ALL if panel["type"] != "row"]


TARGETS = [
    pytest.param(panel, target, id=f"{panel['title']}-{target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]


@pytest.mark.parametrize(("panel", "target"), TARGETS)
def test_query_agrees_with_the_catalogue(panel: dict[str, Any], target: dict[str, Any]) -> None:
    """Metrics, labels and the legend of a query exist in the catalogue and survive its operators."""
    labels = labels_of(plain(target["expr"]))

    assert in_legend(target["legendFormat"]) <= labels
    assert target["datasource"]["uid"] == "${datasource}"
    assert panel["type"] == "table" or target["legendFormat"]


@pytest.mark.parametrize(("panel", "target"), TARGETS)
def test_query_is_about_the_chosen_node(panel: dict[str, Any], target: dict[str, Any]) -> None:
    """Every selector is narrowed to the chosen cluster and node, and every rate follows the zoom."""
    selectors = re.findall(r"{([^{}]*)}", target["expr"])

    assert selectors, panel["title"]
    for selector in selectors:
        assert 'k8s_cluster_name=~"$cluster"' in selector
        assert 'k8s_node_name="$node"' in selector
    assert not re.search(r"(rate|increase)\([^\[]*\[\d", target["expr"])


def test_every_metric_has_a_panel() -> None:
    """What the agent measures can be seen; what is left out is left out on purpose."""
    shown = {m for panel in PANELS for t in panel["targets"] for m in metrics_of(plain(t["expr"]))}

    assert {metric.name for metric in set(CATALOGUE) - shown} == {
        "hw.gpu.memory.limit",  # the share that is used says it
        "hw.gpu.memory.reserved",
        "warpwatch.collector.up",  # the state says more
    }


def test_promtool_accepts_every_query(tmp_path: Path, promtool: Path) -> None:
    """Prometheus's own parser, of the oldest version that is supported, takes every query."""
    queries = [plain(t["expr"]) for panel in PANELS for t in panel["targets"]]
    queries += [plain(mark["expr"]) for mark in DASHBOARD["annotations"]["list"]]
    rules = [{"record": f"query:{i}", "expr": query} for i, query in enumerate(queries)]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    said = run(promtool, "check", "rules", path)

    assert f"{len(queries)} rules found" in said


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel_is_complete(panel: dict[str, Any]) -> None:
    """Each panel says what it shows, in what unit, from where, and how it is drawn."""
    letters = [target["refId"] for target in panel["targets"]]

    assert panel["type"] in MODERN
    assert len(panel["description"]) > 20
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert letters == list("ABCDEFGH"[: len(letters)])
    assert panel["options"]


def test_panels_have_a_place_and_a_number_of_their_own() -> None:
    """No two panels overlap or share a number, and none leaves the grid."""
    cells = [
        (x, y)
        for panel in ALL
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    numbers = [panel["id"] for panel in ALL]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len(numbers) == len(set(numbers))
    assert all(numbers)


def test_dashboard_follows_grafanas_advice() -> None:
    """It cannot be edited by hand, is found by tag, and its variables go from general to specific."""
    variables = [variable["name"] for variable in DASHBOARD["templating"]["list"]]

    assert DASHBOARD["uid"] == gpu_node.UID
    assert DASHBOARD["editable"] is False
    assert gpu_node.TAG in DASHBOARD["tags"]
    assert variables == ["datasource", "cluster", "node", "gpu"]
    assert DASHBOARD["links"][0]["keepTime"] is True
    assert DASHBOARD["links"][0]["includeVars"] is True


def test_variables_ask_for_labels_that_exist() -> None:
    """The queries of the variables name metrics and labels of the catalogue."""
    queries = [v["query"]["query"] for v in DASHBOARD["templating"]["list"] if v["type"] == "query"]

    for query in queries:
        function, selector, label = re.fullmatch(r"(\w+)\((.*?)(?:, (\w+))?\)", query).groups()  # type: ignore[union-attr]
        assert function in {"label_values", "query_result"}
        assert {label} - {None} <= labels_of(plain(selector))


def test_gpu_variable_reads_index_and_uuid() -> None:
    """The GPU variable's pattern finds the index to show and the UUID to pass on in what Grafana matches."""
    gpu = DASHBOARD["templating"]["list"][-1]
    shown = 'hw_gpu_info{hw_driver_version="570", hw_gpu_index="3", hw_id="GPU-ab", hw_model="H100"} 1 17'
    pattern = gpu["regex"].strip("/").replace("(?<", "(?P<")

    found = re.search(pattern, shown)

    assert found
    assert found.groupdict() == {"text": "3", "value": "GPU-ab"}


@pytest.mark.parametrize("mark", DASHBOARD["annotations"]["list"], ids=lambda mark: mark["name"])
def test_annotation_marks_growing_counters(mark: dict[str, Any]) -> None:
    """What happened is marked by a counter that grew, titled by labels that the result has."""
    labels = labels_of(plain(mark["expr"]))

    assert "increase(" in mark["expr"]
    assert "> 0" in mark["expr"]
    assert in_legend(mark["titleFormat"]) <= labels


def test_rendering_survives_the_sdk() -> None:
    """The SDK reads back what it wrote: no panel has a field that is null or of the wrong kind."""
    plugins.register_default_plugins()

    again = build.render(Dashboard.from_json(json.loads(build.render(gpu_node.build()))))

    assert json.loads(again)["panels"] == DASHBOARD["panels"]
