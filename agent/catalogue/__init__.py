"""The truth: every metric, attribute and event that Warpwatch knows, as frozen data.

Exposition, OTLP, docs/metrics.md, panels, alert expressions and the chart derive from it.
Standard library only: the build-time rooms import it, and nothing else of ours.
"""

from typing import Final

from agent.catalogue import (
    discovery,
    drift,
    gpu,
    gpu_errors,
    gpu_health,
    gpu_mig,
    gpu_owners,
    gpu_work,
    itself,
    probe,
    serving,
    serving_gpu,
    serving_slo,
    system,
    window,
)
from agent.catalogue.attributes import COMMON
from agent.catalogue.events import EVENT_KINDS
from agent.catalogue.metric import Attribute, EventKind, Kind, Metric, Severity, Stability

CATALOGUE: Final[tuple[Metric, ...]] = (
    *gpu.METRICS,
    *gpu_errors.METRICS,
    *gpu_health.METRICS,
    *gpu_work.METRICS,
    *gpu_mig.METRICS,
    *gpu_owners.METRICS,
    *window.METRICS,
    *serving.METRICS,
    *drift.METRICS,
    *serving_gpu.METRICS,
    *serving_slo.METRICS,
    *probe.METRICS,
    *discovery.METRICS,
    *system.METRICS,
    *itself.METRICS,
)
BY_NAME: Final[dict[str, Metric]] = {metric.name: metric for metric in CATALOGUE}

__all__ = [
    "BY_NAME",
    "CATALOGUE",
    "COMMON",
    "EVENT_KINDS",
    "Attribute",
    "EventKind",
    "Kind",
    "Metric",
    "Severity",
    "Stability",
]
