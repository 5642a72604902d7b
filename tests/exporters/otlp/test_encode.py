from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

import agent
from agent.catalogue import CATALOGUE, EVENT_KINDS, Kind, Metric, events, gpu, serving
from agent.snapshot import Batch, Distribution, Event, Reading, Snapshot
from exporters.otlp.encode import (
    MOST_POINTS,
    SLICE,
    event_request,
    identity,
    joined,
    metric_request,
    nanoseconds,
    sliced,
)
from tests.exporters import snapshots
from tests.otlp_sink import Point, attributes, points

WHO = identity("node-1", "fleet", {"team": "ml"})
KINDS = {
    Kind.GAUGE: "gauge",
    Kind.COUNTER: "monotonic sum cumulative",
    Kind.UP_DOWN_COUNTER: "sum cumulative",
    Kind.HISTOGRAM: "histogram cumulative",
}


def pushed(snapshot: Snapshot) -> list[Point]:
    """Return the data points of a snapshot as a receiver decodes them."""
    encoded = joined(metric_request(each, snapshot.starts, WHO) for each in sliced(snapshot))
    found = points(ExportMetricsServiceRequest.FromString(encoded.body))
    assert encoded.items == len(found)
    return found


def of(*readings: Reading, taken_at: float = 1000.0, **more: Any) -> Snapshot:
    """Return a snapshot that holds these readings."""
    return Snapshot(1, taken_at, {"test": Batch(taken_at, readings)}, **more)


def test_every_reading_becomes_one_data_point() -> None:
    """Names, kinds, units, attributes, values, bounds and times of a whole node arrive as they are."""
    snapshot = snapshots.full()

    found = {point.key: point for point in pushed(snapshot)}

    readings = [
        (batch.taken_at, *reading)
        for batch in snapshot.batches.values()
        for reading in batch.readings
    ]
    assert len(found) == len(readings) > 250
    for taken_at, metric, values, value in readings:
        named = {key.key: each for key, each in zip(metric.attributes, values, strict=True) if each}
        named |= {"k8s.node.name": "node-1", "k8s.cluster.name": "fleet"}
        point = found[metric.name, tuple(sorted(named.items()))]
        assert (point.kind, point.unit) == (KINDS[metric.kind], metric.unit)
        assert point.description == metric.description
        assert point.time == nanoseconds(taken_at)
        if isinstance(value, Distribution):
            assert point.value == (value.sum, value.bounds, value.counts)
        else:
            assert point.value == value
            assert isinstance(point.value, float)
        since = 0 if metric.kind is Kind.GAUGE else snapshot.starts[metric, values]
        assert point.start == nanoseconds(since)


def test_a_summary_arrives_as_a_summary() -> None:
    """Quantiles, sum and count are a point of OTLP's own kind, beside points of other kinds."""
    key = ("s", "triton", "m", "1", "")
    quantiles = ((0.5, 0.01), (0.99, 0.25))
    summary = Distribution((), (7,), 1.5, None, quantiles)
    metric = serving.REQUEST_DURATION_QUANTILES
    snapshot = of(
        Reading(metric, key, summary),
        Reading(serving.REQUESTS_WAITING, key, 3),
        starts={(metric, key): 900.0},
    )

    found = {point.name: point for point in pushed(snapshot)}

    point = found[metric.name]
    assert set(found) == {metric.name, serving.REQUESTS_WAITING.name}
    assert (point.kind, point.unit, point.description) == ("summary", "s", metric.description)
    assert point.value == (1.5, 7, quantiles)
    assert (point.start, point.time) == (nanoseconds(900), nanoseconds(1000))
    assert point.attributes["gen_ai.provider.name"] == "triton"
    assert "inference.engine.id" not in point.attributes


def test_each_batch_keeps_its_own_time() -> None:
    """A value is stamped with when it was read, not with when it was exported."""
    batches = {
        "a": Batch(1000.25, (Reading(gpu.POWER_LIMIT, ("GPU-a",), 700),)),
        "b": Batch(1009.5, (Reading(gpu.POWER_LIMIT, ("GPU-b",), 700),)),
    }

    found = pushed(Snapshot(1, 1010.0, batches))

    assert {point.attributes["hw.id"]: point.time for point in found} == {
        "GPU-a": 1_000_250_000_000,
        "GPU-b": 1_009_500_000_000,
    }


def test_start_says_since_when_a_series_counts() -> None:
    """A cumulative series carries its start; one whose start nobody knows carries none."""
    known = Reading(serving.TOKENS_PROMPT, ("s", "vllm", "m", "", ""), 5)
    unknown = Reading(serving.TOKENS_GENERATED, ("s", "vllm", "m", "", ""), 5)

    found = pushed(of(known, unknown, starts={(known.metric, known.attributes): 400.5}))

    assert {point.name: point.start for point in found} == {
        "inference.tokens.prompt": 400_500_000_000,
        "inference.tokens.generated": 0,
    }


