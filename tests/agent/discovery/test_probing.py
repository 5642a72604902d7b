"""Servers that were found are asked for an answer, where that is wanted, and forgotten with their pods."""

import asyncio
import json

from agent.catalogue import events, probe
from agent.collectors.scrape import Access, Connections
from agent.collectors.serving.profiles import PROFILES
from agent.config.probe import FoundProbe
from agent.discovery.probe import Answer
from agent.probes import probes_of_found
from agent.snapshot import Snapshot
from tests.agent.collectors.scrape.raw_server import Answer as Reply
from tests.agent.collectors.scrape.raw_server import page, raw_server
from tests.agent.collectors.serving.pages import captured
from tests.agent.discovery.test_discovery import POD, Told, running, target

VLLM = page(captured("vllm/vllm_0.33.0_dp1_t1.txt").encode())
MODELS = page(json.dumps({"data": [{"id": "llama"}]}).encode())
COMPLETION = page(
    b'data: {"choices": [{"text": "1", "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)
REFUSED = page(b"", status="404 Not Found")
OFTEN = FoundProbe(interval=1.0, timeout=5.0)


class Server:
    """A server that gives metrics, and answers completions as ``completion`` says."""

    def __init__(self, completion: Reply = COMPLETION) -> None:
        self.completion = completion
        self.heads: list[str] = []

    async def __call__(self, writer: asyncio.StreamWriter, head: str) -> None:
        """Answer one request."""
        self.heads.append(head)
        if "/metrics" in head:
            await VLLM(writer, head)
        elif "/v1/models" in head:
            await MODELS(writer, head)
        else:
            await self.completion(writer, head)

    @property
    def probes(self) -> list[str]:
        """The requests that are no scrapes."""
        return [head for head in self.heads if "/metrics" not in head]


def told(snapshot: Snapshot) -> dict[str, float]:
    """Return what the probes came to, by server."""
    return {
        reading.attributes[0]: float(reading.value)  # type: ignore[arg-type]
        for batch in snapshot.batches.values()
        for reading in batch.readings
        if reading.metric is probe.SUCCESS
    }


def probing(asked: FoundProbe = OFTEN) -> dict[str, object]:
    """Return the arguments of a discovery that probes."""
    return {"make_probe": probes_of_found(asked, PROFILES, Connections())}


async def test_a_server_that_is_found_is_asked_and_forgotten_with_its_pod() -> None:
    """The probe has the name of its server and our header, and ends in the same breath as its scrape."""
    server = Server()
    async with raw_server(server) as url:
        source = Told(target(f"{url}/metrics"))
        async with running(source, **probing()) as seen:
            await seen.until(lambda snapshot: told(snapshot) == {"models/chat-0:8000": 1})

            source.tell()
            gone = await seen.until(lambda snapshot: len(snapshot.batches) == 2)
            asked = len(server.probes)
            await asyncio.sleep(1.2)

    assert list(gone.batches) == ["discovery", "self"]
    assert len(server.probes) == asked
    assert all("X-Warpwatch-Probe: 1" in head for head in server.probes)
    assert server.probes[1].startswith("POST /v1/completions")


async def test_a_server_that_never_answered_is_told_of_by_problems_alone() -> None:
    """Nobody said that it would: no failure of it can page anybody. Once it has, it can."""
    server = Server(REFUSED)
    async with raw_server(server) as url:
        (collector,) = [
            probes_of_found(OFTEN, PROFILES, Connections())(
                target(f"{url}/metrics"), Answer(f"{url}/metrics", "vllm")
            )
        ]
        assert collector is not None
        await collector.probe()
        before = await collector.collect()
        server.completion = COMPLETION
        await collector.probe()
        answered = await collector.collect()
        server.completion = REFUSED
        await collector.probe()
        after = await collector.collect()
        await collector.close()

    assert (before.readings, before.events) == ((), ())
    assert [problem.reason for problem in before.problems] == ["refused"]
    assert [event.kind for event in answered.events] == [events.PROBE_ANSWERED]
    assert [event.kind for event in after.events] == [events.PROBE_FAILED]
    assert [each.value for each in after.readings if each.metric is probe.SUCCESS] == [0]


async def test_all_that_are_found_share_one_budget() -> None:
    """Three servers and two requests a minute: one is skipped, and says so."""
    make = probes_of_found(FoundProbe(requests_per_minute=2), PROFILES, Connections())
    servers = [Server() for _ in range(3)]
    skipped, sent = [], []
    for server in servers:
        async with raw_server(server) as url:
            collector = make(target(f"{url}/metrics"), Answer(f"{url}/metrics", "vllm"))
            assert collector is not None
            sent.append(await collector.probe())
            batch = await collector.collect()
            skipped += [problem.reason for problem in batch.problems]
            await collector.close()

    assert sent == [True, True, False]
    assert [bool(server.probes) for server in servers] == sent
    assert skipped == ["budget_used_up"]


def test_only_what_answers_where_its_metrics_are_is_asked() -> None:
    """Triton has its API elsewhere, Ray's metrics are a node's; a secret goes where the scrape's goes."""
    make = probes_of_found(OFTEN, PROFILES, Connections())
    access = Access(bearer_token_file="/token")  # noqa: S106 - a path
    where = target("https://10.0.0.1:8000/v1/metrics", access=access, pod=POD)

    made = {
        profile.name: make(where, Answer("https://10.0.0.1:8000/v1/metrics", profile.name))
        for profile in PROFILES
    }

    asked = {name for name, collector in made.items() if collector}
    assert asked == {
        *("vllm", "sglang", "tgi", "nim", "trtllm_serve", "lmdeploy", "llamacpp", "dynamo")
    }
    vllm = made["vllm"]
    assert vllm is not None
    assert vllm._plan.url == "https://10.0.0.1:8000"
    assert vllm._plan.access == access
    assert vllm.name == "probe/models/chat-0:8000"


async def test_a_server_that_never_answers_is_asked_ever_more_rarely() -> None:
    """Twice the pause after each failure: a handful of requests where there would have been fifty."""
    server = Server(REFUSED)
    async with raw_server(server) as url:
        where = target(f"{url}/metrics")
        make = probes_of_found(FoundProbe(interval=0.02), PROFILES, Connections())
        collector = make(where, Answer(f"{url}/metrics", "vllm"))
        assert collector is not None
        await collector.collect()
        await asyncio.sleep(1.0)
        await collector.close()

    assert 1 <= len([head for head in server.probes if "POST" in head]) <= 7
