"""Model servers for `warpwatch demo`, on loopback: one like vLLM, one like Triton.

They run on the GPUs of the play, so what befalls a GPU shows in its server: a hot one makes requests
slow, a lost one makes them fail, and after the reset its server is away while it loads, then begins at 0.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aiohttp import web

from agent.simulation.physics import trace
from agent.simulation.scenario import FOUND, PERIOD, RELOAD, Part, Scenario
from agent.simulation.spec import NodeSpec, parse_spec
from agent.simulation.triton import TritonServer, triton_page
from agent.simulation.vllm import VllmEngine
from agent.simulation.vllm_page import vllm_page

_VLLM_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"
_TRITON_TYPE: Final = "text/plain; charset=utf-8"
_LOOPBACK: Final = "127.0.0.1"
_VLLM_PARTS: Final = (Part.SERVING, Part.OVERHEATING)
_TRITON_PARTS: Final = (Part.FALLING,)


class ModelServer(NamedTuple):
    """Where a simulated server listens, as the configuration has it."""

    name: str
    profile: str
    url: str
    gpus: tuple[str, ...]
    """The GPUs that it runs on, by index: simulated processes are in no /proc."""


class Vllm:
    """The vLLM-like server of a node, at any moment of the play."""

    def __init__(self, spec: NodeSpec, seed: int, created: float) -> None:
        pace = _pace(spec, seed, _VLLM_PARTS)
        self._engine = VllmEngine(seed, pace)
        self._created = created

    def page(self, elapsed: float) -> str:
        """Return the exposition; ``elapsed`` must not fall from call to call."""
        self._engine.advance(elapsed)
        return vllm_page(self._engine, self._created)


class Triton:
    """The Triton-like server of a node, at any moment of the play, through all its restarts."""

    def __init__(self, spec: NodeSpec, seed: int) -> None:
        self._seed = seed
        self._pace = _pace(spec, seed, _TRITON_PARTS)
        self._falls = Part.FALLING in _scenario(spec, seed).parts
        self._server = TritonServer(seed, 0.0, self._pace)

    def page(self, elapsed: float) -> str | None:
        """Return the exposition, or nothing while the server is loading; ``elapsed`` must not fall."""
        if self._falls:
            if FOUND <= elapsed % PERIOD < FOUND + RELOAD:
                return None
            started = (elapsed - FOUND - RELOAD) // PERIOD * PERIOD + FOUND + RELOAD
            if started > self._server.begin:
                self._server = TritonServer(self._seed, started, self._pace)
        self._server.advance(elapsed)
        return triton_page(self._server)


@asynccontextmanager
async def simulated_servers(
    spec: str, *, seed: int = 0, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[tuple[ModelServer, ...]]:
    """Serve the model servers of the node ``spec``, such as ``8xH100``, and give their addresses.

    The play begins now; ``clock`` gives seconds. Raises `ValueError` for a node that cannot be simulated.
    """
    node = parse_spec(spec)
    start = clock()
    vllm, triton = Vllm(node, seed, time.time()), Triton(node, seed)
    async with (
        _served(lambda: vllm.page(clock() - start), _VLLM_TYPE) as vllm_url,
        _served(lambda: triton.page(clock() - start), _TRITON_TYPE) as triton_url,
    ):
        yield (
            ModelServer("llama", "vllm", vllm_url, _hosts(node, seed, _VLLM_PARTS)),
            ModelServer("vision", "triton", triton_url, _hosts(node, seed, _TRITON_PARTS)),
        )


@asynccontextmanager
async def _served(page: Callable[[], str | None], content_type: str) -> AsyncIterator[str]:
    """Serve a page at a port of its own and give its URL."""

    async def answer(_: web.Request) -> web.Response:
        text = page()
        if text is None:
            return web.Response(status=503, text="loading models\n")
        return web.Response(body=text.encode(), headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, _LOOPBACK, 0).start()
        yield f"http://{_LOOPBACK}:{runner.addresses[0][1]}/metrics"
    finally:
        await runner.cleanup()


def _scenario(spec: NodeSpec, seed: int) -> Scenario:
    return Scenario(spec.count, spec.model.memory - spec.model.reserved, seed)


def _hosts(spec: NodeSpec, seed: int, parts: tuple[Part, ...]) -> tuple[str, ...]:
    cast = enumerate(_scenario(spec, seed).parts)
    return tuple(str(index) for index, part in cast if part in parts)


def _pace(spec: NodeSpec, seed: int, parts: tuple[Part, ...]) -> Callable[[float], float]:
    """Return the pace of the slowest GPU with one of the parts; full speed where there is none."""
    scenario = _scenario(spec, seed)
    hosts = [index for index, part in enumerate(scenario.parts) if part in parts]
    # One host of each part: the work is spread over GPUs that, but for the odd one, are alike.
    chosen = {scenario.parts[index]: index for index in hosts}.values()
    boards = [trace(scenario, spec.model, index) for index in chosen]
    return lambda elapsed: min((board.at(elapsed).speed for board in boards), default=1.0)
