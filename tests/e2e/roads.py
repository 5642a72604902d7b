"""The two roads out of the agent in one language: series and values, whichever way they came."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from agent.catalogue import itself
from agent.catalogue.translation import family_name, label_name
from tests.otlp_sink import Point, points
from tests.real_parts.servers import Prometheus

Series = tuple[str, frozenset[tuple[str, str]]]
Values = dict[Series, float]

_SCRAPERS_OWN = ("up", "scrape_")
_SCRAPERS_LABELS = {"__name__", "job", "instance"}
TAKEN_AT = itself.SNAPSHOT_TIMESTAMP.family


def by_snapshot(roads: list[Values]) -> dict[float, Values]:
    """Return what came, by the snapshot that it was made of: the agent's own timestamp."""
    found = {}
    for values in roads:
        (taken_at,) = (value for (name, _), value in values.items() if name == TAKEN_AT)
        found[taken_at] = values
    return found


def scraped(server: Prometheus, job: str, seconds: int) -> list[Values]:
    """Return what Prometheus stored of each scrape within the last ``seconds``, as it stored it."""
    scrapes: defaultdict[float, Values] = defaultdict(dict)
    for series in server.ask("query", query=f'{{job="{job}"}}[{seconds}s]')["result"]:
        key = _scraped_series(series["metric"])
        if not key[0].startswith(_SCRAPERS_OWN):
            for at, value in series["values"]:
                scrapes[at][key] = float(value)
    return [values for values in scrapes.values() if any(name == TAKEN_AT for name, _ in values)]


def _scraped_series(labels: Mapping[str, str]) -> Series:
    bound = {"le": _bound(float(labels["le"]))} if "le" in labels else {}
    ours = {**labels, **bound}
    return labels["__name__"], frozenset(
        (label, value) for label, value in ours.items() if label not in _SCRAPERS_LABELS
    )


def pushed(requests: list[ExportMetricsServiceRequest]) -> list[Values]:
    """Return what each request holds, as Prometheus would name it by OpenTelemetry's rules."""
    return [
        dict(pair for point in points(request) for pair in _as_series(point))
        for request in requests
    ]


def _as_series(point: Point) -> list[tuple[Series, float]]:
    family = family_name(
        point.name,
        point.unit,
        counter=point.kind.startswith("monotonic"),
        gauge=point.kind == "gauge",
    )
    labels = {label_name(key): str(value) for key, value in point.attributes.items()}
    if not point.kind.startswith("histogram"):
        return [(_series(family, labels), float(point.value))]
    total, bounds, counts = point.value
    return _as_histogram(family, labels, total, bounds, counts)


def _as_histogram(
    family: str,
    labels: Mapping[str, str],
    total: float,
    bounds: tuple[float, ...],
    counts: tuple[int, ...],
) -> list[tuple[Series, float]]:
    buckets, below = [], 0
    for bound, count in zip((*bounds, float("inf")), counts, strict=True):
        below += count
        buckets.append((_series(f"{family}_bucket", {**labels, "le": _bound(bound)}), float(below)))
    return [
        *buckets,
        (_series(f"{family}_sum", labels), total),
        (_series(f"{family}_count", labels), float(below)),
    ]


def _series(name: str, labels: Mapping[str, Any]) -> Series:
    return name, frozenset(labels.items())


def _bound(value: float) -> str:
    return repr(value)
