import pytest

from agent.catalogue import EventKind, events
from agent.catalogue import gpu as metrics
from agent.collectors.nvml.collector import NvmlCollector
from agent.simulation.gpus import SimulatedGpus
from agent.simulation.scenario import PERIOD
from agent.simulation.spec import parse_spec
from agent.snapshot import Batch
from agent.vetting import vet

ALWAYS = [
    (45, events.GPU_XID),
    (96, events.GPU_OOM),
    (196, events.GPU_OOM),
    (296, events.GPU_OOM),
]
QUIET = [(226, events.GPU_XID_BURST)]
"""Without a fall, three minutes pass after the first XID in which there is no other."""
FALL = [(150, events.GPU_LOST), (150, events.GPU_XID_FATAL), (240, events.GPU_FOUND)]


async def play(spec: str) -> list[Batch]:
    """Return what the agent's own collector sees of a node, once a second for one period."""
    now = 0.0
    gpus = SimulatedGpus(parse_spec(spec), clock=lambda: now)
    collector = NvmlCollector(gpus, interval=1.0, clock=lambda: 1_700_000_000.0 + now)
    batches = []
    for second in range(int(PERIOD)):
        now = float(second)
        batches.append(await collector.collect())
    await collector.close()
    return batches


@pytest.mark.parametrize(
    ("spec", "story"),
    [
        ("1xT4", ALWAYS + QUIET),
        ("2xA100", ALWAYS + FALL),
        ("8xH100", ALWAYS + FALL),
        ("16xL4", ALWAYS + FALL),
    ],
)
async def test_collector_sees_the_play_and_nothing_else(
    spec: str, story: list[tuple[int, EventKind]]
) -> None:
    """Each event of the play is found at its second, no other is, and every value can be true."""
    batches = await play(spec)

    seen = [(second, event.kind) for second, batch in enumerate(batches) for event in batch.events]
    assert sorted(seen, key=repr) == sorted(story, key=repr)
    assert all(vet(batch)[0] == batch for batch in batches)


async def test_healthy_gpus_have_no_problem() -> None:
    """Whatever befalls the node, nothing that can be read is counted as a problem."""
    batches = await play("8xH100")

    assert {problem for batch in batches for problem in batch.problems} == set()


async def test_lost_gpu_keeps_its_series_of_loss_alone() -> None:
    """While a GPU is lost it has no power or memory, and says that it is lost; the others have theirs."""
    batches = await play("8xH100")

    powers = [sum(r.metric is metrics.POWER for r in batch.readings) for batch in batches]
    lost = [
        sum(int(r.value) for r in batch.readings if r.metric is metrics.LOST and r.value == 1)
        for batch in batches
    ]
    assert powers[:150] == [8] * 150
    assert powers[150:240] == [7] * 90
    assert powers[240:] == [8] * 60
    assert lost == [0] * 150 + [1] * 90 + [0] * 60
