"""Server-sent events: while somebody watches, the parts of the page that changed.

Nothing is queued for a client: each gets the latest state when it has taken the one before. One that does
not take it in time is dropped, and its browser will come back.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from exporters.status.board import Board, Source

MOST_STREAMS: Final = 32
PACE: Final = 1.0
"""Seconds between two messages at least: nobody reads faster."""
HEARTBEAT: Final = 15.0
"""Seconds without news after which a comment is sent, so that a dead connection is noticed."""
PATIENCE: Final = 10.0
"""Seconds that a client may take for one message."""

Write = Callable[[bytes], Awaitable[None]]


class Streams:
    """The open streams: bounded in number, and ended at once when the server stops."""

    def __init__(
        self,
        source: Source,
        board: Board,
        *,
        most: int = MOST_STREAMS,
        pace: float = PACE,
        patience: float = PATIENCE,
    ) -> None:
        self._source = source
        self._board = board
        self._most = most
        self._pace = pace
        self._patience = patience
        self._open: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer ``GET /stream`` until the client or the server goes."""
        if len(self._open) >= self._most:
            return web.Response(
                status=503,
                text=f"{self._most} pages are open already; close one\n",
                headers={"Retry-After": "10"},
            )
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        task = asyncio.create_task(self._serve(request, response), name="status stream")
        self._open.add(task)
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            self._open.discard(task)
        return response

    async def close(self) -> None:
        """End every stream."""
        for task in self._open:
            task.cancel()

    async def _serve(self, request: web.Request, response: web.StreamResponse) -> None:
        try:
            await response.prepare(request)
            await self._push(response.write)
        except ConnectionError:
            return
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()

    async def _push(self, write: Write) -> None:
        after, sent = 0, dict[str, str]()
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT):
                    snapshot = await self._source.next(after)
            except TimeoutError:
                message = ": waiting for the next snapshot\n\n"
            else:
                after = snapshot.sequence
                parts = await self._board.parts(snapshot)
                changed = {name: part for name, part in parts.items() if sent.get(name) != part}
                sent = parts
                data = json.dumps({"age": self._board.age(snapshot), "parts": changed})
                message = f"event: status\ndata: {data}\n\n"
            async with asyncio.timeout(self._patience):
                await write(message.encode())
            await asyncio.sleep(self._pace)
