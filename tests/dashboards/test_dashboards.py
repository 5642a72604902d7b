"""The dashboards: what Grafana, a reader and the catalogue demand of them."""

import json
import re
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from agent.catalogue import CATALOGUE
from agent.catalogue.attributes import SERVER
from agent.config.objectives import WINDOW
from alerts.build import all_recordings, all_rules
from alerts.rule import Component
from dashboards import (
    build,
    drift,
    frame,
    gpu_fleet,
    gpu_health,
    gpu_mig,
    gpu_node,
    inference,
    inference_server,
)
from dashboards.rows import firing, objectives
from tests.promql_catalogue import SERIES, in_legend, labels_of, metrics_of, plain
from tests.real_parts.command import run

MODERN = {"bargauge", "heatmap", "row", "stat", "state-timeline", "table", "timeseries"}
"""Panel types of Grafana 11 that the dashboards use; `graph` and `singlestat` are gone."""

DASHBOARDS: dict[str, dict[str, Any]] = {
    name: json.loads(build.render(made())) for name, made in build.DASHBOARDS.items()
}
UIDS = {
    "gpu-fleet": gpu_fleet.UID,
    "gpu-node": gpu_node.UID,
    "gpu-health": gpu_health.UID,
    "gpu-mig": gpu_mig.UID,
    "inference": inference.UID,
    "inference-server": inference_server.UID,
    "drift": drift.UID,
}
ABOUT_ALL = {"gpu-fleet", "inference"}
"""Dashboards about all nodes of a cluster."""
CHOICES = {
    "gpu-fleet": (),
    "inference": ("model", "server", "provider"),
    "inference-server": ("node", "server", "engine"),
}
KEPT_AT_MOST = 256 * 1024
"""Bytes of annotations that Kubernetes keeps of an object; `kubectl apply` puts all of it into one."""


def panels_of(name: str) -> list[dict[str, Any]]:
    """Return the panels of a dashboard, those in collapsed rows as well, without the rows."""
    found: list[dict[str, Any]] = []
    for panel in DASHBOARDS[name]["panels"]:
        found += panel.get("panels", []) if panel["type"] == "row" else [panel]
    return found


NAMED = [(name, panel) for name in DASHBOARDS for panel in panels_of(name)]
PANELS = [panel for _, panel in NAMED]
TARGETS = [
    pytest.param(panel, target, id=f"{name}-{panel['title']}-{target['refId']}")
    for name, panel in NAMED
    for target in panel["targets"]
]
VARIABLES = DASHBOARDS["gpu-node"]["templating"]["list"]
MARKS = DASHBOARDS["gpu-node"]["annotations"]["list"]


@pytest.mark.parametrize(("panel", "target"), TARGETS)
def test_query_agrees_with_the_catalogue(panel: dict[str, Any], target: dict[str, Any]) -> None:
    """Metrics, labels and the legend of a query exist in the catalogue and survive its operators."""
    labels = labels_of(plain(target["expr"]))

    assert in_legend(target["legendFormat"]) <= labels
    assert target["datasource"]["uid"] == "${datasource}"
    assert panel["type"] == "table" or target["legendFormat"]


CHOSEN = [
    pytest.param(name, target["expr"], id=f"{name}-{panel['title']}-{target['refId']}")
    for name, panel in NAMED
    for target in panel["targets"]
    if name != "drift"  # it is about models, wherever they run
]


@pytest.mark.parametrize(("name", "expression"), CHOSEN)
def test_query_is_about_what_is_chosen(name: str, expression: str) -> None:
    """Every selector is narrowed to the chosen cluster and node; an objective is of all nodes together."""
    selectors = re.findall(r"([\w:]+){([^{}]*)}", expression)

    assert selectors
    for series, selector in selectors:
        assert 'k8s_cluster_name=~"$cluster"' in selector
        of_node = name not in ABOUT_ALL and not series.startswith("inference_slo")
        assert of_node <= ('k8s_node_name="$node"' in selector), series
        assert (name in ABOUT_ALL) <= ("$node" not in selector), series


@pytest.mark.parametrize("panel", panels_of("drift"), ids=lambda panel: panel["title"])
def test_query_is_about_the_chosen_models(panel: dict[str, Any]) -> None:
    """Whatever has a model is narrowed to the chosen ones; what came in has none."""
    for target in panel["targets"]:
        series = re.findall(r"(drift:[a-z0-9_:]+|model_drift_\w+)(\{[^}]*\})?", target["expr"])

        assert series
        for name, conditions in series:
            of_all = name.startswith("model_drift_intake_")
            assert of_all or 'model=~"$model"' in conditions, name


