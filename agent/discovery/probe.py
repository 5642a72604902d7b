"""Asks a place whether it is a model server, and takes nothing but a page for an answer."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from agent.collectors.exposition import INLINE_BYTES
from agent.collectors.scrape import Body, Connections, ScrapeError, Scraper, endpoint, text_of
from agent.discovery.target import Target

TIMEOUT: Final = 4.0
"""Seconds, for each URL: as long as a scrape may take."""
_NOTHING_THERE: Final = frozenset(
    {"connection_refused", "connection_failed", "connection_reset", "timeout", "not_http"}
)
"""Whatever the path, the answer would be the same."""


class Answer(NamedTuple):
    """What a place said. ``url`` is the one that gave a known server's page, ``kind`` whose it is.

    Both are empty where it is none; then ``reason`` and ``detail`` say why.
    """

    url: str = ""
    kind: str = ""
    reason: str = ""
    detail: str = ""


NOT_ASKED: Final = Answer()
Recognise = Callable[[str], str]
"""Returns the name of the kind of server that wrote a page; empty where it is not known."""


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
        kind = (
            await asyncio.to_thread(_kind_of, body, where.shown, recognise)
            if large
            else _kind_of(body, where.shown, recognise)
        )
    except ScrapeError as error:
        return Answer(reason=error.reason, detail=error.detail)
    finally:
        await scraper.close()
    if kind:
        return Answer(url, kind)
    return Answer(reason="unknown_server", detail=f"{where.shown} is no model server that is known")


def _kind_of(body: Body, shown: str, recognise: Recognise) -> str:
    return recognise(text_of(body, shown).text)
