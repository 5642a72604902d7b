"""Metrics of the agent itself: an agent that cannot say how it is cannot be trusted with the rest."""

from typing import Final

from agent.catalogue.attributes import (
    COLLECTOR,
    COLLECTOR_STATUS,
    EVENT_NAME,
    EXPORTER,
    NOT_LET_IN,
    PROBLEM,
    PYTHON,
    SIGNAL,
    VERSION,
)
from agent.catalogue.metric import Attribute, Kind, Metric


def _own(name: str, kind: Kind, unit: str, description: str, *attributes: Attribute) -> Metric:
    return Metric(
        name=f"warpwatch.{name}",
        kind=kind,
        unit=unit,
        description=description,
        attributes=attributes,
        group="agent",
    )


INFO = _own(
    "info", Kind.UP_DOWN_COUNTER, "1", "Always 1; what the agent is made of.", VERSION, PYTHON
)
SNAPSHOT_TIMESTAMP = _own(
    "snapshot.timestamp", Kind.GAUGE, "s", "When the snapshot that you read was taken, Unix time."
)
COLLECTOR_UP = _own(
    "collector.up",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 where the collector's last run gave data; an unavailable source counts as 0.",
    COLLECTOR,
)
COLLECTOR_STATE = _own(
    "collector.status",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 for the state that the collector is in, 0 for the others.",
    COLLECTOR,
    COLLECTOR_STATUS,
)
COLLECTOR_DURATION = _own(
    "collector.duration",
    Kind.GAUGE,
    "s",
    "How long the collector's last finished run took.",
    COLLECTOR,
)
COLLECTOR_LAST_SUCCESS = _own(
    "collector.last_success.timestamp",
    Kind.GAUGE,
    "s",
    "When the collector last gave data, Unix time; absent until it has.",
    COLLECTOR,
)
COLLECTOR_PROBLEMS = _own(
    "collector.problems",
    Kind.COUNTER,
    "{problem}",
    "Values that could not be read or were refused, by what was wrong.",
    COLLECTOR,
    PROBLEM,
)
EXPORT_ITEMS = _own(
    "export.sent",
    Kind.COUNTER,
    "{item}",
    "Data points and log records that the receiver accepted.",
    EXPORTER,
    SIGNAL,
)
EXPORT_FAILED = _own(
    "export.failed",
    Kind.COUNTER,
    "{request}",
    "Export requests that failed, retries included.",
    EXPORTER,
    SIGNAL,
)
EXPORT_DROPPED = _own(
    "export.dropped",
    Kind.COUNTER,
    "{item}",
    "Data points and log records given up: the queue was full or the receiver refused them.",
    EXPORTER,
    SIGNAL,
)
EXPORT_QUEUE = _own(
    "export.queue.size",
    Kind.UP_DOWN_COUNTER,
    "{request}",
    "Export requests waiting to be sent.",
    EXPORTER,
    SIGNAL,
)
EVENTS = _own(
    "events", Kind.COUNTER, "{event}", "Events seen since the agent started, by kind.", EVENT_NAME
)
WEB_REFUSED = _own(
    "web.refused",
    Kind.COUNTER,
    "{request}",
    "Requests to our own endpoint that were not let in, and TLS handshakes that failed; absent where "
    "neither TLS nor credentials are configured.",
    NOT_LET_IN,
)
PROCESS_CPU = _own(
    "process.cpu.time", Kind.COUNTER, "s", "CPU time that the agent has used, user and system."
)
PROCESS_MEMORY = _own(
    "process.memory.usage",
    Kind.UP_DOWN_COUNTER,
    "By",
    "Memory of the agent's process: resident set size.",
)
PROCESS_UPTIME = _own("process.uptime", Kind.GAUGE, "s", "How long the agent has been running.")

METRICS: Final = (
    INFO,
    SNAPSHOT_TIMESTAMP,
    COLLECTOR_UP,
    COLLECTOR_STATE,
    COLLECTOR_DURATION,
    COLLECTOR_LAST_SUCCESS,
    COLLECTOR_PROBLEMS,
    EXPORT_ITEMS,
    EXPORT_FAILED,
    EXPORT_DROPPED,
    EXPORT_QUEUE,
    EVENTS,
    WEB_REFUSED,
    PROCESS_CPU,
    PROCESS_MEMORY,
    PROCESS_UPTIME,
)
