"""The collector of one model server.

A server that is down, slow or talking nonsense is an ordinary state of the world here: it is a reading
(`inference.server.up` 0), a problem that says why, and one event when it changes. It never raises.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from agent.catalogue import events
from agent.catalogue.attributes import DETAIL, PROVIDER, SERVER
from agent.catalogue.serving import SCRAPE_AGE, SCRAPE_DURATION, SERIES_DROPPED, SERVER_UP
from agent.collectors.exposition import INLINE_BYTES, Faults
from agent.collectors.scrape import (
    MAX_BODY,
    OPEN,
    Access,
    Body,
    Connections,
    Endpoint,
    ScrapeError,
    Scraper,
    endpoint,
)
from agent.collectors.serving.budget import SeriesBudget
from agent.collectors.serving.detection import profile_named
from agent.collectors.serving.interpretation import Interpreter
from agent.collectors.serving.profile import Profile
from agent.collectors.serving.profiles import PROFILES
from agent.collectors.serving.route import Route
from agent.snapshot import Batch, Event, Problem, Reading

_USUAL: Final = "/metrics"
_GRACE: Final = 2.0
"""Seconds beyond the timeout in which a page must be parsed before the sampler calls it stalled."""


class ServingCollector:
    """Scrapes one model server and tells its metrics in the catalogue's language.

    ``url`` may lack a path; those of the profiles are tried then. ``name`` is the server's name, host:port
    if empty. ``profile`` is the name of one of ``profiles``; without it, the page tells, and it can be of
    several. ``model`` names the model where the server's labels name none. ``interval`` and ``timeout``
    are seconds. ``access`` says how to get in; ``connections`` may be shared with other scrapers, and so
    may ``series``, of which all who share it have their parts. ``clock`` gives Unix seconds. Raises
    ValueError for a URL that cannot be used and for an unknown profile.

    Until a server without a configured profile has answered once, its provider is not known, and
    `inference.server.up` carries none. A provider once known is kept while the server is down.
    """

    def __init__(  # noqa: PLR0913 - each is a setting with a default
        self,
        url: str,
        *,
        name: str = "",
        profile: str | None = None,
        profiles: Sequence[Profile] = PROFILES,
        model: str = "",
        access: Access = OPEN,
        connections: Connections | None = None,
        interval: float = 5.0,
        timeout: float = 4.0,
        clock: Callable[[], float] = time.time,
        max_body: int = MAX_BODY,
        series: SeriesBudget | None = None,
    ) -> None:
        configured = profile_named(profile, profiles) if profile else None
        targets = _targets(url, profiles if configured is None else (configured,))
        self._server = name or targets[0].address
        self.name = f"serving/{self._server}"
        self.interval = interval
        self.deadline = timeout + _GRACE
        connections = connections or Connections()
        self._route = Route(
            targets,
            lambda target: Scraper(
                target, timeout=timeout, limit=max_body, access=access, connections=connections
            ),
            timeout,
        )
        self._clock = clock
        self._interpreter = Interpreter(self._server, profiles, configured=configured, model=model)
        self._share = (series or SeriesBudget()).join()
        self._up: bool | None = None
        self._seen_at: float | None = None

    async def collect(self) -> Batch:
        """Return what the server says now, or that it is down."""
        began = time.perf_counter()
        try:
            readings, problems = await self._route.read(self._read)
        except ScrapeError as error:
            return self._down(error)
        return self._alive(readings, problems, time.perf_counter() - began)

    async def close(self) -> None:
        """Leave the connections, and the part of the budget."""
        self._share.leave()
        await self._route.close()

    async def _read(self, body: Body, shown: str) -> tuple[list[Reading], tuple[Problem, ...]]:
        if len(body.data) > INLINE_BYTES:
            return await asyncio.to_thread(self._interpreter.read, body, shown)
        return self._interpreter.read(body, shown)

    @property
    def _identity(self) -> tuple[str, str]:
        return (self._server, self._interpreter.provider)

    def _alive(
        self, readings: list[Reading], problems: tuple[Problem, ...], duration: float
    ) -> Batch:
        now = self._clock()
        happened = () if self._up else (self._event(now, up=True),)
        self._up, self._seen_at = True, now
        own: tuple[Reading, ...] = (
            Reading(SERVER_UP, self._identity, 1.0),
            Reading(SCRAPE_DURATION, self._identity, duration),
            Reading(SCRAPE_AGE, self._identity, 0.0),
        )
        faults = Faults(self._server)
        kept = self._share.within(readings, len(own) + 1, faults)  # how many are left out is one
        if len(kept) < len(readings):
            dropped = float(len(readings) - len(kept))
            own = (*own, Reading(SERIES_DROPPED, self._identity, dropped))
        return Batch(now, (*own, *kept), (*problems, *faults.problems()), happened)

    def _down(self, error: ScrapeError) -> Batch:
        now = self._clock()
        happened = () if self._up is False else (self._event(now, up=False, why=error.detail),)
        self._up = False
        readings = [Reading(SERVER_UP, self._identity, 0.0)]
        if self._seen_at is not None:  # the clock may have been set back
            readings.append(Reading(SCRAPE_AGE, self._identity, max(0.0, now - self._seen_at)))
        return Batch(
            now,
            tuple(readings),
            (Problem(error.reason, self._server, error.detail),),
            happened,
        )

    def _event(self, now: float, *, up: bool, why: str = "") -> Event:
        kind = events.SERVER_UP if up else events.SERVER_DOWN
        pairs = zip((SERVER.key, PROVIDER.key, DETAIL.key), (*self._identity, why), strict=True)
        body = f"{self._server} gives metrics" if up else f"{self._server} gives no metrics: {why}"
        return Event(kind, now, body, tuple((key, value) for key, value in pairs if value))


def _targets(url: str, profiles: Sequence[Profile]) -> tuple[Endpoint, ...]:
    """Return where to look for metrics: one place if the URL has a path, else each that is usual."""
    paths = dict.fromkeys(path for profile in profiles for path in profile.paths)
    if len(profiles) > 1:
        paths = dict.fromkeys((_USUAL, *paths))
    return tuple(dict.fromkeys(endpoint(url, path) for path in paths or (_USUAL,)))
