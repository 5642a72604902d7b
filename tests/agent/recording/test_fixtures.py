"""The recordings that are kept: what was recorded once can be played for ever."""

from pathlib import Path

import pytest

from agent.catalogue import gpu, gpu_mig, gpu_owners
from agent.collectors.nvml.collector import NvmlCollector
from agent.recording.replay import ReplayedGpus
from agent.snapshot import Batch

FOLDER = Path(__file__).parents[2] / "fixtures" / "recordings"
RECORDINGS = sorted(FOLDER.iterdir())


async def played(path: Path, seconds: int) -> list[Batch]:
    """Play a recording, a run a second."""
    ticks = [0.0]
    collector = NvmlCollector(ReplayedGpus(path, clock=lambda: ticks[-1]), clock=lambda: ticks[-1])
    batches: list[Batch] = []
    while len(batches) < seconds:
        batches.append(await collector.collect())
        ticks.append(ticks[-1] + 1)
    await collector.close()
    return batches


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
async def test_it_plays(path: Path) -> None:
    """A recording of an earlier agent plays without a problem, and begins again at its end."""
    batches = await played(path, 250)

    assert {one for batch in batches for one in batch.problems} == set()
    assert all(batch.readings for batch in batches)


async def test_the_simulated_node() -> None:
    """The faults of the simulated node happen in its recording too."""
    batches = await played(FOLDER / "simulated_8xH100.jsonl.gz", 190)

    kinds = {event.kind.name for batch in batches for event in batch.events}
    devices = {
        one.value for batch in batches for one in batch.readings if one.metric == gpu.DEVICES
    }
    assert {"gpu.oom", "gpu.xid.fatal", "gpu.lost"} <= kinds
    assert devices == {8}


async def test_the_divided_gpu() -> None:
    """The parts of a divided GPU and the owners of its processes are in a recording."""
    batch = (await played(FOLDER / "simulated_library_2xH100_mig.jsonl.gz", 4))[-1]

    metrics = [one.metric for one in batch.readings]
    assert metrics.count(gpu_mig.MIG_INFO) == 3
    assert metrics.count(gpu_mig.MIG_MEMORY_LIMIT) == 2
    assert metrics.count(gpu_owners.OWNER_MEMORY) == 2
