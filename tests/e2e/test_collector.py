"""What a real OpenTelemetry Collector makes of our OTLP is what our own `/metrics` says.

Runs with ``REAL_PARTS_GO=1`` alone, because the Collector is built first: minutes, and a Go toolchain.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.real_parts.install import path_of
from tests.real_parts.otelcol import start_collector
from tests.real_parts.payloads import serving_captures
from tests.real_parts.programs import Program, Programs, eventually, http_get

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]
_COLLECTORS_OWN = ("job", "instance", "otel_scope_")
Series = tuple[str, frozenset[tuple[str, str]]]


def _series(url: str) -> set[Series]:
    """Return the series of an endpoint, without the labels that the Collector adds of itself."""
    page = http_get(f"{url}/metrics").decode()
    return {
        (sample.name, frozenset(_ours(sample.labels)))
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name != "target_info"
    }


def _ours(labels: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (label, str(float(value)) if label == "le" else value)
        for label, value in labels.items()
        if not label.startswith(_COLLECTORS_OWN)
    ]


def _types(url: str) -> dict[str, str]:
    page = http_get(f"{url}/metrics").decode()
    families = text_string_to_metric_families(page)
    return {family.name: family.type for family in families if family.name != "target"}


def test_the_collector_gives_the_same_series(
    start: Callable[..., Program], programs: Programs, tmp_path: Path
) -> None:
    """Names, labels and types through the Collector are those of the agent's own `/metrics`."""
    collector, otlp = start_collector(programs, path_of("otelcol"), tmp_path)
    with serving_captures() as captures:
        servers: list[dict[str, Any]] = [
            {"name": name, "url": f"{captures}/{name}/metrics", "profile": name, "interval": 1}
            for name in ("vllm", "triton")
        ]
        agent = start(
            "--simulate", "2xH100", servers=servers, otlp=[{"endpoint": otlp, "interval": 1}]
        )

        def same() -> bool:
            return len(_series(agent.url)) > 200 and _series(agent.url) == _series(collector.url)

        try:
            eventually("the same series", same, timeout=30, step=0.5)
        finally:
            ours, theirs = _series(agent.url), _series(collector.url)
        assert ours == theirs
        assert {k: v for k, v in _types(collector.url).items() if k != "target_info"} == _types(
            agent.url
        )
