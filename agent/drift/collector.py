"""Drift as a collector: the same sampler, exporters and labels as everything else that Warpwatch tells."""

from collections.abc import Callable
from typing import Final

from agent.catalogue.drift import INTAKE_REFUSED, INTAKE_ROWS
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models
from agent.drift.readings import readings
from agent.snapshot import Batch, Reading

INTERVAL: Final = 1.0
"""Seconds that a row waits at most before it is counted."""


class DriftCollector:
    """Tells what ``models`` counted and what the ``intake`` took and refused.

    ``settle`` is called before, to hand over what waits elsewhere.
    """

    name = "drift"
    interval = INTERVAL
    deadline = 10.0

    def __init__(
        self,
        models: Models,
        intake: IntakeTally,
        clock: Callable[[], float],
        *,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self._models = models
        self._intake = intake
        self._settle = settle
        self._clock = clock

    async def collect(self) -> Batch:
        """Count what waits, and tell all counts."""
        self._settle()
        self._models.count()
        self._models.refresh()
        problems, happened = self._models.take()
        told = [reading for traffic in self._models for reading in readings(traffic)]
        told += (Reading(INTAKE_ROWS, (road,), rows) for road, rows in self._intake.rows.items())
        told += (Reading(INTAKE_REFUSED, key, count) for key, count in self._intake.refused.items())
        return Batch(self._clock(), tuple(told), problems, happened)

    async def close(self) -> None:
        """Nothing is open."""
