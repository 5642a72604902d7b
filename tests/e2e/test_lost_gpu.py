"""A GPU falls off the bus, and somebody is paged: rule, Alertmanager and webhook are the real ones."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.simulation.scenario import LOST
from tests.e2e.conftest import CLUSTER, JOB, NODE, quick_rules
from tests.real_parts.paging import ROUTING_KEY, Pager, running_pager, start_paging
from tests.real_parts.programs import Program, Programs, eventually
from tests.real_parts.servers import (
    Prometheus,
    scrape_config,
    start_prometheus,
)

pytestmark = pytest.mark.e2e
AHEAD = Path(__file__).with_name("ahead.py")
LEAD = 6.0
"""Seconds before the loss at which the agent begins: it has to have seen the GPU."""


@pytest.fixture
def pager() -> Iterator[Pager]:
    """Run a webhook in PagerDuty's shape."""
    with running_pager() as running:
        yield running


@pytest.fixture
def paging(pager: Pager, programs: Programs, tmp_path: Path, alertmanager: Path) -> Program:
    """Run Alertmanager on the generated configuration."""
    assert alertmanager.exists()
    return start_paging(programs, tmp_path, pager)


@pytest.fixture
def watching(
    start: Callable[..., Program], paging: Program, programs: Programs, tmp_path: Path
) -> Prometheus:
    """Run an agent that is about to lose a GPU, and a Prometheus with the generated rules beside it."""
    entry = (sys.executable, AHEAD, str(LOST - LEAD))
    agent = start("--simulate", "8xH100", entry=entry)
    config = tmp_path / "prometheus.yml"
    settings = scrape_config(
        JOB,
        agent.url.removeprefix("http://"),
        rule_files=[str(quick_rules(tmp_path, **{"for": "0s", "keep_firing_for": "0s"}))],
        alerting={
            "alertmanagers": [
                {"static_configs": [{"targets": [paging.url.removeprefix("http://")]}]}
            ]
        },
    )
    config.write_text(json.dumps(settings), encoding="utf-8")
    return start_prometheus(programs, config)


def test_a_lost_gpu_pages(watching: Prometheus, pager: Pager) -> None:
    """The loss becomes one page that says what is wrong, where, how bad it is, and what to do."""

    def page() -> dict[str, Any] | None:
        return next((event for event in pager.events if "GPULost" in json.dumps(event)), None)

    event = eventually("a page", page, timeout=60, step=0.2)

    ((lost, _),) = watching.query("hw_gpu_lost == 1")
    which = f'last_over_time(hw_gpu_info{{hw_id="{lost["hw_id"]}"}}[5m])'
    ((known, _),) = watching.query(which)
    payload = event["payload"]
    assert event["event_action"] == "trigger"
    assert event["routing_key"] == ROUTING_KEY
    assert payload["severity"] == "critical"
    assert payload["source"] == NODE
    assert payload["component"] == "gpu"
    assert payload["group"] == CLUSTER
    assert f"GPU {known['hw_gpu_index']}" in payload["summary"]
    assert "<no value>" not in json.dumps(event)
    assert lost["hw_id"] in json.dumps(payload["custom_details"])
    assert "Cordon the node" in json.dumps(payload["custom_details"])


def test_the_other_gpus_are_still_watched(watching: Prometheus) -> None:
    """One lost GPU hides no other: seven go on giving values, the lost one gives none."""
    lost = eventually("the loss", lambda: watching.query("hw_gpu_lost == 1"), timeout=60, step=0.2)

    def seven() -> bool:
        return len(watching.query("hw_power_watts")) == 7

    assert eventually("seven GPUs", seven, timeout=10, step=0.2)
    powered = {labels["hw_id"] for labels, _ in watching.query("hw_power_watts")}
    assert lost[0][0]["hw_id"] not in powered
    assert watching.query('warpwatch_events_total{event_name="gpu.lost"}')[0][1] == 1
