"""Where a scan takes its page from: a server, by the first of its paths that gives metrics, or a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from agent.collectors.exposition import Faults
from agent.collectors.scrape import (
    Access,
    Body,
    Connections,
    ScrapeError,
    Scraper,
    endpoint,
    text_of,
)
from agent.collectors.serving.detection import detect, is_exposition
from agent.collectors.serving.profile import Profile

_PERHAPS_ELSEWHERE: Final = frozenset({"http_status", "not_metrics"})
"""Reasons after which another path of the same server may do better."""


class Found(NamedTuple):
    """A page that has metrics: where it is from, as it may be shown, and its path."""

    text: str
    shown: str
    path: str
    faults: Faults


def of_file(data: bytes, shown: str) -> Found:
    """Take a saved page. Raises `ScrapeError` where it cannot be metrics."""
    return _judged(Body(data, complete=True), shown, "")


def read_file(path: Path) -> bytes:
    """Return what a file holds. Raises `ScrapeError` that says why it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        detail = f"{path} cannot be read: {error.strerror}; name a file or a URL with http://"
        raise ScrapeError("unreadable", detail) from None


async def of_server(
    url: str, profiles: Sequence[Profile], *, access: Access, seconds: float
) -> Found:
    """Ask a server, at its URL's path or else at all that the profiles know, until one is recognised.

    ``seconds`` are for each of them. Raises `ScrapeError`: the first path's, where none gives metrics; and
    ValueError for a URL that cannot be used.
    """
    paths = dict.fromkeys(("/metrics", *(path for each in profiles for path in each.paths)))
    targets = tuple(dict.fromkeys(endpoint(url, path) for path in paths))
    connections = Connections()
    unknown: list[Found] = []
    failures: list[ScrapeError] = []
    for target in targets:
        scraper = Scraper(target, timeout=seconds, access=access, connections=connections)
        try:
            found = _judged(await scraper.fetch(), target.shown, urlsplit(target.shown).path)
        except ScrapeError as error:
            failures.append(error)
            if error.reason not in _PERHAPS_ELSEWHERE:
                break
        else:
            if detect(found.text, profiles):
                return found
            unknown.append(found)
        finally:
            await scraper.close()
    if unknown:
        return unknown[0]
    raise _told(failures, [target.shown for target in targets])


def _judged(body: Body, shown: str, path: str) -> Found:
    text, undecodable, cut = text_of(body, shown)
    if not is_exposition(text):
        raise ScrapeError(
            "not_metrics", f"{shown} answers something else than metrics; check its path"
        )
    faults = Faults(shown)
    faults.add_text(undecodable=undecodable, cut=cut)
    return Found(text, shown, path, faults)


def _told(failures: Sequence[ScrapeError], shown: Sequence[str]) -> ScrapeError:
    first, tried = failures[0], shown[1 : len(failures)]
    if not tried:
        return first
    return ScrapeError(first.reason, f"{first.detail} (tried as well: {', '.join(tried)})")
