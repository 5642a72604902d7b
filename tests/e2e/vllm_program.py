"""A model server like vLLM, alone: ``python vllm_program.py PORT``. It ends when it is told to.

It answers each completion with one token, and ``/probed`` with what marked them.
"""

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

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "llama"}]})

    async def complete(request: web.Request) -> web.Response:
        probed.append(request.headers.get("X-Warpwatch-Probe", ""))
        piece = 'data: {"choices": [{"text": "1", "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
        return web.Response(text=piece, content_type="text/event-stream")

    async def asked(_: web.Request) -> web.Response:
        return web.json_response(probed)

    probed: list[str] = []
    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/completions", complete)
    app.router.add_get("/probed", asked)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
