"""Runs the collectors and keeps the latest snapshot of what they gave.

Each collector has a loop of its own, so none waits for another. How a collector is run is in `agent.run`,
what is believed of it in `agent.judging`, what a snapshot is made of in `agent.assembly`; here is when.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from agent.assembly import Assembly
from agent.collector import Collector
from agent.folding import WINDOW, Folding
from agent.journal import Journal
from agent.run import Run
from agent.snapshot import ExporterState, Snapshot

SETTLING: Final = 0.05
"""Seconds that collectors of the same turn get to come into the same snapshot."""
FIRST_ROUND: Final = 0.15
"""Seconds that the first snapshot waits for all collectors to have run once."""


class Sampler:
    """Owns time: runs collectors and publishes snapshots.

    ``interval`` (seconds) is how long at most two snapshots are apart, give or take `SETTLING`; ``window``
    (seconds) is how far back the exported mean, least and greatest values reach; ``distributions`` makes
    histograms of some gauges as well; ``clock`` gives Unix seconds; ``exporters`` is asked for the state
    of the exporters at each snapshot.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        *,
        interval: float = 1.0,
        window: float = WINDOW,
        distributions: bool = False,
        clock: Callable[[], float] = time.time,
        exporters: Callable[[], tuple[ExporterState, ...]] = tuple,
    ) -> None:
        self._interval = interval
        self._settling = min(SETTLING, interval / 10)
        self._dirty = asyncio.Event()
        self._published = asyncio.Event()
        self._turned_at = time.monotonic()
        self._window = window
        self._distributions = distributions
        self._clock = clock
        self._journal = Journal()
        self._runs = [self._run(collector) for collector in collectors]
        self._assembly = Assembly(self._runs, self._journal, exporters, clock)
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[Run, asyncio.Task[None]] = {}
        self.snapshot: Snapshot | None = None
        """The latest one; `None` until the first."""

    @property
    def idle_seconds(self) -> float:
        """How long ago the publishing loop last turned: the agent's own pulse."""
        return time.monotonic() - self._turned_at

    async def run(self) -> None:
        """Collect and publish until cancelled; then close the collectors."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                now = asyncio.get_running_loop().time()
                for run in self._runs:
                    self._start(run, now)
                tasks.create_task(self._publish_for_ever(), name="publish")
        finally:
            self._tasks = None
            for run in self._runs:
                await run.collector.close()

    def adopt(self, collector: Collector) -> None:
        """Run one collector more, last in precedence; its name must not be another one's."""
        run = self._run(collector)
        self._runs.append(run)
        if self._tasks is not None:
            self._start(run, asyncio.get_running_loop().time())

    async def dismiss(self, collector: Collector) -> None:
        """Stop a collector, close it and forget it: its series are gone with the next snapshot.

        Does nothing for one that is not run.
        """
        for run in [run for run in self._runs if run.collector is collector]:
            self._runs.remove(run)
            self._journal.forget(collector.name)
            self._assembly.forget(collector.name)
            self._dirty.set()
            task = self._running.pop(run, None)
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
            await collector.close()

    def _run(self, collector: Collector) -> Run:
        folding = Folding(
            interval=collector.interval, window=self._window, distributions=self._distributions
        )
        return Run(collector, folding, self._journal, self._clock, self._dirty.set)

    def _start(self, run: Run, due: float) -> None:
        if self._tasks is not None:
            name = f"collect {run.collector.name}"
            self._running[run] = self._tasks.create_task(run.for_ever(due), name=name)

    async def next(self, after: int) -> Snapshot:
        """Wait for a snapshot newer than number ``after`` and return the latest."""
        while self.snapshot is None or self.snapshot.sequence <= after:
            await self._published.wait()
        return self.snapshot

    async def _publish_for_ever(self) -> None:
        """Publish when something is new, at most four times and at least once an interval.

        With twice, what comes each half interval could keep every snapshot half an interval late.
        """
        loop = asyncio.get_running_loop()
        published = loop.time()
        while True:
            turn = published + self._interval
            with suppress(TimeoutError):
                # A little longer than an interval, or a snapshot would come just before what it waits for.
                async with asyncio.timeout_at(turn + self._settling):
                    await self._dirty.wait()
                    await self._stragglers()
                    if self.snapshot is not None:
                        await asyncio.sleep(published + self._interval / 4 - loop.time())
            self._dirty.clear()
            self._turned_at = time.monotonic()
            sequence = self.snapshot.sequence + 1 if self.snapshot else 1
            self.snapshot = self._assembly.assemble(sequence)
            self._published.set()
            self._published = asyncio.Event()
            published = min(loop.time(), turn)

    async def _stragglers(self) -> None:
        """Give the others of a turn their time: a first snapshot with half a node would mislead."""
        if self.snapshot is not None:
            if any(run.busy for run in self._runs):
                await asyncio.sleep(self._settling)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(min(FIRST_ROUND, self._interval / 4)):
                while not all(run.met for run in self._runs):
                    self._dirty.clear()
                    await self._dirty.wait()
