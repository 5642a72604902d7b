"""The sampler's promises, in virtual time: cadence, deadlines, states, events and snapshots."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count

import pytest

from agent.catalogue import gpu, itself
from agent.catalogue.events import COLLECTOR_FAILED, COLLECTOR_RECOVERED, EVENT_KINDS, GPU_LOST
from agent.collector import Unavailable
from agent.journal import EVENTS_KEPT, EVENTS_LOGGED_A_MINUTE
from agent.sampler import Sampler
from agent.snapshot import Batch, Event, ExporterState, Reading, Snapshot, Status
from tests.virtual_time import EPOCH, in_virtual_time, unix_now

GPU = "GPU-1"
Behaviour = Callable[[int], Awaitable[Batch]]


class Scripted:
    """A collector that does what it is told; ``behave`` gets the number of the call, from 0."""

    def __init__(self, name: str, behave: Behaviour, *, deadline: float = 3.0) -> None:
        self.name = name
        self.interval = 1.0
        self.deadline = deadline
        self.called_at: list[float] = []
        self.closed = 0
        self._behave = behave

    async def collect(self) -> Batch:
        """Note the call and behave."""
        self.called_at.append(asyncio.get_running_loop().time())
        return await self._behave(len(self.called_at) - 1)

    async def close(self) -> None:
        """Count."""
        self.closed += 1


def power(watts: float, *, hw_id: str = GPU, events: tuple[Event, ...] = ()) -> Batch:
    """Return a batch with one reading."""
    return Batch(unix_now(), (Reading(gpu.POWER, (hw_id, "gpu"), watts),), events=events)


async def steady(_call: int) -> Batch:
    """Give 100 W each time."""
    return power(100)


def value_of(snapshot: Snapshot, metric: object, *attributes: str) -> float | None:
    """Return the value of one series, or None where it is absent."""
    found = [
        reading.value
        for batch in snapshot.batches.values()
        for reading in batch.readings
        if reading.metric is metric and reading.attributes == attributes
    ]
    assert len(found) <= 1, "a series stands in a snapshot twice"
    return float(found[0]) if found else None  # type: ignore[arg-type]


@asynccontextmanager
async def running(
    *collectors: Scripted, clock: Callable[[], float] = unix_now
) -> AsyncIterator[Sampler]:
    """Run a sampler beside the test, and cancel it at the end."""
    sampler = Sampler(collectors, clock=clock)
    task = asyncio.create_task(sampler.run())
    try:
        yield sampler
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def after(sampler: Sampler, seconds: float) -> Snapshot:
    """Let time pass and return the snapshot then."""
    await asyncio.sleep(seconds)
    assert sampler.snapshot is not None
    return sampler.snapshot


def state_of(snapshot: Snapshot, name: str) -> Status:
    """Return the state of the collector of that name."""
    (state,) = (state for state in snapshot.collectors if state.name == name)
    return state.status


@in_virtual_time
async def test_snapshot_holds_what_the_collector_gave() -> None:
    """A snapshot carries the collector's values, its state and the agent's own readings."""
    async with running(Scripted("nvml", steady)) as sampler:
        snapshot = await after(sampler, 1)

    assert value_of(snapshot, gpu.POWER, GPU, "gpu") == 100
    assert state_of(snapshot, "nvml") is Status.OK
    assert value_of(snapshot, itself.COLLECTOR_UP, "nvml") == 1
    assert value_of(snapshot, itself.COLLECTOR_STATE, "nvml", "ok") == 1
    assert value_of(snapshot, itself.COLLECTOR_STATE, "nvml", "stalled") == 0
    assert value_of(snapshot, itself.SNAPSHOT_TIMESTAMP) == snapshot.taken_at


@in_virtual_time
async def test_collectors_run_on_multiples_of_their_interval() -> None:
    """A collector is called each interval, however long a call takes within it."""

    async def slow(_call: int) -> Batch:
        await asyncio.sleep(0.7)
        return power(1)

    collector = Scripted("nvml", slow)

    async with running(collector):
        await asyncio.sleep(4.5)

    assert collector.called_at == pytest.approx([0, 1, 2, 3, 4])


@in_virtual_time
async def test_missed_turns_are_skipped_not_caught_up() -> None:
    """After a call of 2.5 s the next one starts on the grid, once."""

    async def slow_once(call: int) -> Batch:
        await asyncio.sleep(2.5 if call == 0 else 0)
        return power(1)

    collector = Scripted("nvml", slow_once)

    async with running(collector):
        await asyncio.sleep(4.5)

    assert collector.called_at == pytest.approx([0, 3, 4])


@in_virtual_time
async def test_a_hanging_collector_is_stalled_and_loses_its_values() -> None:
    """Past its deadline a collector is stalled, its values are gone, and it is not called again."""

    async def hang_second(call: int) -> Batch:
        if call == 1:
            await asyncio.Event().wait()
        return power(100)

    collector = Scripted("nvml", hang_second, deadline=3)

    async with running(collector) as sampler:
        before = await after(sampler, 3.9)
        stalled = await after(sampler, 1.1)
        later = await after(sampler, 20)

    assert value_of(before, gpu.POWER, GPU, "gpu") == 100
    assert state_of(stalled, "nvml") is Status.STALLED
    assert value_of(stalled, gpu.POWER, GPU, "gpu") is None
    assert value_of(stalled, itself.COLLECTOR_UP, "nvml") == 0
    assert [event.kind for event in later.events] == [COLLECTOR_FAILED]
    assert len(collector.called_at) == 2


@in_virtual_time
async def test_a_stalled_collector_recovers_when_the_call_returns() -> None:
    """What a late call brings is used, and the recovery is an event."""
    door = asyncio.Event()

    async def wait_at_the_door(call: int) -> Batch:
        if call == 0:
            await door.wait()
        return power(50 + call)

    collector = Scripted("nvml", wait_at_the_door, deadline=2)

    async with running(collector) as sampler:
        stalled = await after(sampler, 5.2)
        door.set()
        recovered = await after(sampler, 0.6)

    assert state_of(stalled, "nvml") is Status.STALLED
    assert state_of(recovered, "nvml") is Status.OK
    assert value_of(recovered, gpu.POWER, GPU, "gpu") == 50
    assert [event.kind for event in recovered.events] == [COLLECTOR_FAILED, COLLECTOR_RECOVERED]
    assert value_of(recovered, itself.COLLECTOR_DURATION, "nvml") == pytest.approx(5.2)


@in_virtual_time
async def test_a_hanging_collector_delays_no_other() -> None:
    """Beside a collector that hangs for ever another one keeps its cadence and its values."""

    async def hang(_call: int) -> Batch:
        await asyncio.Event().wait()
        raise AssertionError

    healthy = Scripted("dcgm", steady)

    async with running(Scripted("nvml", hang), healthy) as sampler:
        snapshot = await after(sampler, 9.5)

    assert len(healthy.called_at) == 10
    assert value_of(snapshot, gpu.POWER, GPU, "gpu") == 100


@in_virtual_time
async def test_a_failing_collector_loses_its_values_and_is_counted() -> None:
    """Each failure is a counted problem, the values go at once, and the event comes once."""

    async def fail_later(call: int) -> Batch:
        if call in {2, 3, 4}:
            raise OSError("bus error")
        return power(100)

    async with running(Scripted("nvml", fail_later)) as sampler:
        failed = await after(sampler, 4.9)
        healed = await after(sampler, 1)

    assert state_of(failed, "nvml") is Status.FAILED
    assert value_of(failed, gpu.POWER, GPU, "gpu") is None
    assert value_of(failed, itself.COLLECTOR_PROBLEMS, "nvml", "collector_failed") == 3
    assert value_of(failed, itself.COLLECTOR_LAST_SUCCESS, "nvml") == pytest.approx(EPOCH + 1)
    assert failed.collectors[0].detail == "OSError: bus error"
    assert [event.kind for event in healed.events] == [COLLECTOR_FAILED, COLLECTOR_RECOVERED]
    assert value_of(healed, gpu.POWER, GPU, "gpu") == 100


@in_virtual_time
async def test_a_collector_that_ends_itself_is_a_failure() -> None:
    """A call that was cancelled from within is a failed run, and the next run comes all the same."""

    async def cancelled_first(call: int) -> Batch:
        if call == 1:
            raise asyncio.CancelledError
        return power(100)

    collector = Scripted("nvml", cancelled_first)

    async with running(collector) as sampler:
        failed = await after(sampler, 1.9)
        healed = await after(sampler, 1)

    assert state_of(failed, "nvml") is Status.FAILED
    assert value_of(failed, gpu.POWER, GPU, "gpu") is None
    assert state_of(healed, "nvml") is Status.OK


@in_virtual_time
async def test_an_unavailable_source_is_healthy_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No source: no event, no problem, one line in the log however often it is asked."""
    caplog.set_level(logging.INFO)

    async def absent(_call: int) -> Batch:
        raise Unavailable("no NVIDIA driver on this machine")

    async with running(Scripted("nvml", absent)) as sampler:
        snapshot = await after(sampler, 9.5)

    lines = [record for record in caplog.records if "no NVIDIA driver" in record.getMessage()]
    assert [record.levelname for record in lines] == ["INFO"]
    assert state_of(snapshot, "nvml") is Status.UNAVAILABLE
    assert snapshot.events == ()
    assert value_of(snapshot, itself.COLLECTOR_UP, "nvml") == 0
    assert value_of(snapshot, itself.COLLECTOR_PROBLEMS, "nvml", "collector_failed") is None


