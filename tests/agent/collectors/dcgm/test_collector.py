import asyncio
from pathlib import Path

import pytest

from agent.catalogue import gpu
from agent.collectors.dcgm import DcgmCollector
from agent.collectors.scrape import Connections, ScrapeError
from agent.sampler import Sampler
from agent.snapshot import Batch, Status
from tests.agent.collectors.scrape.raw_server import Answer, page, raw_server

H100 = (
    Path(__file__).parents[3] / "fixtures/synthetic/dcgm_exporter_post-4.8.2_hostname_synthetic.txt"
).read_bytes()


async def collected(answer: Answer) -> Batch:
    """Collect once from an exporter that answers so."""
    async with raw_server(answer) as url:
        collector = DcgmCollector(url, timeout=5, clock=lambda: 1_000.0)
        try:
            return await collector.collect()
        finally:
            await collector.close()


async def test_a_page_becomes_readings() -> None:
    """The path is added where none is configured, and the batch has the time of the scrape."""
    heads = []

    async def answer(writer: asyncio.StreamWriter, head: str) -> None:
        heads.append(head)
        await page(H100)(writer, head)

    batch = await collected(answer)

    assert heads[0].startswith("GET /metrics ")
    assert batch.taken_at == 1_000
    assert batch.problems == ()
    assert sum(reading.metric is gpu.INFO for reading in batch.readings) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (page(b"<html>"), "not_metrics"),
        (page(b""), "not_metrics"),
        (page(b"node_load1 0.5\n"), "not_metrics"),
        (page(b'DCGM_FI_DEV_GPU_TEMP{UUID="GPU-1"} 50\n' * 250_000), "too_many_series"),
        (page(b"no", status="500 Internal Server Error"), "http_status"),
        (page(H100, "Content-Length: 99999", length=False), "truncated"),
    ],
)
async def test_an_exporter_that_says_nothing_usable_has_failed(answer: Answer, reason: str) -> None:
    """The exception says why, and names the URL."""
    with pytest.raises(ScrapeError, match=r"http://127.0.0.1:\d+/metrics") as caught:
        await collected(answer)

    assert caught.value.reason == reason


async def test_the_sampler_marks_it_failed_from_the_start() -> None:
    """An exporter that never listened is a failed collector, not an unavailable one."""
    async with raw_server(page(H100)) as url:
        pass
    collector = DcgmCollector(url, timeout=5)
    sampler = Sampler([collector], interval=0.02)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(sampler.run())
        snapshot = await sampler.next(0)
        while "not collected yet" in snapshot.collectors[0].detail:
            snapshot = await sampler.next(snapshot.sequence)
        running.cancel()

    state = snapshot.collectors[0]
    assert (state.name, state.status) == ("dcgm", Status.FAILED)
    assert "nothing listens at" in state.detail


async def test_broken_lines_are_counted() -> None:
    """What cannot be read is a problem; what can is there."""
    batch = await collected(page(H100 + b"DCGM_FI_DEV_GPU_TEMP{UUID=1} 5\nDCGM\xff 1\n"))

    assert {problem.reason for problem in batch.problems} == {"malformed_line", "bad_encoding"}
    assert sum(reading.metric is gpu.INFO for reading in batch.readings) == 2


async def test_a_large_page_is_read_too() -> None:
    """Beyond a megabyte it is parsed in a thread; the readings are the same."""
    remarks = (b"# " + b"x" * 100 + b"\n") * 15_000

    small, large = await collected(page(H100)), await collected(page(H100 + remarks))

    assert small.readings == large.readings


async def test_shared_connections_are_left_open() -> None:
    """Closing is safe twice, before the first collect, and spares what others still use."""
    shared = Connections()
    shared.join()
    async with raw_server(page(H100)) as url:
        collector = DcgmCollector(url, connections=shared)
        await collector.collect()
        await collector.close()
        await collector.close()

        assert not shared.session().closed
    await shared.leave()
    await DcgmCollector("http://h:9400").close()
