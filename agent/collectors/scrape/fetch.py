"""One bounded HTTP GET: in time, in bytes on the wire and unpacked, and in where it leads."""

import asyncio
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

import aiohttp

from agent.collectors.scrape.access import OPEN, Access, Credentials
from agent.collectors.scrape.connections import Connections
from agent.collectors.scrape.endpoint import Endpoint, endpoint
from agent.collectors.scrape.gunzip import Gunzip
from agent.collectors.scrape.reasons import (
    ScrapeError,
    explained,
    refused_status,
    too_large,
    truncated,
)

MAX_BODY: Final = 16 * 2**20
"""Bytes of a page, decoded: some 250 times a usual vLLM page."""
MAX_HOPS: Final = 3
"""Redirects followed within the same host: some web frameworks add or take a slash."""
_HEADERS: Final = {
    # Asked for by version, so that no server switches to OpenMetrics or protobuf.
    "Accept": "text/plain;version=0.0.4",
    "Accept-Encoding": "gzip",
    "User-Agent": "warpwatch",
}
_UNTIMED: Final = aiohttp.ClientTimeout()
"""Of requests whose time is counted by whoever makes them: a second timer would be one too many."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Body(NamedTuple):
    """A page as it came. ``complete`` where HTTP itself says so: by a length, by chunks, by gzip."""

    data: bytes
    complete: bool


class Scraper:
    """Scrapes one endpoint, one request at a time.

    ``timeout`` (seconds) is for everything from resolving the name to the last byte; ``limit`` (bytes) is
    for the decoded page. ``access`` says how to get in. ``connections`` are shared by whoever gave them;
    without any, the scraper has its own.
    """

    def __init__(
        self,
        target: Endpoint,
        *,
        timeout: float,
        limit: int = MAX_BODY,
        access: Access = OPEN,
        connections: Connections | None = None,
    ) -> None:
        self._target = target
        self._timeout = timeout
        self._limit = limit
        self._access = access
        self._credentials = Credentials(access)
        self._connections = connections or Connections()
        self._joined = False
        self._turn = asyncio.Lock()

    async def fetch(self) -> Body:
        """Return the page. Raises `ScrapeError` for whatever goes wrong outside of this process."""
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._follow()
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                raise explained(error, self._target.shown, self._timeout) from None

    async def close(self) -> None:
        """Leave the connections. Safe to call twice, and before the first scrape."""
        if self._joined:
            self._joined = False
            await self._connections.leave()

    def _open(self) -> aiohttp.ClientSession:
        if not self._joined:
            self._joined = True
            self._connections.join()
        return self._connections.session()

    async def _follow(self) -> Body:
        """Ask, and go where a redirect points to as long as it stays on the same host."""
        session, url = self._open(), self._target.url
        headers = {**_HEADERS, **self._credentials.headers()}
        context = self._connections.contexts.of(self._access, self._target.shown)
        for _ in range(MAX_HOPS + 1):
            async with session.get(
                url,
                headers=headers,
                ssl=context,
                server_hostname=self._access.server_name or None,
                allow_redirects=False,
                auto_decompress=False,  # the session's would unpack a bomb before we see its size
                timeout=_UNTIMED,
            ) as response:
                if response.status not in _REDIRECTS:
                    return await self._read(response)
                url = self._next(url, response.headers.get("Location", ""))
        detail = f"{self._target.shown} redirects more than {MAX_HOPS} times; check its path"
        raise ScrapeError("redirect", detail)

    def _next(self, url: str, location: str) -> str:
        """Return where a redirect leads. Another host, port or scheme gets neither us nor our credentials."""
        try:
            there = endpoint(urljoin(url, location), path="/") if location else None
        except ValueError:
            there = None
        if there is None or urlsplit(there.shown)[:2] != urlsplit(self._target.shown)[:2]:
            raise ScrapeError(
                "redirect",
                f"{self._target.shown} redirects to {there.shown[:200] if there else 'nowhere'}, "
                "which is not followed; configure the URL that gives the metrics",
            )
        return there.url

    async def _read(self, response: aiohttp.ClientResponse) -> Body:
        shown, limit, headers = self._target.shown, self._limit, response.headers
        if response.status != 200:
            raise refused_status(shown, response.status, self._access.advice)
        gunzip = (
            Gunzip(shown, limit) if _is_gzip(headers.get("Content-Encoding", ""), shown) else None
        )
        chunks: list[bytes] = []
        size = received = 0
        while chunk := await response.content.readany():
            received += len(chunk)
            chunks.append(gunzip.unpack(chunk, size) if gunzip else chunk)
            size += len(chunks[-1])
            if max(size, received) > limit:
                raise too_large(shown, limit)
        if gunzip and not gunzip.finished:
            raise truncated(shown)
        chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        # Of the one chunk that a usual page comes in, this is no copy.
        return Body(b"".join(chunks), chunked or "Content-Length" in headers or gunzip is not None)


def _is_gzip(encoding: str, shown: str) -> bool:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return False
    if encoding in ("gzip", "x-gzip"):
        return True
    detail = f"{shown} answers in {encoding[:40]!r}, though asked for gzip or plain text"
    raise ScrapeError("bad_encoding", detail)
