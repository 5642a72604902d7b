"""What stands before our own endpoint, as a collector: whom it turned away, and files that went bad."""

import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from agent.catalogue.itself import WEB_REFUSED
from agent.snapshot import Batch, Problem, Reading

INTERVAL: Final = 5.0
"""Seconds until a new certificate, token or user is in use, at most."""


class Watched(Protocol):
    """What protects the endpoint."""

    @property
    def refused(self) -> Mapping[str, int]:
        """How many were turned away, by reason."""
        ...

    def refresh(self) -> tuple[Problem, ...]:
        """Take over files that changed; return what is wrong with them now."""
        ...


class WebCollector:
    """Looks whether files changed, and tells what ``access`` counted. ``clock`` gives Unix seconds."""

    name = "web"
    interval = INTERVAL
    deadline = 4.0

    def __init__(self, access: Watched, clock: Callable[[], float] = time.time) -> None:
        self._access = access
        self._clock = clock

    async def collect(self) -> Batch:
        """Take over what changed, and count."""
        problems = self._access.refresh()
        counted = self._access.refused.items()
        told = tuple(Reading(WEB_REFUSED, (reason,), count) for reason, count in counted)
        return Batch(self._clock(), told, problems)

    async def close(self) -> None:
        """Nothing is open."""