@in_virtual_time
async def test_a_source_that_appears_later_heals_by_itself() -> None:
    """A driver loaded after the agent started gives values without a restart and without an event."""

    async def absent_first(call: int) -> Batch:
        if call < 3:
            raise Unavailable("no driver")
        return power(100)

    async with running(Scripted("nvml", absent_first)) as sampler:
        snapshot = await after(sampler, 3.9)

    assert value_of(snapshot, gpu.POWER, GPU, "gpu") == 100
    assert snapshot.events == ()


@in_virtual_time
async def test_the_first_collector_wins_a_shared_series() -> None:
    """Where two collectors give the same series, the one listed first is believed, every time."""

    async def other(_call: int) -> Batch:
        shared = Reading(gpu.POWER, (GPU, "gpu"), 999)
        return Batch(unix_now(), (shared, Reading(gpu.POWER, ("GPU-2", "gpu"), 200)))

    async with running(Scripted("nvml", steady), Scripted("dcgm", other)) as sampler:
        snapshot = await after(sampler, 2)

    assert value_of(snapshot, gpu.POWER, GPU, "gpu") == 100
    assert value_of(snapshot, gpu.POWER, "GPU-2", "gpu") == 200


@in_virtual_time
async def test_facts_about_one_gpu_come_from_one_collector() -> None:
    """Where two collectors describe a GPU in different words, a join finds the first one alone."""

    def described(*facts: str) -> Batch:
        return Batch(unix_now(), (Reading(gpu.INFO, (GPU, *facts), 1),))

    async def nvml(_call: int) -> Batch:
        return described("0", "H100", "NVIDIA", "serial", "pci", "590", "13.1", "vbios")

    async def dcgm(_call: int) -> Batch:
        return described("0", "H100", "NVIDIA", "", "", "590", "", "")

    async with running(Scripted("nvml", nvml), Scripted("dcgm", dcgm)) as sampler:
        snapshot = await after(sampler, 2.5)

    told = [
        (name, reading.attributes[4])
        for name, batch in snapshot.batches.items()
        for reading in batch.readings
        if reading.metric is gpu.INFO
    ]
    assert told == [("nvml", "serial")]


