"""A fleet of vLLM servers in one process: ``python -m tests.bench.fleet 64`` prints their ports.

Each is a captured page on a port of its own, with kept connections. Between two scrapes of one the server
has worked: all its buckets and counters are higher. The bytes are made beforehand, so that what is measured
beside it has the processor.
"""

import asyncio
import sys
from itertools import cycle
from pathlib import Path
from typing import Final

from tests.bench.parser_bench import busier

_PAGE: Final = Path(__file__).parents[1] / "fixtures/vllm/vllm_0.33.0_dp1_t1.txt"
_HEAD: Final = (
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=1.0.0; charset=utf-8\r\n"
    "server: uvicorn\r\nContent-Length: {size}\r\n\r\n"
)
_VARIANTS: Final = 4


def answers(page: str) -> list[bytes]:
    """Return whole answers: the page, and as it is when the server has worked a little and a little more."""
    told = []
    for _ in range(_VARIANTS):
        body = page.encode()
        told.append(_HEAD.format(size=len(body)).encode() + body)
        page = busier(page)
    return told


class _Server(asyncio.Protocol):
    def __init__(self, told: list[bytes]) -> None:
        self._told = cycle(told)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request, which comes in one piece."""
        if data.endswith(b"\r\n\r\n") and self._transport is not None:
            self._transport.write(next(self._told))


async def serve(count: int) -> None:
    """Listen on ``count`` ports for ever."""
    told = answers(_PAGE.read_text())
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: _Server(told), "127.0.0.1", 0) for _ in range(count)
    ]
    ports = [str(server.sockets[0].getsockname()[1]) for server in servers]
    sys.stdout.write(f"{' '.join(ports)}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
