"""Ray Serve, of which a replica dies while the rest of it goes on: its series stay on the page for good."""

import asyncio
import json

import psutil
import pytest

from agent.catalogue import serving
from agent.snapshot import Batch
from tests.real_parts.programs import eventually
from tests.real_servers.server import ModelServer
from tests.real_servers.watching import Watcher, increase, is_up, readings, total

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]


def answerer(server: ModelServer) -> int:
    """Return the process that answers now."""
    path, body = server.spec.inference(0.01)
    return int(json.loads(server.ask(path, body)[1])["pid"])


def answers_elsewhere(server: ModelServer, dead: int) -> bool:
    """Tell whether another process answers than the one that died; while none does, requests fail."""
    path, body = server.spec.inference(0.01)
    status, said = server.ask(path, body, timeout=30)
    return status == 200 and json.loads(said)["pid"] != dead


def worked(batch: Batch) -> dict[str, float]:
    """Return how many requests each replica has worked on."""
    found = readings(batch, serving.COMPUTE_DURATION, request_model="doubler")
    return {each.attributes[4]: float(each.value.observations) for each in found}  # type: ignore[union-attr]


@pytest.mark.parametrize("server", ["ray_serve"], indirect=True)
async def test_a_replica_that_dies_takes_nothing_back(
    server: ModelServer, watcher: Watcher
) -> None:
    """What a dead replica did stays counted and is not counted twice; its successor begins at 0."""
    await asyncio.to_thread(server.load, good=6, bad=2)
    dead = await asyncio.to_thread(answerer, server)
    await asyncio.sleep(server.spec.settling)
    before = await watcher.look()

    psutil.Process(dead).kill()
    await asyncio.to_thread(
        eventually, "another replica answers", lambda: answers_elsewhere(server, dead), 90.0
    )
    await asyncio.sleep(server.spec.settling)
    between = await watcher.look()
    await asyncio.to_thread(server.load, good=4, bad=1)
    await asyncio.sleep(server.spec.settling)
    after = await watcher.look()

    (first,) = worked(before)
    (second,) = worked(after).keys() - {first}
    assert worked(after)[first] == worked(before)[first] == 9
    assert worked(after)[second] - worked(between)[second] == 5
    for reason, more in (("200", 4), ("500", 1)):
        seen = [
            total(batch, serving.REQUESTS_FINISHED, request_model="doubler", reason=reason)
            for batch in (between, after)
        ]
        assert increase(seen) == more
    running = readings(after, serving.REQUESTS_RUNNING, request_model="doubler")
    assert {each.attributes[4] for each in running} >= {second}
    assert all(map(is_up, (before, between, after)))
    assert after.problems == ()
