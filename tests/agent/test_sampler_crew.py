"""Collectors that come and go while the sampler runs."""

import asyncio

from agent.catalogue import gpu, itself
from agent.snapshot import Batch, Problem, Reading, Snapshot
from tests.agent.test_sampler import Scripted, power, running, steady, value_of
from tests.virtual_time import in_virtual_time, unix_now


async def troubled(_call: int) -> Batch:
    """Give a value of another GPU, and a problem."""
    readings = (Reading(gpu.POWER, ("GPU-2", "gpu"), 200.0),)
    return Batch(unix_now(), readings, problems=(Problem("odd", "GPU-2", "odd"),))


def told_of(snapshot: Snapshot, name: str) -> list[str]:
    """Return the metrics that name a collector."""
    return [
        reading.metric.name
        for reading in snapshot.batches["self"].readings
        if name in reading.attributes
    ]


@in_virtual_time
async def test_an_adopted_collector_is_run_like_the_others() -> None:
    """It collects at once and then at its interval, and its values are in the snapshots."""
    first, late = Scripted("first", steady), Scripted("late", troubled)
    async with running(first) as sampler:
        await asyncio.sleep(5.2)

        sampler.adopt(late)
        await asyncio.sleep(2.5)

        assert sampler.snapshot is not None
        assert value_of(sampler.snapshot, gpu.POWER, "GPU-2", "gpu") == 200
        assert [round(at, 3) for at in late.called_at] == [5.2, 6.2, 7.2]
        assert itself.COLLECTOR_PROBLEMS.name in told_of(sampler.snapshot, "late")
    assert late.closed == 1


@in_virtual_time
async def test_a_dismissed_collector_leaves_nothing_behind() -> None:
    """Its values, its state and its counted problems are gone with the next snapshot, and it is closed."""
    first, late = Scripted("first", steady), Scripted("late", troubled)
    async with running(first, late) as sampler:
        await asyncio.sleep(3)
        assert sampler.snapshot is not None

        await sampler.dismiss(late)
        snapshot = await sampler.next(sampler.snapshot.sequence)

        assert value_of(snapshot, gpu.POWER, "GPU-2", "gpu") is None
        assert value_of(snapshot, gpu.POWER, "GPU-1", "gpu") == 100
        assert told_of(snapshot, "late") == []
        assert [state.name for state in snapshot.collectors] == ["first"]
        assert late.closed == 1
        calls = len(late.called_at)
        await asyncio.sleep(3)
        assert len(late.called_at) == calls


@in_virtual_time
async def test_a_collector_that_hangs_can_be_dismissed() -> None:
    """Its call is cancelled, and nothing of it comes later."""

    async def hang(_call: int) -> Batch:
        await asyncio.sleep(1000)
        return power(1)

    late = Scripted("late", hang)
    async with running(Scripted("first", steady)) as sampler:
        sampler.adopt(late)
        await asyncio.sleep(10)

        await sampler.dismiss(late)
        await sampler.dismiss(late)

        assert late.closed == 1
        assert sampler.snapshot is not None
        snapshot = await sampler.next(sampler.snapshot.sequence)
        assert [state.name for state in snapshot.collectors] == ["first"]


@in_virtual_time
async def test_a_collector_adopted_before_the_start_is_run() -> None:
    """What comes before the first turn is run from the first turn on; the same one may come back."""
    late = Scripted("late", troubled)
    async with running(Scripted("first", steady)) as sampler:
        sampler.adopt(late)
        await asyncio.sleep(2)
        await sampler.dismiss(late)
        sampler.adopt(late)
        await asyncio.sleep(2)

        assert sampler.snapshot is not None
        assert value_of(sampler.snapshot, gpu.POWER, "GPU-2", "gpu") == 200
