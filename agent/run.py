"""Runs one collector: on its cadence, within its deadline, and judges how it is doing.

A collector that misses its deadline is reported as stalled and not called again until the call comes back. A
failed or stalled one has no values.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from agent.catalogue import events
from agent.collector import Collector, Heralding, Unavailable
from agent.folding import Folding
from agent.journal import Journal
from agent.judging import Judging
from agent.snapshot import Batch, CollectorState, Event, Problem, Status

SPACING: Final = 0.1
"""Seconds between two runs at least, however much news there is: a flood must not keep the agent busy."""
_BROKEN: Final = (Status.FAILED, Status.STALLED)
_log = logging.getLogger(__name__)


class Run:
    """What is known of one collector, and the loop that keeps it so.

    ``journal`` takes in what happens and what goes wrong; ``clock`` gives Unix seconds; ``tell`` is called
    when there is something new.
    """

    def __init__(
        self,
        collector: Collector,
        folding: Folding,
        journal: Journal,
        clock: Callable[[], float],
        tell: Callable[[], None],
    ) -> None:
        self.collector = collector
        # Asked once: whether an object has a protocol's methods takes longer than all else of a turn here.
        self._heralding = collector if isinstance(collector, Heralding) else None
        self.state = CollectorState(
            collector.name, Status.UNAVAILABLE, clock(), "not collected yet"
        )
        self.judging = Judging(folding)
        self.met = False
        """Whether it has run once, however that ended."""
        self.busy = False
        """Whether a run is under way."""
        self._journal = journal
        self._clock = clock
        self._tell = tell

    async def for_ever(self, due: float) -> None:
        """Run the collector on multiples of its interval from ``due`` on, never twice at once.

        ``due`` is of the loop's clock, and the same for all collectors: those of a turn wake the agent once.
        """
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            self.busy = True
            call = asyncio.ensure_future(self.collector.collect())
            try:
                done, _ = await asyncio.wait({call}, timeout=self.collector.deadline)
                if not done:
                    waited = f"no answer for {self.collector.deadline:g} s"
                    self._settle(Status.STALLED, waited)
                    await asyncio.wait({call})
            finally:
                if not call.done():  # only while being cancelled: a wait swallows the next one
                    call.cancel()
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait({call}, timeout=0)
            self.busy = False
            self._record(call, loop.time() - began)
            late = loop.time() - due
            if late >= 0:
                due += self.collector.interval * (late // self.collector.interval + 1)
            await self._rest(began, due)

    async def _rest(self, began: float, due: float) -> None:
        """Wait for the next turn, or for news before it."""
        loop = asyncio.get_running_loop()
        if self._heralding is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._heralding.news()
                    await asyncio.sleep(began + SPACING - loop.time())
            return
        await asyncio.sleep(due - loop.time())

    def _record(self, call: asyncio.Future[Batch], duration: float) -> None:
        """Take in how a run ended. A collector may fail in any way: that is its state, not ours."""
        error = asyncio.CancelledError() if call.cancelled() else call.exception()
        if isinstance(error, Unavailable):
            self._settle(Status.UNAVAILABLE, str(error), duration)
        elif error is not None:
            said = f"{type(error).__name__}: {error}"
            name = self.collector.name
            self._journal.count(name, (Problem("collector_failed", name, said),))
            _log.debug("collector %s failed", name, exc_info=error)
            self._settle(Status.FAILED, said, duration)
        elif self.state.status is Status.OK and self.judging.repeats(call.result()):
            self.state = replace(self.state, duration=duration, last_success=self._clock())
        else:
            batch = self.judging.take(call.result())
            self._journal.count(self.collector.name, batch.problems)
            self._journal.take(batch.events)
            self._journal.log(batch.events)
            self._settle(Status.OK, "", duration, batch.problems)

    def _settle(
        self,
        status: Status,
        detail: str,
        duration: float | None = None,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        """Move to a state: drop the values of a broken collector, tell of a change once."""
        now, was = self._clock(), self.state
        self.met = True
        self.state = CollectorState(
            was.name,
            status,
            since=now if status is not was.status else was.since,
            detail=detail,
            duration=was.duration if duration is None else duration,
            last_success=now if status is Status.OK else was.last_success,
            problems=problems,
        )
        if status is not Status.OK:
            self.judging.drop()
        if status is not was.status or (was.last_success is None and detail != was.detail):
            self._tell_of(was.status)
        self._tell()

    def _tell_of(self, was: Status) -> None:
        """Log a change of state, and make it an event where it is bad news or the end of it."""
        state = self.state
        key = (("warpwatch.collector", state.name),)
        match state.status:
            case Status.OK:
                _log.info("collector %s gives data", state.name)
                if was in _BROKEN:
                    body = f"Collector {state.name} gives data again"
                    self._journal.take((Event(events.COLLECTOR_RECOVERED, state.since, body, key),))
            case Status.UNAVAILABLE:
                _log.info("collector %s is unavailable: %s", state.name, state.detail)
            case Status.FAILED | Status.STALLED:
                _log.warning("collector %s %s: %s", state.name, state.status.value, state.detail)
                if was not in _BROKEN:
                    body = f"Collector {state.name} {state.status.value}: {state.detail}"
                    detail = (*key, ("error.message", state.detail))
                    event = Event(events.COLLECTOR_FAILED, state.since, body, detail)
                    self._journal.take((event,))
