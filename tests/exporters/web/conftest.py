"""The endpoint as it is served: a real server on a free port, and a client beside it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from exporters.prometheus import Exposition
from exporters.web import make_app, serve
from tests.exporters import snapshots
from tests.exporters.source import Handed

Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def served() -> AsyncIterator[Serve]:
    """Return a function that serves a source and returns the URL; it stops with the test."""
    runners = []

    async def start(source: Handed, **settings: Any) -> str:
        app = make_app(
            source,
            Exposition("node-a", "prod"),
            clock=lambda: snapshots.NOON + 0.5,
            **settings,
        )
        runner, port = await serve(app, "127.0.0.1", 0)
        runners.append(runner)
        return f"http://127.0.0.1:{port}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client that neither asks for compression nor undoes it."""
    async with aiohttp.ClientSession(
        auto_decompress=False,
        skip_auto_headers=["Accept-Encoding"],
        timeout=aiohttp.ClientTimeout(total=20),
    ) as session:
        yield session
