"""How long scrapes take, seen by who scrapes."""

import http.client
import time
from dataclasses import dataclass
from statistics import median, quantiles


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


def scrape(port: int, count: int, pause: float) -> Scrapes:
    """Scrape ``count`` times over one kept connection, ``pause`` seconds apart, plain text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    milliseconds, body = [], b""
    for _ in range(count):
        began = time.perf_counter()
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        body = answer.read()
        milliseconds.append((time.perf_counter() - began) * 1000)
        if answer.status != http.client.OK:
            raise RuntimeError(f"/metrics answered {answer.status}: {body[:200]!r}")
        time.sleep(pause)
    connection.close()
    return Scrapes(milliseconds, body)
