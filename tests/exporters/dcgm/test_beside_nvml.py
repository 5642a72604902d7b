"""A node with NVML and dcgm-exporter, the latter played by our own page of the same GPUs."""

import asyncio
import logging

import pytest

from agent.catalogue import gpu
from agent.collectors.dcgm import DcgmCollector
from agent.collectors.nvml.collector import NvmlCollector
from agent.sampler import Sampler
from agent.simulation.gpus import SimulatedGpus
from agent.simulation.spec import parse_spec
from agent.snapshot import Reading, Snapshot, Status
from exporters.dcgm import DcgmExposition
from tests.agent.collectors.scrape.raw_server import page, raw_server


def of_node() -> NvmlCollector:
    """Return NVML's collector on a simulated node, the same at each call."""
    return NvmlCollector(SimulatedGpus(parse_spec("2xH100")), interval=0.05)


async def until_all_answer(sampler: Sampler) -> Snapshot:
    """Run the sampler until each of its collectors gave data."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(sampler.run())
        snapshot = await sampler.next(0)
        while any(state.status is not Status.OK for state in snapshot.collectors):
            snapshot = await sampler.next(snapshot.sequence)
        running.cancel()
    return snapshot


async def test_nvml_wins_and_dcgm_adds_what_it_alone_knows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No series is there twice, what dcgm-exporter alone knows is kept, and the overlap is said once."""
    alone = await until_all_answer(Sampler([of_node()], interval=0.05))
    elsewhere = b'DCGM_FI_DEV_GPU_TEMP{gpu="9",UUID="GPU-9"} 41\n'
    served = DcgmExposition("node-a").text(alone) + elsewhere

    with caplog.at_level(logging.INFO, logger="agent.precedence"):
        async with raw_server(page(served)) as url:
            dcgm = DcgmCollector(url, interval=0.05, timeout=5)
            snapshot = await until_all_answer(Sampler([of_node(), dcgm], interval=0.05))

    series = [each[:2] for batch in snapshot.batches.values() for each in batch.readings]
    assert len(series) == len(set(series))
    added = snapshot.batches["dcgm"].readings
    assert {each.attributes[0] for each in added} == {"GPU-9"}
    assert Reading(gpu.TEMPERATURE, ("GPU-9", "gpu"), 41.0) in added
    assert snapshot.collectors[1].problems == ()
    assert len(caplog.records) == 1
    assert "collector dcgm" in caplog.text
