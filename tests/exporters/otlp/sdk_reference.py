"""A snapshot through the SDK's public data model and the official encoder: what our bytes are held to."""

from collections.abc import Mapping
from typing import cast

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
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
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

import agent
from agent import catalogue
from agent.catalogue import Kind
from agent.snapshot import Distribution, SeriesKey
from exporters.otlp.identity import Identity, nanoseconds, text
from exporters.otlp.metrics import Dated, Slice

_CUMULATIVE = AggregationTemporality.CUMULATIVE
_NOT_KNOWN = cast("float", None)
"""Least and greatest observation: optional in OTLP, where the encoder leaves `None` out."""

_Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint


def official(readings: Slice, starts: Mapping[SeriesKey, float], who: Identity) -> bytes:
    """Return readings, whose histograms have one form a metric, as the official encoder writes them."""
    metrics = [
        _metric(metric, [_point(each, starts, who.common) for each in dated])
        for metric, dated in readings.items()
    ]
    scope = InstrumentationScope("warpwatch", agent.__version__)
    resource = Resource(dict(who.resource))
    of_scope = ScopeMetrics(scope, metrics, schema_url="")
    data = MetricsData([ResourceMetrics(resource, [of_scope], schema_url="")])
    return bytes(encode_metrics(data).SerializeToString())


def _point(dated: Dated, starts: Mapping[SeriesKey, float], common: Mapping[str, str]) -> _Point:
    (metric, values, value), time = dated
    start = nanoseconds(starts.get((metric, values), 0.0))
    attributes = dict(common)
    for attribute, each in zip(metric.attributes, values, strict=True):
        if each:
            attributes[attribute.key] = text(each)
    if not isinstance(value, Distribution):
        return NumberDataPoint(attributes, start, time, float(value))
    if value.exponential is not None:
        return ExponentialHistogramDataPoint(
            attributes,
            start,
            time,
            count=value.observations,
            sum=value.sum,
            scale=value.exponential.scale,
            zero_count=value.exponential.zero,
            positive=Buckets(value.exponential.offset, value.exponential.counts),
            negative=Buckets(0, ()),
            flags=0,
            min=_NOT_KNOWN,
            max=_NOT_KNOWN,
        )
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
        case Kind.HISTOGRAM:
            data = Histogram(cast("list[HistogramDataPoint]", points), _CUMULATIVE)
    return Metric(metric.name, metric.description, metric.unit, data)
