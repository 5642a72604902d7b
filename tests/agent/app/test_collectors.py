from dataclasses import replace
from pathlib import Path

import pytest

from agent.app import gpu_driver, make_collectors
from agent.collectors.scrape import Connections
from agent.collectors.serving.budget import SeriesBudget
from agent.config import Config, Dcgm, Server, load
from agent.model_servers import configured

REAL = load(None, {}, {})
SIMULATED = replace(REAL, simulate="2xL4")


def names(config: Config) -> list[str]:
    """Return the names of the collectors that a configuration asks for, in their order."""
    return [each.name for each in make_collectors(config, gpu_driver(config))]


def test_a_real_node_reads_the_kernel_log_just_before_xids_are_told() -> None:
    """NVML wins over all; the kernel log stands directly before what tells of XIDs."""
    assert names(REAL) == ["nvml", "kernel", "xid"]


@pytest.mark.parametrize(
    "config", [SIMULATED, replace(REAL, kernel_log="off")], ids=["simulated", "off"]
)
def test_the_kernel_log_is_left_alone(config: Config) -> None:
    """A simulated node must not tell of this machine's XIDs, nor one that was told not to."""
    assert names(config) == ["nvml", "xid"]


def test_configured_sources_follow() -> None:
    """dcgm-exporter and model servers come after NVML, so NVML wins where both know a value."""
    config = replace(
        SIMULATED,
        dcgm=Dcgm(url="http://127.0.0.1:1/metrics"),
        servers=(Server(url="http://127.0.0.1:2", name="chat"),),
    )

    assert names(config) == ["nvml", "xid", "dcgm", "serving/chat"]


def test_a_configured_model_is_the_servers() -> None:
    """Servers whose metrics name no model get it from the configuration."""
    server = Server(url="http://127.0.0.1:2", profile="tgi", model="mistral")

    (collector,) = configured(replace(SIMULATED, servers=(server,)), Connections(), SeriesBudget())

    assert collector._interpreter._model == "mistral"


def test_a_judgement_of_no_xid_is_refused() -> None:
    """An override of a code that cannot be is a wrong configuration."""
    with pytest.raises(ValueError, match="0"):
        make_collectors(replace(SIMULATED, xid_overrides={0: "page"}), gpu_driver(SIMULATED))


def test_two_sources_of_gpus_are_refused() -> None:
    """A node is simulated or replayed, not both."""
    with pytest.raises(ValueError, match="leave one of them out"):
        gpu_driver(replace(SIMULATED, replay=str(Path("node.jsonl"))))