@pytest.mark.parametrize(("name", "expression"), CHOSEN)
def test_rate_follows_the_zoom(name: str, expression: str) -> None:
    """A rate is over Grafana's window, or all that is shown; a budget is over the time that it is for."""
    fixed = set(re.findall(r"(?:rate|increase)\([^\[]*\[(\d\w*)\]", expression))

    assert not fixed or (name.startswith("inference") and fixed == set(objectives.WINDOWS))


@pytest.mark.parametrize("name", ["inference", "inference-server"])
def test_server_is_chosen_where_there_is_one(name: str) -> None:
    """What is told of a server is narrowed to the chosen ones, but for the line that a model has."""
    condition = 'inference_server_name="$server"' if "server" in name else '=~"$server"'
    of_all = {"Models now", "Objectives now"}
    for panel in panels_of(name):
        for target in panel["targets"]:
            for series, selector in re.findall(r"([\w:]+){([^{}]*)}", target["expr"]):
                told = SERIES.get(series)
                if told is None or SERVER not in told.attributes or panel["title"] in of_all:
                    continue
                per_model = name == "inference" and '=~"$model"' in selector
                assert condition in selector or per_model, (panel["title"], series)


def test_alerts_about_servers_are_those_that_the_dashboards_show() -> None:
    """The tables of firing alerts find every alert about model servers by its name, and no other."""
    shown = {rule.alert for rule in all_rules() if re.fullmatch(firing.OF_MODELS.value, rule.alert)}

    assert shown == {rule.alert for rule in all_rules() if rule.component is Component.SERVING}


def test_budgets_know_every_window_that_an_objective_can_have() -> None:
    """What the configuration takes as an objective's time is what a budget is computed over."""
    taken = {word: WINDOW.parse(word) for word in objectives.WINDOWS}

    assert taken == objectives.WINDOWS
    with pytest.raises(ValueError, match=", ".join(objectives.WINDOWS)):
        WINDOW.parse("1d")


@pytest.mark.parametrize("path", build.files())
def test_chart_copy_is_kept_by_kubectl_apply(path: Path) -> None:
    """The chart's copy of a dashboard fits into an annotation, with room for the rest of its ConfigMap."""
    if path.parent == build.CHART:
        quoted = json.dumps(build.files()[path])

        assert len(quoted.encode()) < KEPT_AT_MOST - 4096


def test_every_metric_has_a_panel() -> None:
    """What the agent measures can be seen; what is left out is left out on purpose."""
    asked = {plain(target["expr"]) for panel in PANELS for target in panel["targets"]}
    while (
        more := {
            each.expression
            for each in all_recordings()
            if any(each.recorded.name in expression for expression in asked)
        }
        - asked
    ):
        asked |= more  # what a recorded series is computed from is shown by it
    shown = {metric for expression in asked for metric in metrics_of(expression)}

    assert {metric.name for metric in set(CATALOGUE) - shown} == {
        "warpwatch.collector.up",  # the state says more
    }


def test_promtool_accepts_every_query(tmp_path: Path, promtool: Path) -> None:
    """Prometheus's own parser, of the oldest version that is supported, takes every query."""
    queries = [plain(t["expr"]) for panel in PANELS for t in panel["targets"]]
    queries += [plain(mark["expr"]) for mark in MARKS]
    rules = [{"record": f"query:{i}", "expr": query} for i, query in enumerate(queries)]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    said = run(promtool, "check", "rules", path)

    assert f"{len(queries)} rules found" in said


@pytest.mark.parametrize("panel", [pytest.param(p, id=f"{n}-{p['title']}") for n, p in NAMED])
def test_panel_is_complete(panel: dict[str, Any]) -> None:
    """Each panel says what it shows, in what unit, from where, and how it is drawn."""
    letters = [target["refId"] for target in panel["targets"]]

    assert panel["type"] in MODERN
    assert len(panel["description"]) > 20
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert letters == list(ascii_uppercase[: len(letters)])
    assert panel["options"]


