"""Which path of a server gives its metrics, where the configured URL names none."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from agent.collectors.scrape import Body, Endpoint, NoSuchPageError, ScrapeError, Scraper

_PERHAPS_ELSEWHERE: Final = frozenset({"not_metrics", "unknown_server"})
"""Reasons after which another path of the same server may do better, as after one that is not there."""
_REST: Final = 12
"""Scrapes between two rounds of all paths while none of them gives metrics; between, one is asked."""

Read = TypeVar("Read")


class Route:
    """Fetches from the first path whose page can be read, and remembers it.

    ``targets`` are tried in order, all within ``timeout`` seconds. ``scraper`` makes what fetches one.
    """

    def __init__(
        self, targets: Sequence[Endpoint], scraper: Callable[[Endpoint], Scraper], timeout: float
    ) -> None:
        self._targets = tuple(targets)
        self._make = scraper
        self._timeout = timeout
        self._scrapers: dict[Endpoint, Scraper] = {}
        self._known: Endpoint | None = None
        self._rest = 0

    async def read(self, reader: Callable[[Body, str], Awaitable[Read]]) -> Read:
        """Return what ``reader`` makes of the page. Raises `ScrapeError`: the first path's, if none did.

        ``reader`` is given the page and where it is from, as it may be shown.
        """
        ends = time.monotonic() + self._timeout
        candidates = self._candidates()
        failures: list[ScrapeError] = []
        for target in candidates:
            try:
                async with asyncio.timeout(ends - time.monotonic() if failures else None):
                    body = await self._scraper(target).fetch()
                found = await reader(body, target.shown)
            except ScrapeError as error:
                failures.append(error)
                elsewhere = isinstance(error, NoSuchPageError)
                if not elsewhere and error.reason not in _PERHAPS_ELSEWHERE:
                    break
            except TimeoutError:
                break
            else:
                self._known, self._rest = target, 0
                return found
        self._lose(asked=len(candidates))
        try:
            raise _told(failures[0], candidates[1 : len(failures)])
        finally:  # or each would hold the frame that holds it, and with it a page, until it is collected
            failures.clear()

    async def close(self) -> None:
        """Leave the connections. Safe to call twice, and before the first fetch."""
        for scraper in self._scrapers.values():
            await scraper.close()

    def _candidates(self) -> tuple[Endpoint, ...]:
        if self._known is not None:
            return (self._known,)
        return self._targets[:1] if self._rest else self._targets

    def _lose(self, *, asked: int) -> None:
        """Take in a failure: a known path is asked once more alone, then all are again."""
        if self._known is not None:
            self._targets = (self._known, *(t for t in self._targets if t != self._known))
            self._known = None
        elif asked > 1:
            self._rest = _REST
        else:
            self._rest = max(0, self._rest - 1)

    def _scraper(self, target: Endpoint) -> Scraper:
        scraper = self._scrapers.get(target)
        if scraper is None:
            scraper = self._scrapers[target] = self._make(target)
        return scraper


def _told(error: ScrapeError, others: Sequence[Endpoint]) -> ScrapeError:
    if not others:
        return error
    paths = ", ".join(target.shown for target in others)
    return ScrapeError(error.reason, f"{error.detail} (tried as well: {paths})")
