"""Serves captured `/metrics` of real servers over HTTP, as those servers would."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

FIXTURES: Final = Path(__file__).resolve().parents[1] / "fixtures"
CHANGE_AFTER: Final = 8
"""Requests for which the first capture is served, before the next one takes its place for good."""

CAPTURES: Final[Mapping[str, Sequence[str]]] = {
    "vllm": ("vllm/vllm_0.33.0_dp1_t0.txt", "vllm/vllm_0.33.0_dp1_t1.txt"),
    "triton": ("triton/triton_2.51.0_cpu_t0.txt", "triton/triton_2.51.0_cpu_t1.txt"),
    "dcgm": ("dcgm/datadog_dcgm_t4_a10g.txt",),
}
"""By the first part of the path at which they are served: ``/vllm/metrics``."""


class _Captures(BaseHTTPRequestHandler):
    """Answers with the capture of a path; counters move when the second capture takes over."""

    protocol_version = "HTTP/1.1"
    served: Counter[str]

    def do_GET(self) -> None:
        """Answer one scrape."""
        name = self.path.split("/")[1]
        files = CAPTURES.get(name)
        if files is None:
            self.send_error(404)
            return
        turn = min(self.served[name] // CHANGE_AFTER, len(files) - 1)
        self.served[name] += 1
        body = (FIXTURES / files[turn]).read_bytes()
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
