"""Queries about model servers, asked of a real Prometheus engine."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.catalogue import gpu, serving
from agent.catalogue.attributes import MODEL
from agent.catalogue.promql import PER_GPU, value
from dashboards import build, served
from dashboards.current import current
from dashboards.rows import latency, objectives, signals
from dashboards.scope import ON_NODE
from tests.promql_catalogue import plain
from tests.real_parts.command import run

HERE = 'k8s_node_name="n1"'
CHAT = f'gen_ai_request_model="chat", gen_ai_provider_name="vllm", {HERE}'
A, B = (f'{CHAT}, inference_server_name="{name}"' for name in "ab")
TTFT = "gen_ai_server_time_to_first_token_seconds"
BY_MODEL = (MODEL,)


@pytest.fixture
def ask(tmp_path: Path, promtool: Path) -> Any:
    """Return a function that checks what an expression gives, as labels and values."""

    def check(
        expression: str, series: Mapping[str, str], found: Mapping[str, float], **chosen: str
    ) -> None:
        case = {
            "interval": "15s",
            "input_series": [{"series": name, "values": each} for name, each in series.items()],
            "promql_expr_test": [
                {
                    "expr": plain(expression, **chosen),
                    "eval_time": "5m",
                    "exp_samples": [{"labels": k, "value": v} for k, v in found.items()],
                }
            ],
        }
        path = tmp_path / "asked.yaml"
        path.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [case]}))

        assert "SUCCESS" in run(promtool, "test", "rules", path)

    return check


def test_conditions_without_a_label_are_left_out() -> None:
    """A server's state has no model: of what is chosen, the rest narrows it."""
    kept = served.narrowed(serving.SERVER_UP, served.CHOSEN)

    assert [str(each).partition("=")[0] for each in kept] == [
        "k8s_cluster_name",
        "gen_ai_provider_name",
        "inference_server_name",
    ]


def test_queue_ratio_is_of_servers_that_tell_both(ask: Any) -> None:
    """A server that tells only what waits, or only what runs, says nothing of the ratio; none at all is 0."""
    series = {
        f"inference_requests_waiting{{{A}}}": "6x40",
        f"inference_requests_running{{{A}}}": "2x40",
        f"inference_requests_waiting{{{B}}}": "90x40",
    }

    ask(
        served.queue_ratio(BY_MODEL, served.CHOSEN), series, {'{gen_ai_request_model="chat"}': 0.75}
    )
    idle = dict.fromkeys(series, "0x40")
    ask(served.queue_ratio((), served.CHOSEN), idle, {"{}": 0})


def test_error_ratio_weighs_servers_by_their_requests(ask: Any) -> None:
    """A busy server counts for more than an idle one; one that counts no errors is left out."""
    series = {
        f"inference:errors:ratio_rate5m{{{A}}}": "0.1x40",
        f"inference:requests:rate5m{{{A}}}": "30x40",
        f"inference:errors:ratio_rate5m{{{B}}}": "0x40",
        f"inference:requests:rate5m{{{B}}}": "10x40",
        f'inference:requests:rate5m{{gen_ai_request_model="mute", {HERE}}}': "500x40",
    }

    ask(served.error_ratio((), served.CHOSEN), series, {"{}": 0.075})


def test_mean_of_nothing_is_nothing(ask: Any) -> None:
    """Where nobody asked there is no mean, and no NaN; else it is the sum by the count."""
    counted = {f"{TTFT}_sum{{{A}}}": "0+3x40", f"{TTFT}_count{{{A}}}": "0+2x40"}
    mean = served.mean(serving.TIME_TO_FIRST_TOKEN, BY_MODEL, served.CHOSEN)

    ask(mean, counted, {'{gen_ai_request_model="chat"}': 1.5})
    ask(mean, dict.fromkeys(counted, "7x40"), {})


def test_heatmap_counts_by_bounds_that_all_servers_have(ask: Any) -> None:
    """A bound of one server alone would count the others' requests as slower than they were."""
    series = {
        f'{TTFT}_bucket{{{A}, le="0.1"}}': "0+1x40",
        f'{TTFT}_bucket{{{A}, le="1.0"}}': "0+2x40",
        f'{TTFT}_bucket{{{A}, le="+Inf"}}': "0+2x40",
        f'{TTFT}_bucket{{{B}, le="1.0"}}': "0+4x40",
        f'{TTFT}_bucket{{{B}, le="+Inf"}}': "0+8x40",
    }
    panel = next(
        tile.panel.build()
        for tile in latency.of_models().tiles
        if tile.panel.build().type_val == "heatmap"
    )
    (target,) = panel.targets or []

    ask(target.expr, series, {'{le="1.0"}': 120, '{le="+Inf"}': 200})  # type: ignore[attr-defined]


