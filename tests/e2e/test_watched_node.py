"""A node that is watched on both roads: they say the same, and all that is shipped to look at it works.

One file, because its tests share one running node.
"""

import re
from functools import partial
from typing import Any

import pytest

from agent.catalogue import CATALOGUE, Metric
from tests.e2e.conftest import CLUSTER, JOB, NODE, Node
from tests.e2e.elsewhere import NOWHERE, ON_OTHER_NODES, STATES
from tests.e2e.roads import Values, by_snapshot, pushed, scraped
from tests.e2e.shipped import panel_expressions, rule_expressions, selectors
from tests.promql_catalogue import RECORDED_SERIES, metrics_of, plain
from tests.real_parts.programs import eventually

pytestmark = pytest.mark.e2e
PAIRS = 5


@pytest.fixture(scope="module")
def pairs(node: Node) -> list[tuple[Values, Values]]:
    """Return what came of the same snapshot on both roads, for several snapshots."""

    def found() -> list[tuple[Values, Values]] | None:
        by_scrape = by_snapshot(scraped(node.prometheus, JOB, 60))
        by_push = by_snapshot(pushed(list(node.sink.metrics)))
        shared = by_scrape.keys() & by_push.keys()
        both = [(by_scrape[at], by_push[at]) for at in sorted(shared)]
        return both if len(both) >= PAIRS else None

    return eventually("snapshots that went both ways", found, timeout=60, step=0.5)


def test_series_are_the_same(pairs: list[tuple[Values, Values]]) -> None:
    """Every series that Prometheus scraped was pushed under the same name and labels, and no other."""
    for by_scrape, by_push in pairs:
        assert by_scrape.keys() == by_push.keys()


def test_values_are_the_same(pairs: list[tuple[Values, Values]]) -> None:
    """Every value is the same to the last digit."""
    for by_scrape, by_push in pairs:
        differing = {
            series: (value, by_push[series])
            for series, value in by_scrape.items()
            if value != by_push[series]
        }
        assert differing == {}


def test_every_source_is_there(pairs: list[tuple[Values, Values]]) -> None:
    """GPUs, both model servers, dcgm-exporter's own GPU and the agent itself are in it."""
    by_scrape, _ = pairs[-1]
    names = {name for name, _ in by_scrape}
    gpus = {dict(labels)["hw_id"] for name, labels in by_scrape if name == "hw_power_watts"}
    servers = {
        dict(labels)["inference_server_name"]
        for (name, labels), value in by_scrape.items()
        if name == "inference_server_up" and value == 1
    }

    assert len(gpus) == 8 + 1
    assert servers == {"vllm", "triton"}
    assert {"gen_ai_server_time_to_first_token_seconds_bucket", "warpwatch_info"} <= names


def test_every_series_says_where_it_is_from(pairs: list[tuple[Values, Values]]) -> None:
    """Node and cluster are labels of every series on both roads."""
    for values in pairs[-1]:
        homeless = [
            s
            for s in values
            if not {("k8s_node_name", NODE), ("k8s_cluster_name", CLUSTER)} <= s[1]
        ]

        assert homeless == []


def test_every_name_is_in_the_catalogue(pairs: list[tuple[Values, Values]]) -> None:
    """The agent gives nothing that the catalogue does not know."""
    known = {series for metric in CATALOGUE for series in metric.series}

    assert {name for name, _ in pairs[-1][0]} <= known


def askable(expression: str) -> bool:
    """Return whether a simulated node has all that the expression asks for, and without an alert.

    What our own rules record is left to `test_inference`: there the counters move all the time. Drift has a
    process of its own, and days of history: see test_drift.py.
    """
    if any(series in expression for series in RECORDED_SERIES):
        return False
    if "drift" in expression or re.search(r"\bALERTS", expression):
        return False
    return not metrics_of(expression) & NOWHERE.keys()


def unconditional(expression: str) -> str:
    """Return the expression without the bounds above which alone it gives something."""
    return re.sub(r" [<>] \d+(\.\d+)?\b", "", expression)


def of_any_state(selector: str) -> str:
    """Return the selector without its choice of words where those that never were so have no series."""
    for metric, attribute in STATES.items():
        if metric in metrics_of(selector):
            selector = re.sub(rf"\b{attribute.label}[!=~]+\"[^\"]*\",?", "", selector)
    return selector


def named(parameter: Metric | str) -> str:
    """Return what a test is called by its parameter."""
    return parameter if isinstance(parameter, str) else parameter.name


PANELS = {
    name: expression
    for name, shipped in panel_expressions().items()
    if name.startswith(
        "gpu-"
    )  # those about models are asked in test_inference, of servers that hold GPUs
    if askable(expression := plain(shipped, cluster=CLUSTER, node="$node"))
}


@pytest.mark.parametrize("panel", PANELS)
def test_panel_has_data(panel: str, node: Node) -> None:
    """A panel's expression gives data, with the dashboard's variables set as people set them.

    What is drawn above a bound alone is asked for below it as well: on a node that is well there is nothing.
    """
    query = unconditional(PANELS[panel])
    (place,) = {ON_OTHER_NODES[m] for m in metrics_of(query) & ON_OTHER_NODES.keys()} or {NODE}
    query = query.replace("$node", place)

    assert eventually("data", partial(node.prometheus.query, query), step=0.5)


@pytest.mark.parametrize("alert", rule_expressions())
def test_rule_has_data(alert: str, node: Node) -> None:
    """Each selector of a rule finds series: a rule over nothing would never fire, and nobody would know.

    That the words of a state which it selects exist is tested with the catalogue.
    """
    asked = selectors(rule_expressions()[alert])

    assert asked
    for selector in map(of_any_state, filter(askable, asked)):
        assert eventually(selector, partial(node.prometheus.query, selector), step=0.5)


@pytest.mark.parametrize("metric", NOWHERE, ids=named)
def test_what_is_exempt_is_not_there(metric: Metric, node: Node) -> None:
    """What is exempt from giving data is asked for by something that is shipped, and gives none."""
    shipped = [*panel_expressions().values(), *rule_expressions().values()]

    assert any(metric in metrics_of(plain(expression)) for expression in shipped), NOWHERE[metric]
    for series in metric.series:
        assert node.prometheus.query(series) == []


@pytest.mark.parametrize(("metric", "place"), ON_OTHER_NODES.items(), ids=named)
def test_what_another_node_has_is_not_here(metric: Metric, place: str, node: Node) -> None:
    """What is looked up on another node is there, and is not on the node of the H100s."""
    series = metric.series[0]

    assert eventually(
        series, partial(node.prometheus.query, f'{series}{{k8s_node_name="{place}"}}')
    )
    assert node.prometheus.query(f'{series}{{k8s_node_name="{NODE}"}}') == []


def test_rules_are_evaluated_without_complaint(node: Node) -> None:
    """Prometheus evaluates each rule, joins and templates included, on the data of a whole node."""

    def evaluated() -> list[dict[str, Any]] | None:
        groups = node.prometheus.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if rules and all(rule["health"] != "unknown" for rule in rules) else None

    rules = eventually("an evaluation of every rule", evaluated, step=0.5)

    complaints = {rule["name"]: rule.get("lastError", "") for rule in rules}
    assert complaints == dict.fromkeys(rule_expressions(), "")