def cells(panels: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return the cells of the grid that the panels cover, each as often as it is covered."""
    return [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_have_a_place_and_a_number_of_their_own(name: str) -> None:
    """No two panels overlap, with all rows closed or within a row; numbers are unique."""
    top = DASHBOARDS[name]["panels"]
    rows = [panel["panels"] for panel in top if panel.get("panels")]
    numbers = [panel["id"] for panel in [*top, *(p for row in rows for p in row)]]

    for group in (top, *rows):
        covered = cells(group)
        assert len(covered) == len(set(covered))
        assert max(x for x, _ in covered) < 24
    assert len(numbers) == len(set(numbers))
    assert all(numbers)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_of_a_closed_row_are_inside_of_it(name: str) -> None:
    """A closed row holds its panels, where Grafana looks for them; an open one has them behind it."""
    rows = [panel for panel in DASHBOARDS[name]["panels"] if panel["type"] == "row"]

    assert rows
    for row in rows:
        assert row["collapsed"] is bool(row["panels"]), row["title"]
        assert all(panel["gridPos"]["y"] > row["gridPos"]["y"] for panel in row["panels"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_first_row_is_open_and_few_panels_are(name: str) -> None:
    """What opens with the dashboard is short enough to load and to read; details wait to be asked for."""
    top = DASHBOARDS[name]["panels"]

    assert top[0]["collapsed"] is False
    assert len([panel for panel in top if panel["type"] != "row"]) <= 65


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboard_follows_grafanas_advice(name: str) -> None:
    """It cannot be edited by hand, is found by tag, and its variables go from general to specific."""
    made = DASHBOARDS[name]
    variables = [variable["name"] for variable in made["templating"]["list"]]

    assert made["uid"] == UIDS[name]
    assert made["editable"] is False
    assert frame.TAG in made["tags"]
    of_place = ["datasource", "cluster", *CHOICES.get(name, ("node", "gpu"))]
    assert variables == (["datasource", "model", "feature"] if name == "drift" else of_place)
    assert all(link["keepTime"] and link["includeVars"] for link in made["links"])


def test_dashboards_lead_to_each_other() -> None:
    """The node's dashboard leads to the detailed ones and they lead back, node and time kept."""
    ways = {
        (made["uid"], link["url"].removeprefix("/d/"))
        for made in DASHBOARDS.values()
        for link in made["links"]
        if link["type"] == "link"
    }

    details = {gpu_health.UID, gpu_mig.UID}
    down = {(gpu_node.UID, uid) for uid in details}
    served = {
        (gpu_node.UID, inference_server.UID),
        (inference_server.UID, gpu_node.UID),
        (inference_server.UID, inference.UID),
    }
    up = {(uid, gpu_node.UID) for uid in details} | {(gpu_node.UID, gpu_fleet.UID)}
    assert ways == down | up | served


def test_tables_of_the_fleet_lead_to_node_and_gpu() -> None:
    """A click on a node or a GPU opens its dashboard with that node, that GPU and the time kept."""
    links = {
        link["url"]
        for panel in panels_of("gpu-fleet")
        for override in panel["fieldConfig"].get("overrides", [])
        for found in override["properties"]
        if found["id"] == "links"
        for link in found["value"]
    }

    assert len(links) == 2
    for url in links:
        assert url.startswith(f"/d/{gpu_node.UID}?${{__url_time_range}}&")
        assert set(re.findall(r"var-(\w+)=", url)) in (
            {"cluster", "node"},
            {"cluster", "node", "gpu"},
        )


def test_variables_ask_for_labels_that_exist() -> None:
    """The queries of the variables name metrics and labels of the catalogue."""
    queries = [v["query"]["query"] for v in VARIABLES if v["type"] == "query"]

    for query in queries:
        function, selector, label = re.fullmatch(r"(\w+)\((.*?)(?:, (\w+))?\)", query).groups()  # type: ignore[union-attr]
        assert function in {"label_values", "query_result"}
        assert {label} - {None} <= labels_of(plain(selector))


def test_gpu_variable_reads_index_and_uuid() -> None:
    """The GPU variable's pattern finds the index to show and the UUID to pass on in what Grafana matches."""
    gpu = VARIABLES[-1]
    shown = 'hw_gpu_info{hw_driver_version="570", hw_gpu_index="3", hw_id="GPU-ab", hw_model="H100"} 1 17'
    pattern = gpu["regex"].strip("/").replace("(?<", "(?P<")

    found = re.search(pattern, shown)

    assert found
    assert found.groupdict() == {"text": "3", "value": "GPU-ab"}


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: mark["name"])
def test_annotation_marks_growing_counters(mark: dict[str, Any]) -> None:
    """What happened is marked by a counter that grew, titled by labels that the result has."""
    labels = labels_of(plain(mark["expr"]))

    assert "increase(" in mark["expr"]
    assert "> 0" in mark["expr"]
    assert in_legend(mark["titleFormat"]) <= labels


@pytest.mark.parametrize("name", DASHBOARDS)
def test_rendering_survives_the_sdk(name: str) -> None:
    """The SDK reads back what it wrote: no panel has a field that is null or of the wrong kind."""
    plugins.register_default_plugins()

    again = build.render(Dashboard.from_json(json.loads(build.render(build.DASHBOARDS[name]()))))

    assert json.loads(again)["panels"] == DASHBOARDS[name]["panels"]
