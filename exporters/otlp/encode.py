"""The snapshot as OTLP: pure functions from what is known to bytes for the wire.

Metrics go through the SDK's public `MetricsData` and the official encoder, with each reading's own time:
the SDK's callbacks would stamp a value with the time of its export. Events are written as OTLP log
records directly, because the SDK's classes for them have changed name and shape several times.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, cast

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as MetricMessage
from opentelemetry.proto.metrics.v1.metrics_pb2 import Summary, SummaryDataPoint
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope as Scope

import agent
from agent import catalogue
from agent.catalogue import COMMON, Kind, Severity
from agent.catalogue.attributes import EVENT_NAME, VERSION
from agent.snapshot import Distribution, Event, Exponential, Reading, SeriesKey, Snapshot
from exporters.otlp.delivery import Encoded

SLICE: Final = 200
"""Data points encoded without a pause: about 3 ms, so that a scrape beside it stays under its 5 ms."""

MOST_POINTS: Final = 2_000
"""Of one request: about 0.4 MB, 1 MB with histograms; gRPC receivers refuse 4 MiB by default."""

_SCOPE: Final = "warpwatch"
_NANOSECONDS: Final = 1_000_000_000
_INT64: Final = range(-(2**63), 2**63)
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
_NOT_KNOWN: Final = cast("float", None)
"""Least and greatest observation: optional in OTLP, where the encoder leaves `None` out, but not in
the SDK's types."""

_SEVERITIES: Final = {
    Severity.PAGE: SeverityNumber.SEVERITY_NUMBER_ERROR,
    Severity.TICKET: SeverityNumber.SEVERITY_NUMBER_WARN,
    Severity.INFO: SeverityNumber.SEVERITY_NUMBER_INFO,
}

_Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint
_BOTH_FORMS: Final = 2

Dated = tuple[Reading, int]
"""A reading and when it was taken, in Unix nanoseconds."""

Slice = Mapping[catalogue.Metric, list[Dated]]
"""Some of a snapshot's readings, by metric."""


class Identity(NamedTuple):
    """Who is speaking: ``resource`` for the whole, ``common`` for each data point."""

    resource: Mapping[str, str]
    common: Mapping[str, str]


def identity(node: str, cluster: str, configured: Mapping[str, str]) -> Identity:
    """Return the identity of the agent on ``node`` of ``cluster``; empty ones are absent.

    ``configured`` attributes (OTEL_RESOURCE_ATTRIBUTES) win over defaults, not over node and cluster:
    those are on every data point as well, and the two must agree.
    """
    common = {
        key.key: text(name) for key, name in zip(COMMON, (node, cluster), strict=True) if name
    }
    defaults = {
        "service.name": "warpwatch",
        VERSION.key: agent.__version__,
        "service.instance.id": node,
        "host.name": node,
        "telemetry.sdk.name": "warpwatch",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": agent.__version__,
    }
    resource = {key: text(value) for key, value in {**defaults, **configured}.items() if value}
    return Identity(resource | common, common)


def metrics_data(readings: Slice, starts: Mapping[SeriesKey, float], who: Identity) -> MetricsData:
    """Return readings, grouped by metric, as the SDK's data model, which has no summaries."""
    metrics = [
        _metric(metric, [_point(each, starts, who.common) for each in _of_one_form(dated)])
        for metric, dated in readings.items()
        if metric.kind is not Kind.SUMMARY
    ]
    scope = ScopeMetrics(Scope(_SCOPE, agent.__version__), metrics, schema_url="")
    # Not Resource.create, which would add what the SDK says of itself: the agent is not the SDK.
    return MetricsData([ResourceMetrics(Resource(dict(who.resource)), [scope], schema_url="")])


def sliced(snapshot: Snapshot) -> Iterator[Slice]:
    """Yield the snapshot's readings by metric, in slices of at most `SLICE` data points.

    Slices, so that the caller can let others run in between: the encoder takes some 15 us a point. A
    metric is split only where it has more points than a slice holds.
    """
    current: dict[catalogue.Metric, list[Dated]] = {}
    held = 0
    for metric, readings in _grouped(snapshot).items():
        for begin in range(0, len(readings), SLICE):
            part = readings[begin : begin + SLICE]
            if current and held + len(part) > SLICE:
                yield current
                current, held = {}, 0
            current[metric] = part
            held += len(part)
    if current:
        yield current


def metric_request(readings: Slice, starts: Mapping[SeriesKey, float], who: Identity) -> Encoded:
    """Return readings as one request."""
    message = encode_metrics(metrics_data(readings, starts, who))
    message.resource_metrics[0].scope_metrics[0].metrics.extend(
        MetricMessage(
            name=metric.name,
            description=metric.description,
            unit=metric.unit,
            summary=Summary(data_points=[_summary(each, starts, who.common) for each in dated]),
        )
        for metric, dated in readings.items()
        if metric.kind is Kind.SUMMARY
    )
    return Encoded(message.SerializeToString(), sum(map(len, readings.values())))


def joined(slices: Iterable[Encoded]) -> Encoded:
    """Return one request for several: protobuf messages in a row are their repeated fields in a row."""
    bodies, items = zip(*slices, strict=True)
    return Encoded(b"".join(bodies), sum(items))


def event_request(events: Iterable[Event], observed_at: float, who: Identity) -> Encoded:
    """Return events as one request of log records, observed at ``observed_at`` (Unix seconds)."""
    records = [_record(event, nanoseconds(observed_at)) for event in events]
    resource = ResourceMessage(attributes=_key_values(who.resource.items()))
    scope = InstrumentationScope(name=_SCOPE, version=agent.__version__)
    logs = ResourceLogs(resource=resource, scope_logs=[ScopeLogs(scope=scope, log_records=records)])
    request = ExportLogsServiceRequest(resource_logs=[logs])
    return Encoded(request.SerializeToString(), len(records))


