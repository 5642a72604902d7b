import asyncio
from collections.abc import Callable

import pytest

from agent.catalogue import events, probe
from agent.catalogue.attributes import PROBE_FAILURE, PROBE_SKIPPED
from agent.collectors.probe import Plan, ProbeCollector
from agent.collectors.probe.outcome import Answer
from agent.snapshot import Batch
from tests.agent.collectors.probe.asking import Watch, probed, value
from tests.agent.collectors.scrape.raw_server import in_turn, page, raw_server

GOOD = page(b'data: {"choices": [{"text": "1", "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')
BAD = page(b"", status="500 Internal Server Error")


async def _until(collector: ProbeCollector, told: Callable[[Batch], bool]) -> Batch:
    async with asyncio.timeout(10):
        while not told(batch := await collector.collect()):  # noqa: ASYNC110 - as the sampler does
            await asyncio.sleep(0.01)
    return batch


async def test_counters_are_there_before_the_first_probe() -> None:
    """Every failure and every budget has its counter at 0, and nothing says how the server is."""
    collector = ProbeCollector(Plan(kind="openai", url="http://127.0.0.1:1"), jitter=lambda: 1.0)

    batch = await collector.collect()
    await collector.close()

    assert [value(batch, probe.FAILURES, each) for each in PROBE_FAILURE.values] == [0] * 11
    assert [value(batch, probe.SKIPPED, each) for each in PROBE_SKIPPED.values] == [0, 0]
    assert value(batch, probe.SUCCESS) is None
    assert collector.name == "probe/127.0.0.1:1"


async def test_a_change_is_told_once() -> None:
    """A server that fails twice and then answers makes one event of each."""
    async with raw_server(in_turn(GOOD, BAD, BAD, GOOD)) as url:
        batch = await probed(Plan(kind="openai", url=url, model="m"), times=4)

    assert [event.kind for event in batch.events] == [
        events.PROBE_ANSWERED,
        events.PROBE_FAILED,
        events.PROBE_ANSWERED,
    ]
    assert value(batch, probe.FAILURES, "refused") == 2
    assert len(batch.problems) == 2


async def test_probes_are_sent_while_others_collect() -> None:
    """The first probe leaves after its jitter, the next ones an interval apart, without being asked."""
    async with raw_server(in_turn(GOOD, BAD)) as url:
        plan = Plan(kind="openai", url=url, model="m", interval=0.05, timeout=5)
        collector = ProbeCollector(plan, jitter=lambda: 0.5)
        good = await _until(collector, lambda batch: value(batch, probe.SUCCESS) == 1)
        bad = await _until(collector, lambda batch: value(batch, probe.SUCCESS) == 0)
        await collector.close()

    assert [event.kind for event in good.events] == [events.PROBE_ANSWERED]
    assert [event.kind for event in bad.events] == [events.PROBE_FAILED]


async def test_a_hanging_server_delays_nobody() -> None:
    """While a probe hangs, collecting returns at once, and no second probe is sent."""
    asked = 0

    async def hang(*_: object) -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(60)

    async with raw_server(hang) as url:
        plan = Plan(kind="openai", url=url, model="m", interval=0.02, timeout=30)
        collector = ProbeCollector(plan, jitter=lambda: 0.0)
        await _until(collector, lambda _: asked == 1)
        async with asyncio.timeout(0.5):
            for _ in range(10):
                await collector.collect()
                await asyncio.sleep(0.02)
        await collector.close()
        await collector.close()

    assert asked == 1


async def test_a_budget_that_is_used_up_stops_probes() -> None:
    """A probe beyond the budget is counted as skipped, is a problem, and says nothing of the server."""
    async with raw_server(GOOD) as url:
        plan = Plan(kind="openai", url=url, model="m", requests_per_minute=2)
        batch = await probed(plan, times=3)

    assert value(batch, probe.SKIPPED, "requests") == 1
    assert [problem.reason for problem in batch.problems] == ["budget_used_up"]
    assert value(batch, probe.SUCCESS) == 1


async def test_an_old_success_says_nothing_about_now() -> None:
    """Two intervals after the last probe, how the server is becomes unknown; what was counted stays."""
    watch = Watch()
    async with raw_server(GOOD) as url:
        plan = Plan(kind="openai", url=url, model="m", interval=60)
        collector = ProbeCollector(plan, monotonic=watch, jitter=lambda: 1.0)
        await collector.collect()
        await collector.probe()
        before = await collector.collect()
        watch.now += 121
        after = await collector.collect()
        await collector.close()

    assert value(before, probe.SUCCESS) == 1
    assert value(after, probe.SUCCESS) is None
    assert value(after, probe.DURATION, "m") is not None


async def test_readings_are_the_same_until_a_probe_ends() -> None:
    """Looks between two probes hand out what the last one did, so that they cost next to nothing."""
    collector = ProbeCollector(Plan(kind="openai", url="http://127.0.0.1:1"), jitter=lambda: 1.0)

    first, second = await collector.collect(), await collector.collect()
    await collector.close()

    assert first.readings is second.readings


async def test_a_server_that_renames_its_model_keeps_few_series() -> None:
    """Models that come and go do not pile up."""
    collector = ProbeCollector(Plan(kind="openai", url="http://127.0.0.1:1"), jitter=lambda: 1.0)

    for number in range(50):
        collector._tally.answered(Answer(f"model-{number}", 0.1))

    told = [each for each in collector._tally.readings() if each.metric is probe.DURATION]
    assert len(told) == 8
    assert told[-1].attributes[-1] == "model-49"


def test_a_url_that_cannot_be_used_is_refused() -> None:
    """What is not a URL never becomes a collector."""
    with pytest.raises(ValueError, match="scheme"):
        ProbeCollector(Plan(kind="openai", url="chat:8000"))
