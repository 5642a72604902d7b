"""Stands for a source that was asked for and cannot be had: so that it is said, again and again."""

import asyncio
from collections.abc import Callable

from agent.discovery.target import Target
from agent.snapshot import Problem


class AbsentSource:
    """Finds nothing. ``problem`` says what is missing."""

    def __init__(self, name: str, problem: Problem) -> None:
        self.name = name
        self.targets: tuple[Target, ...] = ()
        self.problems = (problem,)

    async def run(self, changed: Callable[[], None]) -> None:
        """Wait for ever."""
        del changed
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Have nothing to release."""
