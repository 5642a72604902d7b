"""How long scrapes take, seen by who scrapes."""

import gzip
import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final

AS_PROMETHEUS: Final[Mapping[str, str]] = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
    "Accept-Encoding": "gzip",
}


@dataclass(frozen=True)
class Scrapes:
    """Durations in milliseconds, and what the last scrape brought."""

    milliseconds: list[float]
    body: bytes

    @property
    def median(self) -> float:
        """Return the middle one."""
        return median(self.milliseconds)

    @property
    def p99(self) -> float:
        """Return what one in a hundred exceeds."""
        return quantiles(self.milliseconds, n=100)[98]

    @property
    def series(self) -> int:
        """Count the series of the last scrape."""
        lines = self.body.decode().splitlines()
        return sum(1 for line in lines if line and not line.startswith("#"))


def scrape(port: int, count: int, pause: float, path: str = "/metrics") -> Scrapes:
    """Ask ``count`` times over one kept connection, ``pause`` seconds apart, as Prometheus asks."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    milliseconds, body = [], b""
    for _ in range(count):
        began = time.perf_counter()
        connection.request("GET", path, headers=AS_PROMETHEUS)
        answer = connection.getresponse()
        body = answer.read()
        milliseconds.append((time.perf_counter() - began) * 1000)
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path} answered {answer.status}: {body[:200]!r}")
        time.sleep(pause)
    connection.close()
    compressed = answer.headers.get("Content-Encoding") == "gzip"
    return Scrapes(milliseconds, gzip.decompress(body) if compressed else body)
