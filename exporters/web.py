"""The HTTP endpoint: metrics for Prometheus, probes for Kubernetes, the status page for people.

Every answer is made from the last snapshot, so no request ever touches hardware or waits for a collector.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from exporters.guard import add_headers, guard
from exporters.listener import MOST_CONNECTIONS, Listener
from exporters.negotiation import accepts_gzip, wants_openmetrics
from exporters.prometheus import CLASSIC, OPENMETRICS, Exposition
from exporters.release import PATH as RELEASE_PATH
from exporters.release import ReleaseEndpoint
from exporters.request_log import request_logger
from exporters.status.board import Board, Source
from exporters.status.stream import Streams

if TYPE_CHECKING:
    from exporters.access import Access
    from exporters.dcgm import DcgmExposition

HEALTH_LIMIT: Final = 15.0
"""Seconds for which the sampling loop may stand still before `/healthz` says so."""
_LIMITS: Final[dict[str, Any]] = {
    "max_line_size": 4096,
    "max_field_size": 8190,
    "max_headers": 64,
    "keepalive_timeout": 75.0,
    "lingering_time": 1.0,
}
"""Of requests: bytes, bytes, number of headers, seconds idle, seconds spent on an unwanted body."""
_STOPPING: Final = 2.0
"""Seconds that open requests get when the server stops."""


class _Telling:
    """The handlers that every process of ours has: metrics and probes."""

    def __init__(self, source: Source, exposition: Exposition, health_limit: float) -> None:
        self._source = source
        self._exposition = exposition
        self._health_limit = health_limit

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/metrics", self.metrics),
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
        ]

    async def metrics(self, request: web.Request) -> web.Response:
        snapshot = self._source.snapshot
        if snapshot is None:
            return _not_yet()
        headers = {"Vary": "Accept, Accept-Encoding"}
        compressed = accepts_gzip(request.headers.get("Accept-Encoding", ""))
        if compressed:
            headers["Content-Encoding"] = "gzip"
        if wants_openmetrics(request.headers.get("Accept", "")):
            headers["Content-Type"] = OPENMETRICS
            body = self._exposition.openmetrics(snapshot, compressed=compressed)
        else:
            headers["Content-Type"] = CLASSIC
            body = self._exposition.text(snapshot, compressed=compressed)
        return web.Response(body=body, headers=headers)

    async def healthz(self, _: web.Request) -> web.Response:
        idle = self._source.idle_seconds
        if idle <= self._health_limit:
            return web.Response(text="ok\n")
        why = f"the sampling loop last turned {idle:.0f} s ago (limit {self._health_limit:g} s)\n"
        return web.Response(status=503, text=why)

    async def readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ready\n") if self._source.snapshot else _not_yet()


class _Endpoint(_Telling):
    """The handlers of the agent."""

    def __init__(
        self,
        source: Source,
        exposition: Exposition,
        dcgm: "DcgmExposition | None",
        board: Board,
        health_limit: float,
    ) -> None:
        super().__init__(source, exposition, health_limit)
        self._dcgm = dcgm
        self._board = board

    def routes(self) -> list[web.RouteDef]:
        return [
            *super().routes(),
            web.get("/", self.page),
            web.get("/metrics/dcgm", self.dcgm_metrics),
            web.get("/api/v1/status", self.status),
        ]

    async def dcgm_metrics(self, request: web.Request) -> web.Response:
        snapshot = self._source.snapshot
        if snapshot is None:
            return _not_yet()
        headers = {"Content-Type": CLASSIC, "Vary": "Accept-Encoding"}
        compressed = accepts_gzip(request.headers.get("Accept-Encoding", ""))
        if compressed:
            headers["Content-Encoding"] = "gzip"
        body = self._as_dcgm().text(snapshot, compressed=compressed)
        return web.Response(body=body, headers=headers)

    def _as_dcgm(self) -> "DcgmExposition":
        if self._dcgm is None:
            from exporters.dcgm import DcgmExposition  # noqa: PLC0415 - few ask for it

            self._dcgm = DcgmExposition(self._exposition.node)
        return self._dcgm

    async def page(self, _: web.Request) -> web.Response:
        snapshot = self._source.snapshot
        if snapshot is None:
            answer = _not_yet()
            answer.headers["Refresh"] = "1"
            return answer
        from exporters.status import page  # noqa: PLC0415 - with the first visit

        return web.Response(
            body=(await self._board.document(snapshot)).encode("utf-8", "replace"),
            content_type="text/html",
            charset="utf-8",
            headers={"Content-Security-Policy": page.security_policy()},
        )

    async def status(self, _: web.Request) -> web.Response:
        snapshot = self._source.snapshot
        if snapshot is None:
            return _not_yet()
        return web.Response(text=self._board.json(snapshot), content_type="application/json")


def _not_yet() -> web.Response:
    return web.Response(status=503, text="no snapshot yet\n", headers={"Retry-After": "1"})


def make_app(
    source: Source,
    exposition: Exposition,
    *,
    dcgm: "DcgmExposition | None" = None,
    health_limit: float = HEALTH_LIMIT,
    hosts: Collection[str] = (),
    release: ReleaseEndpoint | None = None,
    access: "Access | None" = None,
    clock: Callable[[], float] = time,
) -> web.Application:
    """Return the application. It starts nothing until it is served.

    ``dcgm`` answers `/metrics/dcgm`; without one, it is made for the node of ``exposition``.
    ``health_limit``: seconds, see `HEALTH_LIMIT`; longer than the sampling interval. ``hosts``: names
    that a reverse proxy may pass on to a server on loopback. ``release`` takes requests to let go of the
    driver; without one there is nothing at its path. ``access`` asks who is there. ``clock`` gives Unix
    seconds.
    """
    board = Board(source, exposition.node, exposition.cluster, clock)
    streams = Streams(source, board)
    endpoint = _Endpoint(source, exposition, dcgm, board, health_limit)
    app = web.Application(middlewares=[guard(hosts), *_asking(access)], client_max_size=1)
    app.add_routes([*endpoint.routes(), web.get("/stream", streams.handle)])
    if release is not None:
        app.router.add_post(RELEASE_PATH, release.handle)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(lambda _: streams.close())

    async def follow(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(board.follow(), name="status history")
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app.cleanup_ctx.append(follow)
    return app


def make_intake_app(
    source: Source,
    exposition: Exposition,
    routes: Collection[web.RouteDef],
    *,
    intake: str,
    health_limit: float = HEALTH_LIMIT,
    access: "Access | None" = None,
) -> web.Application:
    """Return the application of a process that also takes bodies, by ``routes`` below the path ``intake``.

    Bounding the bodies is up to the handlers of ``routes``.
    """
    named = ", ".join(sorted({route.path for route in routes}))
    endpoints = f"/metrics, /healthz, /readyz and, to POST to, {named}"
    app = web.Application(
        middlewares=[guard((), intake=intake, endpoints=endpoints), *_asking(access)],
        client_max_size=1,
    )
    app.add_routes([*_Telling(source, exposition, health_limit).routes(), *routes])
    app.on_response_prepare.append(add_headers)
    return app


def _asking(access: "Access | None") -> tuple[Middleware, ...]:
    """Return what asks for credentials: nothing where nobody need ask, so that it costs nothing."""
    return () if access is None else access.middlewares


async def serve(
    app: web.Application,
    host: str,
    port: int,
    *,
    access: "Access | None" = None,
    most: int = MOST_CONNECTIONS,
) -> tuple[web.AppRunner, int]:
    """Listen; return what to clean up and the port (``port`` 0 takes a free one).

    ``access`` says whether there is TLS; ``most`` connections are held at once. Raises OSError
    with a sentence that names the address and the way out, in ``strerror``.
    """
    runner = web.AppRunner(
        app, access_log=None, logger=request_logger(), shutdown_timeout=_STOPPING, **_LIMITS
    )
    await runner.setup()
    try:
        if access is None:
            site = Listener(runner, host, port, most=most)
        else:
            site = Listener(
                runner, host, port, most=most, context=access.context, refused=access.refuse
            )
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise OSError(error.errno, _cannot_listen(host, port, error)) from error
    return runner, site.port


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    reasons = {
        errno.EADDRINUSE: f"port {port} is taken. `ss -ltnp sport = :{port}` names the program",
        errno.EACCES: f"port {port} needs privileges",
        errno.EADDRNOTAVAIL: f"{host} is no address of this machine",
    }
    # Since Python 3.13 asyncio raises it without a number where no address could be bound.
    number = errno.EADDRNOTAVAIL if error.errno is None else error.errno
    reason = reasons.get(number, error.strerror or str(error))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"cannot listen on {address}: {reason}; set `listen` (or --listen) to another address"
