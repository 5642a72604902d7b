"""Measures the agent against its budgets: ``make bench``, about three minutes.

What is measured is the real agent in a process of its own: 8 simulated GPUs, a vLLM and a Triton server
(captured answers over HTTP), GPUs sampled each second and servers scraped each 5 s, as they are by default,
metrics pushed by OTLP/HTTP each 15 s. It reports and never fails: a machine that is busy with something
else must not break a build.
"""

import json
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any, Final

from tests.bench.agent_process import HANGING, Agent, import_cost, running_agent
from tests.bench.driver_cost import driver_cpu_seconds
from tests.bench.scrapes import Scrapes, scrape
from tests.real_parts.payloads import serving_captures
from tests.real_parts.programs import eventually, http_get

RESULT: Final = Path(__file__).resolve().parents[2] / "build" / "bench.json"
SPEC: Final = "8xH100"
WARM_UP: Final = 10.0
WINDOW: Final = 60.0
SCRAPES: Final = 400
PAUSE: Final = 0.025
IMPORTS: Final = 9


@dataclass(frozen=True)
class Figure:
    """One measured number; ``budget`` is the most that the design grants, where it grants any."""

    name: str
    value: float
    unit: str
    budget: float | None
    method: str

    def __str__(self) -> str:
        """As a line of the report."""
        if self.budget is None:
            return f"{self.name:42} {self.value:9.2f} {self.unit:8} {'':16} {self.method}"
        verdict = "ok  " if self.value <= self.budget else "OVER"
        budget = f"<= {self.budget:g}"
        return (
            f"{self.name:42} {self.value:9.2f} {self.unit:8} {budget:10} {verdict}  {self.method}"
        )


class _Receiver(BaseHTTPRequestHandler):
    """Takes whatever is pushed: an empty body is a valid OTLP answer."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read the request and accept it."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@contextmanager
def _receiver() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _imports() -> list[Figure]:
    milliseconds, mebibytes = import_cost("agent.app", IMPORTS)
    method = f"of {IMPORTS} fresh interpreters, bytecode cached"
    return [
        Figure("import of agent.app", min(milliseconds), "ms", 250, f"fastest {method}"),
        Figure(
            "memory of agent.app's import", median(mebibytes), "MiB RSS", 42, f"median {method}"
        ),
    ]


def _steady(agent: Agent) -> list[Figure]:
    time.sleep(WARM_UP)
    before, began = agent.cpu_seconds(), time.monotonic()
    ends = began + WINDOW
    while (left := ends - time.monotonic()) > 0:
        time.sleep(min(15.0, left))
        http_get(f"{agent.program.url}/metrics")
    minutes = (time.monotonic() - began) / 60
    total = (agent.cpu_seconds() - before) / minutes
    driver = driver_cpu_seconds(SPEC, 60, WARM_UP)
    window = f"/proc over {WINDOW:.0f} s after {WARM_UP:.0f} s, a scrape and a push each 15 s"
    return [
        Figure("first metric after start", agent.first_metric_after, "s", 0.5, "spawn to /readyz"),
        Figure("CPU, all", total, "s/min", None, window),
        Figure(
            "CPU of the simulated driver", driver, "s/min", None, "60 cycles of its calls alone"
        ),
        Figure("CPU above the driver's", total - driver, "s/min", 0.3, "the difference of the two"),
        Figure("memory", agent.pss_mib(), "MiB PSS", 48, "smaps_rollup at the end of the window"),
    ]


def _scraped(title: str, scrapes: Scrapes) -> list[Figure]:
    method = f"{SCRAPES} scrapes, one each {PAUSE * 1000:.0f} ms, gzip, kept connection"
    return [
        Figure(f"scrape, median{title}", scrapes.median, "ms", 1, method),
        Figure(f"scrape, p99{title}", scrapes.p99, "ms", 5, method),
    ]


def _eager(agent: Agent) -> Figure:
    """Return what it costs where the servers are scraped each second as well."""
    time.sleep(WARM_UP)
    before, began = agent.cpu_seconds(), time.monotonic()
    time.sleep(WINDOW / 2)
    used = (agent.cpu_seconds() - before) / ((time.monotonic() - began) / 60)
    return Figure(
        "CPU, all, with servers each second", used, "s/min", None, f"over {WINDOW / 2:.0f} s"
    )


def _settings(captures: str, receiver: str, servers_each: int) -> dict[str, Any]:
    return {
        "simulate": SPEC,
        "node": "bench",
        "interval": 1,
        "servers": [
            {
                "name": name,
                "url": f"{captures}/{name}/metrics",
                "profile": name,
                "interval": servers_each,
            }
            for name in ("vllm", "triton")
        ],
        "otlp": [{"endpoint": receiver, "interval": 15}],
    }


def _stalled(agent: Agent) -> bool:
    page = http_get(f"{agent.program.url}/metrics").decode()
    return any(
        'warpwatch_collector="nvml"' in line and '"stalled"' in line and line.endswith(" 1")
        for line in page.splitlines()
    )


def measure() -> list[Figure]:
    """Take all figures."""
    figures = _imports()
    with tempfile.TemporaryDirectory() as scratch, serving_captures() as captures:
        folder = Path(scratch)
        with _receiver() as receiver:
            settings = _settings(captures, receiver, servers_each=5)
            with running_agent(folder, settings) as agent:
                figures += _steady(agent)
                scrapes = scrape(agent.port, SCRAPES, PAUSE)
                figures.append(Figure("series", scrapes.series, "", None, "lines of one scrape"))
                figures += _scraped("", scrapes)
                floor = scrape(agent.port, SCRAPES, PAUSE, "/healthz").median
                figures.append(
                    Figure("an empty answer, median", floor, "ms", None, "/healthz, the same way")
                )
            with running_agent(folder, _settings(captures, receiver, servers_each=1)) as agent:
                figures.append(_eager(agent))
            with running_agent(folder, settings, [str(HANGING)]) as agent:
                eventually("the driver hangs", lambda: _stalled(agent), timeout=60)
                figures += _scraped(
                    " while a driver call hangs", scrape(agent.port, SCRAPES, PAUSE)
                )
    return figures


def main() -> int:
    """Print the figures and write them to build/bench.json."""
    figures = measure()
    sys.stdout.write("".join(f"{figure}\n" for figure in figures))
    RESULT.parent.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "machine": platform.platform()}
    told = {**machine, "figures": [asdict(figure) for figure in figures]}
    RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write("written to build/bench.json\n")
    return 0


if __name__ == "__main__":
    if "serving" in sys.argv[1:]:
        from tests.bench import serving_bench

        sys.exit(serving_bench.main())
    sys.exit(main())
