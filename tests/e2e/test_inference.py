"""What serving costs and how objectives are kept, from simulated servers to Prometheus's own rules."""

import json
import math
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from agent.catalogue import recorded
from tests.e2e.conftest import CLUSTER, NODE, agent_config, quick_rules
from tests.e2e.shipped import panel_expressions
from tests.promql_catalogue import plain
from tests.real_parts.programs import Programs, eventually
from tests.real_parts.servers import Prometheus, scrape_config, start_prometheus

pytestmark = pytest.mark.e2e
TTFT: Final = {"model": "*", "server": "llama", "signal": "time_to_first_token"}
OBJECTIVES: Final = [
    {"name": "first-token", **TTFT, "threshold": "300ms", "objective": "99%"},
    {"name": "impossible", **TTFT, "threshold": "0.1s", "objective": "99.99%"},
    {"name": "up", "model": "*", "signal": "availability", "objective": "99.9%"},
    {"name": "typo", "model": "lama", "signal": "availability", "objective": "99.9%"},
]
NOT_SIMULATED: Final = {recorded.KV_CACHE.name, recorded.ERRORS.name}
"""The simulated servers tell no bytes of their cache, and no engine of theirs has failed yet."""
EVERYTHING: Final = [each.name for each in recorded.RECORDED if each.name not in NOT_SIMULATED]


PANELS: Final = {
    name: plain(shipped, cluster=CLUSTER, node=NODE, server="llama")
    for name, shipped in panel_expressions().items()
    if name.startswith("inference")
}
ALWAYS: Final = ("Server", "Requests", "TTFT, p95", "GPUs held", "GPU utilization")
"""Panels of the server's dashboard that have data wherever a server holds GPUs and is asked something."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Run the demo's node and servers with objectives and prices, and a Prometheus with our rules.

    The shortest window is ten seconds instead of five minutes, so that it is full within the test.
    """
    folder = tmp_path_factory.mktemp("inference")
    programs = Programs(folder)
    settings, address = agent_config(
        folder, slos=OBJECTIVES, gpu_hour_price={"nvidia h100*": 2.5}, window=5
    )
    config = folder / "prometheus.yml"
    rules = quick_rules(folder, **{"for": "0s"})
    rules.write_text(re.sub(r"(\[| offset )5m\b", r"\g<1>10s", rules.read_text()))
    config.write_text(json.dumps(scrape_config("warpwatch", address, rule_files=[str(rules)])))
    program = Path(sys.executable).with_name("warpwatch")
    try:
        programs.start(
            "agent",
            [program, "demo", "--config", settings],
            url=f"http://{address}",
            ready="/readyz",
        )
        yield start_prometheus(programs, config)
    finally:
        programs.stop()


def value(prometheus: Prometheus, expression: str) -> float:
    """Return the one value of an expression, as soon as there is one."""
    found = eventually(expression, partial(prometheus.query, expression), timeout=60, step=0.5)
    ((_, number),) = found
    return number


@pytest.mark.parametrize("series", EVERYTHING)
def test_recorded_series_is_there(series: str, prometheus: Prometheus) -> None:
    """A node that serves has every series that its servers have the signals for."""
    assert eventually(series, partial(prometheus.query, series), timeout=60, step=0.5)


def test_gpus_of_a_server_are_joined(prometheus: Prometheus) -> None:
    """What it holds is what it was configured for, by index, and each of them is its own alone."""
    held = value(prometheus, 'inference:gpus:sum{inference_server_name="llama"}')
    infos = prometheus.query(
        'inference_gpu_info{inference_server_name="llama"} * on (hw_id) group_left (hw_gpu_index) hw_gpu_info'
    )

    assert held == len(infos) >= 2
    assert {labels["warpwatch_attribution"] for labels, _ in infos} == {"exclusive"}
    assert {labels["gen_ai_request_model"] for labels, _ in infos} != {""}


