"""The request to let go of the driver, over real HTTP: who may ask, for how long, what it means."""

import asyncio
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request

from agent.collectors.nvml.collector import RELEASE_SECONDS
from exporters.release import DEFAULT_SECONDS, PATH, ReleaseEndpoint, _is_here
from tests.exporters import snapshots
from tests.exporters.source import Handed
from tests.exporters.web.conftest import Serve


class Driver:
    """A driver that can be let go of, and notes for how long it was."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.free = asyncio.Event()
        self.free.set()

    async def release(self, seconds: float) -> None:
        """Note it, and be done when the driver is free."""
        self.asked.append(seconds)
        await self.free.wait()


@pytest.fixture
def driver() -> Driver:
    """Return a driver that is let go of at once."""
    return Driver()


def endpoint(driver: Driver, *, patience: float = 10) -> ReleaseEndpoint:
    """Return the endpoint at noon."""
    return ReleaseEndpoint(driver.release, clock=lambda: snapshots.NOON, patience=patience)


async def test_released_when_answered(
    served: Serve, client: aiohttp.ClientSession, driver: Driver
) -> None:
    """The answer comes when the driver is free, and says until when it is."""
    url = await served(Handed(), release=endpoint(driver))

    async with client.post(f"{url}{PATH}?seconds=90") as answer:
        told = await answer.json()

    assert answer.status == 200
    assert driver.asked == [90]
    assert told["seconds"] == 90
    assert told["until"].endswith(":01:30+00:00")


async def test_a_minute_by_default(
    served: Serve, client: aiohttp.ClientSession, driver: Driver
) -> None:
    """Without a number it is as long as the signal's."""
    url = await served(Handed(), release=endpoint(driver))

    async with client.post(f"{url}{PATH}") as answer:
        assert answer.status == 200

    assert driver.asked == [DEFAULT_SECONDS]
    assert DEFAULT_SECONDS == RELEASE_SECONDS


@pytest.mark.parametrize(
    "query", ["seconds=0", "seconds=3601", "seconds=-5", "seconds=1.5", "seconds=", "second=5"]
)
async def test_no_sensible_time(
    served: Serve, client: aiohttp.ClientSession, driver: Driver, query: str
) -> None:
    """A time that makes no sense is refused, and the driver is kept."""
    url = await served(Handed(), release=endpoint(driver))

    async with client.post(f"{url}{PATH}?{query}") as answer:
        assert answer.status == 400
        assert "seconds must be a whole number from 1 to 3600" in await answer.text()

    assert driver.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_no_browser(
    served: Serve, client: aiohttp.ClientSession, driver: Driver, headers: dict[str, str]
) -> None:
    """Whatever a web page sends is refused, a form that is posted by a click too."""
    url = await served(Handed(), release=endpoint(driver))

    async with client.post(f"{url}{PATH}", headers=headers) as answer:
        assert answer.status == 403

    assert driver.asked == []


async def test_no_other_machine(
    served: Serve,
    client: aiohttp.ClientSession,
    driver: Driver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client of another machine is refused, and let in where the configuration says so."""
    monkeypatch.setattr("exporters.release._is_here", lambda _: False)
    guarded = await served(Handed(), release=endpoint(driver))
    opened = await served(Handed(), release=ReleaseEndpoint(driver.release, anywhere=True))

    async with client.post(f"{guarded}{PATH}") as answer:
        refused = answer.status, await answer.text()
    async with client.post(f"{opened}{PATH}") as answer:
        allowed = answer.status

    assert refused[0] == 403
    assert "release_from" in refused[1]
    assert allowed == 200
    assert len(driver.asked) == 1


@pytest.mark.parametrize(
    ("peer", "here"),
    [
        (("127.0.0.1", 5), True),
        (("127.3.2.1", 5), True),
        (("::1", 5, 0, 0), True),
        (("::ffff:127.0.0.1", 5, 0, 0), True),
        (("::ffff:10.0.0.1", 5, 0, 0), False),
        (("fe80::1%eth0", 5, 0, 2), False),
        (("10.0.0.1", 5), False),
        (None, False),
    ],
)
def test_who_is_here(peer: object, *, here: bool) -> None:
    """Loopback in all its forms is this machine, and nothing else is."""
    transport = Mock(get_extra_info=lambda _: peer)
    request = make_mocked_request("POST", PATH, transport=transport)

    assert _is_here(request) is here


async def test_a_driver_that_hangs(
    served: Serve, client: aiohttp.ClientSession, driver: Driver
) -> None:
    """While a call hangs the answer is that the driver is not free, and it is let go of all the same."""
    driver.free.clear()
    url = await served(Handed(), release=endpoint(driver, patience=0.05))

    async with client.post(f"{url}{PATH}") as answer:
        first = answer.status, await answer.text()
    driver.free.set()
    async with client.post(f"{url}{PATH}") as answer:
        second = answer.status

    assert first[0] == 503
    assert "has not returned" in first[1]
    assert second == 200


async def test_only_by_post(served: Serve, client: aiohttp.ClientSession, driver: Driver) -> None:
    """A link cannot release the driver; without the endpoint there is nothing at the path."""
    with_it = await served(Handed(), release=endpoint(driver))
    without = await served(Handed())

    async with client.get(f"{with_it}{PATH}") as answer:
        got = answer.status
    async with client.post(f"{without}{PATH}") as answer:
        nothing = answer.status

    assert (got, nothing, driver.asked) == (405, 404, [])
