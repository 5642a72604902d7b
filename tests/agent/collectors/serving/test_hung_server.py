"""One server that does not answer delays none of the others, in whatever way it does not."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest
from aiohttp.abc import ResolveResult

from agent.catalogue import serving
from agent.collectors.scrape import Connections
from agent.collectors.scrape.resolver import Resolver, look_up
from agent.collectors.serving.collector import ServingCollector
from agent.sampler import Sampler
from tests.agent.collectors.scrape.raw_server import page, raw_server
from tests.agent.collectors.serving.pages import captured

VLLM = page(captured("vllm/vllm_0.33.0_dp1_t1.txt").encode())
NAMELESS = "never-answered.test"


@asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """Serve no answer."""
    released = asyncio.Event()

    async def hang(_writer: asyncio.StreamWriter, _head: str) -> None:
        await released.wait()

    async with raw_server(hang) as url:
        yield url
        released.set()


@asynccontextmanager
async def slow_loris() -> AsyncIterator[str]:
    """Serve a page of which a byte comes now and then, for ever."""
    released = asyncio.Event()

    async def drip(writer: asyncio.StreamWriter, _head: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n")
        while not released.is_set():
            writer.write(b"v")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with raw_server(drip) as url:
        yield url
        released.set()


@asynccontextmanager
async def never_connected() -> AsyncIterator[str]:
    """Give the URL of a port whose queue is full: the system answers no further connection."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"
        for each in waiting:
            each.close()


@asynccontextmanager
async def never_resolved() -> AsyncIterator[str]:
    """Give the URL of a host whose name server does not answer."""
    yield f"http://{NAMELESS}:8000"


DEAD: list[Callable[[], AbstractAsyncContextManager[str]]] = [
    *(silent, slow_loris, never_connected, never_resolved)
]


@pytest.mark.parametrize("dead", DEAD, ids=lambda dead: dead.__name__)
async def test_the_others_are_read_while_one_hangs(
    dead: Callable[[], AbstractAsyncContextManager[str]],
) -> None:
    """They share the agent's connections and its look-ups, and each is asked on its own."""
    released = threading.Event()

    def hanging(host: str, port: int, family: int) -> list[ResolveResult]:
        if host == NAMELESS:
            released.wait(60)
        return look_up(host, port, family)

    async with dead() as nowhere, raw_server(VLLM) as one, raw_server(VLLM) as other:
        connections = Connections(lambda: Resolver(hanging))
        urls = {"dead": nowhere, "one": one, "other": other.replace("127.0.0.1", "localhost")}
        collectors = [
            ServingCollector(url, name=name, timeout=60, connections=connections)
            for name, url in urls.items()
        ]
        sampler = Sampler(collectors, interval=0.05)
        task = asyncio.create_task(sampler.run())
        snapshot = await sampler.next(0)
        async with asyncio.timeout(30):
            while not {"serving/one", "serving/other"} <= snapshot.batches.keys():
                snapshot = await sampler.next(snapshot.sequence)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        released.set()

    up = {
        reading.attributes[0]: reading.value
        for batch in snapshot.batches.values()
        for reading in batch.readings
        if reading.metric is serving.SERVER_UP
    }
    assert up == {"one": 1, "other": 1}
