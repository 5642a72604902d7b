"""Real servers, asked a known number of times: what the agent tells is what was sent."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping

import pytest

from agent.catalogue import Metric, serving
from agent.snapshot import Batch
from tests.real_servers.expected import BAD, EXPECTED, GOOD
from tests.real_servers.server import ModelServer
from tests.real_servers.specs import tensor
from tests.real_servers.watching import Watcher, increase, observed, provider, readings, total

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
EACH = 0.02
"""Seconds that a good request takes."""
LATE = "late"
"""The model that is not there from the start."""


def each_server(*names: str) -> pytest.MarkDecorator:
    """Run a test against these real servers, or all."""
    return pytest.mark.parametrize("server", names or tuple(EXPECTED), indirect=True)


def grown(before: Batch, after: Batch, metric: Metric) -> Mapping[str, float]:
    """Return by how much a counter grew, by its own attribute; what did not grow is left out."""
    growth: Counter[str] = Counter()
    for batch, sign in ((before, -1), (after, 1)):
        for each in readings(batch, metric):
            assert isinstance(each.value, int | float)
            if LATE not in each.attributes:
                growth[each.attributes[-1]] += sign * int(each.value)
    return {key: value for key, value in growth.items() if value}


async def _settled(server: ModelServer, watcher: Watcher) -> Batch:
    """Look once the server has counted its last request: some count after they have answered."""
    await asyncio.sleep(server.spec.settling)
    return await watcher.look()


@each_server()
async def test_a_server_is_known_by_its_page(server: ModelServer, watcher: Watcher) -> None:
    """A server that was only just started is recognised before it has served anybody."""
    batch = await watcher.look()

    assert provider(batch) == server.spec.name
    assert batch.problems == ()


@each_server()
async def test_what_was_sent_is_counted(server: ModelServer, watcher: Watcher) -> None:
    """Ten requests are ten, each once, with the failures that the server admits."""
    before = await watcher.look()

    await asyncio.to_thread(server.load, good=GOOD, bad=BAD, seconds=EACH)
    after = await _settled(server, watcher)

    expected = EXPECTED[server.spec.name]
    assert grown(before, after, serving.REQUESTS_FINISHED) == expected.finished
    assert grown(before, after, serving.REQUESTS_ERRORS) == expected.errors
    assert readings(after, serving.SERVER_INFO, request_model=server.spec.model)
    assert after.problems == ()


@each_server()
async def test_durations_are_those_of_the_requests(server: ModelServer, watcher: Watcher) -> None:
    """As many durations are observed as requests were sent, and their sum lies within the time it took."""
    before = observed(await watcher.look(), serving.REQUEST_DURATION, request_model="doubler")
    began = time.monotonic()

    await asyncio.to_thread(server.load, good=GOOD, bad=BAD, seconds=EACH)
    took = time.monotonic() - began
    after = observed(
        await _settled(server, watcher), serving.REQUEST_DURATION, request_model="doubler"
    )

    expected = EXPECTED[server.spec.name]
    least = 0.9 * EACH * GOOD if expected.timed else 0.001
    assert after[0] - before[0] == expected.durations
    assert least <= after[1] - before[1] <= took * expected.inflated


@each_server("dynamo")
async def test_tokens_are_those_that_were_asked_for(server: ModelServer, watcher: Watcher) -> None:
    """Five requests for ten tokens each, with a prompt of three, are fifteen tokens and fifty."""
    before = await watcher.look()

    await asyncio.to_thread(server.load, good=5, bad=0, seconds=0.1)
    after = await _settled(server, watcher)

    def more(metric: Metric) -> float:
        return (total(after, metric) or 0) - (total(before, metric) or 0)

    def seen(metric: Metric) -> tuple[int, float]:
        now, then = (observed(batch, metric, request_model="doubler") for batch in (after, before))
        return now[0] - then[0], now[1] - then[1]

    assert (more(serving.TOKENS_PROMPT), more(serving.TOKENS_GENERATED)) == (15, 50)
    assert seen(serving.PROMPT_LENGTH) == (5, 15)
    assert seen(serving.GENERATION_LENGTH) == (5, 50)
    assert seen(serving.INTER_TOKEN_LATENCY)[0] == 5 * 9
    first, whole = seen(serving.TIME_TO_FIRST_TOKEN), seen(serving.REQUEST_DURATION)
    assert first[0] == whole[0] == 5
    assert 0 < first[1] < whole[1]


@each_server("bentoml", "mlserver")
async def test_a_request_in_flight_is_running(server: ModelServer, watcher: Watcher) -> None:
    """While one request is worked on, one is running; afterwards none is."""
    asking = asyncio.create_task(asyncio.to_thread(server.infer, 1.0))
    await asyncio.sleep(0.4)
    during = await watcher.look()
    await asking
    after = await _settled(server, watcher)

    assert total(during, serving.REQUESTS_RUNNING) == 1
    assert total(after, serving.REQUESTS_RUNNING) == 0


@each_server("triton")
async def test_a_request_behind_another_is_waiting(server: ModelServer, watcher: Watcher) -> None:
    """Of three requests to one instance of a model, the ones that it has not begun are waiting."""
    asking = [asyncio.create_task(asyncio.to_thread(server.infer, 0.5)) for _ in range(3)]
    await asyncio.sleep(0.3)
    during = await watcher.look()
    await asyncio.gather(*asking)
    after = await _settled(server, watcher)

    assert total(during, serving.REQUESTS_WAITING, request_model="doubler") == 2
    assert total(after, serving.REQUESTS_WAITING, request_model="doubler") == 0


@each_server("triton", "mlserver")
async def test_a_model_that_comes_late_is_counted_from_its_first_request(
    server: ModelServer, watcher: Watcher
) -> None:
    """A model loaded while the server runs has series of its own, and takes none of the other's."""
    before = await watcher.look()

    await asyncio.to_thread(server.ask, "/v2/repository/models/late/load", {})
    await _infer_late(server, times=4)
    loaded = await _settled(server, watcher)

    assert readings(before, serving.REQUESTS_FINISHED, request_model=LATE) == []
    assert total(loaded, serving.REQUESTS_FINISHED, request_model=LATE, reason="success") == 4
    assert grown(before, loaded, serving.REQUESTS_FINISHED) == {}


@each_server("triton", "mlserver")
async def test_a_model_that_is_unloaded_and_loaded_again_is_still_counted_right(
    server: ModelServer, watcher: Watcher
) -> None:
    """Triton begins such a model at 0 while it runs on, MLServer goes on counting: neither loses one."""
    await asyncio.to_thread(server.ask, "/v2/repository/models/late/load", {})
    await _infer_late(server, times=3)
    seen = [_late(await _settled(server, watcher))]
    for path in ("unload", "load"):
        status, _ = await asyncio.to_thread(server.ask, f"/v2/repository/models/late/{path}", {})
        assert status == 200
        seen.append(_late(await _settled(server, watcher)))

    await _infer_late(server, times=2)
    seen.append(_late(await _settled(server, watcher)))

    assert increase(seen) == 2


async def _infer_late(server: ModelServer, *, times: int) -> None:
    for _ in range(times):
        status, _ = await asyncio.to_thread(server.ask, "/v2/models/late/infer", tensor(0.01))
        assert status == 200


def _late(batch: Batch) -> float | None:
    return total(batch, serving.REQUESTS_FINISHED, request_model=LATE, reason="success")
