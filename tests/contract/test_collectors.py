"""What `agent.collector.Collector` promises, held against every collector that there is."""

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.attribution.collector import JoinCollector, Known
from agent.catalogue import BY_NAME, COMMON, Kind, gpu, serving
from agent.collector import Collector, Unavailable
from agent.collectors.dcgm.collector import DcgmCollector
from agent.collectors.kernel.collector import KernelCollector
from agent.collectors.nvml.collector import NvmlCollector
from agent.collectors.nvml.library import NvmlLibrary
from agent.collectors.scrape import ScrapeError
from agent.collectors.serving.collector import ServingCollector
from agent.collectors.slo.collector import SloCollector
from agent.collectors.web import WebCollector
from agent.simulation.gpus import SimulatedGpus
from agent.simulation.spec import parse_spec
from agent.slo.objective import Objective
from agent.snapshot import Batch, Distribution, Reading
from agent.vetting import vet
from agent.xid.ledger import XidLedger
from exporters.access import open_access
from tests.real_parts.payloads import serving_captures

NOW = 1_700_000_000.0
TOLD = {
    "nvml": Batch(NOW, (Reading(gpu.INFO, ("GPU-1", "0", "NVIDIA H100", *[""] * 7), 1),)),
    "serving/chat": Batch(
        NOW,
        (
            Reading(serving.SERVER_UP, ("chat", "vllm"), 1),
            Reading(
                serving.QUEUE_DURATION,
                ("chat", "vllm", "m", "", ""),
                Distribution((1.0,), (5, 2), 9.0),
            ),
        ),
    ),
}
"""What other collectors told, for those that read it."""
Make = Callable[[str], Collector]
"""Makes a collector whose source is at this base URL, where it has one."""

HEALTHY: dict[str, Make] = {
    "nvml, simulated": lambda _: NvmlCollector(
        SimulatedGpus(parse_spec("8xH100")), clock=lambda: NOW
    ),
    "vllm": lambda url: ServingCollector(f"{url}/vllm/metrics", clock=lambda: NOW),
    "triton": lambda url: ServingCollector(f"{url}/triton/metrics", name="t", clock=lambda: NOW),
    "dcgm": lambda url: DcgmCollector(f"{url}/dcgm/metrics", clock=lambda: NOW),
    "join": lambda url: JoinCollector(
        lambda: TOLD,
        lambda: (Known("chat", url, gpus=("0",)),),
        prices={"*": 2.0},
        clock=lambda: NOW,
    ),
    "slo": lambda _: SloCollector(
        [Objective(name="q", signal="queue", threshold=1.0, target=0.9, window=604_800.0)],
        lambda: TOLD,
        clock=lambda: NOW,
    ),
    "web": lambda _: WebCollector(open_access(), clock=lambda: NOW),
}
ABSENT: dict[str, Make] = {
    "vllm": lambda url: ServingCollector(url, profile="vllm", clock=lambda: NOW),
    "unknown server": lambda url: ServingCollector(url, clock=lambda: NOW),
    "dcgm": lambda url: DcgmCollector(url, clock=lambda: NOW),
}
ABSENT["kernel"] = lambda _: KernelCollector(
    XidLedger(), path=Path("/nowhere/kern.log"), clock=lambda: NOW
)
if not Path("/dev/nvidiactl").exists():
    ABSENT["nvml, no driver"] = lambda _: NvmlCollector(NvmlLibrary(), clock=lambda: NOW)


@pytest.fixture(scope="module")
def captures() -> Iterator[str]:
    """Serve what real servers answered."""
    with serving_captures() as url:
        yield url