def test_empty_attributes_are_absent() -> None:
    """An empty string stands for no attribute, also where no cluster is configured."""
    reading = Reading(serving.REQUESTS_RUNNING, ("s", "triton", "m", "", ""), 1)
    nobody = identity("node-1", "", {})

    (part,) = sliced(of(reading))
    (point,) = points(ExportMetricsServiceRequest.FromString(metric_request(part, {}, nobody).body))

    assert point.attributes == {
        "k8s.node.name": "node-1",
        "inference.server.name": "s",
        "gen_ai.provider.name": "triton",
        "gen_ai.request.model": "m",
    }
    assert "k8s.cluster.name" not in point.resource


def test_histogram_without_bounds_keeps_sum_and_count() -> None:
    """A server that tells only a sum and a count gives a histogram of one bucket."""
    reading = Reading(
        serving.REQUEST_DURATION, ("s", "t", "m", "", ""), Distribution((), (7,), 3.5)
    )

    (point,) = pushed(of(reading))

    assert point.value == (3.5, (), (7,))


def test_resource_says_who_speaks() -> None:
    """Service, host and cluster stand on the resource; the configured attributes as well."""
    (point,) = pushed(of(Reading(gpu.DEVICES, (), 8)))

    assert point.resource == {
        "service.name": "warpwatch",
        "service.version": agent.__version__,
        "service.instance.id": "node-1",
        "host.name": "node-1",
        "k8s.node.name": "node-1",
        "k8s.cluster.name": "fleet",
        "team": "ml",
        "telemetry.sdk.name": "warpwatch",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": agent.__version__,
    }
    assert point.scope == ("warpwatch", agent.__version__)


def test_configured_resource_wins_over_defaults_but_not_over_node_and_cluster() -> None:
    """Data points and resource never disagree about the node, whatever the environment says."""
    who = identity("n", "", {"service.name": "gpus", "k8s.node.name": "other", "host.name": ""})

    assert who.resource["service.name"] == "gpus"
    assert who.resource["k8s.node.name"] == "n" == who.common["k8s.node.name"]
    assert "host.name" not in who.resource


@given(st.lists(st.integers(0, 3 * SLICE), max_size=6))
def test_slices_hold_everything_once_and_stay_small(sizes: list[int]) -> None:
    """However many points a metric has, no slice exceeds its size and none is lost or doubled."""
    metrics = [metric for metric in CATALOGUE if metric.kind is Kind.GAUGE][: len(sizes)]
    readings = [
        Reading(metric, (str(each),) * len(metric.attributes), 0.5)
        for metric, size in zip(metrics, sizes, strict=False)
        for each in range(size)
    ]

    slices = list(sliced(of(*readings)))

    held = [dated[0] for part in slices for series in part.values() for dated in series]
    assert Counter(held) == Counter(readings)
    assert all(0 < sum(map(len, part.values())) <= SLICE for part in slices)
    assert SLICE < MOST_POINTS


def test_text_that_is_no_unicode_goes_out() -> None:
    """Names from the system may hold lone surrogates; the point is sent with a mark in their place."""
    reading = Reading(gpu.POWER_LIMIT, ("GPU-\udcff\N{SNOWMAN}",), 700)

    (point,) = pushed(of(reading))

    assert point.attributes["hw.id"] == "GPU-?\N{SNOWMAN}"


def test_whole_numbers_and_fractions_have_one_type() -> None:
    """A series is always a double, so that its type never changes from one export to the next."""
    found = [pushed(of(Reading(gpu.POWER, ("g", "gpu"), watts)))[0] for watts in (7, 7.5, True)]

    assert [type(point.value) for point in found] == [float] * 3


def official(readings: list[Reading]) -> list[Point]:
    """Push readings through the SDK's own instruments and return what its exporter would send."""
    bounds = {
        reading.metric.name: reading.value.bounds
        for reading in readings
        if isinstance(reading.value, Distribution)
    }
    reader = InMemoryMetricReader()
    views = [
        View(instrument_name=name, aggregation=ExplicitBucketHistogramAggregation(each, False))
        for name, each in bounds.items()
    ]
    provider = MeterProvider([reader], Resource(dict(WHO.resource)), views=views)
    meter = provider.get_meter("warpwatch", agent.__version__)
    for metric in dict.fromkeys(reading.metric for reading in readings):
        own = [reading for reading in readings if reading.metric == metric]
        _record(meter, metric, own)
    data = reader.get_metrics_data()
    provider.shutdown()
    assert isinstance(data, MetricsData)
    return _sdk_points(data)


def _sdk_points(data: MetricsData) -> list[Point]:
    message = encode_metrics(data)
    for metric in message.resource_metrics[0].scope_metrics[0].metrics:
        for point in metric.histogram.data_points:
            point.ClearField("min")  # the SDK says infinity where it records none
            point.ClearField("max")
    return points(message)


