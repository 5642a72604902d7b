"""aiohttp without the machine's certificates: not read at import, and checked by all the same."""

import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.agent.collectors.scrape.certificates import Pair, authority, server_context, signed

_LOADS = """
import ssl
def tell(self, *arguments):
    print("read")
ssl.SSLContext.load_default_certs = tell
import {module}
import aiohttp.connector
print(type(aiohttp.connector._SSL_CONTEXT_VERIFIED).__name__)
print(ssl.create_default_context.__name__, ssl.SSLContext.set_default_verify_paths.__qualname__)
"""
_ASKS = """
import asyncio, sys
import {module}
import aiohttp
async def ask():
    async with aiohttp.ClientSession() as session:
        for _ in "ab":
            async with session.get(sys.argv[1]) as answer:
                print(answer.status)
try:
    asyncio.run(ask())
except aiohttp.ClientConnectorCertificateError:
    print("not trusted")
"""


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return an authority."""
    return authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def url(ca: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve HTTPS with a certificate of that authority."""
    pair = signed(tmp_path_factory.mktemp("server"), ca, "localhost", "IP:127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.socket = server_context(pair).wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def told(program: str, *arguments: str, trusted: Path | None = None) -> list[str]:
    """Run a program in a fresh interpreter that trusts ``trusted`` alone; return what it printed."""
    environment = {key: each for key, each in os.environ.items() if not key.startswith("COVERAGE_")}
    environment |= {"SSL_CERT_FILE": str(trusted or os.devnull), "SSL_CERT_DIR": "/nonexistent"}
    done = subprocess.run(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-c", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


def test_the_agent_reads_no_certificates_at_import() -> None:
    """Importing the agent reads none, and leaves `ssl` as it was."""
    assert told(_LOADS.format(module="agent.app")) == [
        *("DeferredContext", "create_default_context"),
        "_SSLContext.set_default_verify_paths",
    ]


@pytest.mark.parametrize("module", ["agent.aiohttp_import", "aiohttp"])
def test_servers_are_checked_by_the_certificates_of_the_machine(
    module: str, url: str, ca: Pair
) -> None:
    """A server of an authority that the machine trusts is asked, again and again, and no other one."""
    program = _ASKS.format(module=module)

    assert told(program, url, trusted=ca.cert) == ["204", "204"]
    assert told(program, url) == ["not", "trusted"]
