"""The collector of one model server.

A server that is down, slow or talking nonsense is an ordinary state of the world here: it is a reading
(`inference.server.up` 0), a problem that says why, and one event when it changes. It never raises.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from agent.catalogue import events
from agent.catalogue.attributes import DETAIL, PROVIDER, SERVER
from agent.catalogue.serving import SCRAPE_DURATION, SERVER_UP
from agent.collectors.exposition import INLINE_BYTES, Faults, Parser
from agent.collectors.scrape import (
    MAX_BODY,
    OPEN,
    Access,
    Body,
    Connections,
    ScrapeError,
    Scraper,
    endpoint,
    overfull,
    text_of,
)
from agent.collectors.serving.budget import MAX_READINGS, within_budget
from agent.collectors.serving.detection import detect, is_exposition, is_of, profile_named
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.profile import Profile
from agent.snapshot import Batch, Event, Problem, Reading

_GRACE: Final = 2.0
"""Seconds beyond the timeout in which a page must be parsed before the sampler calls it stalled."""


class ServingCollector:
    """Scrapes one model server and tells its metrics in the catalogue's language.

    ``url`` may lack a path; the profile's is used then. ``name`` is the server's name, host:port if empty.
    ``profile`` is the name of one; without it, the page tells. ``interval`` and ``timeout`` are seconds.
    ``access`` says how to get in; ``connections`` may be shared with other scrapers. ``clock`` gives Unix
    seconds. Raises ValueError for a URL that cannot be used and for an unknown profile.

    Until a server without a configured profile has answered once, its provider is not known, and
    `inference.server.up` carries none. A provider once known is kept while the server is down.
    """

    def __init__(  # noqa: PLR0913 - each is a setting with a default
        self,
        url: str,
        *,
        name: str = "",
        profile: str | None = None,
        access: Access = OPEN,
        connections: Connections | None = None,
        interval: float = 5.0,
        timeout: float = 4.0,
        clock: Callable[[], float] = time.time,
        max_body: int = MAX_BODY,
        max_readings: int = MAX_READINGS,
    ) -> None:
        self._configured = profile_named(profile) if profile else None
        target = endpoint(url, self._configured.path if self._configured else "/metrics")
        self._shown = target.shown
        self._server = name or target.address
        self.name = f"serving/{self._server}"
        self.interval = interval
        self.deadline = timeout + _GRACE
        self._scraper = Scraper(
            target, timeout=timeout, limit=max_body, access=access, connections=connections
        )
        self._clock = clock
        self._max_readings = max_readings
        self._reader: _Reader | None = None
        self._up: bool | None = None
        if self._configured:
            self._reader = _Reader(self._configured, self._server)

    async def collect(self) -> Batch:
        """Return what the server says now, or that it is down."""
        began = time.perf_counter()
        try:
            body = await self._scraper.fetch()
            if len(body.data) > INLINE_BYTES:
                readings, problems = await asyncio.to_thread(self._read, body)
            else:
                readings, problems = self._read(body)
        except ScrapeError as error:
            return self._down(error)
        return self._alive(readings, problems, time.perf_counter() - began)

    async def close(self) -> None:
        """Leave the connections."""
        await self._scraper.close()

    def _read(self, body: Body) -> tuple[list[Reading], tuple[Problem, ...]]:
        """Turn a page into readings. Raises `ScrapeError` where it is not a known server's."""
        text, undecodable, cut = text_of(body, self._shown)
        reader = self._reader_of(text)
        faults = Faults(self._server)
        faults.add_text(undecodable=undecodable, cut=cut)
        page = reader.parser.parse(text)
        if page.overfull:
            raise overfull(self._shown)
        faults.add_page(page)
        readings = reader.translation.readings(page, faults)
        return within_budget(readings, self._max_readings, faults), faults.problems()

    def _reader_of(self, text: str) -> "_Reader":
        """Return the reader for this page. Another kind of server may have taken over the address."""
        known = self._reader
        if known is not None and is_of(text, known.profile):
            return known
        found = detect(text)
        if found is None or self._configured is not None:
            raise _unrecognised(text, found, self._configured, self._shown)
        self._reader = _Reader(found, self._server)
        return self._reader

    @property
    def _identity(self) -> tuple[str, str]:
        return (self._server, self._reader.profile.name if self._reader else "")

    def _alive(
        self, readings: list[Reading], problems: tuple[Problem, ...], duration: float
    ) -> Batch:
        now = self._clock()
        happened = () if self._up else (self._event(now, up=True),)
        self._up = True
        own = (
            Reading(SERVER_UP, self._identity, 1.0),
            Reading(SCRAPE_DURATION, self._identity, duration),
        )
        return Batch(now, (*own, *readings), problems, happened)

    def _down(self, error: ScrapeError) -> Batch:
        now = self._clock()
        happened = () if self._up is False else (self._event(now, up=False, why=error.detail),)
        self._up = False
        return Batch(
            now,
            (Reading(SERVER_UP, self._identity, 0.0),),
            (Problem(error.reason, self._server, error.detail),),
            happened,
        )

    def _event(self, now: float, *, up: bool, why: str = "") -> Event:
        kind = events.SERVER_UP if up else events.SERVER_DOWN
        pairs = zip((SERVER.key, PROVIDER.key, DETAIL.key), (*self._identity, why), strict=True)
        body = f"{self._server} gives metrics" if up else f"{self._server} gives no metrics: {why}"
        return Event(kind, now, body, tuple((key, value) for key, value in pairs if value))


class _Reader:
    """What reads the pages of one kind of server; it remembers their series."""

    def __init__(self, profile: Profile, server: str) -> None:
        self.profile = profile
        self.parser = Parser(profile.samples)
        self.translation = Translation(profile, server)


def _unrecognised(
    text: str, found: Profile | None, configured: Profile | None, shown: str
) -> ScrapeError:
    if not is_exposition(text):
        detail = f"{shown} answers something else than metrics; check its path"
        return ScrapeError("not_metrics", detail)
    if configured is None:
        detail = (
            f"{shown} gives metrics, but of no model server that is known; configure its profile"
        )
    elif found is None:
        detail = f"{shown} gives metrics, but none of {configured.name}; check its URL and profile"
    else:
        detail = (
            f"{shown} is configured as {configured.name} and gives metrics of {found.name}; "
            "correct or remove its profile"
        )
    return ScrapeError("unknown_server", detail)