@in_virtual_time
async def test_the_second_collector_takes_over_when_the_first_fails() -> None:
    """A series that the first collector lost is taken from the second."""

    async def fail(call: int) -> Batch:
        if call:
            raise OSError
        return power(100)

    async def other(_call: int) -> Batch:
        return power(999)

    async with running(Scripted("nvml", fail), Scripted("dcgm", other)) as sampler:
        snapshot = await after(sampler, 2)

    assert value_of(snapshot, gpu.POWER, GPU, "gpu") == 999


@in_virtual_time
async def test_impossible_values_are_refused_and_counted() -> None:
    """A value that is not a number is absent, and a problem of its collector."""

    async def nonsense(_call: int) -> Batch:
        return power(math.nan)

    async with running(Scripted("nvml", nonsense)) as sampler:
        snapshot = await after(sampler, 2.9)

    assert value_of(snapshot, gpu.POWER, GPU, "gpu") is None
    assert value_of(snapshot, itself.COLLECTOR_PROBLEMS, "nvml", "not_finite") == 3
    assert state_of(snapshot, "nvml") is Status.OK


@in_virtual_time
async def test_events_are_counted_from_zero() -> None:
    """Every kind of event has a counter before its first event, and each event raises it by one."""

    async def lose_a_gpu(call: int) -> Batch:
        lost = (Event(GPU_LOST, unix_now(), "GPU 1 is lost"),)
        return power(1, events=lost if call in {3, 4} else ())

    async with running(Scripted("nvml", lose_a_gpu)) as sampler:
        early = await after(sampler, 1)
        late = await after(sampler, 5)

    assert [value_of(early, itself.EVENTS, kind.name) for kind in EVENT_KINDS] == [0] * len(
        EVENT_KINDS
    )
    assert value_of(late, itself.EVENTS, GPU_LOST.name) == 2
    assert late.event_total == len(late.events) == 2


