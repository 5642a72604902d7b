"""Grafana dashboard 12239, and rules of the kind that people have, on a real Prometheus."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.catalogue import gpu, gpu_work
from agent.snapshot import Batch, Reading, Snapshot
from exporters.prometheus import Exposition
from exporters.web import make_app, serve
from tests.exporters import snapshots
from tests.exporters.source import Handed
from tests.real_parts.programs import Programs, eventually
from tests.real_parts.servers import Prometheus, start_prometheus

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "fixtures/dcgm/grafana_12239_dashboard.json").read_text()
)
EXPRESSIONS = {
    panel["title"]: target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
}
VARIABLES = {each["name"]: each["query"] for each in DASHBOARD["templating"]["list"]}
BUSY = [*"0123456"]
"""GPUs of the node that are not lost."""

pytestmark = pytest.mark.e2e


def node() -> Snapshot:
    """Return eight GPUs that can profile: one of them lost, and one that had an XID."""
    snapshot = snapshots.full()
    more = (
        *(
            Reading(gpu_work.PIPE_ACTIVE, (snapshots.uuid(index), "tensor"), 0.25)
            for index in range(7)
        ),
        Reading(gpu.XID_EVENTS, (snapshots.uuid(1), "31"), 1),
    )
    batch = Batch(snapshots.NOON, (*snapshot.batches["nvml"].readings, *more))
    return Snapshot(1, snapshots.NOON, {**snapshot.batches, "nvml": batch}, events=snapshot.events)


@pytest.fixture
async def prometheus_of_node(
    prometheus: Path, programs: Programs, tmp_path: Path
) -> AsyncIterator[Prometheus]:
    """Return a Prometheus that has scraped `/metrics/dcgm` of the node."""
    assert prometheus.name == "prometheus"
    runner, port = await serve(
        make_app(Handed(node()), Exposition("node-a", "prod")), "127.0.0.1", 0
    )
    scraped = {
        "job_name": "dcgm",
        "metrics_path": "/metrics/dcgm",
        "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
    }
    config = tmp_path / "prometheus.yml"
    every = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    config.write_text(json.dumps({"global": every, "scrape_configs": [scraped]}))
    server = await asyncio.to_thread(start_prometheus, programs, config)
    await asyncio.to_thread(
        eventually, "a scrape", lambda: server.query("DCGM_FI_DEV_GPU_TEMP") or None
    )
    yield server
    await runner.cleanup()


async def test_every_panel_draws_every_gpu(prometheus_of_node: Prometheus) -> None:
    """Each expression gives a value per GPU, or one for all where it aggregates."""
    drawn = {}
    for title, expression in EXPRESSIONS.items():
        asked = expression.replace("$instance", ".*").replace("$gpu", ".*")
        drawn[title] = await asyncio.to_thread(prometheus_of_node.query, asked)

    per_gpu = {title: [labels.get("gpu") for labels, _ in rows] for title, rows in drawn.items()}
    assert per_gpu == {
        "GPU Temperature": BUSY,
        "GPU Avg. Temp": [None],
        "GPU Power Usage": BUSY,
        "GPU Power Total": [None],
        "GPU SM Clocks": BUSY,
        "GPU Utilization": BUSY,
        "GPU Framebuffer Mem Used": BUSY,
        "Tensor Core Utilization": BUSY,
    }
    assert {value for _, value in drawn["GPU SM Clocks"]} == {1_980_000_000.0}
    assert max(value for _, value in drawn["GPU Utilization"]) == 97.0
    assert drawn["GPU Framebuffer Mem Used"][0][1] == 71.5 * 1024
    assert {value for _, value in drawn["Tensor Core Utilization"]} == {0.25}


async def test_the_dashboards_variables_have_choices(prometheus_of_node: Prometheus) -> None:
    """Both menus fill: the instances and the GPUs by index."""
    assert VARIABLES["instance"] == "label_values(DCGM_FI_DEV_GPU_TEMP, instance)"
    assert VARIABLES["gpu"] == "label_values(DCGM_FI_DEV_GPU_TEMP, gpu)"

    (instance,) = await asyncio.to_thread(
        prometheus_of_node.ask, "label/instance/values", **{"match[]": "DCGM_FI_DEV_GPU_TEMP"}
    )
    gpus = await asyncio.to_thread(
        prometheus_of_node.ask, "label/gpu/values", **{"match[]": "DCGM_FI_DEV_GPU_TEMP"}
    )

    assert instance.startswith("127.0.0.1:")
    assert gpus == BUSY


RULES = {
    "DCGM_FI_DEV_XID_ERRORS > 0": ["1"],
    "DCGM_FI_DEV_GPU_TEMP > 85": ["4"],
    "DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE) < 0.1": ["6"],
    'max by (Hostname, gpu) (DCGM_FI_DEV_POWER_USAGE{Hostname="node-a"}) > 690': ["5"],
    'DCGM_FI_DEV_GPU_UTIL{modelName=~".*H100.*",DCGM_FI_DRIVER_VERSION=~"580.*"} < 1': ["2", "6"],
}
"""By expression, the GPUs that it is about."""


async def test_rules_made_for_dcgm_exporter_work(prometheus_of_node: Prometheus) -> None:
    """Rules that compare, join, select and group by dcgm-exporter's labels find their GPUs."""
    found = {rule: await asyncio.to_thread(prometheus_of_node.query, rule) for rule in RULES}

    assert {rule: [labels["gpu"] for labels, _ in rows] for rule, rows in found.items()} == RULES