def test_gpus_of_a_server_are_those_it_holds_and_of_a_part_the_board(ask: Any) -> None:
    """Lines under the latency are of the server's own GPUs; of a MIG device, of its board."""
    info = f'inference_server_name="a", {CHAT}'
    series = {
        f'inference_gpu_info{{hw_id="GPU-0", {info}}}': "1x40",
        f'inference_gpu_info{{hw_id="MIG-x", hw_parent="GPU-1", {info}}}': "1x40",
        f'inference_gpu_info{{hw_id="GPU-2", inference_server_name="b", {HERE}}}': "1x40",
        **{
            f'hw_gpu_info{{hw_id="GPU-{i}", hw_gpu_index="{i}", hw_model="H100", {HERE}}}': "1x40"
            for i in range(3)
        },
        **{f'hw_power_watts{{hw_id="GPU-{i}", {HERE}}}': f"{i}00x40" for i in range(3)},
    }
    query = served.of_held(value(gpu.POWER, PER_GPU, *ON_NODE))

    found = {
        f'{{hw_id="GPU-{i}", hw_gpu_index="{i}", hw_model="H100", {HERE}}}': i * 100.0
        for i in (0, 1)
    }
    ask(query.expression, series, found, node="n1", server="a")


def test_budget_is_over_the_time_of_its_objective(ask: Any) -> None:
    """Of a budget of one in a hundred, one bad in two hundred leaves half, whichever time it is for."""
    names = {"week": "604800", "month": "2592000"}
    series: dict[str, str] = {}
    for name, seconds in names.items():
        slo = f'inference_slo_name="{name}"'
        series |= {
            f"inference_slo_good_total{{{slo}, {A}}}": "0+199x40",
            f"inference_slo_total{{{slo}, {A}}}": "0+200x40",
            f"inference_slo_objective_ratio{{{slo}, {HERE}}}": "0.99x40",
            f"inference_slo_window_seconds{{{slo}, {HERE}}}": f"{seconds}x40",
        }
    row = objectives.row(served.CHOSEN)
    targets = row.tiles[0].panel.build().targets or []
    (budget,) = (each.expr for each in targets if "[28d]" in each.expr)  # type: ignore[attr-defined]

    found = {f'{{inference_slo_name="{name}", gen_ai_request_model="chat"}}': 0.5 for name in names}
    ask(f"round({budget}, 0.001)", series, found)


def test_table_of_signals_tells_quantiles_from_means(ask: Any) -> None:
    """A histogram with one bound, infinity, has a mean alone."""
    series = {
        f'{TTFT}_bucket{{{A}, le="1.0"}}': "1x40",
        f'{TTFT}_bucket{{{A}, le="+Inf"}}': "1x40",
        f'{TTFT}_bucket{{{B}, le="+Inf"}}': "1x40",
    }
    targets = signals.row(served.CHOSEN).tiles[0].panel.build().targets or []

    found = {
        f'{{inference_server_name="{name}", gen_ai_provider_name="vllm", {HERE}}}': told
        for name, told in (("a", 3), ("b", 2))
    }
    ask(targets[1].expr, series, found)  # type: ignore[attr-defined]


def test_number_of_a_server_that_is_gone_is_not_its_last_one(ask: Any) -> None:
    """Grafana keeps the last value that there was; one that stopped is followed by NaN, which says so."""
    panel = current(
        "Requests",
        "max(inference:requests:rate5m)",
        unit="short",
        description="",
        steps=(),
        absent="gone",
    ).build()
    (target,) = panel.targets or []
    made = json.loads(build.render(panel))  # type: ignore[arg-type]

    told = f"inference:requests:rate5m{{{A}}}"
    nan_is_nothing_else = f"count(({target.expr}) != ({target.expr}))"  # type: ignore[attr-defined]

    ask(nan_is_nothing_else, {told: "3x4 stale _x40"}, {"{}": 1})
    ask(target.expr, {told: "3x40"}, {"{}": 3})  # type: ignore[attr-defined]
    assert made["options"]["reduceOptions"]["calcs"] == ["last"]
    assert made["fieldConfig"]["defaults"]["mappings"][-1]["options"]["result"]["text"] == "gone"
