"""One place that is asked until it turns out to be a model server."""

import asyncio
from dataclasses import dataclass

from agent.collector import Collector
from agent.discovery.patience import pause
from agent.discovery.probe import NOT_ASKED, Answer
from agent.discovery.target import Target


@dataclass(slots=True)
class Candidate:
    """What is remembered of a place. ``due`` is when to ask (again), in seconds of the event loop."""

    target: Target
    due: float
    tries: int = 0
    asking: asyncio.Task[None] | None = None
    answer: Answer = NOT_ASKED
    collector: Collector | None = None
    probe: Collector | None = None
    """What asks it for answers, where that is wanted."""

    @property
    def is_server(self) -> bool:
        """Whether it turned out to be one."""
        return self.collector is not None

    def follow(self, target: Target, now: float) -> None:
        """Take in news of the same server; another state of it is worth another try at once."""
        if target.epoch != self.target.epoch:
            self.tries, self.due = 0, now
        self.target = target

    def in_vain(self, answer: Answer, now: float) -> None:
        """Note that it is none (yet)."""
        self.tries += 1
        self.answer = answer
        self.due = now + pause(self.tries, sure=self.target.sure)
