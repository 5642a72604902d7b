"""The snapshot's metrics as OTLP: from what is known to bytes for the wire, with each reading's own time.

What says the same at every export (resource, names, descriptions, attributes) is serialized once, by the
protocol's own classes, and kept; what moves (times and numbers, of a fixed length each) is written between.
A protobuf message is its fields one after the other, so that such pieces in a row are the message. A test
holds the bytes to those of the SDK's data model and the official encoder, which take 50 times as long.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from struct import Struct
from typing import Final, NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from agent.catalogue import Kind, Metric
from agent.snapshot import Distribution, Exponential, Reading, SeriesKey, Snapshot
from exporters.otlp.delivery import Encoded
from exporters.otlp.identity import SCOPE, Identity, key_values, nanoseconds

SLICE: Final = 500
"""Data points encoded without a pause: less than 1 ms, so that a scrape beside it is not held up."""
MOST_POINTS: Final = 2_000
"""Of one request: about 0.4 MB, 1 MB with histograms; gRPC receivers refuse 4 MiB by default."""

_CUMULATIVE: Final = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
_BOTH_FORMS: Final = 2
_LAST_OF_BYTE: Final = 0x80
"""From here on a varint takes one more byte."""
_REPEATED: Final = 1
"""The number of the data points in each kind of data, and of the only field of a request."""
_START: Final = Struct("<BQ")
_NUMBER: Final = Struct("<BQBd")
_START_TAG: Final = 2 << 3 | 1
_TIME_TAG: Final = 3 << 3 | 1
_DOUBLE_TAG: Final = 4 << 3 | 1
"""NumberDataPoint's fields, all of 64 bits: start_time_unix_nano, time_unix_nano, as_double."""

Dated = tuple[Reading, int]
"""A reading and when it was taken, in Unix nanoseconds."""
Slice = Mapping[Metric, list[Dated]]
"""Some of a snapshot's readings, by metric."""
_Attributes = tuple[str, ...]


class _Kept(NamedTuple):
    """What is kept of a series of numbers: the start that it counts from, and the bytes around them."""

    start: float | None
    head: bytes
    tail: bytes


def sliced(snapshot: Snapshot) -> Iterator[Slice]:
    """Yield the snapshot's readings by metric, in slices of at most `SLICE` data points.

    Slices, so that the caller can let others run in between. A metric is split only where it has more
    points than a slice holds.
    """
    current: dict[Metric, list[Dated]] = {}
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


def joined(slices: Iterable[Encoded]) -> Encoded:
    """Return one request for several: protobuf messages in a row are their repeated fields in a row."""
    bodies, items = zip(*slices, strict=True)
    return Encoded(b"".join(bodies), sum(items))


