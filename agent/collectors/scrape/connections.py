"""The one session that all scrapes share: its connections, its look-ups, its TLS contexts.

A session per server costs memory and a resolver each; with 64 servers that is most of the agent.
"""

from collections.abc import Callable
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver

from agent.collectors.scrape.resolver import Resolver
from agent.collectors.scrape.tls import Contexts

_DNS_SECONDS: Final = 30
"""How long an address is believed: a Service that moves is found again before anybody is paged."""
_IDLE_SECONDS: Final = 20.0
"""How long a connection waits for the next scrape; usual intervals are 5 s and 15 s."""


class Connections:
    """Opens the session with the first scrape and closes it when the last one who used it leaves."""

    def __init__(self, resolver: Callable[[], AbstractResolver] = Resolver) -> None:
        self._resolver = resolver
        self.contexts = Contexts()
        self._session: aiohttp.ClientSession | None = None
        self._users = 0

    def join(self) -> None:
        """Count one user more, who will `leave`."""
        self._users += 1

    async def leave(self) -> None:
        """Count one user less; the last one closes the session. It opens again for whoever comes later."""
        self._users -= 1
        if self._users <= 0 and self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def session(self) -> aiohttp.ClientSession:
        """Return the session. Must be called within the event loop, by somebody who joined."""
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(
                # Each server has one scrape at a time, so the servers are the limit.
                limit=0,
                resolver=self._resolver(),
                ttl_dns_cache=_DNS_SECONDS,
                keepalive_timeout=_IDLE_SECONDS,
            )
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session
