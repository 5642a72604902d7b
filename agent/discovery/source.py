"""What looks for servers, and where it may be."""

from collections.abc import Callable
from typing import Protocol

from agent.discovery.target import Target
from agent.snapshot import Problem


class Source(Protocol):
    """One way to find targets. ``name`` is the catalogue's word for it."""

    name: str

    @property
    def targets(self) -> tuple[Target, ...]:
        """What is known now. What is no longer there must not be here either."""
        ...

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What keeps it from knowing more, now."""
        ...

    async def run(self, changed: Callable[[], None]) -> None:
        """Look for ever, and call ``changed`` after each change; never raises for the world's faults."""
        ...

    async def close(self) -> None:
        """Release everything. Safe to call twice, and before `run`."""
        ...
