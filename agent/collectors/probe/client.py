"""One bounded HTTP request of a probe: marked as such, never redirected, read no further than it may be."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

import agent
from agent.collectors.probe.outcome import ProbeError
from agent.collectors.scrape import Access, Connections, ScrapeError, endpoint
from agent.collectors.scrape.access import Credentials
from agent.collectors.scrape.reasons import explained, too_large

MAX_ANSWER: Final = 2**20
"""Bytes of an answer: some thousand times what a handful of tokens takes."""
HEADERS: Final = {
    "User-Agent": f"warpwatch-probe/{agent.__version__}",
    "X-Warpwatch-Probe": "1",
    "Accept-Encoding": "identity",
}
"""So that a log, a gateway or a meter can tell the probe's requests from those of users."""


class Client:
    """Asks one server. ``url`` may have a path, which stands before each of the protocol's.

    Raises ValueError for a URL that cannot be used.
    """

    def __init__(self, url: str, access: Access, connections: Connections) -> None:
        target = endpoint(url, path="/")
        self._base = target.url.partition("?")[0].rstrip("/")
        self.shown = target.shown.rstrip("/")
        self._access = access
        self._credentials = Credentials(access)
        self._connections = connections

    async def get(self, path: str) -> bytes:
        """Return the body of a page that must exist."""
        async with self.open("GET", path) as response:
            return b"".join([chunk async for chunk in self.chunks(response, path)])

    async def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """Return the answer to a request in JSON."""
        async with self.open("POST", path, body) as response:
            return b"".join([chunk async for chunk in self.chunks(response, path)])

    @asynccontextmanager
    async def open(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and give its response, which is 200 and not compressed.

        Raises `ProbeError`, `ScrapeError`, and what aiohttp raises: `Client.explain` tells them apart.
        """
        headers = {**HEADERS, **self._credentials.headers()}
        if body is not None:
            headers["Content-Type"] = "application/json"
        async with self._connections.session().request(
            method,
            f"{self._base}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
            ssl=self._connections.contexts.of(self._access, self.shown),
            server_hostname=self._access.server_name or None,
            allow_redirects=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),  # the probe's own holds for all its requests
        ) as response:
            self._judge(response, path)
            yield response

    async def chunks(self, response: aiohttp.ClientResponse, path: str) -> AsyncIterator[bytes]:
        """Give the body as it comes. Raises `ScrapeError` beyond the limit."""
        received = 0
        async for chunk in response.content.iter_any():
            received += len(chunk)
            if received > MAX_ANSWER:
                raise too_large(f"{self.shown}{path}", MAX_ANSWER)
            yield chunk

    def explain(self, error: BaseException, timeout: float) -> ScrapeError:
        """Return what an exception of the HTTP client means."""
        return explained(error, self.shown, timeout)

    def _judge(self, response: aiohttp.ClientResponse, path: str) -> None:
        where, status = f"{self.shown}{path}", response.status
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if status in (401, 403):
            detail = f"{where} answers {status}: {self._access.advice}"
            raise ProbeError("unauthorized", detail)
        if 300 <= status < 400:
            detail = f"{where} redirects, which a probe does not follow; set the probe's url"
            raise ProbeError("redirect", detail)
        if status != 200:
            raise ProbeError("refused", f"{where} answers {status}; see the server's own log")
        if encoding not in ("", "identity"):
            detail = f"{where} answers compressed, though asked for plain text"
            raise ProbeError("malformed", detail)


def parsed(data: bytes, where: str) -> dict[str, Any]:
    """Return a body that must be an object in JSON. Raises `ProbeError`, which holds nothing of it."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProbeError("malformed", f"{where} answers something else than an object in JSON")
    return found
