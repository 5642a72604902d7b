"""The whole of what a GPU gives: its series as kept lists, what that costs, and what garbage does to it."""

from collections import Counter
from math import isfinite
from pathlib import Path

import pytest

from agent.catalogue import gpu, gpu_health, gpu_work
from agent.vetting import vet
from tests.agent.collectors.nvml.node import Node, uuid

GOLDEN = Path(__file__).parents[3] / "golden"
OF_A_GPU = {one.name for one in (*gpu.METRICS, *gpu_health.METRICS, *gpu_work.METRICS)}
BUDGET = 1150
"""Series of a node with 8 GPUs of which every family is told, links together."""


def settled(node: Node, directives: str) -> None:
    """Let the agent find out what the GPUs have."""
    node.tell(directives)
    for _ in range(4):
        node.collect()


def series(node: Node) -> list[str]:
    """Return the series of what the GPU says, sorted, without its own texts and without events."""
    return sorted(
        " ".join((metric.family, *(attributes[1:] if metric != gpu.INFO else ())))
        for metric, attributes, _ in node.collect().readings
        if metric.name in OF_A_GPU and not metric.name.endswith("events")
    )


@pytest.mark.parametrize("model", ["h100", "t4", "b200"])
def test_series_of_a_model(node: Node, model: str) -> None:
    """One GPU gives exactly the series of the kept list; to renew it, write what this test shows."""
    settled(node, f"devices 1\nmodel {model} *")

    found = series(node)

    kept = GOLDEN / f"nvml_series.{model}.txt"
    assert found == kept.read_text().splitlines(), f"differs from {kept.name}"


def test_series_of_a_node(node: Node) -> None:
    """Eight GPUs stay within the budget of series, links told together."""
    settled(node, "")

    assert 900 < len(node.collect().readings) <= BUDGET


def test_links_by_themselves_cost_series(node: Node) -> None:
    """Each link by itself is many times the series, which is why it has to be asked for."""
    node.ask("renew_with_links")
    settled(node, "")

    assert len(node.collect().readings) > 2 * BUDGET


@pytest.mark.parametrize("model", ["h100", "t4", "everything"])
def test_nothing_is_asked_twice(node: Node, model: str) -> None:
    """One run asks each thing of each GPU once, all fields in one call, and nothing that is lacking."""
    settled(node, f"model {model} *")
    node.tell(f"model {model} *\nlog 1")
    node.ask("simulated", "nvmlSimulatedLog")

    node.collect()

    log = node.ask("simulated", "nvmlSimulatedLog").decode().splitlines()
    asked = Counter(line for line in log if "ProcessUtil" not in line)
    twice = {line for line, times in asked.items() if times > 1 and not line.endswith("-1")}
    assert {line for line in twice if "Processes" not in line} == set()
    assert all(asked[f"nvmlDeviceGetFieldValues {index}"] == 1 for index in range(8))


def test_calls_of_a_run(node: Node) -> None:
    """A run makes few calls: each takes the driver's lock."""
    settled(node, "")
    before = node.ask("simulated", "nvmlSimulatedCalls")
    for _ in range(10):
        node.collect()

    calls = (node.ask("simulated", "nvmlSimulatedCalls") - before) / 10

    assert calls / 8 < 32


@pytest.mark.parametrize("what", ["*", "nvmlDeviceGetFieldValues", "field:83", "nvmlGpmMetricsGet"])
def test_garbage_everywhere(node: Node, what: str) -> None:
    """Random numbers, types and texts from the driver are refused or possible, and never a crash."""
    node.tell(f"devices 2\nmodel everything *\nrule {what} * garbage 1")

    batches = [node.collect(10) for _ in range(15)]
    node.tell("devices 2\nmodel everything *")
    healed = [node.collect(10) for _ in range(3)][-1]

    for batch in batches:
        vetted, _ = vet(batch)
        for reading in vetted.readings:
            assert isinstance(reading.value, int | float)
            assert isfinite(reading.value)
        assert len(vetted.problems) < 400
    assert len(healed.readings) > 250


@pytest.mark.parametrize(
    "code", [1, 2, 3, 4, 6, 7, 9, 10, 13, 15, 17, 18, 19, 20, 21, 25, 29, 999, 5555]
)
def test_any_code_from_every_call(node: Node, code: int) -> None:
    """Whatever code every call for one GPU returns, the other GPU is told whole."""
    settled(node, "devices 2")
    node.tell(f"devices 2\nrule * 1 error {code}")

    outcomes = [node.try_("collect", node.now + seconds) for seconds in (1, 11, 21)]

    gone = code in {1, 9, 18}
    assert all(how == ("DriverGone" if gone else "ok") for how, _ in outcomes)
    if not gone:
        (*_, (_, last)) = outcomes
        assert len([one for one in last.readings if one.attributes[:1] == (uuid(0),)]) > 130