def test_cost_is_price_over_tokens(prometheus: Prometheus) -> None:
    """Each of the server's GPUs costs 2.50 an hour, and all of its tokens share that."""
    server = '{inference_server_name="llama"}'
    value(prometheus, f"inference:cost_per_million_tokens:rate5m{server}")
    gpus = value(prometheus, f"inference:gpus:sum{server}")
    cost = value(prometheus, f"inference:cost_per_hour:sum{server}")
    product = value(
        prometheus,
        f"inference:cost_per_million_tokens:rate5m{server} * on (inference_server_name) "
        f"inference:tokens_generated:rate5m{server} * 3600 / 1e6 / on (inference_server_name) "
        f"inference:cost_per_hour:sum{server}",
    )

    assert cost == pytest.approx(2.5 * gpus)
    assert product == pytest.approx(1.0)


def test_joules_are_those_of_the_server_s_gpus(prometheus: Prometheus) -> None:
    """Tokens per joule times joules are the tokens, to the rounding of a division."""
    server = '{inference_server_name="llama"}'
    watts = value(prometheus, f"inference:power_watts:rate5m{server}")
    ratio = value(
        prometheus,
        f"inference:tokens_per_joule:rate5m{server} * on (inference_server_name) "
        f"inference:power_watts:rate5m{server} / on (inference_server_name) "
        f"inference:tokens_generated:rate5m{server}",
    )

    assert 100 < watts < 8 * 700
    assert ratio == pytest.approx(1.0)


def test_objectives_are_counted_by_a_bound_of_the_server(prometheus: Prometheus) -> None:
    """The server has a bound at 0.25 s and none at 0.3 s; good and total grow, and good is no more."""
    bound = value(prometheus, 'inference_slo_threshold_seconds{inference_slo_name="first-token"}')
    share = value(
        prometheus,
        'inference_slo_good_total{inference_slo_name="first-token"}'
        ' / (inference_slo_total{inference_slo_name="first-token"} > 0)',
    )

    assert bound == 0.25
    assert 0 <= share <= 1


def test_an_objective_that_burns_alerts_and_one_that_is_kept_does_not(
    prometheus: Prometheus,
) -> None:
    """A tenth of a second is too little for long prompts; a quarter is enough for all."""
    firing = 'ALERTS{alertname="ModelSLOBurningFast", alertstate="firing"}'

    told = eventually(firing, partial(prometheus.query, firing), timeout=60, step=0.5)

    assert {labels["inference_slo_name"] for labels, _ in told} == {"impossible"}
    assert {labels["severity"] for labels, _ in told} == {"critical"}


def test_an_objective_of_no_model_is_a_problem_that_is_counted(prometheus: Prometheus) -> None:
    """A mistyped name does not pass for an objective that is kept."""
    counted = (
        'warpwatch_collector_problems_total{warpwatch_collector="slo",'
        'warpwatch_problem="nothing_counted"}'
    )

    assert value(prometheus, counted) > 0
    assert prometheus.query('inference_slo_total{inference_slo_name="typo"}') == []


def test_no_rule_complains(prometheus: Prometheus) -> None:
    """Prometheus evaluates every rule on live data, joins and templates included."""

    def evaluated() -> list[dict[str, str]] | None:
        groups = prometheus.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if rules and all(rule["health"] != "unknown" for rule in rules) else None

    rules = eventually("an evaluation of every rule", evaluated, step=0.5)

    assert {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")} == {}


@pytest.mark.parametrize("panel", PANELS)
def test_panel_can_be_computed(panel: str, prometheus: Prometheus) -> None:
    """On a node that serves, Prometheus computes what each panel asks: no join finds two partners."""
    answer = prometheus.query(PANELS[panel])

    assert all(math.isfinite(value) or math.isnan(value) for _, value in answer)


@pytest.mark.parametrize("title", ALWAYS)
def test_panels_of_a_server_have_data(title: str, prometheus: Prometheus) -> None:
    """What is known of every server that holds GPUs is drawn."""
    (query, *_) = [
        query for name, query in PANELS.items() if name.startswith(f"inference-server: {title} ")
    ]

    assert eventually(title, partial(prometheus.query, query), step=0.5)
