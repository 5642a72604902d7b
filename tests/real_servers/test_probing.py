"""The probe against real servers: answered by one that is well, and not by one that only looks well."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.catalogue import probe
from agent.collectors.probe import Plan, ProbeCollector
from agent.collectors.scrape import Connections
from agent.collectors.serving.profiles import PROFILES
from agent.config.probe import FoundProbe
from agent.probes import probes_of_found
from agent.snapshot import Batch, Snapshot
from tests.agent.discovery.test_discovery import Told, running, target, up
from tests.real_parts.programs import http_get
from tests.real_servers import processes
from tests.real_servers.server import ModelServer
from tests.real_servers.watching import observed, readings, total

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
KINDS = {"triton": "triton", "mlserver": "kserve_v2", "kserve": "kserve_v2", "dynamo": "openai"}


def plan(server: ModelServer, *, timeout: float = 10.0, model: str | None = None) -> Plan:
    """Return the probe of a real server."""
    kind = KINDS[server.spec.name]
    wanted = server.spec.model if model is None else model
    return Plan(kind=kind, url=server.spec.api, model=wanted, timeout=timeout)


async def probed(asked: Plan, *, times: int = 1) -> Batch:
    """Send so many probes."""
    collector = ProbeCollector(asked, jitter=lambda: 1.0)
    await collector.collect()
    try:
        for _ in range(times):
            await collector.probe()
        return await collector.collect()
    finally:
        await collector.close()


@asynccontextmanager
async def hanging(server: ModelServer) -> AsyncIterator[None]:
    """Let the engine hang within; the front end, which gives the metrics, runs on."""
    if server.spec.name == "dynamo":
        worker = server.programs["worker"]
        processes.freeze(worker)
        yield
        processes.thaw(worker)
        return
    stuck = asyncio.create_task(asyncio.to_thread(server.infer, 3.0))  # its model has one instance
    await asyncio.sleep(0.3)
    yield
    assert not stuck.done()
    await stuck


@pytest.mark.parametrize("server", KINDS, indirect=True)
async def test_a_server_that_is_well_answers(server: ModelServer) -> None:
    """Each kind of server answers the request that the probe makes up for it."""
    batch = await probed(plan(server), times=2)

    assert batch.problems == ()
    assert total(batch, probe.SUCCESS) == 1
    count, seconds = observed(batch, probe.DURATION, request_model=server.spec.model)
    assert count == 2
    assert 0 < seconds < 20


@pytest.mark.parametrize("server", ["dynamo"], indirect=True)
async def test_a_language_model_has_a_first_token_and_tokens(server: ModelServer) -> None:
    """A stream of real tokens has a first one before its end, and costs what the server says."""
    asked = plan(server, model="")
    batch = await probed(asked)

    whole = observed(batch, probe.DURATION, request_model=server.spec.model)
    first = observed(batch, probe.TIME_TO_FIRST_TOKEN, request_model=server.spec.model)
    assert (whole[0], first[0]) == (1, 1)
    assert 0 < first[1] <= whole[1]
    assert total(batch, probe.TOKENS) == len(asked.prompt.split()) + asked.max_tokens


@pytest.mark.parametrize("server", KINDS, indirect=True)
async def test_a_model_that_is_not_there_is_a_failure(server: ModelServer) -> None:
    """A server without the model answers with an error, which has a name."""
    batch = await probed(plan(server, model="elsewhere"))

    assert total(batch, probe.SUCCESS) == 0
    assert [each.reason for each in batch.problems] == ["refused"]


@pytest.mark.parametrize("server", ["triton", "dynamo"], indirect=True)
async def test_a_server_whose_engine_hangs_is_found_out(server: ModelServer) -> None:
    """While the engine hangs the metrics are as fine as ever and the probe times out; then all is well."""
    async with hanging(server):
        hung = await probed(plan(server, timeout=1.0))
        page = await asyncio.to_thread(http_get, server.spec.metrics)
    well = await probed(plan(server))

    assert page
    assert total(hung, probe.FAILURES, probe_failure="timeout") == 1
    assert [each.kind.name for each in hung.events] == ["inference.probe.failed"]
    assert readings(hung, probe.DURATION) == []
    assert total(well, probe.SUCCESS) == 1


@pytest.mark.parametrize("server", ["dynamo"], indirect=True)
async def test_a_server_that_was_found_is_asked_until_it_is_gone(server: ModelServer) -> None:
    """Found by its metrics, asked by OpenAI's API; a hang shows, and once it is gone nothing is left."""
    source = Told(target(server.spec.metrics, pod=None))
    asked = FoundProbe(interval=1.0, timeout=2.0)
    make = probes_of_found(asked, PROFILES, Connections())

    async with running(source, make_probe=make) as seen:
        await seen.until(lambda snapshot: _successes(snapshot) == [1])
        async with hanging(server):
            hung = await seen.until(lambda snapshot: _successes(snapshot) == [0])
        await seen.until(lambda snapshot: _successes(snapshot) == [1])
        source.tell()
        gone = await seen.until(lambda snapshot: not _successes(snapshot))

    assert list(up(hung).values()) == [1]
    assert list(gone.batches) == ["discovery", "self"]


def _successes(snapshot: Snapshot) -> list[object]:
    return [
        reading.value
        for batch in snapshot.batches.values()
        for reading in batch.readings
        if reading.metric is probe.SUCCESS
    ]