@in_virtual_time
async def test_events_reach_the_log_and_a_storm_does_not_fill_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An event is logged at its severity on one line; of a storm, the first of each minute are."""

    async def storm(call: int) -> Batch:
        lost = [Event(GPU_LOST, unix_now(), "GPU 1\nis lost")] * 500
        return power(1, events=tuple(lost) if call == 2 else ())

    async with running(Scripted("nvml", storm)) as sampler:
        await after(sampler, 5)

    logged = [record for record in caplog.records if "is lost" in record.message]
    assert len(logged) == EVENTS_LOGGED_A_MINUTE
    assert {record.levelno for record in logged} == {logging.ERROR}
    assert {record.message for record in logged} == {"gpu.lost: GPU 1 is lost"}


@in_virtual_time
async def test_only_the_newest_events_are_kept() -> None:
    """However many events there were, the snapshot holds the newest and says how many there were."""
    number = count()

    async def many(_call: int) -> Batch:
        return power(
            1, events=tuple(Event(GPU_LOST, unix_now(), str(next(number))) for _ in range(90))
        )

    async with running(Scripted("nvml", many)) as sampler:
        snapshot = await after(sampler, 2.9)

    assert len(snapshot.events) == EVENTS_KEPT
    assert snapshot.event_total == 270
    assert snapshot.events[-1].body == "269"


@in_virtual_time
async def test_cumulative_series_keep_their_start_when_the_clock_is_set_back() -> None:
    """After the clock jumps back an hour no series has started in the future."""
    offset = 0.0

    def clock() -> float:
        return unix_now() - offset

    async def energy(call: int) -> Batch:
        return Batch(clock(), (Reading(gpu.ENERGY, (GPU, "gpu"), float(call)),))

    async with running(Scripted("nvml", energy), clock=clock) as sampler:
        before = await after(sampler, 2.5)
        offset = 3600.0
        afterwards = await after(sampler, 2)

    assert before.starts[gpu.ENERGY, (GPU, "gpu")] == EPOCH
    assert afterwards.taken_at < before.taken_at
    assert afterwards.sequence > before.sequence
    assert max(afterwards.starts.values()) <= afterwards.taken_at


@in_virtual_time
async def test_a_counter_that_falls_starts_anew() -> None:
    """A counter that begins again at a lower value has started since it was last seen."""
    totals = [10.0, 20.0, 5.0, 6.0]

    async def energy(call: int) -> Batch:
        return Batch(unix_now(), (Reading(gpu.ENERGY, (GPU, "gpu"), totals[call]),))

    async with running(Scripted("nvml", energy)) as sampler:
        counted = await after(sampler, 1.9)
        restarted = await after(sampler, 1.9)

    assert counted.starts[gpu.ENERGY, (GPU, "gpu")] == EPOCH
    assert restarted.starts[gpu.ENERGY, (GPU, "gpu")] == pytest.approx(EPOCH + 1)


@in_virtual_time
async def test_snapshots_come_at_least_once_and_at_most_twice_an_interval() -> None:
    """Nothing new still gives a snapshot each interval; a flood of news gives two."""

    async def hang(_call: int) -> Batch:
        await asyncio.Event().wait()
        raise AssertionError

    async with running(Scripted("nvml", hang, deadline=100)) as quiet:
        few = await after(quiet, 30)
    async with running(*(Scripted(f"s{n}", steady) for n in range(20))) as busy:
        many = await after(busy, 10)

    assert 29 <= few.sequence <= 31
    assert 10 <= many.sequence <= 21


@in_virtual_time
async def test_a_batch_that_repeats_the_last_one_makes_no_snapshot_of_its_own() -> None:
    """A collector that hands out the same readings stays fresh, and costs no further snapshots."""
    readings = (Reading(gpu.XID_EVENTS, (GPU, "79"), 0),)

    async def same(_call: int) -> Batch:
        return Batch(unix_now(), readings)

    watcher = Scripted("xid", same)
    watcher.interval = 0.25
    async with running(watcher) as sampler:
        snapshot = await after(sampler, 10)

    assert snapshot.sequence <= 11
    assert snapshot.batches["xid"].readings == readings
    assert snapshot.batches["xid"].taken_at >= snapshot.taken_at - 0.5
    assert snapshot.collectors[0].last_success == snapshot.batches["xid"].taken_at


@in_virtual_time
async def test_next_waits_for_a_newer_snapshot() -> None:
    """A reader that has seen a snapshot is woken with a newer one, without asking in a loop."""
    async with running(Scripted("nvml", steady)) as sampler:
        first = await sampler.next(0)
        second = await sampler.next(first.sequence)

    assert second.sequence > first.sequence
    assert second.taken_at > first.taken_at


@in_virtual_time
async def test_readers_share_one_snapshot() -> None:
    """All who wait get the same object, which nobody can change under the others."""
    async with running(Scripted("nvml", steady)) as sampler:
        one, other = await asyncio.gather(sampler.next(0), sampler.next(0))

    assert one is other


@in_virtual_time
async def test_exporters_are_part_of_the_snapshot() -> None:
    """The state of the exporters is asked for at each snapshot and becomes readings."""
    state = ExporterState("otlp/collector:4318", "metrics", sent=7, failed=1, dropped=2, queued=3)
    sampler = Sampler([], clock=unix_now, exporters=lambda: (state,))
    task = asyncio.create_task(sampler.run())

    snapshot = await sampler.next(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    key = ("otlp/collector:4318", "metrics")
    assert snapshot.exporters == (state,)
    assert value_of(snapshot, itself.EXPORT_ITEMS, *key) == 7
    assert value_of(snapshot, itself.EXPORT_FAILED, *key) == 1
    assert value_of(snapshot, itself.EXPORT_DROPPED, *key) == 2
    assert value_of(snapshot, itself.EXPORT_QUEUE, *key) == 3


@in_virtual_time
async def test_cancelling_closes_every_collector_and_leaves_no_task() -> None:
    """A sampler that ends closes all collectors, also one that hangs in the middle of a call."""

    async def hang(_call: int) -> Batch:
        await asyncio.Event().wait()
        raise AssertionError

    collectors = [Scripted("nvml", hang, deadline=1), Scripted("dcgm", steady)]

    async with running(*collectors) as sampler:
        await after(sampler, 2.5)

    assert [collector.closed for collector in collectors] == [1, 1]


def test_pulse_is_the_age_of_the_last_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's pulse grows while its loop does not turn."""
    monkeypatch.setattr("agent.sampler.time.monotonic", lambda: 10.0)
    sampler = Sampler([])

    monkeypatch.setattr("agent.sampler.time.monotonic", lambda: 42.0)

    assert sampler.idle_seconds == 32.0


