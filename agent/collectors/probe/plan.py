"""What is asked of a server, how often, and what it may cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.collectors.scrape import OPEN, Access

PROMPT: Final = "Count to three"
"""Short, harmless, and the same each time: a prefix cache makes it cheaper still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The probe of one server. ``kind`` is one of the catalogue's; ``interval`` and ``timeout`` are seconds.

    ``url`` is where its API is; a path in it stands before the protocol's. ``model`` may be empty for
    ``openai``: then the first one that the server lists is asked. ``chat`` asks for a chat completion,
    ``prompt`` and ``max_tokens`` are of openai alone, ``body`` is the request of the others where none can
    be made of the model's metadata. The budgets are per server.
    """

    kind: str
    url: str
    model: str = ""
    interval: float = 60.0
    timeout: float = 10.0
    chat: bool = False
    prompt: str = PROMPT
    max_tokens: int = 4
    body: Mapping[str, Any] | None = None
    requests_per_minute: int = 6
    tokens_per_day: int = 50_000
    access: Access = OPEN
