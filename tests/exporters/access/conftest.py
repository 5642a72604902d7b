"""Certificates, tokens and users for an endpoint, and the endpoint as it is served."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt
import pytest

from exporters.access import Access, open_access
from exporters.prometheus import Exposition
from exporters.web import make_app, serve
from tests.agent.collectors.scrape.certificates import Pair, authority, signed
from tests.exporters import snapshots
from tests.exporters.source import Handed

TOKEN = "s3cret-token"  # noqa: S105 - of these tests
Open = Callable[..., Awaitable[tuple[str, Access]]]


def hashed(password: str, cost: int = 4) -> str:
    """Return the cheapest hash of a password that bcrypt makes."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


@dataclass(frozen=True)
class Files:
    """What a node may have: an authority, certificates that it signed, a stranger's, a token, two users."""

    folder: Path
    ca: Pair
    server: Pair
    client: Pair
    stranger: Pair

    @property
    def tls(self) -> dict[str, Any]:
        """The settings for TLS alone."""
        return {"cert_file": str(self.server.cert), "key_file": str(self.server.key)}

    @property
    def token(self) -> Path:
        """The file of tokens."""
        return self.folder / "token"

    @property
    def users(self) -> Path:
        """The file of users."""
        return self.folder / "users"

    def trusting(self, client: Pair | None = None) -> ssl.SSLContext:
        """Return the context of a client, with its certificate if it has one."""
        context = ssl.create_default_context(cafile=self.ca.cert)
        if client:
            context.load_cert_chain(client.cert, client.key)
        return context


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pair, Pair, Pair, Pair]:
    """Return an authority, a server, a client, and a client that another authority signed."""
    folder = tmp_path_factory.mktemp("certificates")
    other = tmp_path_factory.mktemp("others")
    ca = authority(folder)
    return (
        ca,
        signed(folder, ca, "node-a", "IP:127.0.0.1"),
        signed(folder, ca, "prometheus"),
        signed(other, authority(other), "stranger"),
    )


@pytest.fixture
def files(pairs: tuple[Pair, Pair, Pair, Pair], tmp_path: Path) -> Files:
    """Return files that a test may change."""
    ca, server, client, stranger = pairs
    own = Pair(tmp_path / "tls.crt", tmp_path / "tls.key")
    own.cert.write_bytes(server.cert.read_bytes())
    own.key.write_bytes(server.key.read_bytes())
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "users").write_text(f"alice:{hashed('wonder')}\nbob:{hashed('builder')}\n")
    return Files(tmp_path, ca, own, client, stranger)


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Return a function that serves an endpoint with these settings; it gives the URL and its protection."""
    runners = []

    async def start(**settings: Any) -> tuple[str, Access]:
        access = open_access(**settings)
        app = make_app(Handed(snapshots.full()), Exposition("node-a", "prod"), access=access)
        runner, port = await serve(app, "127.0.0.1", 0, access=access)
        runners.append(runner)
        return f"{'https' if access.context() else 'http'}://127.0.0.1:{port}", access

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client that keeps no connection, so that each request shakes hands anew."""
    connector = aiohttp.TCPConnector(force_close=True)
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session
