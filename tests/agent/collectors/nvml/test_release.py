"""Letting go of the driver, and what is told of memory over several visits."""

import asyncio
import threading

import pytest

from agent.catalogue import gpu_owners
from agent.collector import Unavailable
from agent.collectors.nvml.collector import NvmlCollector
from agent.collectors.nvml.driver import GpuProcess, Identity, Processes, Sample
from agent.snapshot import Batch
from tests.agent.collectors.nvml.gpus import Gpus

GIB = 1024**3


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


async def test_the_driver_is_closed_and_opened_again() -> None:
    """Released, the driver is closed at once and not touched until the time is over."""
    clock, gpus = Clock(), Gpus([Identity("GPU-1")])
    collector = NvmlCollector(gpus, clock=clock)
    await collector.collect()

    await collector.release(60)
    closed, opened = gpus.closed, gpus.opened
    clock.now += 59.9
    with pytest.raises(Unavailable, match=r"opened again at 00:17:40 UTC"):
        await collector.collect()
    untouched = gpus.opened == opened
    clock.now += 0.1
    batch = await collector.collect()
    await collector.close()

    assert (closed, untouched) == (1, True)
    assert batch.readings


async def test_asked_again_it_stays_away_longer() -> None:
    """The time counts from the last request."""
    clock = Clock()
    collector = NvmlCollector(Gpus([Identity("GPU-1")]), clock=clock)
    await collector.collect()
    await collector.release(60)
    clock.now += 50
    await collector.release(60)
    clock.now += 50

    with pytest.raises(Unavailable):
        await collector.collect()
    await collector.close()


async def test_before_anything_was_opened() -> None:
    """An agent that has not collected yet stays away as well, and touches no driver for it."""
    clock, gpus = Clock(), Gpus([Identity("GPU-1")])
    collector = NvmlCollector(gpus, clock=clock)

    await collector.release(60)
    with pytest.raises(Unavailable):
        await collector.collect()
    await collector.close()

    assert gpus.opened == 0


async def test_a_clock_that_is_set_back() -> None:
    """A clock that is set back does not keep the agent away for ever."""
    clock = Clock()
    collector = NvmlCollector(Gpus([Identity("GPU-1")]), clock=clock)
    await collector.release(60)
    clock.now -= 500

    batch = await collector.collect()
    await collector.close()

    assert batch.readings


async def test_a_driver_that_hangs() -> None:
    """A request during a call is met as soon as the call comes back."""
    gpus = Gpus([Identity("GPU-1")], gate=threading.Event())
    collector = NvmlCollector(gpus)
    run = asyncio.create_task(collector.collect())
    release = asyncio.create_task(collector.release(60))
    await asyncio.sleep(0.01)
    waiting = (release.done(), gpus.closed)

    assert gpus.gate
    gpus.gate.set()
    await run
    await release

    assert waiting == (False, 0)
    assert gpus.closed == 1
    await collector.close()


async def test_nobody_is_judged_by_what_went_on_meanwhile() -> None:
    """A process that ended while the driver was let go of did not run out of memory."""
    clock = Clock()
    full = Sample(memory_total=80 * GIB, memory_used=79 * GIB, memory_free=GIB // 8)
    gpus = Gpus([Identity("GPU-1")], samples={0: full})
    gpus.lists[0] = Processes((GpuProcess(1, "train", 70 * GIB),), ())
    collector = NvmlCollector(gpus, clock=clock)
    await collector.collect()
    clock.now += 1
    gpus.lists[0] = Processes((GpuProcess(1, "train", 79 * GIB),), ())
    await collector.collect()
    await collector.release(5)
    clock.now += 6
    gpus.lists[0], gpus.samples[0] = Processes((), ()), Sample(memory_total=80 * GIB, memory_used=0)

    batch = await collector.collect()
    await collector.close()

    assert batch.events == ()


def unowned(batch: Batch) -> list[object]:
    """Return the memory that nobody owns, where it is told."""
    return [one.value for one in batch.readings if one.metric == gpu_owners.MEMORY_UNOWNED]


async def test_memory_that_nobody_owns() -> None:
    """Memory that stays without a process is told from the second sight on, until it is freed."""
    gpus = Gpus([Identity("GPU-1")])
    gpus.samples[0] = Sample(memory_total=80 * GIB, memory_used=30 * GIB, memory_reserved=0)
    gpus.lists[0] = Processes((GpuProcess(1, "a", 10 * GIB),), (), complete=True)
    collector = NvmlCollector(gpus)

    told = [unowned(await collector.collect()) for _ in range(2)]
    gpus.lists[0] = Processes((GpuProcess(1, "a", 30 * GIB),), (), complete=True)
    told.append(unowned(await collector.collect()))
    gpus.lists[0] = Processes((GpuProcess(1, "a", None),), (), complete=True)
    told.append(unowned(await collector.collect()))
    await collector.close()

    assert told == [[], [20 * GIB], [0], []]
