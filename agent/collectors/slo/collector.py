"""The collector of service level objectives: its source is what the other collectors told last."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agent.catalogue import serving
from agent.slo.ledger import SloLedger
from agent.slo.objective import Objective
from agent.snapshot import Batch, Problem

INTERVAL: Final = 1.0
"""Seconds: servers may be scraped each half second, and a scrape that is missed loses nothing but time."""


class SloCollector:
    """Counts good and all events of ``objectives``.

    ``latest`` returns what the collectors told last, by name, as a snapshot has it; a batch that was seen
    already costs nothing. ``clock`` gives Unix seconds.
    """

    name = "slo"

    def __init__(
        self,
        objectives: Sequence[Objective],
        latest: Callable[[], Mapping[str, Batch]],
        *,
        interval: float = INTERVAL,
        deadline: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.interval = interval
        self.deadline = deadline
        self._ledger = SloLedger(objectives)
        self._latest = latest
        self._clock = clock

    async def collect(self) -> Batch:
        """Return the objectives, and how they have been kept so far."""
        now = self._clock()
        problems: list[Problem] = []
        up = False
        for name, batch in self._latest().items():
            if any(metric is serving.SERVER_UP for metric, _, _ in batch.readings[:1]):
                up = up or batch.readings[0].value == 1
                problems += self._ledger.take(name, batch)
        self._ledger.forget(now)
        if up:
            problems += map(_unmatched, self._ledger.unmatched())
        return Batch(now, tuple(self._ledger.readings()), tuple(problems))

    async def close(self) -> None:
        """Nothing to release."""


def _unmatched(objective: Objective) -> Problem:
    detail = (
        f"no server {objective.server!r} tells {objective.signal} of a model {objective.model!r}; "
        "correct the objective, or wait until the server is up"
    )
    return Problem("nothing_counted", objective.name, detail)
