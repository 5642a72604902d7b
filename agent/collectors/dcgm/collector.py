"""The collector of one dcgm-exporter."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from agent.collectors.dcgm.fields import NAMES
from agent.collectors.dcgm.readings import readings
from agent.collectors.exposition import INLINE_BYTES, Faults, Parser
from agent.collectors.scrape import (
    MAX_BODY,
    Body,
    Connections,
    ScrapeError,
    Scraper,
    endpoint,
    overfull,
    text_of,
)
from agent.snapshot import Batch

_GRACE: Final = 2.0
"""Seconds beyond the timeout in which a page must be parsed before the sampler calls it stalled."""


class DcgmCollector:
    """Scrapes dcgm-exporter.

    ``url`` may lack a path: ``/metrics`` then. ``interval`` and ``timeout`` are seconds; the exporter itself
    samples each 30 s by default. ``session`` is shared and stays open; without one, the collector opens and
    closes its own. ``clock`` gives Unix seconds. Raises ValueError for a URL that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: Connections | None = None,
        interval: float = 15.0,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.time,
        max_body: int = MAX_BODY,
    ) -> None:
        target = endpoint(url)
        self._shown = target.shown
        self.name = "dcgm"
        self.interval = interval
        self.deadline = timeout + _GRACE
        self._scraper = Scraper(target, timeout=timeout, limit=max_body, connections=connections)
        self._clock = clock
        self._parser = Parser(NAMES)

    async def collect(self) -> Batch:
        """Return what dcgm-exporter says now. Raises `ScrapeError` where it says nothing usable."""
        body = await self._scraper.fetch()
        if len(body.data) > INLINE_BYTES:
            return await asyncio.to_thread(self._read, body)
        return self._read(body)

    async def close(self) -> None:
        """Leave the connections."""
        await self._scraper.close()

    def _read(self, body: Body) -> Batch:
        text = text_of(body, self._shown)
        faults = Faults(self.name)
        page = self._parser.parse(text.text)
        if page.overfull:
            raise overfull(self._shown)
        if not page.samples:
            detail = (
                f"{self._shown} gives no field of DCGM that is known; "
                "is it dcgm-exporter, and has it finished starting?"
            )
            raise ScrapeError("not_metrics", detail)
        faults.add_text(undecodable=text.undecodable, cut=text.cut)
        faults.add_page(page)
        found = readings(page, faults)
        return Batch(self._clock(), tuple(found), faults.problems())
