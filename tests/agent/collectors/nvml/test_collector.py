import asyncio
import ctypes
import threading
import time
from typing import Any

import pytest

from agent.catalogue import events, gpu
from agent.collector import Unavailable
from agent.collectors.nvml.collector import NvmlCollector
from agent.collectors.nvml.driver import (
    DeviceError,
    DriverGone,
    GpuLost,
    GpuProcess,
    Identity,
    Processes,
    Sample,
    XidEvent,
)
from agent.snapshot import Batch, Holder
from agent.vetting import vet
from tests.agent.collectors.nvml.gpus import Gpus
from tests.agent.collectors.nvml.node import value


def gpus(count: int = 2) -> Gpus:
    """Return healthy GPUs named a, b, c ..."""
    return Gpus([Identity(uuid="abcdefgh"[index]) for index in range(count)])


def names(batch: Batch) -> list[str]:
    """Return the kinds of the events."""
    return [event.kind.name for event in batch.events]


async def test_all_calls_come_from_one_thread_that_is_not_the_loops() -> None:
    """The driver is opened, read and closed by one thread of its own."""
    driver = gpus()
    collector = NvmlCollector(driver)

    await collector.collect()
    await collector.collect()
    await collector.close()

    assert len(driver.threads) == 1
    assert threading.get_ident() not in driver.threads


async def test_close_twice_and_before_the_first_run() -> None:
    """Closing is safe at any time, and does not wake a driver that was never used."""
    driver = gpus()
    collector = NvmlCollector(driver)

    await collector.close()
    await collector.close()

    assert (driver.opened, driver.closed) == (0, 0)


async def test_close_while_a_call_hangs() -> None:
    """A driver that hangs does not hold up the end of the agent."""
    driver = gpus()
    driver.gate = threading.Event()
    collector = NvmlCollector(driver)
    run = asyncio.ensure_future(collector.collect())
    began = time.monotonic()

    await asyncio.sleep(0)
    await collector.close()

    assert time.monotonic() - began < 5
    assert not run.done()
    driver.gate.set()
    await run


async def test_no_gpu_on_this_machine() -> None:
    """A driver that is not there is unavailable, and is asked again at every run."""
    driver = gpus()
    driver.opening = Unavailable("no driver")
    collector = NvmlCollector(driver)
    with pytest.raises(Unavailable, match="no driver"):
        await collector.collect()

    driver.opening = None
    batch = await collector.collect()

    assert value(batch, gpu.DEVICES) == 2
    assert names(batch) == []
    await collector.close()


async def test_driver_goes_away_while_gpus_are_known() -> None:
    """What was there and is gone is a failure, not a machine without GPUs."""
    driver = gpus()
    collector = NvmlCollector(driver)
    await collector.collect()
    driver.opening = Unavailable("no driver")

    with pytest.raises(DriverGone, match="there were GPUs, but now: no driver"):
        await collector.collect()

    await collector.close()


async def test_events_outlive_a_driver_that_goes_away_halfway() -> None:
    """An event of a run that failed is told by the next one that succeeds."""
    driver = gpus()
    collector = NvmlCollector(driver)
    await collector.collect()
    driver.samples = {0: GpuLost("fell"), 1: DriverGone("unloaded")}
    with pytest.raises(DriverGone):
        await collector.collect()

    driver.samples = {0: GpuLost("fell")}
    batch = await collector.collect()

    assert names(batch) == [events.GPU_LOST.name]
    assert batch.events[0].body == "GPU 0 is lost: fell"
    await collector.close()


async def test_a_gpu_that_fails_as_a_whole() -> None:
    """A GPU that gives an error instead of a sample is one problem; it is not lost."""
    driver = gpus()
    driver.samples = {0: DeviceError("timeout", "too slow")}
    collector = NvmlCollector(driver)

    batch = await collector.collect()

    assert [tuple(one) for one in batch.problems] == [("timeout", "a", "too slow")]
    assert value(batch, gpu.LOST, "a") == 0
    assert value(batch, gpu.POWER, "b", "gpu") == 101
    await collector.close()


async def test_a_gpu_that_does_not_say_who_it_is() -> None:
    """A known GPU whose identity fails is a problem, and is neither lost nor forgotten."""
    driver = gpus()
    collector = NvmlCollector(driver)
    await collector.collect()
    driver.identities[0] = DeviceError("no_uuid", "empty")

    batch = await collector.collect()

    assert [one.reason for one in batch.problems] == ["no_uuid"]
    assert (value(batch, gpu.LOST, "a"), value(batch, gpu.DEVICES)) == (0, 2)
    await collector.close()


async def test_processes_and_events_that_fail() -> None:
    """A failing list of processes or of XIDs leaves everything else as it is."""
    driver = gpus()
    driver.lists = {0: DeviceError("no_permission", "not yours")}
    driver.xids = DeviceError("unknown_error", "broken")
    collector = NvmlCollector(driver)

    batch = await collector.collect()

    assert {(one.reason, one.subject) for one in batch.problems} == {
        ("no_permission", "a"),
        ("unknown_error", "xid_events"),
    }
    assert value(batch, gpu.POWER, "a", "gpu") == 100
    assert value(batch, gpu.PROCESSES, "a", "compute") is None
    await collector.close()