@pytest.fixture
def nobody() -> Iterator[str]:
    """Return the URL of a port that is taken and never listened on: a connection is refused."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture(params=HEALTHY)
def healthy(request: pytest.FixtureRequest, captures: str) -> Collector:
    """Return each collector with a source that answers."""
    return HEALTHY[request.param](captures)


@pytest.fixture(params=ABSENT)
def absent(request: pytest.FixtureRequest, nobody: str) -> Collector:
    """Return each collector with a source that is not there."""
    return ABSENT[request.param](nobody)


async def test_says_how_it_wants_to_be_run(healthy: Collector, absent: Collector) -> None:
    """A collector has a name that can be a label, and an interval and a deadline above zero."""
    for collector in (healthy, absent):
        assert re.fullmatch(r"[a-z]+(/[\w.:-]+)?", collector.name)
        assert collector.interval > 0
        assert collector.deadline > 0
        await collector.close()


async def test_close_is_safe_before_the_first_collect(healthy: Collector) -> None:
    """A collector that never ran can be closed, twice."""
    await healthy.close()
    await healthy.close()


async def test_close_is_safe_twice(healthy: Collector) -> None:
    """A collector that ran can be closed, twice."""
    await healthy.collect()

    await healthy.close()
    await healthy.close()


async def test_readings_follow_the_catalogue(healthy: Collector) -> None:
    """Each reading is of a metric of the catalogue, with each of its attributes, and none common to all."""
    batch = await healthy.collect()
    await healthy.close()

    assert batch.readings
    for metric, attributes, value in batch.readings:
        assert BY_NAME[metric.name] is metric
        assert len(attributes) == len(metric.attributes)
        assert all(isinstance(attribute, str) for attribute in attributes)
        assert set(metric.attributes).isdisjoint(COMMON)
        assert isinstance(value, Distribution) is (metric.kind is Kind.HISTOGRAM)


async def test_closed_sets_of_values_are_kept(healthy: Collector) -> None:
    """An attribute whose values are listed has one of them."""
    batch = await healthy.collect()
    await healthy.close()

    strangers = {
        (attribute.key, value)
        for metric, attributes, _ in batch.readings
        for attribute, value in zip(metric.attributes, attributes, strict=True)
        if attribute.values and value and value not in attribute.values
    }
    assert strangers == set()


async def test_nothing_has_to_be_refused(healthy: Collector) -> None:
    """Of a healthy source no value is impossible and no series comes twice."""
    batch = await healthy.collect()
    await healthy.close()

    vetted, keys = vet(batch)

    assert vetted is batch
    assert len(keys) == len(batch.readings)


async def test_a_batch_is_of_its_moment(healthy: Collector) -> None:
    """A batch carries the time of the injected clock."""
    batch = await healthy.collect()
    await healthy.close()

    assert batch.taken_at == NOW


async def test_series_stay_while_the_source_stays(healthy: Collector) -> None:
    """A second run gives the series of the first."""
    first, second = await healthy.collect(), await healthy.collect()
    await healthy.close()

    assert vet(first)[1] == vet(second)[1]


async def test_a_cancelled_run_harms_no_later_one(healthy: Collector) -> None:
    """After a run that was cancelled the collector still collects and closes."""
    run = asyncio.ensure_future(healthy.collect())
    await asyncio.sleep(0)
    if run.done():
        return  # it waits for nothing, so nothing can be cancelled
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    batch = await healthy.collect()
    await healthy.close()

    assert batch.readings


async def _asked(collector: Collector) -> tuple[Batch, str]:
    """Run a collector once and close it; return what it gave, and what it raised instead, as text."""
    try:
        return await collector.collect(), ""
    except (Unavailable, ScrapeError) as error:
        return Batch(NOW, ()), str(error)
    finally:
        await collector.close()


async def test_an_absent_source_has_no_values(absent: Collector) -> None:
    """Nobody there: unavailable, or a problem and an `up` of 0; a value of what is not there never."""
    batch, said = await _asked(absent)

    told = {(metric.name, value) for metric, _, value in batch.readings}
    assert said or batch.problems
    assert told <= {("inference.server.up", 0)}


async def test_problems_are_of_few_kinds(absent: Collector) -> None:
    """A problem's reason is a snake_case word for a label, and it says what it is about."""
    batch, _ = await _asked(absent)

    for problem in batch.problems:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", problem.reason)
        assert problem.subject


async def test_events_carry_what_their_kind_says(healthy: Collector, absent: Collector) -> None:
    """An event's attributes are those that the catalogue lists for its kind, and its body is a sentence."""
    batches = [(await _asked(collector))[0] for collector in (healthy, absent)]

    for event in (event for batch in batches for event in batch.events):
        assert {key for key, _ in event.attributes} <= {a.key for a in event.kind.attributes}
        assert event.body