def nanoseconds(seconds: float) -> int:
    """Return Unix seconds as Unix nanoseconds; 0, which OTLP reads as unknown, for times before 1970."""
    return max(0, round(seconds * _NANOSECONDS))


def text(value: str) -> str:
    """Return ``value`` as protobuf can hold it: without lone surrogates, which file names can have."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def _grouped(snapshot: Snapshot) -> dict[catalogue.Metric, list[Dated]]:
    groups: dict[catalogue.Metric, list[Dated]] = {}
    for batch in snapshot.batches.values():
        time = nanoseconds(batch.taken_at)
        for reading in batch.readings:
            groups.setdefault(reading.metric, []).append((reading, time))
    return groups


def _of_one_form(dated: list[Dated]) -> list[Dated]:
    """Return the readings of a metric, histograms in one form: a metric in OTLP has one for all points."""
    forms = {
        reading.value.exponential is None
        for reading, _ in dated
        if isinstance(reading.value, Distribution)
    }
    if len(forms) < _BOTH_FORMS:
        return dated
    return [
        (reading._replace(value=reading.value._replace(exponential=None)), time)
        for reading, time in dated
        if isinstance(reading.value, Distribution)
    ]


def _point(dated: Dated, starts: Mapping[SeriesKey, float], common: Mapping[str, str]) -> _Point:
    (metric, values, value), time = dated
    start = nanoseconds(starts.get((metric, values), 0.0))
    attributes = _attributes(metric, values, common)
    if isinstance(value, Distribution):
        if value.exponential is not None:
            return _exponential(value, value.exponential, attributes, start, time)
        return HistogramDataPoint(
            attributes,
            start,
            time,
            count=value.observations,
            sum=value.sum,
            bucket_counts=value.counts,
            explicit_bounds=value.bounds,
            min=_NOT_KNOWN,
            max=_NOT_KNOWN,
        )
    # Always a double: a series that is an integer now and a fraction later changes its type, which
    # some receivers refuse; and Prometheus knows doubles only.
    return NumberDataPoint(attributes, start, time, float(value))


def _attributes(
    metric: catalogue.Metric, values: tuple[str, ...], common: Mapping[str, str]
) -> dict[str, str]:
    own = zip(metric.attributes, values, strict=True)
    return {**common, **{attribute.key: text(each) for attribute, each in own if each}}


def _summary(
    dated: Dated, starts: Mapping[SeriesKey, float], common: Mapping[str, str]
) -> SummaryDataPoint:
    (metric, values, value), time = dated
    if not isinstance(value, Distribution):  # the sampler refuses such a reading
        raise TypeError(f"{metric.name} is a summary and has a number as its value")
    return SummaryDataPoint(
        attributes=_key_values(_attributes(metric, values, common).items()),
        start_time_unix_nano=nanoseconds(starts.get((metric, values), 0.0)),
        time_unix_nano=time,
        count=value.observations,
        sum=value.sum,
        quantile_values=[
            SummaryDataPoint.ValueAtQuantile(quantile=share, value=limit)
            for share, limit in value.quantiles
        ],
    )


def _exponential(
    value: Distribution, buckets: Exponential, attributes: dict[str, str], start: int, time: int
) -> ExponentialHistogramDataPoint:
    return ExponentialHistogramDataPoint(
        attributes,
        start,
        time,
        count=value.observations,
        sum=value.sum,
        scale=buckets.scale,
        zero_count=buckets.zero,
        positive=Buckets(buckets.offset, buckets.counts),
        negative=Buckets(0, ()),
        flags=0,
        min=_NOT_KNOWN,
        max=_NOT_KNOWN,
    )


def _metric(metric: catalogue.Metric, points: list[_Point]) -> Metric:
    numbers = cast("list[NumberDataPoint]", points)
    data: Gauge | Sum | Histogram | ExponentialHistogram
    match metric.kind:
        case Kind.GAUGE:
            data = Gauge(numbers)
        case Kind.COUNTER:
            data = Sum(numbers, _CUMULATIVE, is_monotonic=True)
        case Kind.UP_DOWN_COUNTER:
            data = Sum(numbers, _CUMULATIVE, is_monotonic=False)
        case Kind.HISTOGRAM if isinstance(points[0], ExponentialHistogramDataPoint):
            exponential = cast("list[ExponentialHistogramDataPoint]", points)
            data = ExponentialHistogram(exponential, _CUMULATIVE)
        case _:
            data = Histogram(cast("list[HistogramDataPoint]", points), _CUMULATIVE)
    return Metric(metric.name, metric.description, metric.unit, data)


def _record(event: Event, observed: int) -> LogRecord:
    """Return the log record. The kind is also an attribute, for receivers older than `event_name`."""
    number = _SEVERITIES[event.kind.severity]
    return LogRecord(
        time_unix_nano=nanoseconds(event.time),
        observed_time_unix_nano=observed,
        severity_number=number,
        severity_text=SeverityNumber.Name(number).removeprefix("SEVERITY_NUMBER_"),
        event_name=event.kind.name,
        body=AnyValue(string_value=text(event.body)),
        attributes=_key_values([(EVENT_NAME.key, event.kind.name), *event.attributes]),
    )


def _key_values(pairs: Iterable[tuple[str, str | int | float]]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any_value(value)) for key, value in pairs]


def _any_value(value: str | float) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=text(value))
    if isinstance(value, int) and value in _INT64:
        return AnyValue(int_value=value)
    return AnyValue(double_value=value)
