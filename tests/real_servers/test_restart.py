"""Real servers, killed as by a power cut and started again on the same port."""

import asyncio

import pytest

from agent.catalogue import events, serving
from agent.snapshot import Batch
from tests.real_servers.expected import EXPECTED
from tests.real_servers.server import ModelServer
from tests.real_servers.watching import Watcher, increase, is_up, observed, total

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]


def _finished(batch: Batch) -> float:
    return total(batch, serving.REQUESTS_FINISHED, request_model="doubler") or 0.0


def _durations(batch: Batch) -> float:
    return float(observed(batch, serving.REQUEST_DURATION, request_model="doubler")[0])


async def _loaded(server: ModelServer, watcher: Watcher, good: int) -> Batch:
    await asyncio.to_thread(server.load, good=good, bad=0)
    await asyncio.sleep(server.spec.settling)  # some count after they have answered
    return await watcher.look()


@pytest.mark.parametrize("server", tuple(EXPECTED), indirect=True)
async def test_a_server_that_dies_is_down_and_begins_anew(
    server: ModelServer, watcher: Watcher
) -> None:
    """A killed server is down at the next look, with an event and no old values; back, it counts from 0."""
    before = await _loaded(server, watcher, good=6)
    await asyncio.to_thread(server.kill)
    down = await watcher.look()
    still_down = await watcher.look()
    await asyncio.to_thread(server.start)
    back = await _loaded(server, watcher, good=4)
    later = await _loaded(server, watcher, good=2)

    assert is_up(before)
    assert not is_up(down)
    assert not is_up(still_down)
    assert [each.reason for each in down.problems] == ["connection_refused"]
    assert {each.metric for each in down.readings} <= {serving.SERVER_UP, serving.SCRAPE_AGE}
    assert is_up(back)
    assert watcher.happened == {events.SERVER_UP.name: 2, events.SERVER_DOWN.name: 1}
    for counted in (_finished, _durations):
        assert increase([0, counted(before), counted(back), counted(later)]) == 12
        assert counted(back) == 4


@pytest.mark.parametrize("server", ["dynamo", "kserve"], indirect=True)
async def test_a_server_that_has_soon_counted_further_loses_nothing(
    server: ModelServer, watcher: Watcher
) -> None:
    """What the new process counted by the next look is more than before: its own start shows all of it."""
    seen = [await watcher.look(), await _loaded(server, watcher, good=2)]
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    seen += [await _loaded(server, watcher, good=7), await _loaded(server, watcher, good=1)]

    for counted in (_finished, _durations):
        assert increase([counted(each) for each in seen]) == 10
    assert [each.problems for each in seen] == [(), (), (), ()]
