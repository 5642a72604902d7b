"""How a probe ended: an answer as it should be, or one named failure.

Nothing that a server said goes in here but its numbers: answers, like prompts, are nobody's business.
"""

from typing import Final, NamedTuple

from agent.collectors.scrape import ScrapeError

_REASONS: Final = {
    "timeout": "timeout",
    "unauthorized": "unauthorized",
    "unusable_secret": "unauthorized",
    "redirect": "redirect",
    "truncated": "truncated",
    "too_large": "too_large",
    "http_status": "refused",
    "not_http": "malformed",
    "bad_encoding": "malformed",
}
"""What a scrape calls a failure, and what a probe calls it; all else is a connection that was not had."""


class ProbeError(Exception):
    """A probe failed. ``reason`` is one of the catalogue's words; ``detail`` is a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Answer(NamedTuple):
    """What a server answered: seconds, and tokens of prompt and answer together, as far as it tells them.

    ``first_token`` is None for what has no tokens, or where none of them made text.
    """

    model: str
    duration: float
    first_token: float | None = None
    tokens: int | None = None


def failure_of(error: ScrapeError) -> ProbeError:
    """Return the probe's word for what went wrong on the way to the server."""
    return ProbeError(_REASONS.get(error.reason, "unreachable"), error.detail)
