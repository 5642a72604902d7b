"""The push against two receivers that others wrote, over both transports: every point and record."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

from agent.snapshot import Snapshot
from exporters.otlp.exporter import OtlpExporter
from exporters.otlp.identity import identity, nanoseconds
from exporters.otlp.metrics import MetricEncoder, sliced
from exporters.otlp.settings import Destination, otlp_settings
from tests.exporters import snapshots
from tests.otlp_sink import HttpSink, Point, attributes, points
from tests.real_parts.programs import Programs
from tests.real_parts.rotel import start_rotel

ATTRIBUTES = {"OTEL_RESOURCE_ATTRIBUTES": "team=ml,unit=%C2%B5", "OTEL_SERVICE_NAME": "gpus"}
WHO = identity("node-1", "fleet", {"team": "ml", "unit": "\N{MICRO SIGN}", "service.name": "gpus"})


class Standing:
    """A source with one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot: Snapshot | None = snapshot
        self._snapshot = snapshot

    async def next(self, after: int) -> Snapshot:
        """Return it once."""
        if after >= self._snapshot.sequence:
            await asyncio.Event().wait()
        return self._snapshot


@asynccontextmanager
async def pushing(
    url: str, protocol: str, snapshot: Snapshot, **variables: str
) -> AsyncIterator[OtlpExporter]:
    """Push a snapshot as the agent does."""
    destination = Destination(url, protocol, None, 0.1)
    (settings,) = otlp_settings(
        [destination], ATTRIBUTES | variables, node="node-1", cluster="fleet"
    )
    exporter = OtlpExporter(settings)
    task = asyncio.create_task(exporter.run(Standing(snapshot)))
    try:
        yield exporter
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await exporter.close()


def expected(snapshot: Snapshot) -> dict[Any, Point]:
    """Return the points of a snapshot, decoded from our own bytes."""
    found: list[Point] = []
    for part in sliced(snapshot):
        body = MetricEncoder(WHO).request(part, snapshot.starts).body
        found += points(ExportMetricsServiceRequest.FromString(body))
    return {point.key: point for point in found}


def record_facts(record: LogRecord) -> tuple[Any, ...]:
    """Return what matters of a log record; the event's name is an attribute as well."""
    return (
        record.time_unix_nano,
        record.observed_time_unix_nano,
        record.severity_number,
        record.severity_text,
        record.body.string_value,
        tuple(sorted(attributes(record.attributes).items())),
    )


def expected_records(snapshot: Snapshot) -> list[tuple[Any, ...]]:
    """Return what must arrive of the events of a snapshot."""
    severities = {"page": (17, "ERROR"), "ticket": (13, "WARN"), "info": (9, "INFO")}
    return [
        (
            nanoseconds(event.time),
            nanoseconds(snapshot.taken_at),
            *severities[event.kind.severity.value],
            event.body,
            tuple(sorted({**dict(event.attributes), "event.name": event.kind.name}.items())),
        )
        for event in snapshot.events
    ]


@pytest.mark.e2e
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
async def test_rotel_hands_on_what_we_pushed(
    protocol: str, programs: Programs, tmp_path: Path
) -> None:
    """Through an independent collector every name, attribute, value, bound and time stays the same."""
    snapshot = snapshots.full()
    with HttpSink() as sink:
        rotel = start_rotel(programs, tmp_path, sink.url)
        url = rotel.grpc if protocol == "grpc" else rotel.http
        wanted, records = expected(snapshot), expected_records(snapshot)

        async with pushing(url, protocol, snapshot) as exporter:
            await sink.until(lambda: len(sink.points()) >= len(wanted))
            await sink.until(lambda: len(sink.records()) >= len(records))

        assert {point.key: point for point in sink.points()} == wanted
        assert len(sink.points()) == len(wanted)
        assert [record_facts(record) for record, _ in sink.records()] == records
        assert all(resource == WHO.resource for _, resource in sink.records())
        metrics, logs = exporter.states()
        assert (metrics.sent, metrics.failed, metrics.dropped) == (len(wanted), 0, 0)
        assert (logs.sent, logs.failed, logs.dropped) == (len(records), 0, 0)


async def test_oteltap_reads_what_we_pushed(free_port: int) -> None:
    """An embedded receiver decodes the same points and records; it keeps no resource."""
    snapshot = snapshots.full()
    wanted, records = expected(snapshot), expected_records(snapshot)
    settings = OtelTapHttpProtobufReceiverSettings(http_port=free_port)

    async with OtelTapHttpProtobufReceiver(settings) as receiver:
        url = f"http://127.0.0.1:{free_port}"
        plain = {"OTEL_EXPORTER_OTLP_COMPRESSION": "none"}  # oteltap takes no other
        async with pushing(url, "http/protobuf", snapshot, **plain), asyncio.timeout(30):
            logs = await _first(receiver.stream_logs(), len(records))
            names = {point.name for point in wanted.values()}
            metrics = await _first(receiver.stream_metrics(), len(names))

    assert [record_facts(record) for record in logs] == records
    assert _bare(_points(metrics)) == _bare(wanted.values())


async def _first(stream: AsyncIterator[Any], count: int) -> list[Any]:
    found = []
    async for item in stream:
        found.append(item)
        if len(found) == count:
            break
    return found


def _points(metrics: Iterable[Any]) -> list[Point]:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.extend(metrics)
    return points(request)


def _bare(found: Iterable[Point]) -> dict[Any, Point]:
    return {point.key: point._replace(resource={}, scope=("", "")) for point in found}
