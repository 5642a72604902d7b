"""A GPU falls off the bus, and somebody is paged: rule, Alertmanager and webhook are the real ones."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.simulation.scenario import LOST
from tests.e2e.conftest import CLUSTER, JOB, NODE, quick_rules
from tests.e2e.shipped import RULES
from tests.real_parts.pager import Pager, running_pager
from tests.real_parts.programs import Program, Programs, eventually
from tests.real_parts.servers import (
    Prometheus,
    scrape_config,
    start_alertmanager,
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
    """Run Alertmanager on the generated configuration, with this test's pager, key and patience."""
    assert alertmanager.exists()
    generated = RULES.with_name("alertmanager.yaml")
    config = yaml.safe_load(generated.read_text(encoding="utf-8"))
    key = tmp_path / "routing-key"
    key.write_text("0123456789abcdef0123456789abcdef", encoding="utf-8")
    config["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    for receiver in config["receivers"]:
        for pagerduty in receiver.get("pagerduty_configs", []):
            pagerduty |= {"url": pager.url, "routing_key_file": str(key)}
    (tmp_path / "alertmanager.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for template in generated.parent.glob("*.tmpl"):
        (tmp_path / template.name).write_text(
            template.read_text(encoding="utf-8"), encoding="utf-8"
        )
    return start_alertmanager(programs, tmp_path / "alertmanager.yaml")


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
    assert event["routing_key"] == "0123456789abcdef0123456789abcdef"
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
