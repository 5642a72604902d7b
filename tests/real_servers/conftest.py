"""A real model server for the tests of one file, and what watches it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.real_servers.server import ModelServer
from tests.real_servers.specs import SPECS
from tests.real_servers.watching import Watcher


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModelServer]:
    """Start the server that the test names; it ends with the last test of the file that names it."""
    folder = tmp_path_factory.mktemp(request.param)
    running = ModelServer(SPECS[request.param](folder), folder)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
async def watcher(server: ModelServer) -> AsyncIterator[Watcher]:
    """Watch the server by its URL alone."""
    watching = Watcher(server.spec.metrics)
    await watching.look()
    yield watching
    await watching.close()
    await asyncio.sleep(0)
