"""VictoriaMetrics as a test wants it: on a free port, its data in a scratch folder, fed with history."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.real_parts.backfill import Series
from tests.real_parts.install import path_of
from tests.real_parts.programs import Program, Programs, free_port, http_get


@dataclass(frozen=True)
class VictoriaMetrics:
    """A running VictoriaMetrics."""

    program: Program

    def load(self, series: Iterable[Series]) -> None:
        """Take series in, and return when they can be asked for."""
        lines = "".join(
            f"{name}{{{_pairs(labels)}}} {value!r} {time * 1000:.0f}\n"
            for name, labels, points in series
            for time, value in points
        )
        url = f"{self.program.url}/api/v1/import/prometheus"
        request = urllib.request.Request(url, lines.encode())  # noqa: S310 - loopback
        urllib.request.urlopen(request, timeout=60).read()  # noqa: S310 - loopback
        http_get(f"{self.program.url}/internal/force_flush")

    def query(self, expression: str, at: float) -> list[tuple[dict[str, str], float]]:
        """Return the instant vector of ``expression``, as its vmalert asks for it: labels and values."""
        asked = urllib.parse.urlencode({"query": expression, "time": at, "nocache": 1})
        body = json.loads(http_get(f"{self.program.url}/api/v1/query?{asked}", timeout=30))
        found = body["data"]["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]

    def everything(self) -> Iterator[Series]:
        """Return each series that it has."""
        asked = urllib.parse.urlencode({"match[]": '{__name__!=""}'})
        body = http_get(f"{self.program.url}/api/v1/export?{asked}", timeout=60)
        for line in body.splitlines():
            told = json.loads(line)
            labels = told["metric"]
            times = (stamp / 1000 for stamp in told["timestamps"])
            yield labels.pop("__name__"), labels, zip(times, told["values"], strict=True)


def start_victoria_metrics(programs: Programs, folder: Path) -> VictoriaMetrics:
    """Start an empty one."""
    port = free_port()
    program = programs.start(
        "victoria-metrics",
        [
            path_of("victoria-metrics"),
            f"-storageDataPath={folder / f'victoria-metrics-{port}'}",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=1y",
            "-search.latencyOffset=0s",
        ],
        url=f"http://127.0.0.1:{port}",
        ready="/health",
    )
    return VictoriaMetrics(program)


def _pairs(labels: Mapping[str, str]) -> str:
    return ",".join(f'{key}="{value}"' for key, value in labels.items())
