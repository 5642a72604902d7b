"""Ray Serve on a cluster of its own: doubles what it gets after that many seconds, refuses less than 0.

``server.py API METRICS READY FOLDER``: three ports of loopback and a folder with a short name, because Ray
puts sockets into it. READY answers once the application serves, and not before.
"""

import asyncio
import http.server
import os
import sys
import time
import urllib.request

import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(name="doubler", max_ongoing_requests=20, ray_actor_options={"num_cpus": 0})
class Doubler:
    """The deployment of the application of the same name."""

    async def __call__(self, request: Request) -> dict[str, float]:
        """Answer one request, and say who did."""
        x = float((await request.json())["x"])
        if x < 0:
            raise ValueError("negative")
        await asyncio.sleep(x)
        return {"y": 2 * x, "pid": os.getpid()}


class _Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Say yes."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ready")


def _routes(api: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{api}/-/routes", timeout=5) as answer:
        return str(answer.read())


def main(api: int, metrics: int, ready: int, folder: str) -> None:
    """Serve until the process is ended."""
    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=False,
        configure_logging=False,
        log_to_driver=False,
        object_store_memory=80 * 2**20,
        _metrics_export_port=metrics,
        _node_ip_address="127.0.0.1",
        _temp_dir=folder,
        _system_config={"metrics_report_interval_ms": 500},
    )
    serve.start(http_options={"host": "127.0.0.1", "port": api})
    application = Doubler.bind()  # type: ignore[attr-defined]  # the decorator makes a deployment of it
    serve.run(application, name="doubler", route_prefix="/double")
    while "/double" not in _routes(api):
        time.sleep(0.1)
    http.server.HTTPServer(("127.0.0.1", ready), _Ready).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
