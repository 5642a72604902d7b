"""Runs the collectors and keeps the latest snapshot of what they gave.

Each collector has a loop of its own, so none waits for another; one that misses its deadline is reported
as stalled and not called again until the call comes back. Values live as long as their collector answers:
a failed or stalled one has no values, because an old value that looks fresh is worse than none.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from agent.catalogue import Severity, events
from agent.collector import Collector, Unavailable
from agent.cumulative import Starts
from agent.folding import WINDOW, Folding
from agent.introspection import (
    collector_readings,
    event_readings,
    exporter_readings,
    process_readings,
)
from agent.peers.watch import PeerWatch
from agent.precedence import Precedence
from agent.snapshot import (
    Batch,
    CollectorState,
    Event,
    ExporterState,
    Problem,
    SeriesKey,
    Snapshot,
    Status,
)
from agent.vetting import Vetting

ITSELF: Final = "self"
PEERS: Final = "peers"
EVENTS_KEPT: Final = 200
"""Newest events kept for the status page and late readers; exporters see each one as it comes."""

SETTLING: Final = 0.05
"""Seconds that collectors of the same turn get to come into the same snapshot."""
FIRST_ROUND: Final = 0.15
"""Seconds that the first snapshot waits for all collectors to have run once."""
EVENTS_LOGGED_A_MINUTE: Final = 20
"""Of each kind; the log is for people."""

_LEVELS: Final = {
    Severity.PAGE: logging.ERROR,
    Severity.TICKET: logging.WARNING,
    Severity.INFO: logging.INFO,
}
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slot:
    """What the sampler remembers of one collector."""

    collector: Collector
    state: CollectorState
    folding: Folding
    met: bool = False
    """Whether it has run once, however that ended."""
    batch: Batch | None = None
    """As collected, less what was refused."""
    folded: Batch | None = None
    """As exported; `batch` itself where there is nothing to fold."""
    vetting: Vetting = field(default_factory=Vetting)
    keys: frozenset[SeriesKey] = frozenset()
    """Of all series in `folded`, which are those in `batch` and more."""
    starts: Starts = field(default_factory=Starts)
    task: asyncio.Task[None] | None = None
    """What runs it, while the sampler runs."""


class Sampler:
    """Owns time: runs collectors, judges their state, publishes snapshots.

    ``interval`` (seconds) is how long at most two snapshots are apart; ``window`` (seconds) is how far
    back the exported mean, least and greatest values reach; ``distributions`` makes histograms of some
    gauges as well; ``clock`` gives Unix seconds; ``exporters`` is asked for the state of the exporters at
    each snapshot.
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
        now = clock()
        self._window = window
        self._distributions = distributions
        self._slots = [self._slot(collector, now) for collector in collectors]
        self._tasks: asyncio.TaskGroup | None = None
        self._interval = interval
        self._clock = clock
        self._exporters = exporters
        self._started_at = now
        self._problems: Counter[tuple[str, str]] = Counter()
        self._event_counts: Counter[str] = Counter()
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._event_total = 0
        self._peers = PeerWatch()
        self._logged: dict[str, tuple[int, int]] = {}
        self._own_starts = Starts()
        self._overlaps_told: set[str] = set()
        self._dirty = asyncio.Event()
        self._published = asyncio.Event()
        self._turned_at = time.monotonic()
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
                for slot in self._slots:
                    self._start(slot)
                tasks.create_task(self._publish_for_ever(), name="publish")
        finally:
            self._tasks = None
            for slot in self._slots:
                await slot.collector.close()

    def adopt(self, collector: Collector) -> None:
        """Run one collector more, last in precedence; its name must not be another one's."""
        slot = self._slot(collector, self._clock())
        self._slots = [*self._slots, slot]
        if self._tasks is not None:
            self._start(slot)

    async def dismiss(self, collector: Collector) -> None:
        """Stop a collector, close it and forget it: its series are gone with the next snapshot.

        Does nothing for one that is not run.
        """
        left = [slot for slot in self._slots if slot.collector is collector]
        self._slots = [slot for slot in self._slots if slot.collector is not collector]
        for slot in left:
            for key in [key for key in self._problems if key[0] == collector.name]:
                del self._problems[key]
            self._overlaps_told.discard(collector.name)
            self._dirty.set()
            if slot.task is not None:
                slot.task.cancel()
                await asyncio.wait({slot.task})
            await collector.close()

    def _slot(self, collector: Collector, now: float) -> _Slot:
        return _Slot(
            collector,
            CollectorState(collector.name, Status.UNAVAILABLE, now, "not collected yet"),
            Folding(
                interval=collector.interval,
                window=self._window,
                distributions=self._distributions,
            ),
        )

    def _start(self, slot: _Slot) -> None:
        if self._tasks is not None:
            name = f"collect {slot.collector.name}"
            slot.task = self._tasks.create_task(self._drive(slot), name=name)

    async def next(self, after: int) -> Snapshot:
        """Wait for a snapshot newer than number ``after`` and return the latest."""
        while self.snapshot is None or self.snapshot.sequence <= after:
            await self._published.wait()
        return self.snapshot

    async def _drive(self, slot: _Slot) -> None:
        """Run one collector for ever, on multiples of its interval, never twice at once."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            began = loop.time()
            call = asyncio.ensure_future(slot.collector.collect())
            try:
                done, _ = await asyncio.wait({call}, timeout=slot.collector.deadline)
                if not done:
                    waited = f"no answer for {slot.collector.deadline:g} s"
                    self._settle(slot, Status.STALLED, waited)
                    await asyncio.wait({call})
            finally:
                if not call.done():  # only while being cancelled: a wait swallows the next one
                    call.cancel()
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait({call}, timeout=0)
            self._record(slot, call, loop.time() - began)
            missed = max(0.0, loop.time() - due) // slot.collector.interval
            due += slot.collector.interval * (missed + 1)
            await asyncio.sleep(due - loop.time())

    def _record(self, slot: _Slot, call: asyncio.Future[Batch], duration: float) -> None:
        """Take in how a run ended. A collector may fail in any way: that is its state, not ours."""
        error = asyncio.CancelledError() if call.cancelled() else call.exception()
        if isinstance(error, Unavailable):
            self._settle(slot, Status.UNAVAILABLE, str(error), duration)
        elif error is not None:
            said = f"{type(error).__name__}: {error}"
            self._count(slot, (Problem("collector_failed", slot.collector.name, said),))
            _log.debug("collector %s failed", slot.collector.name, exc_info=error)
            self._settle(slot, Status.FAILED, said, duration)
        elif not self._repeats(slot, call.result(), duration):
            batch, keys = slot.vetting.vet(call.result())
            slot.batch, slot.folded = batch, slot.folding.fold(batch)
            slot.keys = keys | slot.folding.keys
            slot.starts.follow(slot.folded)
            self._count(slot, batch.problems)
            self._take(batch.events)
            self._log_events(batch.events)
            self._settle(slot, Status.OK, "", duration)

    def _repeats(self, slot: _Slot, batch: Batch, duration: float) -> bool:
        """Take a batch that says what the last one said, if it does, without another look at it.

        A collector that looks twice a second for what comes twice a year hands out the same readings.
        """
        last = slot.batch
        if last is None or slot.folded is not last or batch.readings is not last.readings:
            return False
        if batch.events or batch.problems or batch.trains or slot.state.status is not Status.OK:
            return False
        slot.batch = slot.folded = replace(last, taken_at=batch.taken_at)
        slot.state = replace(slot.state, duration=duration, last_success=self._clock())
        return True

    def _settle(
        self, slot: _Slot, status: Status, detail: str, duration: float | None = None
    ) -> None:
        """Move a collector to a state: drop the values of a broken one, tell of a change once."""
        now, was = self._clock(), slot.state
        slot.met = True
        changed = status is not was.status or (was.last_success is None and detail != was.detail)
        slot.state = replace(
            was,
            status=status,
            since=now if status is not was.status else was.since,
            detail=detail,
            duration=was.duration if duration is None else duration,
            last_success=now if status is Status.OK else was.last_success,
            problems=slot.batch.problems if status is Status.OK and slot.batch else (),
        )
        if status is not Status.OK:
            slot.batch, slot.folded, slot.keys = None, None, frozenset()
            slot.folding.lapse()
        if changed:
            self._tell(slot, was.status)
        self._dirty.set()

    def _tell(self, slot: _Slot, was: Status) -> None:
        """Log a change of state, and make it an event where it is bad news or the end of it."""
        state, broken = slot.state, (Status.FAILED, Status.STALLED)
        key = (("warpwatch.collector", state.name),)
        match state.status:
            case Status.OK:
                _log.info("collector %s gives data", state.name)
                if was in broken:
                    body = f"Collector {state.name} gives data again"
                    self._take((Event(events.COLLECTOR_RECOVERED, state.since, body, key),))
            case Status.UNAVAILABLE:
                _log.info("collector %s is unavailable: %s", state.name, state.detail)
            case Status.FAILED | Status.STALLED:
                _log.warning("collector %s %s: %s", state.name, state.status.value, state.detail)
                if was not in broken:
                    body = f"Collector {state.name} {state.status.value}: {state.detail}"
                    detail = (*key, ("error.message", state.detail))
                    self._take((Event(events.COLLECTOR_FAILED, state.since, body, detail),))

    def _count(self, slot: _Slot, problems: Iterable[Problem]) -> None:
        for problem in problems:
            key = (slot.collector.name, problem.reason)
            if key not in self._problems:
                said = " ".join(f"{problem.subject} {problem.detail}".split())
                _log.warning("collector %s: %s: %s (further ones are only counted)", *key, said)
            self._problems[key] += 1

    def _take(self, happened: Iterable[Event]) -> None:
        for event in happened:
            self._event_counts[event.kind.name] += 1
            self._events.append(event)
            self._event_total += 1

    def _log_events(self, happened: Iterable[Event]) -> None:
        """Log what happened; a storm of one kind is cut off, since each is counted and exported."""
        for event in happened:
            name, minute = event.kind.name, int(event.time // 60)
            since, logged = self._logged.get(name, (minute, 0))
            logged = logged + 1 if since == minute else 1
            self._logged[name] = (minute, logged)
            if logged <= EVENTS_LOGGED_A_MINUTE:
                _log.log(_LEVELS[event.kind.severity], "%s: %s", name, " ".join(event.body.split()))

    async def _publish_for_ever(self) -> None:
        """Publish when something is new, at most twice and at least once an interval."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval / 2):
                    await self._dirty.wait()
                    await self._stragglers()
            self._dirty.clear()
            self._turned_at = time.monotonic()
            self.snapshot = self._assemble()
            self._published.set()
            self._published = asyncio.Event()
            await asyncio.sleep(self._interval / 2)

    async def _stragglers(self) -> None:
        """Give the others of a turn their time: a first snapshot with half a node would mislead."""
        if self.snapshot is not None:
            await asyncio.sleep(min(SETTLING, self._interval / 10))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(min(FIRST_ROUND, self._interval / 4)):
                while not all(slot.met for slot in self._slots):
                    self._dirty.clear()
                    await self._dirty.wait()

    def _assemble(self) -> Snapshot:
        """Make a snapshot of what is known now; where two collectors have a series, the first wins."""
        now = self._clock()
        batches, samples, starts = self._merge()
        peers = self._peers.observe(now, batches.values())
        self._take(peers.events)
        if peers.readings:
            batches[PEERS] = peers
        states = tuple(slot.state for slot in self._slots)
        exporters = self._exporters()
        own = Batch(
            now,
            (
                *process_readings(now, self._started_at),
                *collector_readings(states, self._problems),
                *exporter_readings(exporters),
                *event_readings(self._event_counts),
            ),
        )
        self._own_starts.follow(own)
        starts |= self._own_starts.starts
        batches[ITSELF] = own
        return Snapshot(
            sequence=self.snapshot.sequence + 1 if self.snapshot else 1,
            taken_at=now,
            batches=batches,
            collectors=states,
            exporters=exporters,
            events=tuple(self._events),
            event_total=self._event_total,
            starts=starts,
            samples=samples,
        )

    def _merge(self) -> tuple[dict[str, Batch], dict[str, Batch], dict[SeriesKey, float]]:
        """Return what is exported, what was sampled last, and the starts, with no series twice."""
        batches: dict[str, Batch] = {}
        samples: dict[str, Batch] = {}
        starts: dict[SeriesKey, float] = {}
        precedence = Precedence(self._overlaps_told)
        for slot in self._slots:
            if slot.batch is None or slot.folded is None:
                continue
            name = slot.collector.name
            batches[name] = precedence.without_known(name, slot.folded, slot.keys)
            if slot.folded is not slot.batch:
                samples[name] = precedence.without_known(name, slot.batch, slot.keys)
            precedence.add(slot.keys)
            starts |= slot.starts.starts
        return batches, samples, starts
