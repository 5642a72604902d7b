import asyncio
from pathlib import Path

import pytest

from agent.catalogue import events, gpu, gpu_errors
from agent.collectors.kernel.collector import KernelCollector
from agent.collectors.nvml.collector import NvmlCollector
from agent.collectors.xid.collector import XidCollector
from agent.sampler import Sampler
from agent.simulation.gpus import SimulatedGpus
from agent.simulation.spec import parse_spec
from agent.snapshot import Batch, Event
from agent.vetting import vet
from agent.xid.bursts import SILENCE
from agent.xid.ledger import XidLedger
from agent.xid.sighting import KnownGpu, Sighting

NOW = 1_700_000_000.0
GPU = KnownGpu("GPU-a", "0000:91:00.0", "GPU 0 H100", "550.54.15")
SWITCH = "0000:c1:00.0"


def kernel(code: int, text: str = "", at: float = NOW) -> Sighting:
    """Return an XID as the kernel log has it."""
    return Sighting("kernel", code, at, at, pci=GPU.pci, text=text, pid=42, process="python3")


def sxid(text: str) -> Sighting:
    """Return an error of a switch."""
    fatal = text.startswith("Fatal")
    return Sighting("kernel", 20034, NOW, NOW, pci=SWITCH, text=text, switch=True, fatal=fatal)


class Node:
    """A ledger with one GPU, and the collector that settles it."""

    def __init__(self) -> None:
        self.now = NOW
        self.ledger = XidLedger()
        self.ledger.know(GPU)
        self.collector = XidCollector(self.ledger, clock=lambda: self.now)

    async def hear(self, *sightings: Sighting) -> Batch:
        """Tell the ledger; return what the collector makes of it."""
        self.ledger.hear("kernel", self.now, sightings)
        return await self.collector.collect()


def counts(batch: Batch) -> dict[tuple[str, ...], object]:
    """Return the counters that moved."""
    return {
        (metric.name, *attributes): value
        for metric, attributes, value in batch.readings
        if value != 0
    }


async def test_an_error_is_told_with_all_that_is_known() -> None:
    """An event says which GPU, which process, what it means, what NVIDIA says to do, and the driver."""
    batch = await Node().hear(kernel(79, "GPU has fallen off the bus."))

    (event,) = batch.events
    assert event.kind is events.GPU_XID_FATAL
    assert event.time == NOW
    assert event.body == (
        "GPU 0 H100 reported XID 79 (GPU has fallen off the bus) while python3 used it: "
        "reboot the machine"
    )
    assert dict(event.attributes) == {
        "hw.id": "GPU-a",
        "hw.gpu.xid.code": 79,
        "hw.gpu.xid.name": "GPU has fallen off the bus",
        "hw.gpu.xid.class": "page",
        "hw.gpu.xid.action": "RESTART_BM",
        "hw.gpu.xid.source": "kernel",
        "hw.gpu.pci.bus_id": "0000:91:00.0",
        "hw.driver_version": "550.54.15",
        "process.pid": 42,
        "process.executable.name": "python3",
        "error.message": "GPU has fallen off the bus.",
    }


async def test_counters_move_by_code_urgency_and_burst() -> None:
    """An error moves the counter of its code, of its urgency, and of the burst that it begins."""
    node = Node()
    before = await node.hear()

    after = await node.hear(kernel(79), kernel(31), sxid("Fatal, Link 48"))

    assert counts(before) == {}
    assert {metric for metric, _, _ in before.readings} == {
        gpu.XID_EVENTS,
        gpu_errors.XID_FAULTS,
        gpu_errors.XID_BURSTS,
    }
    assert counts(after) == {
        ("hw.gpu.xid.events", "GPU-a", "79"): 1,
        ("hw.gpu.xid.events", "GPU-a", "31"): 1,
        ("hw.gpu.xid.faults", "GPU-a", "page"): 1,
        ("hw.gpu.xid.faults", "GPU-a", "info"): 1,
        ("hw.nvswitch.sxid.events", SWITCH, "20034"): 1,
        ("hw.gpu.xid.bursts", "page"): 1,
    }
    assert vet(after)[0] == after


async def test_idle_the_same_readings_are_given() -> None:
    """As long as nothing happens the readings are the same objects."""
    node = Node()

    assert (await node.hear()).readings is (await node.hear()).readings


@pytest.mark.parametrize(
    ("sighting", "kind", "said"),
    [
        (kernel(63), events.GPU_XID_TICKET, "memory row remapped"),
        (kernel(31), events.GPU_XID, "restart the application"),
        (kernel(4711, "novel"), events.GPU_XID_TICKET, "(unknown)"),
        (kernel(79, "SIMULATED"), events.GPU_XID, "made to test something"),
        (kernel(145, "RLW_NOVEL"), events.GPU_XID_TICKET, "could not be decoded"),
        (sxid("Fatal, Link 48 LTSSM Fault Up"), events.NVSWITCH_SXID_FATAL, "LTSSM Fault Up"),
        (sxid("Non-fatal, Link 4"), events.NVSWITCH_SXID, SWITCH),
        (sxid("Fatal, SIMULATED"), events.NVSWITCH_SXID, "SIMULATED"),
    ],
)
async def test_kinds_of_events(sighting: Sighting, kind: object, said: str) -> None:
    """The kind of an event follows its urgency, and its sentence says what matters."""
    (event,) = (await Node().hear(sighting)).events

    assert event.kind is kind
    assert said in event.body
    assert {key for key, _ in event.attributes} <= {one.key for one in event.kind.attributes}