class Herald(Scripted):
    """A collector with news at given times of the loop's clock."""

    def __init__(self, behave: Behaviour, *at: float) -> None:
        super().__init__("herald", behave)
        self._at = list(at)

    async def news(self) -> None:
        """Wait for the next of the times, or for ever."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._at[0] - loop.time()) if self._at else math.inf)
        self._at.pop(0)


@in_virtual_time
async def test_news_is_collected_before_its_turn() -> None:
    """A collector that tells of news is asked at once, keeps its turns, and is never asked in a flood."""
    collector = Herald(steady, 1.3, 2.5, 2.5, 2.5)

    async with running(collector):
        await asyncio.sleep(4.5)

    assert collector.called_at == pytest.approx([0, 1, 1.3, 2, 2.5, 2.6, 2.7, 3, 4])


@in_virtual_time
async def test_a_snapshot_waits_for_nobody_when_all_have_come() -> None:
    """Where every collector of the turn has come back, the snapshot is made at once."""
    async with running(Scripted("nvml", steady)) as sampler:
        first = await sampler.next(0)
        second = await sampler.next(first.sequence)

    assert second.taken_at - first.taken_at == pytest.approx(1.0)
    assert second.batches["nvml"].taken_at == second.taken_at


@in_virtual_time
async def test_a_snapshot_waits_a_little_for_who_is_under_way() -> None:
    """A collector that comes back within the settling time is in the snapshot of its turn."""

    async def soon(_call: int) -> Batch:
        await asyncio.sleep(0.03)
        return power(7, hw_id="GPU-2")

    async with running(Scripted("nvml", steady), Scripted("other", soon)) as sampler:
        first = await sampler.next(0)
        second = await sampler.next(first.sequence)

    assert second.batches["other"].taken_at - second.batches["nvml"].taken_at == pytest.approx(0.03)
