"""Our computed Prometheus names against those of OpenTelemetry's own Prometheus exporter."""

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family

from agent.catalogue import CATALOGUE, Kind, Metric

INSTRUMENTS = [metric for metric in CATALOGUE if metric.kind is not Kind.SUMMARY]
"""A summary is a point of the data model, and no instrument makes one."""


@pytest.fixture(scope="module")
def exposed() -> dict[str, Family]:
    """Return the families that the official exporter makes of our instruments, by our metric's name.

    Each instrument is recorded with one value and exposed by a provider of its own, so that a family
    belongs to one metric beyond doubt.
    """
    return {metric.name: _expose(metric) for metric in INSTRUMENTS}


def _expose(metric: Metric) -> Family:
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(
        disable_target_info=True, scope_info_enabled=False, registry=registry
    )
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meter = provider.get_meter("catalogue")
    attributes = {attribute.key: "x" for attribute in metric.attributes}
    name, unit, description = metric.name, metric.unit, metric.description
    match metric.kind:
        case Kind.GAUGE:
            meter.create_gauge(name, unit, description).set(1, attributes)
        case Kind.UP_DOWN_COUNTER:
            meter.create_up_down_counter(name, unit, description).add(1, attributes)
        case Kind.COUNTER:
            meter.create_counter(name, unit, description).add(1, attributes)
        case Kind.HISTOGRAM:
            meter.create_histogram(name, unit, description).record(1, attributes)
    (family,) = registry.collect()
    provider.shutdown()
    return family


@pytest.mark.parametrize("metric", INSTRUMENTS, ids=lambda metric: metric.name)
class TestEachMetric:
    """What the official exporter says of each instrument of the catalogue."""

    def test_series_names(self, metric: Metric, exposed: dict[str, Family]) -> None:
        """The series have the names that the official exporter gives, but for a gauge's `_ratio`.

        The Python exporter leaves `_ratio` away where the Collector adds it; that is the one difference.
        """
        official = {sample.name for sample in exposed[metric.name].samples}

        if metric.kind is Kind.GAUGE and metric.unit == "1":
            ratios = {f"{name.removesuffix('_ratio')}_ratio" for name in official}
            assert ratios == set(metric.series)
        else:
            assert official == set(metric.series)

    def test_label_names(self, metric: Metric, exposed: dict[str, Family]) -> None:
        """The labels are those of the official exporter, in names and in number."""
        labels = {label for sample in exposed[metric.name].samples for label in sample.labels}

        assert labels - {"le"} == set(metric.labels)

    def test_type(self, metric: Metric, exposed: dict[str, Family]) -> None:
        """The type behind `# TYPE` is the official exporter's."""
        assert exposed[metric.name].type == metric.kind.prometheus_type


def test_the_known_difference_exists(exposed: dict[str, Family]) -> None:
    """The exporter still leaves `_ratio` away; once it does not, the special case above can go."""
    assert exposed["hw.gpu.utilization"].name == "hw_gpu_utilization"
