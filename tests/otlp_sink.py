"""OTLP receivers for tests, over HTTP and gRPC: they keep all that came, and fail as they are told to.

Each runs in threads of its own on an ephemeral port of 127.0.0.1, so asynchronous tests, synchronous
ones and tests of whole processes can use the same.
"""

import asyncio
import gzip
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

PROTOBUF = "application/x-protobuf"
METRICS_OK = ExportMetricsServiceResponse().SerializeToString()
LOGS_OK = ExportLogsServiceResponse().SerializeToString()


class Point(NamedTuple):
    """One data point, flat: times in Unix nanoseconds, ``value`` a number or (sum, bounds, counts)."""

    name: str
    kind: str
    unit: str
    description: str
    attributes: Mapping[str, Any]
    start: int
    time: int
    value: Any
    resource: Mapping[str, Any]
    scope: tuple[str, str]

    @property
    def key(self) -> tuple[str, tuple[tuple[str, Any], ...]]:
        """What tells one series from another."""
        return self.name, tuple(sorted(self.attributes.items()))


class Pem(NamedTuple):
    """A certificate and its key. A sink that has them demands a certificate that this one signed."""

    certificate: Path
    key: Path


class Answer(NamedTuple):
    """What a sink answers to one request. ``code`` is an HTTP status, or the name of a gRPC one."""

    code: int | str = 200
    body: bytes = b""
    headers: tuple[tuple[str, str | bytes], ...] = ()
    content_type: str = PROTOBUF
    announce: int = 0
    """Bytes that the Content-Length promises beyond the body: the answer breaks off."""
    hang: bool = False
    """Do not answer before the sink is stopped."""


@dataclass
class Received:
    """What a sink got. ``script`` holds its next answers; after them it accepts everything."""

    script: deque[Answer] = field(default_factory=deque)
    metrics: list[ExportMetricsServiceRequest] = field(default_factory=list)
    logs: list[ExportLogsServiceRequest] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of every request, also of those that were not accepted."""
    paths: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def points(self) -> list[Point]:
        """Return all data points that were accepted, in order."""
        return [point for request in self.metrics for point in points(request)]

    def records(self) -> list[tuple[LogRecord, dict[str, Any]]]:
        """Return all log records that were accepted, each with the attributes of its resource."""
        return [
            (record, attributes(resource.resource.attributes))
            for request in self.logs
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    async def until(self, condition: Callable[[], object], timeout: float = 30) -> None:  # noqa: ASYNC109
        """Wait until ``condition`` holds; fail after ``timeout`` seconds, which is only a safety net."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"nothing of the kind within {timeout} s: {self}"
            await asyncio.sleep(0.005)

    def _answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.paths.append(path)
        self.headers.append({name.lower(): value for name, value in headers.items()})
        answer = self.script.popleft() if self.script else Answer()
        if answer.hang:
            self.stopped.wait()
        logs = "logs" in path.lower()
        if answer.code in {200, "OK"}:
            if logs:
                self.logs.append(ExportLogsServiceRequest.FromString(body))
            else:
                self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        return answer


class HttpSink(Received):
    """OTLP/HTTP with protobuf. Use as a context manager; ``port`` 0 takes a free one."""

    def __init__(self, port: int = 0, tls: Pem | None = None) -> None:
        super().__init__()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = sink._answer(self.path, dict(self.headers.items()), body)
                if sink.stopped.is_set():
                    self.close_connection = True
                    return
                self.send_response(int(answer.code))
                self.send_header("content-type", answer.content_type)
                self.send_header("content-length", str(len(answer.body) + answer.announce))
                for name, value in answer.headers:
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(answer.body)
                self.close_connection = bool(answer.announce)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                """Say nothing: tests have their own words."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing of clients that go away: tests make them do so."""

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.certificate)
            context.load_cert_chain(*tls)
            context.verify_mode = ssl.CERT_REQUIRED
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Self:
        """Return itself; it listens since it was made."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; hanging requests end without an answer."""
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


class GrpcSink(Received):
    """OTLP/gRPC. Use as a context manager; ``port`` 0 takes a free one."""

    def __init__(self, port: int = 0, tls: Pem | None = None) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="otlp-sink")
        self._server = grpc.server(self._threads, options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers(
            [
                _handler("metrics.v1.MetricsService", self._export),
                _handler("logs.v1.LogsService", self._export),
            ]
        )
        place = f"127.0.0.1:{port}"
        if tls:
            pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
            credentials = grpc.ssl_server_credentials([pair], pair[1], require_client_auth=True)
            self.port = self._server.add_secure_port(place, credentials)
        else:
            self.port = self._server.add_insecure_port(place)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._server.start()

    def __enter__(self) -> Self:
        """Return itself; it listens since it was made."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; hanging requests end without an answer."""
        self.stopped.set()
        self._server.stop(None).wait()
        self._threads.shutdown()

    def _export(self, body: bytes, context: Any, service: str) -> bytes:
        metadata = {key: str(value) for key, value in context.invocation_metadata()}
        answer = self._answer(service, metadata, body)
        if answer.headers:
            context.set_trailing_metadata(answer.headers)
        if answer.code not in {200, "OK"}:
            context.abort(getattr(grpc.StatusCode, str(answer.code)), answer.body.decode())
        return answer.body


def _handler(service: str, export: Callable[[bytes, Any, str], bytes]) -> Any:
    method = grpc.unary_unary_rpc_method_handler(
        lambda body, context: export(body, context, service)
    )
    name = f"opentelemetry.proto.collector.{service}"
    return grpc.method_handlers_generic_handler(name, {"Export": method})


def points(request: ExportMetricsServiceRequest) -> list[Point]:
    """Return the data points of a request, flat."""
    found: list[Point] = []
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = str(metric.WhichOneof("data"))
                data = getattr(metric, kind)
                if kind == "sum":
                    kind = "monotonic sum" if data.is_monotonic else "sum"
                if kind not in ("gauge", "summary"):
                    kind += " cumulative" if data.aggregation_temporality == 2 else " delta"
                found += (
                    Point(
                        metric.name,
                        kind,
                        metric.unit,
                        metric.description,
                        attributes(point.attributes),
                        point.start_time_unix_nano,
                        point.time_unix_nano,
                        _value(point),
                        attributes(resource.resource.attributes),
                        (scope.scope.name, scope.scope.version),
                    )
                    for point in data.data_points
                )
    return found


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Return attributes as a dictionary; a key twice is a failure."""
    found: dict[str, Any] = {}
    for pair in pairs:
        assert pair.key not in found, f"attribute {pair.key} twice"
        found[pair.key] = getattr(pair.value, str(pair.value.WhichOneof("value")))
    return found


def _value(point: Any) -> Any:
    if hasattr(point, "explicit_bounds"):
        assert point.count == sum(point.bucket_counts)
        assert not point.HasField("min")
        assert not point.HasField("max")
        return point.sum, tuple(point.explicit_bounds), tuple(point.bucket_counts)
    if hasattr(point, "quantile_values"):
        return point.sum, point.count, tuple((v.quantile, v.value) for v in point.quantile_values)
    return getattr(point, point.WhichOneof("value"))
