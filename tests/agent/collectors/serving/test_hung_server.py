"""One server that does not answer delays none of the others."""

import asyncio
from contextlib import suppress

from agent.catalogue import serving
from agent.collectors.scrape import Connections
from agent.collectors.serving.collector import ServingCollector
from agent.sampler import Sampler
from tests.agent.collectors.scrape.raw_server import page, raw_server
from tests.agent.collectors.serving.pages import captured

VLLM = page(captured("vllm/vllm_0.33.0_dp1_t1.txt").encode())


async def test_the_others_are_read_while_one_hangs() -> None:
    """They share the agent's connections, and each is asked on its own."""
    released = asyncio.Event()

    async def hang(_writer: asyncio.StreamWriter, _head: str) -> None:
        await released.wait()

    async with raw_server(hang) as dead, raw_server(VLLM) as one, raw_server(VLLM) as other:
        connections = Connections()
        collectors = [
            ServingCollector(url, name=name, timeout=60, connections=connections)
            for name, url in (("dead", dead), ("one", one), ("other", other))
        ]
        sampler = Sampler(collectors, interval=0.05)
        task = asyncio.create_task(sampler.run())
        snapshot = await sampler.next(0)
        async with asyncio.timeout(30):
            while len(snapshot.batches) < 2:
                snapshot = await sampler.next(snapshot.sequence)
        released.set()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    up = {
        reading.attributes[0]: reading.value
        for batch in snapshot.batches.values()
        for reading in batch.readings
        if reading.metric is serving.SERVER_UP
    }
    assert up == {"one": 1, "other": 1}
