"""What the sampler exports of a window, and what it keeps for eyes, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from agent.assembly import PEERS
from agent.catalogue import Metric, gpu
from agent.catalogue.window import (
    BUSY_TIME,
    PEER_OUTLIER,
    UTILIZATION_DISTRIBUTION,
    UTILIZATION_MAX,
)
from agent.collector import Collector
from agent.sampler import Sampler
from agent.snapshot import Batch, Reading, Snapshot
from tests.agent.peers.standings import batch as gpus_batch
from tests.agent.peers.standings import node
from tests.virtual_time import EPOCH, in_virtual_time, unix_now

BUSY = ("GPU-1", "general")


class Busy:
    """A collector of one GPU whose utilization follows a script, the last word of which stays.

    A number is a share, `None` a call that comes back only after the deadline.
    """

    deadline = 3.0
    interval = 1.0

    def __init__(self, *script: float | None, name: str = "nvml") -> None:
        self.name = name
        self._script = list(script)

    async def collect(self) -> Batch:
        """Give the next value."""
        share = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if share is None:
            await asyncio.sleep(20)
            share = 1.0
        return Batch(unix_now(), (Reading(gpu.UTILIZATION, BUSY, share),))

    async def close(self) -> None:
        """Have nothing to release."""


class Node:
    """A collector of eight GPUs, of which one is hot."""

    name = "nvml"
    deadline = 3.0
    interval = 1.0

    async def collect(self) -> Batch:
        """Give them all."""
        gpus = node()
        gpus[3] = type(gpus[3])(gpus[3].hw_id, temperature=85.0)
        return gpus_batch(unix_now(), gpus)

    async def close(self) -> None:
        """Have nothing to release."""


@asynccontextmanager
async def running(collectors: Sequence[Collector], **options: float) -> AsyncIterator[Sampler]:
    """Run a sampler beside the test, and cancel it at the end."""
    sampler = Sampler(collectors, clock=unix_now, **options)  # type: ignore[arg-type]
    task = asyncio.create_task(sampler.run())
    try:
        yield sampler
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def after(seconds: float, *collectors: Collector, **options: float) -> Snapshot:
    """Return the snapshot when collectors have run for so long."""
    async with running(collectors, **options) as sampler:
        await asyncio.sleep(seconds)
        assert sampler.snapshot is not None
        return sampler.snapshot


def value(batches: Sequence[Batch], metric: Metric, *attributes: str) -> float | None:
    """Return the value of one series in these batches, in which it must not stand twice."""
    found = [
        each.value for one in batches for each in one.readings if each[:2] == (metric, attributes)
    ]
    assert len(found) <= 1
    return float(found[0]) if found else None  # type: ignore[arg-type]


@in_virtual_time
async def test_what_is_exported_is_the_mean_and_what_is_seen_is_the_newest() -> None:
    """One snapshot carries both: exporters say the window, eyes see now."""
    snapshot = await after(3.9, Busy(0.0, 1.0, 0.5, 0.0))

    exported, seen = list(snapshot.batches.values()), list(snapshot.latest.values())
    assert value(exported, gpu.UTILIZATION, *BUSY) == pytest.approx(0.5)
    assert value(exported, UTILIZATION_MAX, *BUSY) == 1.0
    assert value(exported, BUSY_TIME, *BUSY) == pytest.approx(1.5)
    assert value(seen, gpu.UTILIZATION, *BUSY) == 0.0
    assert snapshot.samples.keys() == {"nvml"}
    assert snapshot.latest.keys() == snapshot.batches.keys()


@in_virtual_time
async def test_the_window_can_be_set() -> None:
    """A shorter window forgets earlier."""
    snapshot = await after(3.9, Busy(0.0, 1.0, 0.5, 0.0), window=2.0)

    assert value(list(snapshot.batches.values()), UTILIZATION_MAX, *BUSY) == 0.5


@in_virtual_time
async def test_distributions_come_with_the_option() -> None:
    """Histograms are made where they are asked for."""
    snapshot = await after(2.9, Busy(0.5), distributions=True)

    made = {reading.metric for one in snapshot.batches.values() for reading in one.readings}
    assert UTILIZATION_DISTRIBUTION in made


@in_virtual_time
async def test_a_stall_is_no_busy_time() -> None:
    """Twenty seconds in which the driver hung are not counted, though the GPU was busy before and after."""
    snapshot = await after(24.9, Busy(1.0, 1.0, None, 1.0))

    exported = list(snapshot.batches.values())
    assert value(exported, BUSY_TIME, *BUSY) == pytest.approx(1.0 + 2.0)
    assert value(exported, gpu.UTILIZATION, *BUSY) == 1.0


@in_virtual_time
async def test_two_sources_of_a_gpu_give_its_window_once() -> None:
    """The first source wins, in what is exported and in what is seen, what was folded included."""
    snapshot = await after(3.9, Busy(0.25), Busy(0.75, name="dcgm"))

    for batches in (snapshot.batches, snapshot.latest):
        assert value(list(batches.values()), gpu.UTILIZATION, *BUSY) == 0.25
    for metric in (UTILIZATION_MAX, BUSY_TIME):
        assert value(list(snapshot.batches.values()), metric, *BUSY) is not None


@in_virtual_time
async def test_busy_time_says_since_when_it_counts() -> None:
    """The counter that folding makes has a start, as OTLP wants it."""
    snapshot = await after(3.9, Busy(1.0))

    assert snapshot.starts[BUSY_TIME, BUSY] == pytest.approx(EPOCH)


@in_virtual_time
async def test_scores_of_peers_are_in_the_snapshot() -> None:
    """GPUs are compared as they are exported; the hot one has a score above 6, the others none."""
    snapshot = await after(3.9, Node())

    scores = {
        reading.attributes[0]: reading.value
        for reading in snapshot.batches[PEERS].readings
        if reading.metric is PEER_OUTLIER and reading.attributes[1] == "temperature"
    }
    assert scores.pop("GPU-3") == pytest.approx(6 * 27 / 10)
    assert set(scores.values()) == {0.0}
    assert len(scores) == 7
