"""Drift as a collector: the same sampler, exporters and labels as everything else that Warpwatch tells."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from agent.catalogue.drift import INTAKE_REFUSED, INTAKE_ROWS
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models
from agent.drift.readings import readings, replica_scores
from agent.drift.thresholds import Threshold, ThresholdFile
from agent.snapshot import Batch, Reading

INTERVAL: Final = 1.0
"""Seconds that a row waits at most before it is counted."""


class DriftCollector:
    """Tells what ``models`` counted and what the ``intake`` took and refused.

    ``settle`` is called before, to hand over what waits elsewhere; ``thresholds`` are told as well.
    ``uptime`` gives seconds that never jump.
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
        uptime: Callable[[], float] = time.monotonic,
        thresholds: ThresholdFile | None = None,
    ) -> None:
        self._models = models
        self._intake = intake
        self._settle = settle
        self._thresholds = thresholds
        self._clock = clock
        self._uptime = uptime

    async def collect(self) -> Batch:
        """Count what waits, and tell all counts."""
        self._settle()
        self._models.count()
        self._models.refresh()
        problems, happened = self._models.take()
        if self._thresholds is not None:
            problems += self._thresholds.refresh()
        now = self._uptime()
        told = [reading for traffic in self._models for reading in readings(traffic)]
        told += (reading for traffic in self._models for reading in replica_scores(traffic, now))
        told += (Reading(INTAKE_ROWS, (road,), rows) for road, rows in self._intake.rows.items())
        told += (Reading(INTAKE_REFUSED, key, count) for key, count in self._intake.refused.items())
        told += (each.reading for each in self._learned())
        return Batch(self._clock(), tuple(told), problems, happened)

    def _learned(self) -> Iterator[Threshold]:
        """Return the thresholds of the references in use; those of others would be series for nothing."""
        used = {
            (each.model, each.model_version, each.reference.id)
            for each in self._models
            if each.reference is not None
        }
        for each in self._thresholds.thresholds if self._thresholds else ():
            if (each.model, each.model_version, each.reference) in used:
                yield each

    async def close(self) -> None:
        """Nothing is open."""
