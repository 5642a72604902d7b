"""The road from an alert to a pager: the generated Alertmanager configuration, and a webhook at its end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final, NamedTuple

import yaml

from tests.real_parts.programs import Program, Programs, eventually
from tests.real_parts.servers import start_alertmanager

GENERATED: Final = Path(__file__).resolve().parents[2] / "alerts" / "generated"
ROUTING_KEY: Final = "0123456789abcdef0123456789abcdef"


class Pager(NamedTuple):
    """A webhook in the shape of PagerDuty's Events API: where it listens, and the events that came."""

    url: str
    events: list[dict[str, Any]]

    def wait(self, count: int) -> list[dict[str, Any]]:
        """Return the events once there are ``count``."""
        return eventually(
            f"{count} events", lambda: self.events if len(self.events) >= count else None
        )


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


def start_paging(
    programs: Programs, folder: Path, pager: Pager, *, group_wait: str = "0s"
) -> Program:
    """Start Alertmanager on the generated configuration.

    Changed is only what depends on the machine (key, pager) and how long people's patience is.
    """
    config = yaml.safe_load((GENERATED / "alertmanager.yaml").read_text(encoding="utf-8"))
    key = folder / "routing-key"
    key.write_text(ROUTING_KEY, encoding="utf-8")
    config["route"] |= {"group_wait": group_wait, "group_interval": "1s"}
    for receiver in config["receivers"]:
        for pagerduty in receiver.get("pagerduty_configs", []):
            pagerduty |= {"url": pager.url, "routing_key_file": str(key)}
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for template in GENERATED.glob("*.tmpl"):
        text = template.read_text(encoding="utf-8")
        (folder / template.name).write_text(text, encoding="utf-8")
    return start_alertmanager(programs, folder / "alertmanager.yaml")
