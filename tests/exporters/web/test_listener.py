import asyncio
import gc
import resource
import socket
import ssl
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from aiohttp import web

from exporters import web as endpoint
from exporters.listener import Listener
from exporters.prometheus import Exposition
from tests.agent.collectors.scrape.certificates import Pair, authority, server_context, signed
from tests.exporters import snapshots
from tests.exporters.source import Handed

LARGE = b"x" * 64 * 2**20
"""More than the buffers of two sockets hold."""
Listen = Callable[..., Awaitable[Listener]]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pair, Pair]:
    """Return an authority and a server's certificate."""
    folder = tmp_path_factory.mktemp("certificates")
    ca = authority(folder)
    return ca, signed(folder, ca, "node-a", "IP:127.0.0.1")


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Return a function that serves a word at `/` and much at `/large`, by a listener with these settings."""
    runners = []

    async def start(**settings: Any) -> Listener:
        app = web.Application()

        async def word(_: web.Request) -> web.Response:
            return web.Response(text="well")

        async def large(_: web.Request) -> web.Response:
            return web.Response(body=LARGE)

        app.add_routes([web.get("/", word), web.get("/large", large)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        runners.append(runner)
        site = Listener(runner, "127.0.0.1", 0, **settings)
        await site.start()
        return site

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def sockets() -> Iterator[Callable[[int], socket.socket]]:
    """Return a function that connects to a port; what it gives is closed with the test."""
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(
            socket.create_connection(("127.0.0.1", port), timeout=10)
        )


async def asked(port: int, context: ssl.SSLContext | None = None, request: bytes = b"") -> bytes:
    """Return all that is answered on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(request or b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


async def ended(connection: socket.socket) -> bool:
    """Tell whether the server ended a connection: it says so, and sends nothing more."""
    try:
        return await asyncio.to_thread(connection.recv, 1) == b""
    except ConnectionError:
        return True


def still_open(connection: socket.socket) -> bool:
    """Tell whether the server left a connection alone so far."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    return False


async def test_idle_connections_keep_nobody_out(
    listen: Listen, sockets: Callable[[int], socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    """However many only hold on, who comes is answered; the oldest go, and the log says so once."""
    site = await listen(most=4)

    idle = []
    for _ in range(12):
        idle.append(sockets(site.port))
        await asyncio.sleep(0.01)
    answer = await asked(site.port)

    assert answer.endswith(b"well")
    assert all([await ended(each) for each in idle[:8]])
    assert still_open(idle[-1])
    assert [record.getMessage() for record in caplog.records] == [
        "too many connections are open, so those that came first are closed"
    ]


async def test_half_a_handshake_keeps_nobody_out(
    listen: Listen, sockets: Callable[[int], socket.socket], pair: tuple[Pair, Pair]
) -> None:
    """Handshakes that hang delay no other one, and are few at a time."""
    ca, server = pair
    context = server_context(server)
    site = await listen(context=lambda: context, most=8, handshake=30.0)
    trusting = ssl.create_default_context(cafile=ca.cert)

    hanging = []
    for number in range(20):
        hanging.append(sockets(site.port))
        hanging[-1].send(b"\x16\x03\x01\x02\x00" if number % 2 else b"\x16")
        await asyncio.sleep(0.01)
    began = time.monotonic()
    answers = await asyncio.gather(*(asked(site.port, trusting) for _ in range(3)))

    assert [each.endswith(b"well") for each in answers] == [True] * 3
    assert time.monotonic() - began < 15.0
    assert all([await ended(each) for each in hanging[:10]])


async def test_a_handshake_has_its_time(
    listen: Listen, sockets: Callable[[int], socket.socket], pair: tuple[Pair, Pair]
) -> None:
    """A handshake that hangs is ended and told of; a port check and plain HTTP are no handshakes."""
    context = server_context(pair[1])
    told: list[tuple[str, str]] = []
    site = await listen(
        context=lambda: context, handshake=0.2, refused=lambda *refusal: told.append(refusal)
    )

    sockets(site.port).close()
    hanging = sockets(site.port)
    hanging.send(b"\x16\x03")
    plain = sockets(site.port)
    plain.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert await ended(hanging)
    assert await ended(plain)
    assert [address for address, _ in told] == ["127.0.0.1"] * 2
    assert "HTTP_REQUEST" in {reason for _, reason in told}
    assert any("SSL handshake is taking longer" in reason for _, reason in told)


async def test_failed_handshakes_leave_nothing_behind(
    listen: Listen, sockets: Callable[[int], socket.socket], pair: tuple[Pair, Pair]
) -> None:
    """What a handshake took is free at once, and not when garbage is looked for: that is rarely."""
    context = server_context(pair[1])
    told: list[str] = []
    site = await listen(
        context=lambda: context, handshake=30.0, refused=lambda *refusal: told.extend(refusal)
    )
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            with sockets(site.port) as hanging:
                hanging.send(b"\x16\x03\x01\x02\x00")
            with sockets(site.port) as plain:
                plain.send(b"GET / HTTP/1.1\r\n\r\n")
                assert await ended(plain)
        async with asyncio.timeout(10):
            while site._arriving:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
        left = [each for each in gc.get_objects() if isinstance(each, SSLProtocol)]
    finally:
        gc.enable()

    assert len(told) == 40
    assert len(left) <= 2  # the last ones may be on their way


async def test_each_connection_has_the_newest_tls(listen: Listen, pair: tuple[Pair, Pair]) -> None:
    """The context is asked for with each connection, so that a new certificate needs no new listener."""
    ca, server = pair
    given: list[ssl.SSLContext] = []

    def context() -> ssl.SSLContext:
        given.append(server_context(server))
        return given[-1]

    site = await listen(context=context)
    trusting = ssl.create_default_context(cafile=ca.cert)

    await asked(site.port, trusting)
    await asked(site.port, trusting)

    assert len(given) == 2


async def test_a_client_that_reads_nothing_is_dropped(
    listen: Listen, sockets: Callable[[int], socket.socket]
) -> None:
    """What a client does not take is not kept for it for ever."""
    site = await listen(unread=0.5)
    slow = sockets(site.port)
    slow.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
    server = site._runner.server
    assert server is not None

    async with asyncio.timeout(30):
        while not server.connections:  # noqa: ASYNC110 - the server tells nobody when one comes
            await asyncio.sleep(0.01)
        while server.connections:  # noqa: ASYNC110 - nor when it goes, which is what is tested
            await asyncio.sleep(0.05)


async def test_descriptors_are_left_for_others(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections never take more than half of the descriptors that the process may have."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (20, 20))

    site = await listen(most=1000)

    assert site._most == 10


async def test_it_stops_while_handshakes_hang(
    listen: Listen, sockets: Callable[[int], socket.socket], pair: tuple[Pair, Pair]
) -> None:
    """The end waits for nobody, and the port is free after it."""
    context = server_context(pair[1])
    site = await listen(context=lambda: context)
    port, hanging = site.port, sockets(site.port)
    hanging.send(b"\x16")
    await asyncio.sleep(0.05)

    async with asyncio.timeout(5):
        await site.stop()

    assert await ended(hanging)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.fixture
async def served() -> AsyncIterator[int]:
    """Serve the agent's endpoint, which gives up on the silent soon; return its port."""
    app = endpoint.make_app(Handed(snapshots.full()), Exposition("node-a", "prod"))
    limits = endpoint._LIMITS | {"keepalive_timeout": 0.3}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoint, "_LIMITS", limits)
        runner, port = await endpoint.serve(app, "127.0.0.1", 0)
    yield port
    await runner.cleanup()


async def test_http_1_0_is_answered_and_ended(served: int) -> None:
    """An old client without a Host header gets its answer, whose end is the connection's."""
    answer = await asked(served, request=b"GET /metrics HTTP/1.0\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK")
    assert body.startswith(b"# HELP")


@pytest.mark.parametrize(
    "begun", [b"", b"GET /metrics HTTP/1.1\r\nHost: local", b"GET /metrics HTTP/1.1\r\n"]
)
async def test_who_does_not_finish_asking_is_dropped(
    served: int, sockets: Callable[[int], socket.socket], begun: bytes
) -> None:
    """A client that sends nothing, or half a request, loses its connection after the time of an idle one."""
    silent = sockets(served)
    silent.send(begun)

    assert await ended(silent)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/9.9\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"TRACE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", b"405"),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"GET http://evil.example/metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"421"),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
    ],
)
async def test_odd_requests_get_an_error(served: int, request_: bytes, status: bytes) -> None:
    """What is no sensible request is answered by an error, and the server goes on."""
    answer = await asked(served, request=request_)

    assert answer.split()[1] == status
    assert b"Traceback" not in answer
    assert (await asked(served)).startswith(b"HTTP/1.0 200")