async def test_a_burst_is_told_when_it_is_over() -> None:
    """The end of a burst is one event with all its codes, the most frequent first."""
    node = Node()
    await node.hear(kernel(79), *[kernel(45)] * 30, sxid("Fatal, Link 1"))
    node.now += SILENCE + 1

    (event,) = (await node.hear()).events

    assert event.kind is events.GPU_XID_BURST
    assert event.time == NOW
    assert dict(event.attributes) == {
        "hw.gpu.xid.class": "page",
        "hw.gpu.xid.burst.errors": 32,
        "hw.gpu.xid.burst.duration": 0.0,
        "hw.gpu.xid.burst.codes": "XID 45, SXID 20034, XID 79",
    }
    assert "32 driver errors on 2 devices is over, worst page: XID 45 (30)" in event.body


async def test_what_cannot_be_counted_is_a_problem() -> None:
    """A code out of range is a problem, in a bounded number."""
    batch = await Node().hear(*[kernel(123_456)] * 100)

    assert [problem.reason for problem in batch.problems] == ["xid_refused"] * 20
    assert batch.events == ()


async def test_the_simulated_node_counts_once_with_both_collectors() -> None:
    """With a ledger the library's collector leaves counting and telling to the collector of XIDs."""
    now = 0.0
    gpus = SimulatedGpus(parse_spec("1xT4"), clock=lambda: now)
    ledger = XidLedger()
    nvml = NvmlCollector(gpus, ledger=ledger, clock=lambda: NOW + now)
    xids = XidCollector(ledger, clock=lambda: NOW + now)
    told: list[Event] = []
    for second in range(60):
        now = float(second)
        seen = await nvml.collect()
        assert gpu.XID_EVENTS not in {metric for metric, _, _ in seen.readings}
        last = await xids.collect()
        told += [*seen.events, *last.events]
    await nvml.close()

    assert [event.kind for event in told] == [events.GPU_XID]
    assert [value for name, value in counts(last).items() if name[0] == "hw.gpu.xid.events"] == [1]


async def test_from_a_line_to_the_snapshot_within_a_second(tmp_path: Path) -> None:
    """A line of the kernel log is an event and a count of the snapshot in at most a second."""
    log = tmp_path / "kern.log"
    log.touch()
    ledger = XidLedger()
    ledger.know(GPU)
    sampler = Sampler([KernelCollector(ledger, path=log), XidCollector(ledger)], interval=1.0)
    running = asyncio.create_task(sampler.run())
    snapshot = await sampler.next(0)
    while not snapshot.batches.get("xid"):
        snapshot = await sampler.next(snapshot.sequence)
    loop = asyncio.get_running_loop()

    with log.open("a", encoding="ascii") as file:
        file.write("kernel: NVRM: Xid (PCI:0000:91:00): 79, pid=1, name=x, GPU has fallen off\n")
    began = loop.time()
    while not snapshot.events:
        snapshot = await sampler.next(snapshot.sequence)
    took = loop.time() - began
    running.cancel()
    await asyncio.wait({running})

    assert [event.kind for event in snapshot.events] == [events.GPU_XID_FATAL]
    assert counts(snapshot.batches["xid"])["hw.gpu.xid.events", "GPU-a", "79"] == 1
    assert took < 1.5, "the budget is 1 s; the rest is for a machine that is busy with other tests"


async def test_news_wakes_the_collector() -> None:
    """What a source hears in its thread is news; nothing more to tell is none."""
    ledger = XidLedger()
    collector = XidCollector(ledger)
    waiting = asyncio.create_task(collector.news())
    await asyncio.sleep(0)
    ledger.hear("nvml", 1.0)  # the first word of a source, and no error yet
    await asyncio.wait_for(waiting, 1)
    await collector.collect()

    silent = asyncio.create_task(collector.news())
    ledger.hear("nvml", 2.0)
    await asyncio.sleep(0)
    assert not silent.done()

    await asyncio.to_thread(ledger.hear, "nvml", 3.0, [Sighting("nvml", 79, 3.0, 2.0, "GPU-1")])
    await asyncio.wait_for(silent, 1)


async def test_what_was_heard_while_nobody_waited_is_news() -> None:
    """An error that comes between two waits is not left for the next turn."""
    ledger = XidLedger()
    collector = XidCollector(ledger)
    ledger.hear("nvml", 1.0, [Sighting("nvml", 79, 1.0, 0.5, "GPU-1")])

    await asyncio.wait_for(collector.news(), 1)
