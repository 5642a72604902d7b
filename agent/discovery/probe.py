"""Asks a place whether it is a model server, and takes nothing but a page for an answer."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from agent.collectors.exposition import INLINE_BYTES
from agent.collectors.scrape import Body, Connections, ScrapeError, Scraper, endpoint, text_of
from agent.discovery.target import Target

TIMEOUT: Final = 4.0
"""Seconds, for each URL: as long as a scrape may take."""
_STARTED: Final = re.compile(
    r"^process_start_time_seconds(?:\{[^\n]*\})?[ \t]+([-+.\w]+)", re.MULTILINE
)
_NOTHING_THERE: Final = frozenset(
    {"connection_refused", "connection_failed", "connection_reset", "timeout", "not_http"}
)
"""Whatever the path, the answer would be the same."""


class Answer(NamedTuple):
    """What a place said. ``url`` is the one that gave a known server's page, ``kind`` whose it is.

    Both are empty where it is none; then ``reason`` and ``detail`` say why. ``started`` is when the
    process began that wrote the page, as it was written there; empty where the page does not tell.
    """

    url: str = ""
    kind: str = ""
    reason: str = ""
    detail: str = ""
    started: str = ""


NOT_ASKED: Final = Answer()
Recognise = Callable[[str], str]
"""Returns the name of the kind of server that wrote a page; empty where it is not known."""

Ask = Callable[[Target, Recognise, Connections], Awaitable[Answer]]


async def ask(target: Target, recognise: Recognise, connections: Connections) -> Answer:
    """Try the URLs of a target in order. Never raises for what is wrong over there."""
    answer = Answer()
    for url in target.urls:
        answer = await _ask(url, target, recognise, connections)
        if answer.kind or answer.reason in _NOTHING_THERE or answer.reason == "unauthorized":
            return answer
    return answer


async def _ask(url: str, target: Target, recognise: Recognise, connections: Connections) -> Answer:
    where = endpoint(url)
    scraper = Scraper(where, timeout=TIMEOUT, access=target.access, connections=connections)
    try:
        body = await scraper.fetch()
        large = len(body.data) > INLINE_BYTES
        kind, started = (
            await asyncio.to_thread(_look, body, where.shown, recognise)
            if large
            else _look(body, where.shown, recognise)
        )
    except ScrapeError as error:
        return Answer(reason=error.reason, detail=error.detail)
    finally:
        await scraper.close()
    if kind:
        return Answer(url, kind, started=started)
    return Answer(reason="unknown_server", detail=f"{where.shown} is no model server that is known")


def _look(body: Body, shown: str, recognise: Recognise) -> tuple[str, str]:
    """Return whose page it is, and when its process began."""
    text = text_of(body, shown).text
    found = _STARTED.search(text)
    return recognise(text), found[1] if found else ""
