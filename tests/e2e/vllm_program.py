"""A model server like vLLM, alone: ``python vllm_program.py PORT``. It ends when it is told to."""

import asyncio
import sys
import time

from aiohttp import web

from agent.simulation.servers import Vllm
from agent.simulation.spec import parse_spec


async def main(port: int) -> None:
    """Serve for ever."""
    server, begun = Vllm(parse_spec("1xL4"), 0, time.time()), time.monotonic()

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=server.page(time.monotonic() - begun))

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
