"""A webhook in the shape of PagerDuty's Events API: it accepts, and keeps what it was told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple


class Pager(NamedTuple):
    """Where it listens, and the events that came."""

    url: str
    events: list[dict[str, Any]]


class _Events(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    told: list[dict[str, Any]]

    def do_POST(self) -> None:
        """Take one event, as the Events API v2 does."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.told.append(json.loads(body))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing: a test's output is for failures."""


@contextmanager
def running_pager() -> Iterator[Pager]:
    """Run a pager on a free port while the context lasts."""
    told: list[dict[str, Any]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Events", (_Events,), {"told": told}))
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Pager(f"http://127.0.0.1:{server.server_port}/v2/enqueue", told)
    finally:
        server.shutdown()
        server.server_close()