def _record(meter: Any, metric: Metric, readings: list[Reading]) -> None:
    def named(reading: Reading) -> dict[str, str]:
        pairs = zip(metric.attributes, reading.attributes, strict=True)
        return {**WHO.common, **{key.key: value for key, value in pairs if value}}

    def observe(_: CallbackOptions) -> list[Observation]:
        return [Observation(float(each.value), named(each)) for each in readings]  # type: ignore[arg-type]

    about = {"unit": metric.unit, "description": metric.description}
    if metric.kind is Kind.HISTOGRAM:
        histogram = meter.create_histogram(metric.name, **about)
        for reading in readings:
            for value in _observations(reading.value):
                histogram.record(value, named(reading))
        return
    create = {
        Kind.GAUGE: meter.create_observable_gauge,
        Kind.COUNTER: meter.create_observable_counter,
        Kind.UP_DOWN_COUNTER: meter.create_observable_up_down_counter,
    }[metric.kind]
    create(metric.name, [observe], **about)


def _observations(value: Any) -> list[float]:
    """Return observations that make just these bucket counts; their sum is the distribution's."""
    edges = [*value.bounds, value.bounds[-1] + 1]
    return [edge for edge, count in zip(edges, value.counts, strict=True) for _ in range(count)]


def test_the_sdk_itself_sends_the_same() -> None:
    """The official instruments and encoder give the same points for the same values, but for times."""
    shape = Distribution((0.25, 0.5, 1.0), (1, 0, 3, 2), 0.25 + 3 + 4.0)
    vllm = ("s", "vllm", "m", "", "0")
    readings = [
        Reading(metric, tuple(f"{key.key}-1" for key in metric.attributes), number + 0.5)
        for number, metric in enumerate(CATALOGUE)
        if metric.kind not in (Kind.HISTOGRAM, Kind.SUMMARY)
    ]
    readings += [
        Reading(serving.REQUEST_DURATION, vllm, shape),
        Reading(serving.QUEUE_DURATION, vllm, shape),
        Reading(serving.REQUESTS_RUNNING, (*vllm[:3], "2", ""), 3),
    ]

    ours, theirs = pushed(of(*readings)), official(readings)

    timeless = {point.key: point._replace(start=0, time=0) for point in theirs}
    assert {point.key: point._replace(start=0, time=0) for point in ours} == timeless
    assert len(ours) == len(theirs) == len(readings)


def records(*happened: Event, observed_at: float = 2000.0) -> list[Any]:
    """Return the log records of events as a receiver decodes them."""
    encoded = event_request(happened, observed_at, WHO)
    request = ExportLogsServiceRequest.FromString(encoded.body)
    (resource,) = request.resource_logs
    (scope,) = resource.scope_logs
    assert attributes(resource.resource.attributes) == WHO.resource
    assert (scope.scope.name, scope.scope.version) == ("warpwatch", agent.__version__)
    assert encoded.items == len(scope.log_records)
    return list(scope.log_records)


def test_an_event_becomes_a_log_record() -> None:
    """Name, severity, sentence, attributes and both times of an event arrive."""
    event = Event(
        events.GPU_OOM,
        1999.5,
        "GPU 3 most likely ran out of memory",
        (("hw.id", "GPU-3"), ("process.pid", 4711), ("hw.gpu.memory.usage", 2**36)),
    )

    (record,) = records(event)

    assert record.event_name == "gpu.oom"
    assert record.time_unix_nano == 1_999_500_000_000
    assert record.observed_time_unix_nano == 2_000_000_000_000
    assert record.body.string_value == event.body
    assert (record.severity_number, record.severity_text) == (
        SeverityNumber.SEVERITY_NUMBER_WARN,
        "WARN",
    )
    assert attributes(record.attributes) == {
        "event.name": "gpu.oom",
        "hw.id": "GPU-3",
        "process.pid": 4711,
        "hw.gpu.memory.usage": 2**36,
    }


@pytest.mark.parametrize("kind", EVENT_KINDS, ids=lambda kind: kind.name)
def test_severity_follows_who_should_care(kind: Any) -> None:
    """What pages is an error, what makes a ticket a warning, the rest information."""
    (record,) = records(Event(kind, 1.0, "something"))

    words = {"page": "ERROR", "ticket": "WARN", "info": "INFO"}
    assert record.severity_text == words[kind.severity.value]
    assert record.event_name == kind.name


@given(st.text(), st.integers() | st.floats() | st.text())
def test_any_event_can_be_encoded(body: str, value: str | float) -> None:
    """No text and no number that a source gives can keep an event from going out."""
    event = replace(Event(events.GPU_LOST, 1.0, ""), body=body, attributes=(("x", value),))

    (record,) = records(event)

    assert len(attributes(record.attributes)) == 2
