"""What drift's rules cost a Prometheus: 40 models of 20 features with 12 bins, on 8 replicas.

Run it with ``python -m tests.bench.drift_rules``: about seven minutes, 2 GiB of memory and disk. A real
Prometheus scrapes counters from 8 targets each second for four minutes, so that the window of an hour holds
as many points as with a scrape each 15 s (240), and the references each 15 s; a day of hourly counts, which
the rules over a day read, is written before. What is reported is what Prometheus says of each group's last
evaluation. Counters of all features grow alike: what they hold makes no difference to the work.

The scrapes go on meanwhile and take more than a core: with fewer than four idle ones the figures are mostly
those of waiting for a core, and say nothing about the rules.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Final

import yaml

from alerts import build
from tests.real_parts.backfill import Series, start_with_history
from tests.real_parts.programs import Programs
from tests.real_parts.servers import Prometheus

MODELS: Final = 40
FEATURES: Final = 20
REPLICAS: Final = 8
ORDERED: Final = tuple(f"{number:02} {number}..{number + 1}" for number in range(10))
BINS: Final = (*ORDERED, "__missing__", "__other__")
POINTS: Final = 240
BUDGET: Final = 1.0
"""Seconds, for all groups together."""
_OBSERVATIONS: Final = "model_drift_feature_observations_total"
_VALUE: Final = "@"


def _features() -> Iterator[str]:
    for model, feature in product(range(MODELS), range(FEATURES)):
        yield (
            f'model="model-{model:02}",model_version="1",reference="3fa94c1e7b20",'
            f'feature="feature_{feature:02}"'
        )


def _counters(node: str) -> str:
    return "".join(
        f'{_OBSERVATIONS}{{{feature},bin="{label}",k8s_node_name="{node}"}} {_VALUE}\n'
        for feature, label in product(_features(), BINS)
    )


def _references(node: str) -> str:
    lines = []
    for feature in _features():
        of_node = f'k8s_node_name="{node}"'
        lines.append(f"model_drift_reference_samples{{{feature},{of_node}}} 20000\n")
        for place, label in enumerate(BINS):
            pairs = f'{{{feature},bin="{label}",{of_node}}}'
            lines.append(f"model_drift_reference_proportion{pairs} {1 / len(BINS)}\n")
            if place < len(ORDERED):
                lines.append(f"model_drift_reference_midrank{pairs} {(place + 0.5) / 10}\n")
    return "".join(lines)


class _Replica(BaseHTTPRequestHandler):
    """Gives a page in which all counters are 25 for each second since the start."""

    pages: dict[str, str]
    started: float

    def do_GET(self) -> None:
        """Answer with the page of the path."""
        grown = f"{25 * (time.monotonic() - self.started):.0f}"
        body = self.pages[self.path].replace(_VALUE, grown).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@contextmanager
def _replicas() -> Iterator[str]:
    nodes = [f"n{number}" for number in range(REPLICAS)]
    pages = {f"/counters/{node}": _counters(node) for node in nodes}
    pages |= {f"/references/{node}": _references(node) for node in nodes}
    handler = type("Replica", (_Replica,), {"pages": pages, "started": time.monotonic()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _hours() -> Iterator[Series]:
    """Return what a day of the hourly rules has left, at each full hour."""
    now = int(time.time()) // 3600 * 3600
    points = [(float(now - 3600 * hour), 90_000.0) for hour in range(23, -1, -1)]
    for model, feature, label, node in product(
        range(MODELS), range(FEATURES), BINS, range(REPLICAS)
    ):
        labels = {
            "model": f"model-{model:02}",
            "model_version": "1",
            "reference": "3fa94c1e7b20",
            "feature": f"feature_{feature:02}",
            "bin": label,
            "k8s_node_name": f"n{node}",
            "instance": f"n{node}",
        }
        yield "drift:replica_bin_count:1h", labels, points


def _config(address: str, folder: Path) -> str:
    groups = yaml.safe_load(build.rules_yaml())["groups"]
    mine = [
        group
        for group in groups
        if group["name"].startswith("warpwatch-drift") and "serving" not in group["name"]
        and "performance" not in group["name"]
    ]  # fmt: skip
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": mine}), encoding="utf-8")
    jobs = [
        {
            "job_name": f"{kind}-{node}",
            "metrics_path": f"/{kind}/n{node}",
            "scrape_interval": every,
            "scrape_timeout": every,
            "static_configs": [{"targets": [address], "labels": {"instance": f"n{node}"}}],
        }
        for kind, every in (("counters", "1s"), ("references", "15s"))
        for node in range(REPLICAS)
    ]
    return yaml.safe_dump({"rule_files": ["rules.yaml"], "scrape_configs": jobs})


def measure(prometheus: Prometheus) -> dict[str, float]:
    """Return the seconds that the last evaluation of each group took."""
    groups = prometheus.ask("rules")["groups"]
    failed = [rule["lastError"] for g in groups for rule in g["rules"] if rule.get("lastError")]
    assert not failed, failed[:3]
    return {group["name"]: float(group["evaluationTime"]) for group in groups}


def main() -> None:
    """Run it, and report."""
    with tempfile.TemporaryDirectory() as name, _replicas() as address:
        folder = Path(name)
        programs = Programs(folder)
        try:
            prometheus = start_with_history(programs, folder, _hours(), _config(address, folder))
            for seconds in (POINTS // 2, POINTS // 2 + 65):  # a minute more: each has seen it all
                time.sleep(seconds)
                _tell(measure(prometheus))
        finally:
            for program in reversed(programs.started):
                program.stop()


def _tell(taken: dict[str, float]) -> None:
    for group, seconds in taken.items():
        sys.stdout.write(f"{group:32} {seconds:7.3f} s\n")
    total = sum(taken.values())
    verdict = "ok" if total <= BUDGET else "OVER"
    sys.stdout.write(f"{'all groups':32} {total:7.3f} s   <= {BUDGET:g}  {verdict}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
