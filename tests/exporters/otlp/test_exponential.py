"""Histograms with exponential buckets on the wire."""

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from agent.catalogue.window import POWER_DISTRIBUTION, WATT_BOUNDS
from agent.observations import Observations
from agent.snapshot import Batch, Distribution, Reading, Snapshot
from exporters.otlp.identity import identity
from exporters.otlp.metrics import MetricEncoder, sliced
from exporters.prometheus import Exposition

NOON = 1_700_000_000.0


def observed(*watts: float) -> Distribution:
    """Return the distribution of these samples."""
    observations = Observations(WATT_BOUNDS)
    observations.add(watts)
    return observations.distribution()


def snapshot_of(*values: Distribution) -> Snapshot:
    """Return a snapshot with one GPU for each value."""
    readings = tuple(
        Reading(POWER_DISTRIBUTION, (f"GPU-{n}", "gpu"), value) for n, value in enumerate(values)
    )
    return Snapshot(1, NOON, {"nvml": Batch(NOON, readings)})


def pushed(*values: Distribution) -> Metric:
    """Return the metric as a receiver reads it."""
    snapshot = snapshot_of(*values)
    (readings,) = sliced(snapshot)
    encoded = MetricEncoder(identity("node", "", {})).request(readings, snapshot.starts)
    request = ExportMetricsServiceRequest.FromString(encoded.body)
    metrics: list[Metric] = list(request.resource_metrics[0].scope_metrics[0].metrics)
    assert len(metrics) == 1
    return metrics[0]


def test_exponential_buckets_are_pushed() -> None:
    """Count, sum, zero, scale and buckets arrive, cumulative and with the labels."""
    metric = pushed(observed(0.0, 300.0, 300.0, 650.0))

    assert metric.name == "hw.power.distribution"
    assert metric.exponential_histogram.aggregation_temporality == 2
    (point,) = metric.exponential_histogram.data_points
    assert (point.count, point.sum, point.zero_count, point.scale) == (4, 1250.0, 1, 3)
    assert sum(point.positive.bucket_counts) == 3
    assert point.positive.bucket_counts[0] == 2
    assert not point.negative.bucket_counts
    assert not point.HasField("min")
    assert {each.key: each.value.string_value for each in point.attributes} == {
        "k8s.node.name": "node",
        "hw.id": "GPU-0",
        "hw.type": "gpu",
    }


def test_a_metric_has_one_form() -> None:
    """Where one source has no exponential buckets, all points are classic: OTLP allows no mixture."""
    metric = pushed(observed(300.0), observed(650.0)._replace(exponential=None))

    assert [point.count for point in metric.histogram.data_points] == [1, 1]
    assert list(metric.histogram.data_points[0].explicit_bounds) == list(WATT_BOUNDS)


def test_a_scrape_has_classic_buckets() -> None:
    """The same snapshot scraped gives the fixed bounds, and the same count and sum."""
    text = Exposition("", "").text(snapshot_of(observed(300.0, 650.0))).decode()

    assert 'hw_power_distribution_watts_bucket{hw_id="GPU-0",hw_type="gpu",le="300.0"} 1' in text
    assert 'hw_power_distribution_watts_count{hw_id="GPU-0",hw_type="gpu"} 2' in text
    assert 'hw_power_distribution_watts_sum{hw_id="GPU-0",hw_type="gpu"} 950' in text
