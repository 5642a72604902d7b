import asyncio
import json
import socket
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from agent.snapshot import Snapshot
from exporters.status.board import Board
from exporters.status.stream import Streams
from exporters.web import serve
from tests.exporters import snapshots
from tests.exporters.source import Handed
from tests.exporters.web.conftest import Serve


async def message(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """Return the next message of a stream."""
    data = ""
    while line := (await answer.content.readline()).decode().rstrip("\n"):
        field, _, value = line.partition(": ")
        data = value if field == "data" else data
    return dict(json.loads(data))


async def test_stream_begins_with_everything_and_goes_on_with_changes(
    served: Serve, client: aiohttp.ClientSession
) -> None:
    """The first message holds every part; the next only those that changed."""
    source = Handed(snapshots.full())
    url = await served(source)

    answer = await client.get(f"{url}/stream")
    first = await message(answer)
    source.hand(snapshots.full(2, elapsed=1.0))
    second = await message(answer)

    assert answer.content_type == "text/event-stream"
    assert set(first["parts"]) == {"summary", "gpus", "servers", "events", "agent"}
    assert "GPU 7" in first["parts"]["gpus"]
    assert "gpus" in second["parts"]
    assert "summary" not in second["parts"]
    answer.close()


async def test_streams_are_bounded_in_number(client: aiohttp.ClientSession) -> None:
    """One stream too many is refused; a place that gets free is given again."""
    source = Handed(snapshots.full())
    runner, url = await stream_of(source, most=2, pace=0.01)
    taken = [await client.get(url) for _ in range(2)]

    refused = await client.get(url)
    taken[0].close()
    again = await until_free(client, url, source)

    assert refused.status == 503
    assert "close one" in await refused.text()
    assert again.status == 200
    await runner.cleanup()


async def test_client_that_does_not_read_is_dropped() -> None:
    """Nothing piles up for a slow client: it loses its connection, and its place."""
    source = Handed(snapshots.full())
    streams = Streams(source, board_of(source), pace=0.0, patience=0.2)
    runner, port = await serve(app_of(streams), "127.0.0.1", 0)
    feed = asyncio.create_task(hand_for_ever(source))
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        await asyncio.get_running_loop().sock_connect(slow, ("127.0.0.1", port))
        slow.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

        async with asyncio.timeout(30):
            while not streams._open:  # noqa: ASYNC110 - the server tells nobody when a stream opens
                await asyncio.sleep(0.01)
            while streams._open:  # noqa: ASYNC110 - nor when it ends, which is what is tested
                await asyncio.sleep(0.01)

    feed.cancel()
    await runner.cleanup()


async def test_server_stops_at_once_with_streams_open(client: aiohttp.ClientSession) -> None:
    """Open streams do not hold up the end of the server."""
    source = Handed(snapshots.full())
    runner, url = await stream_of(source)
    answer = await client.get(url)
    await message(answer)

    async with asyncio.timeout(1.5):
        await runner.cleanup()

    assert await answer.content.read() == b""


async def test_silence_is_bridged_by_comments(
    client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While no snapshot comes, a comment now and then shows that the connection lives."""
    monkeypatch.setattr("exporters.status.stream.HEARTBEAT", 0.05)
    source = Handed(snapshots.full())
    runner, url = await stream_of(source, pace=0.0)
    answer = await client.get(url)
    await message(answer)

    line = await answer.content.readline()

    assert line == b": waiting for the next snapshot\n"
    answer.close()
    await runner.cleanup()


def board_of(source: Handed) -> Board:
    """Return a board whose clock stands at noon."""
    return Board(source, "node-a", "prod", lambda: snapshots.NOON)


def app_of(streams: Streams) -> web.Application:
    """Return an application that is nothing but a stream."""
    app = web.Application()
    app.router.add_get("/", streams.handle)
    app.on_shutdown.append(lambda _: streams.close())
    return app


async def stream_of(source: Handed, **limits: Any) -> tuple[web.AppRunner, str]:
    """Serve nothing but a stream with these limits."""
    app = app_of(Streams(source, board_of(source), **limits))
    runner, port = await serve(app, "127.0.0.1", 0)
    return runner, f"http://127.0.0.1:{port}/"


async def hand_for_ever(source: Handed) -> None:
    """Publish snapshots that differ, as fast as they are taken."""
    made: tuple[Snapshot, Snapshot] = (snapshots.full(), snapshots.empty())
    sequence = 1
    while True:
        sequence += 1
        base = made[sequence % 2]
        source.hand(
            Snapshot(
                sequence,
                base.taken_at,
                base.batches,
                base.collectors,
                base.exporters,
                base.events,
                base.event_total,
                base.starts,
            )
        )
        await asyncio.sleep(0)


async def until_free(
    client: aiohttp.ClientSession, url: str, source: Handed
) -> aiohttp.ClientResponse:
    """Ask until there is a place; a server notices a client that went with its next message."""
    async with asyncio.timeout(10):
        for sequence in range(2, 10_000):
            source.hand(snapshots.full(sequence, elapsed=float(sequence)))
            answer = await client.get(url)
            if answer.status == 200:
                return answer
            await asyncio.sleep(0.02)
    raise AssertionError("no place got free")