class MetricEncoder:
    """Writes readings as requests in the name of ``who``, and keeps what does not change about series."""

    def __init__(self, who: Identity) -> None:
        self._common = key_values(who.common.items())
        resource = Resource(attributes=key_values(who.resource.items()))
        # Not the SDK's resource, which would add what the SDK says of itself: the agent is not the SDK.
        self._resource = pb.ResourceMetrics(resource=resource).SerializeToString()
        self._scope = pb.ScopeMetrics(scope=SCOPE).SerializeToString()
        self._known: dict[str, dict[_Attributes, _Kept]] = {}
        self._fresh: dict[str, dict[_Attributes, _Kept]] = {}

    def turn(self) -> None:
        """Begin another snapshot: what no request needed since the last turn is forgotten."""
        self._known, self._fresh = self._fresh, {}

    def request(self, readings: Slice, starts: Mapping[SeriesKey, float]) -> Encoded:
        """Return readings as one request; ``starts`` are Unix seconds.

        Raises whatever a reading causes that does not fit its metric.
        """
        metrics = [
            _field(2, self._metric(metric, dated, starts)) for metric, dated in readings.items()
        ]
        scope = _field(2, b"".join((self._scope, *metrics)))
        body = _field(_REPEATED, self._resource + scope)
        return Encoded(body, sum(map(len, readings.values())))

    def _metric(
        self, metric: Metric, dated: list[Dated], starts: Mapping[SeriesKey, float]
    ) -> bytes:
        if metric.kind is Kind.SUMMARY:
            head, number, tail = _described(metric)
            summaries = (
                _field(_REPEATED, self._summary(reading, time, starts)) for reading, time in dated
            )
            return head + _field(number, b"".join(summaries) + tail)
        if metric.kind is not Kind.HISTOGRAM:
            head, number, tail = _described(metric)
            counts = {} if metric.kind is Kind.GAUGE else starts
            return head + _field(number, self._numbers(metric, dated, counts) + tail)
        forms = _of_one_form(dated)
        exponential = any(_exponential(reading) for reading, _ in forms)
        head, number, tail = _described(metric, exponential=exponential)
        points = (
            _field(_REPEATED, self._histogram(reading, time, starts)) for reading, time in forms
        )
        return head + _field(number, b"".join(points) + tail)

    def _numbers(
        self, metric: Metric, dated: list[Dated], starts: Mapping[SeriesKey, float]
    ) -> bytes:
        """Return points of numbers, always doubles.

        A series that is an integer now and a fraction later changes its type, which some receivers
        refuse; and Prometheus knows doubles only.
        """
        known = self._known.get(metric.name, {})
        fresh = self._fresh.setdefault(metric.name, {})
        parts: list[bytes] = []
        for (_, attributes, value), time in dated:
            start = starts.get((metric, attributes)) if starts else None
            kept = fresh.get(attributes) or known.get(attributes)
            if kept is None or kept.start != start:
                kept = self._series(metric, attributes, start)
            fresh[attributes] = kept
            if not time:
                parts.append(_undated(kept, value))
                continue
            parts += (kept.head, _NUMBER.pack(_TIME_TAG, time, _DOUBLE_TAG, value), kept.tail)
        return b"".join(parts)

    def _series(self, metric: Metric, attributes: _Attributes, start: float | None) -> _Kept:
        began = nanoseconds(start or 0.0)
        head = _START.pack(_START_TAG, began) if began else b""
        tail = pb.NumberDataPoint(attributes=self._attributes(metric, attributes))
        encoded = tail.SerializeToString()
        length = _varint(len(head) + _NUMBER.size + len(encoded))
        return _Kept(start, b"\x0a" + length + head, encoded)

    def _histogram(self, reading: Reading, time: int, starts: Mapping[SeriesKey, float]) -> bytes:
        metric, attributes, value = reading
        if not isinstance(value, Distribution):
            raise TypeError(f"{metric.name} is a histogram, and {value!r} is none")
        start = nanoseconds(starts.get((metric, attributes), 0.0))
        point = pb.HistogramDataPoint(
            attributes=self._attributes(metric, attributes),
            start_time_unix_nano=start,
            time_unix_nano=time,
            count=value.observations,
            sum=value.sum,
            bucket_counts=value.counts,
            explicit_bounds=value.bounds,
        )
        if value.exponential is None:
            return bytes(point.SerializeToString())
        buckets = value.exponential
        return bytes(
            pb.ExponentialHistogramDataPoint(
                attributes=point.attributes,
                start_time_unix_nano=start,
                time_unix_nano=time,
                count=point.count,
                sum=point.sum,
                scale=buckets.scale,
                zero_count=buckets.zero,
                positive=_buckets(buckets),
            ).SerializeToString()
        )

    def _summary(self, reading: Reading, time: int, starts: Mapping[SeriesKey, float]) -> bytes:
        metric, attributes, value = reading
        if not isinstance(value, Distribution):
            raise TypeError(f"{metric.name} is a summary, and {value!r} is none")
        point = pb.SummaryDataPoint(
            attributes=self._attributes(metric, attributes),
            start_time_unix_nano=nanoseconds(starts.get((metric, attributes), 0.0)),
            time_unix_nano=time,
            count=value.observations,
            sum=value.sum,
            quantile_values=[
                pb.SummaryDataPoint.ValueAtQuantile(quantile=share, value=limit)
                for share, limit in value.quantiles
            ],
        )
        return bytes(point.SerializeToString())

    def _attributes(self, metric: Metric, values: _Attributes) -> list[KeyValue]:
        pairs = zip(metric.attributes, values, strict=True)
        return [
            *self._common,
            *key_values((attribute.key, value) for attribute, value in pairs if value),
        ]


