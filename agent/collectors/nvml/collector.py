"""The collector of the GPUs: one thread for the driver, one visit to all GPUs a run."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from agent.collector import Unavailable
from agent.collectors.nvml.driver import DriverGone, DriverInfo, GpuDriver
from agent.collectors.nvml.roster import Roster
from agent.collectors.nvml.visit import Visit
from agent.collectors.xid.telling import Teller
from agent.snapshot import Batch, Event
from agent.worker import Worker
from agent.xid.ledger import XidLedger

RELEASE_SECONDS: Final = 60.0
"""How long the driver is left alone when it is asked back: enough to divide a GPU anew or unload it."""
_CLOSE_SECONDS: Final = 1.0
"""How long closing waits for the driver: one that hangs must not hold up the end of the agent."""


class NvmlCollector:
    """Everything that a `GpuDriver` tells, as readings, problems and events.

    ``interval`` and ``deadline`` are seconds; ``clock`` gives Unix seconds. All calls to the driver are
    made in one thread, and one run is one hop to it. A machine that never had a GPU is `Unavailable`; one
    whose driver goes away while GPUs are known has failed.

    XIDs go to ``ledger``, for an `agent.collectors.xid.XidCollector` to count; without one this collector
    counts them itself.
    """

    name = "nvml"

    def __init__(
        self,
        driver: GpuDriver,
        *,
        interval: float = 1.0,
        deadline: float = 5.0,
        ledger: XidLedger | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.interval = interval
        self.deadline = deadline
        self._driver = driver
        self._clock = clock
        self._worker = Worker("nvml")
        self._used = False
        self._closed = False
        self._left_at = self._away = 0.0
        self._roster = Roster()
        self._ledger = ledger or XidLedger()
        self._teller = None if ledger else Teller(self._ledger)
        self._told: list[Event] = []
        """Events that have not left yet: a driver that goes away halfway must not swallow them."""

    async def collect(self) -> Batch:
        """Read every GPU. See `agent.collector.Collector.collect`."""
        self._used = True
        return await self._worker.call(self._run)

    async def release(self, seconds: float = RELEASE_SECONDS) -> None:
        """Let go of the driver now, and stay away from it for ``seconds``; returns when it is free.

        Until then the collector is `Unavailable`, and nothing of the agent's keeps the driver from being
        unbound, replaced or reconfigured. Asked again meanwhile it stays away for ``seconds`` from then.
        """
        self._left_at, self._away = self._clock(), seconds
        if self._used and not self._closed:
            await self._worker.call(self._leave)

    async def close(self) -> None:
        """Leave the driver, unless it hangs."""
        if self._closed:
            return
        self._closed = True
        if self._used:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._worker.call(self._driver.close)
        self._worker.close()

    def _leave(self) -> None:
        """Close the driver. What goes on meanwhile is not seen, so nobody is judged by it later."""
        self._driver.close()
        for gpu in self._roster.gpus.values():
            gpu.watched, gpu.unowned = {}, None
        self._roster.refusals.forget()

    def _run(self) -> Batch:
        """Read; where the driver went away, connect once more before giving up for this time."""
        if 0.0 <= self._clock() - self._left_at < self._away:  # a clock set back ends it
            until = time.strftime("%H:%M:%S", time.gmtime(self._left_at + self._away))
            raise Unavailable(
                f"the driver was released on request; it is opened again at {until} UTC"
            )
        try:
            return self._read()
        except DriverGone:
            self._driver.close()
            self._roster.refusals.forget()
        try:
            return self._read()
        except DriverGone:
            self._driver.close()
            raise

    def _read(self) -> Batch:
        visit = Visit(
            self._driver, self._open(), self._roster, self._clock(), self._told, self._ledger
        )
        visit.run()
        told, self._told = tuple(self._told), []
        if self._teller:
            xids = self._teller.batch(visit.now)
            visit.readings += xids.readings
            visit.problems += xids.problems
            told += xids.events
        return Batch(
            taken_at=visit.now,
            readings=tuple(visit.readings),
            problems=tuple(visit.problems),
            events=told,
            holders=tuple(visit.holders),
            trains=tuple(visit.trains),
        )

    def _open(self) -> DriverInfo:
        try:
            return self._driver.open()
        except Unavailable as error:
            if self._roster.gpus:
                raise DriverGone(f"there were GPUs, but now: {error}") from error
            raise
