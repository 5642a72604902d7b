"""Serves captured `/metrics` of real servers over HTTP, as those servers would."""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

FIXTURES: Final = Path(__file__).resolve().parents[1] / "fixtures"
CHANGE_AFTER: Final = 8
"""Requests for which a page is served as it is, before its counters move on."""

_COUNTER: Final = re.compile(
    r"^([\w:]+_(?:total|count|sum|bucket|success|failure|us)(?:{.*})?) (\S+)$"
)
"""A line of a counter, by the endings that the captured servers give them."""

CAPTURES: Final[Mapping[str, tuple[str, ...]]] = {
    "vllm": ("vllm/vllm_0.33.0_dp1_t0.txt", "vllm/vllm_0.33.0_dp1_t1.txt"),
    "triton": ("triton/triton_2.51.0_cpu_t0.txt", "triton/triton_2.51.0_cpu_t1.txt"),
    "dcgm": ("dcgm/datadog_dcgm_t4_a10g.txt",),
}
"""By the first part of the path at which they are served: ``/vllm/metrics``."""


@lru_cache(maxsize=8)
def page(files: tuple[str, ...], step: int) -> str:
    """Return a server's page after ``step`` moves: the captures, and then on as from the first to the last.

    A node that is watched for minutes has to look as busy at the end as at the start: counters that stand
    still have no rate and no quantiles.
    """
    texts = [(FIXTURES / name).read_text(encoding="utf-8") for name in files]
    further = step - len(texts) + 1
    if further <= 0 or len(texts) == 1:
        return texts[min(step, len(texts) - 1)]
    first = _counters(texts[0])
    return "\n".join(_moved(line, first, further) for line in texts[-1].split("\n"))


def _counters(text: str) -> dict[str, float]:
    found = map(_COUNTER.match, text.split("\n"))
    return {line[1]: float(line[2]) for line in found if line}


def _moved(line: str, first: Mapping[str, float], times: int) -> str:
    """Return a line of the last capture, a counter as many times further as it came from the first one."""
    found = _COUNTER.match(line)
    if found is None or found[1] not in first:
        return line
    value = float(found[2])
    further = value + times * (value - first[found[1]])
    return f"{found[1]} {further!r}" if further > value else line


class _Captures(BaseHTTPRequestHandler):
    """Answers with the page of a path, whose counters move now and then."""

    protocol_version = "HTTP/1.1"
    served: Counter[str]

    def do_GET(self) -> None:
        """Answer one scrape."""
        name = self.path.split("/")[1]
        files = CAPTURES.get(name)
        if files is None:
            self.send_error(404)
            return
        body = page(files, self.served[name] // CHANGE_AFTER).encode()
        self.served[name] += 1
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing: a test's output is for failures."""


@contextmanager
def serving_captures() -> Iterator[str]:
    """Serve the captures on a free port while the context lasts; give the base URL."""
    handler = type("Captures", (_Captures,), {"served": Counter()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