def _grouped(snapshot: Snapshot) -> dict[Metric, list[Dated]]:
    groups: dict[str, tuple[Metric, list[Dated]]] = {}
    for batch in snapshot.batches.values():
        time = nanoseconds(batch.taken_at)
        for reading in batch.readings:
            group = groups.get(reading[0].name)
            if group is None:
                group = groups[reading[0].name] = reading[0], []
            group[1].append((reading, time))
    return dict(groups.values())


def _of_one_form(dated: list[Dated]) -> list[Dated]:
    """Return the readings of a metric, histograms in one form: a metric in OTLP has one for all points."""
    if len({_exponential(reading) is None for reading, _ in dated}) < _BOTH_FORMS:
        return dated
    return [
        (reading._replace(value=reading.value._replace(exponential=None)), time)
        for reading, time in dated
        if isinstance(reading.value, Distribution)
    ]


def _exponential(reading: Reading) -> Exponential | None:
    return reading.value.exponential if isinstance(reading.value, Distribution) else None


def _undated(kept: _Kept, value: float | Distribution) -> bytes:
    """Return a point of a time before 1970, which OTLP leaves out as not known."""
    point = pb.NumberDataPoint.FromString(kept.tail)
    point.start_time_unix_nano = nanoseconds(kept.start or 0.0)
    point.as_double = value
    return _field(_REPEATED, point.SerializeToString())


def _buckets(buckets: Exponential) -> pb.ExponentialHistogramDataPoint.Buckets | None:
    if not buckets.counts:
        return None
    return pb.ExponentialHistogramDataPoint.Buckets(
        offset=buckets.offset, bucket_counts=buckets.counts
    )


@cache
def _described(metric: Metric, *, exponential: bool = False) -> tuple[bytes, int, bytes]:
    """Return what stands before a metric's data, the data's field number, and what ends it."""
    data: pb.Gauge | pb.Sum | pb.Histogram | pb.ExponentialHistogram | pb.Summary = pb.Gauge()
    field = "gauge"
    if metric.kind in {Kind.COUNTER, Kind.UP_DOWN_COUNTER}:
        monotonic = metric.kind is Kind.COUNTER
        field = "sum"
        data = pb.Sum(aggregation_temporality=_CUMULATIVE, is_monotonic=monotonic)
    elif metric.kind is Kind.SUMMARY:
        field = "summary"
        data = pb.Summary()
    elif exponential:
        field = "exponential_histogram"
        data = pb.ExponentialHistogram(aggregation_temporality=_CUMULATIVE)
    elif metric.kind is Kind.HISTOGRAM:
        field = "histogram"
        data = pb.Histogram(aggregation_temporality=_CUMULATIVE)
    head = pb.Metric(name=metric.name, description=metric.description, unit=metric.unit)
    number = pb.Metric.DESCRIPTOR.fields_by_name[field].number
    return head.SerializeToString(), number, data.SerializeToString()


def _field(number: int, body: bytes) -> bytes:
    """Return a field of a message, of the kind that says how long it is."""
    return bytes((number << 3 | 2,)) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    """Return a whole number as protobuf writes lengths: seven bits a byte, the lowest first."""
    parts = bytearray()
    while value >= _LAST_OF_BYTE:
        parts.append(value & 0x7F | _LAST_OF_BYTE)
        value >>= 7
    parts.append(value)
    return bytes(parts)
