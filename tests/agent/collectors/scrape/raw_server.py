"""A server that answers with exactly the bytes that a test wants, however wrong they are."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count

Answer = Callable[[asyncio.StreamWriter, str], Awaitable[None]]
"""Writes the answer to one request; gets the writer and the request's head."""


@asynccontextmanager
async def raw_server(answer: Answer) -> AsyncIterator[str]:
    """Serve on an ephemeral port of the loopback; gives the URL, without a path."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            await answer(writer, head.decode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def page(body: bytes, *headers: str, status: str = "200 OK", length: bool = True) -> Answer:
    """Answer one whole page; without ``length``, the end of the connection ends it."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")

    async def answer(writer: asyncio.StreamWriter, _: str) -> None:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Give one answer after the other, and the last one for ever."""
    turns = count()

    async def answer(writer: asyncio.StreamWriter, head: str) -> None:
        await answers[min(next(turns), len(answers) - 1)](writer, head)

    return answer


def flood(block: bytes, *headers: str) -> Answer:
    """Send ``block`` again and again, until the other side has enough."""

    async def answer(writer: asyncio.StreamWriter, _: str) -> None:
        head = "\r\n".join(("HTTP/1.1 200 OK", "Connection: close", *headers))
        writer.write(head.encode() + b"\r\n\r\n")
        while True:
            writer.write(block)
            await writer.drain()

    return answer
