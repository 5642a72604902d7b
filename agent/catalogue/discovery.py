"""Metrics of the search for model servers: how many places are known, and which pod a server is."""

from typing import Final

from agent.catalogue.attributes import (
    DISCOVERY_SOURCE,
    DISCOVERY_STATE,
    K8S_CONTAINER,
    K8S_NAMESPACE,
    K8S_POD,
    SERVER,
)
from agent.catalogue.metric import Kind, Metric

TARGETS = Metric(
    name="warpwatch.discovery.targets",
    kind=Kind.UP_DOWN_COUNTER,
    unit="{target}",
    description="Places where a model server is (`server`) or might be (`candidate`), by who told of them.",
    attributes=(DISCOVERY_SOURCE, DISCOVERY_STATE),
    group="agent",
)
SERVER_POD = Metric(
    name="inference.server.pod",
    kind=Kind.UP_DOWN_COUNTER,
    unit="1",
    description="Always 1, for each model server whose pod is known; the container is absent where the pod "
    "does not say which one listens. Absent for servers outside of pods.",
    attributes=(SERVER, K8S_NAMESPACE, K8S_POD, K8S_CONTAINER),
    group="serving",
)

METRICS: Final = (TARGETS, SERVER_POD)
