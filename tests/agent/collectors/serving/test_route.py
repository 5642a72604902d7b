"""Finding the path that gives the metrics, and pages of several servers."""

import asyncio
import gc
from collections.abc import Mapping

import pytest

from agent.catalogue import serving
from agent.collectors.scrape import ScrapeError
from agent.collectors.serving.collector import ServingCollector
from agent.snapshot import Batch
from tests.agent.collectors.scrape.raw_server import Answer, page, raw_server
from tests.agent.collectors.serving.pages import captured, reasons, values

VLLM = captured("vllm/vllm_0.33.0_dp1_t1.txt").encode()
NIM = captured("nvidia_nim/datadog_nim_llama31_8b.txt").encode()
TRTLLM = captured("synthetic/trtllm_serve_main_synthetic.txt").encode()
TRITON = captured("triton/triton_2.51.0_cpu_t1.txt").encode()
MISSING = page(b"no", status="404 Not Found")


class Server:
    """Answers by path, and notes what it was asked."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []

    async def __call__(self, writer: asyncio.StreamWriter, head: str) -> None:
        """Answer one request."""
        path = head.split(" ", 2)[1]
        self.asked.append(path)
        await self.answers.get(path, MISSING)(writer, head)


async def collected(
    server: Server, times: int, *, path: str = "", profile: str | None = None
) -> list[Batch]:
    """Collect some times from a server."""
    clock = iter(range(1_000, 9_999, 5))
    async with raw_server(server) as url:
        collector = ServingCollector(
            url + path, name="chat", profile=profile, timeout=5, clock=lambda: float(next(clock))
        )
        batches = [await collector.collect() for _ in range(times)]
        await collector.close()
    return batches


def up(batch: Batch) -> float:
    """Return whether the server is up."""
    (reading,) = (r for r in batch.readings if r.metric is serving.SERVER_UP)
    assert isinstance(reading.value, float)
    return reading.value


@pytest.mark.parametrize(
    ("path", "content", "provider"),
    [
        ("/metrics", VLLM, "vllm"),
        ("/v1/metrics", NIM, "nim"),
        ("/prometheus/metrics", TRTLLM, "trtllm_serve"),
    ],
)
async def test_the_path_is_found_and_remembered(path: str, content: bytes, provider: str) -> None:
    """The first scrape tries the paths that servers use; the next ones know it."""
    server = Server({"/metrics": page(b'[{"iter": 1}]')} | {path: page(content)})

    batches = await collected(server, 3)

    assert [up(batch) for batch in batches] == [1, 1, 1]
    assert {batch.readings[0].attributes for batch in batches} == {("chat", provider)}
    assert server.asked.count(path) == 3
    assert server.asked[-2:] == [path, path]


async def test_a_configured_profile_tries_its_own_paths_only() -> None:
    """In its order."""
    server = Server({"/metrics": page(TRTLLM)})

    (batch,) = await collected(server, 1, profile="trtllm_serve")

    assert up(batch) == 1
    assert server.asked == ["/prometheus/metrics", "/metrics"]


async def test_a_configured_path_is_not_second_guessed() -> None:
    """Only that path is asked, whatever it answers."""
    server = Server({"/metrics": page(VLLM)})

    (batch,) = await collected(server, 1, path="/elsewhere")

    assert up(batch) == 0
    assert server.asked == ["/elsewhere"]


async def test_while_no_path_will_do_mostly_one_is_asked() -> None:
    """A server without metrics is not asked for all paths at each scrape; the problem names them once."""
    server = Server({})

    batches = await collected(server, 13)

    paths = len(dict.fromkeys(server.asked))
    assert paths > 2
    assert len(server.asked) == paths + 12
    assert reasons(batches[0].problems) == {"http_status"}
    assert "/metrics answers 404" in batches[0].problems[0].detail
    assert "/v1/metrics" in batches[0].problems[0].detail


async def test_a_server_that_fails_is_not_asked_elsewhere() -> None:
    """Errors of the server itself say nothing about the path."""
    server = Server({"/metrics": page(b"no", status="503 Service Unavailable")})

    (batch,) = await collected(server, 1)

    assert server.asked == ["/metrics"]
    assert reasons(batch.problems) == {"http_status"}


async def test_a_path_that_is_lost_is_looked_for_again() -> None:
    """After an update the metrics may be elsewhere: the second scrape finds them."""
    server = Server({"/metrics": page(NIM)})

    async with raw_server(server) as url:
        collector = ServingCollector(url, name="chat")
        before = await collector.collect()
        server.answers = {"/v1/metrics": page(NIM)}
        lost, found = await collector.collect(), await collector.collect()
        await collector.close()

    assert [up(batch) for batch in (before, lost, found)] == [1, 0, 1]


async def test_the_age_of_the_last_page_grows_while_the_server_is_down() -> None:
    """It is absent before the first page, 0 with each, and counts from there."""
    good, bad = page(VLLM), page(b"no", status="500 Internal Server Error")
    ages = []
    server = Server({})
    clock = iter(range(1_000, 9_999, 5))
    async with raw_server(server) as url:
        collector = ServingCollector(
            f"{url}/metrics", name="chat", clock=lambda: float(next(clock))
        )
        for answer in (bad, good, good, bad, bad, good):
            server.answers["/metrics"] = answer
            batch = await collector.collect()
            ages.append(list(values(list(batch.readings), serving.SCRAPE_AGE).values()))
        await collector.close()

    assert ages == [[], [0], [0], [5], [10], [0]]


async def test_a_page_of_two_servers_is_told_as_both() -> None:
    """Under a provider each; the outer one names the server."""
    engine = b'# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model="m"} 3\n'
    server = Server({"/metrics": page(TRITON + engine)})

    (batch,) = await collected(server, 1)

    assert {r.attributes[1] for r in batch.readings} == {"triton", "vllm"}
    assert batch.readings[0].attributes == ("chat", "triton")
    assert [r.value for r in batch.readings if r.metric is serving.REQUESTS_RUNNING] == [3]


async def test_an_engine_that_comes_late_is_found() -> None:
    """A node's page may have none of the engine's families until its model is loaded."""
    engine = b'# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model="m"} 3\n'
    server = Server({"/metrics": page(TRITON)})
    found = []
    async with raw_server(server) as url:
        collector = ServingCollector(url, name="chat")
        for _ in range(14):
            batch = await collector.collect()
            server.answers["/metrics"] = page(TRITON + engine)
            found.append({r.attributes[1] for r in batch.readings})
        server.answers["/metrics"] = page(TRITON)
        gone = await collector.collect()
        await collector.close()

    assert found[0] == {"triton"}
    assert found[-1] == {"triton", "vllm"}
    assert {r.attributes[1] for r in gone.readings} == {"triton"}
    assert gone.problems == ()


@pytest.mark.parametrize(
    "answer",
    [
        page(b"vllm:x 1\n" * 2_000_000),
        page(b"<html>" + b"x" * 2**20),
        page(b"my_own_total 1\n" * 1_000),
        page(b"", status="500 Internal Server Error"),
    ],
    ids=["too large", "a web page", "of nobody", "an error"],
)
async def test_a_page_that_will_not_do_is_let_go_of(answer: Answer) -> None:
    """Nothing of a failure is left, without a collection of garbage: pages of 16 MiB would pile up."""
    gc.collect()
    gc.disable()
    try:
        await collected(Server({"/metrics": answer}), 3, path="/metrics")
        left = [each for each in gc.get_objects() if isinstance(each, ScrapeError)]
    finally:
        gc.enable()

    assert left == []