async def test_counters_survive_the_loss_of_their_gpu() -> None:
    """Counts go on where they were when a GPU is lost and found."""
    driver = gpus()
    collector = NvmlCollector(driver)
    driver.xids = [XidEvent(0, 79), XidEvent(0, 79)]
    await collector.collect()
    driver.samples = {0: GpuLost("fell")}
    lost = await collector.collect()

    driver.samples = {}
    driver.xids = [XidEvent(0, 79)]
    found = await collector.collect()

    assert value(lost, gpu.XID_EVENTS, "a", "79") == 2
    assert value(found, gpu.XID_EVENTS, "a", "79") == 3
    await collector.close()


async def test_two_lost_before_and_after_a_reload() -> None:
    """Lost GPUs that cannot say who they are stand for the missing ones, and none counts twice."""
    driver = gpus(3)
    collector = NvmlCollector(driver)
    await collector.collect()
    driver.identities = [Identity(uuid="c"), GpuLost("off the bus")]

    batch = await collector.collect()

    assert value(batch, gpu.DEVICES) == 3
    assert [value(batch, gpu.LOST, name) for name in "abc"] == [1, 1, 0]
    assert names(batch) == [events.GPU_LOST.name] * 2
    await collector.close()


async def test_holders() -> None:
    """Each process of a GPU is listed once, the greatest holder first."""
    driver = gpus(1)
    both = GpuProcess(7, "blender", 30)
    driver.lists = {
        0: Processes((both, GpuProcess(8, "python3", 50)), (both, GpuProcess(9, "", None)))
    }
    collector = NvmlCollector(driver)

    batch = await collector.collect()

    assert batch.holders == (
        Holder("a", 8, "python3", 50),
        Holder("a", 7, "blender", 30),
        Holder("a", 9, "", None),
    )
    assert value(batch, gpu.PROCESS_MEMORY, "a", "compute") == 80
    assert value(batch, gpu.PROCESS_MEMORY, "a", "graphics") is None
    assert value(batch, gpu.PROCESSES, "a", "graphics") == 2
    await collector.close()


async def test_all_that_is_read_is_believable() -> None:
    """The batch of a full GPU passes the agent's own vetting whole, in the order of the catalogue."""
    driver = gpus(1)
    numbers: dict[str, Any] = dict.fromkeys(Sample._fields[:21], 1)
    driver.samples = {0: Sample(**numbers, throttle_reasons=frozenset({"sw_thermal"}))}
    collector = NvmlCollector(driver)

    batch = await collector.collect()

    vetted, _ = vet(batch)
    assert vetted.problems == ()
    assert all(len(one.attributes) == len(one.metric.attributes) for one in batch.readings)
    await collector.close()


class Odd(Exception):  # noqa: N818 - a name for what nobody foresaw
    """An error of a kind that nobody foresaw."""


@pytest.mark.parametrize(
    "error", [Odd("x"), ctypes.ArgumentError("x"), ValueError("x"), MemoryError()]
)
@pytest.mark.parametrize("answers", ["samples", "identities", "recents", "lists", "divisions"])
async def test_an_error_that_nobody_foresaw(answers: str, error: Exception) -> None:
    """Whatever goes wrong with one GPU is a problem of that GPU, and the others go on."""
    driver = gpus(3)
    collector = NvmlCollector(driver)
    await collector.collect()
    getattr(driver, answers)[1] = error

    batch = await collector.collect()

    (problem,) = batch.problems
    assert problem.reason == "unexpected_error"
    assert type(error).__name__ in problem.detail
    assert [value(batch, gpu.POWER, uuid, "gpu") for uuid in "ac"] == [100.0, 102.0]
    assert [value(batch, gpu.LOST, uuid) for uuid in "abc"] == [0, 0, 0]
    assert batch.events == ()


async def test_a_value_that_nobody_foresaw() -> None:
    """A value that cannot be made a reading of costs its GPU's readings and no other's."""
    driver = gpus(3)
    driver.samples[1] = Sample(power=101.0, pipe_active=7)  # type: ignore[arg-type]

    batch = await NvmlCollector(driver).collect()

    assert [one.reason for one in batch.problems] == ["unexpected_error"]
    assert [value(batch, gpu.POWER, uuid, "gpu") for uuid in "ac"] == [100.0, 102.0]


async def test_xids_that_nobody_foresaw() -> None:
    """Where the XIDs cannot be read in a way that nobody foresaw the GPUs' values stay."""
    driver = gpus(2)
    driver.xids = Odd("x")

    batch = await NvmlCollector(driver).collect()

    assert [(one.reason, one.subject) for one in batch.problems] == [
        ("unexpected_error", "xid_events")
    ]
    assert value(batch, gpu.POWER, "b", "gpu") == 101.0
