"""How long scrapes take, seen by who scrapes."""

import gzip
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final

AS_PROMETHEUS: Final[Mapping[str, str]] = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
    "Accept-Encoding": "gzip",
}


_END: Final = b"\r\n\r\n"


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
    """Ask ``count`` times, ``pause`` seconds apart, as Prometheus does: on one connection if it is kept.

    The clock runs from the first byte of the request to the last of the answer, over a bare socket: what
    an HTTP client of Python's makes of it would be half of the time.
    """
    head = "".join(f"{name}: {value}\r\n" for name, value in AS_PROMETHEUS.items())
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}\r\n".encode()
    milliseconds, answer = [], b""
    connection: socket.socket | None = None
    for _ in range(count):
        began = time.perf_counter()
        connection = connection or socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        answer, kept = _answer(connection)
        milliseconds.append((time.perf_counter() - began) * 1000)
        if not kept:
            connection.close()
            connection = None
        time.sleep(pause)
    if connection is not None:
        connection.close()
    headers, _, body = answer.partition(_END)
    if b" 200 " not in headers.partition(b"\r\n")[0]:
        raise RuntimeError(f"{path} answered {answer[:200]!r}")
    compressed = b"content-encoding: gzip" in headers.lower()
    return Scrapes(milliseconds, gzip.decompress(body) if compressed else body)


def _answer(connection: socket.socket) -> tuple[bytes, bool]:
    """Read one answer; return it, and whether the server keeps the connection open."""
    answer = b""
    while (end := _length(answer)) is None or len(answer) < end:
        part = connection.recv(1 << 20)
        if not part:
            return answer, False
        answer += part
    return answer, answer.startswith(b"HTTP/1.1") and b"connection: close" not in answer.lower()


def _length(answer: bytes) -> int | None:
    """Return how long the whole answer is, once its headers are there and if they say so."""
    headers, end, _ = answer.lower().partition(_END)
    said = [line for line in headers.split(b"\r\n") if line.startswith(b"content-length:")]
    return len(headers) + len(end) + int(said[0].partition(b":")[2]) if end and said else None
