"""The API server, as thin as two requests: list the pods of a node, and watch them."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from agent.collectors.scrape import Access, Connections, ScrapeError
from agent.collectors.scrape.access import Credentials
from agent.collectors.scrape.reasons import explained
from agent.discovery.target import is_own

SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where Kubernetes mounts a pod's token and the authority of the API server."""
OPENED: Final = "OPENED"
_LIST_SECONDS: Final = 30.0
_WATCH_SECONDS: Final = 240
"""How long the server keeps a watch open; then it is opened again where it ended."""
_SILENT_SECONDS: Final = 100.0
"""Bookmarks come each minute; a watch without even those is a connection that died unnoticed."""
_MOST_BYTES: Final = 64 * 2**20
"""Of a list, and of an event: etcd keeps no object above 1.5 MiB."""
_PAGE: Final = 250


class ApiError(Exception):
    """The API server cannot be asked. ``reason`` is a word for a label; the message says what to do."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Gone(ApiError):  # noqa: N818 - a state of the world: it happens each few minutes
    """What was seen last is too old to go on from: list again."""


class ApiServer:
    """Asks one API server about the pods of one node.

    ``access`` has the token, which is sent by https or to this machine alone, and the authority.
    """

    def __init__(
        self,
        url: str,
        node: str,
        *,
        access: Access,
        selector: str = "",
        connections: Connections | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._shown = f"{parts.scheme}://{parts.netloc}"
        self._url = f"{self._shown}{parts.path.rstrip('/')}/api/v1/pods"
        self._trusted = parts.scheme == "https" or is_own(parts.hostname or "")
        self._query = {"fieldSelector": f"spec.nodeName={node}"}
        if selector:
            self._query["labelSelector"] = selector
        self._access = access
        self._credentials = Credentials(access)
        self._connections = connections or Connections()
        self._joined = False

    async def pods(self, version: str) -> tuple[list[object], str]:
        """Return all pods and the version to watch from; ``version`` "0" takes what the server remembers.

        Raises `ApiError`.
        """
        found: list[object] = []
        query = {"limit": str(_PAGE)} | ({"resourceVersion": version} if version else {})
        while True:
            page = await self._page(query)
            meta = page.get("metadata") or {}
            found += page.get("items") or ()
            token = meta.get("continue")
            if not token:
                return found, str(meta.get("resourceVersion") or "")
            query = {"limit": str(_PAGE), "continue": str(token)}

    async def events(self, version: str) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Give what happens from ``version`` on, as kind and object, until the server ends the watch.

        The first one is `OPENED`, of no object: the server agreed. Raises `ApiError`, and `Gone` where
        that version is forgotten.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        limits = aiohttp.ClientTimeout(sock_connect=_LIST_SECONDS, sock_read=_SILENT_SECONDS)
        async with self._answer(query, limits, _SILENT_SECONDS) as response:
            yield OPENED, {}
            async for line in _lines(response.content.iter_any()):
                event = _decoded(line, self._shown)
                kind, thing = str(event.get("type")), event.get("object")
                if not isinstance(thing, dict):
                    raise self._nonsense()
                if kind == "ERROR":
                    raise self._told(thing.get("code"), str(thing.get("message") or ""))
                yield kind, thing

    async def close(self) -> None:
        """Leave the connections. Safe to call twice, and before the first request."""
        if self._joined:
            self._joined = False
            await self._connections.leave()

    async def _page(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        limits = aiohttp.ClientTimeout(total=_LIST_SECONDS)
        async with self._answer(query, limits, _LIST_SECONDS) as response:
            data = bytearray()
            async for chunk in response.content.iter_any():
                data += chunk
                if len(data) > _MOST_BYTES:
                    raise self._nonsense()
        return _decoded(bytes(data), self._shown)

    @asynccontextmanager
    async def _answer(
        self, query: Mapping[str, str], limits: aiohttp.ClientTimeout, seconds: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask, and raise `ApiError` for whatever goes wrong until the answer was read."""
        if not self._joined:
            self._joined = True
            self._connections.join()
        try:
            headers = {"Accept": "application/json", "User-Agent": "warpwatch"}
            if self._trusted:
                headers |= self._credentials.headers()
            async with self._connections.session().get(
                self._url,
                params={**self._query, **query},
                headers=headers,
                ssl=self._connections.contexts.of(self._access, self._shown),
                allow_redirects=False,
                timeout=limits,
            ) as response:
                if response.status != 200:
                    raise self._told(response.status, "")
                yield response
        except ScrapeError as error:
            raise ApiError(error.reason, error.detail) from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            what = explained(error, self._shown, seconds)
            raise ApiError("api_unreachable", f"the Kubernetes API: {what.detail}") from None

    def _told(self, status: object, message: str) -> ApiError:
        said = f" ({message[:120]})" if message else ""
        match status:
            case 410:
                return Gone("api_gone", f"{self._shown} forgot the version that was watched{said}")
            case 401:
                return ApiError(
                    "api_unauthorized",
                    f"{self._shown} does not take the service account's token; is it mounted and fresh?",
                )
            case 403:
                return ApiError(
                    "api_forbidden",
                    f"{self._shown} forbids it; bind the agent's service account to a ClusterRole "
                    "with list and watch of pods, or set discovery.kubernetes to false",
                )
        return ApiError("api_error", f"{self._shown} answers {status}{said}")

    def _nonsense(self) -> ApiError:
        return ApiError(
            "api_error", f"{self._shown} answers something else than the Kubernetes API"
        )


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give whole lines; what comes after the last line's end was cut off and is left out."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _MOST_BYTES:
            raise ApiError("api_error", "an event of the Kubernetes API does not end")
        for line in whole:
            if line.strip():
                yield line


def _decoded(data: bytes, shown: str) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ApiError("api_error", f"{shown} answers something that is no JSON object")
    return found
