"""Events as OTLP log records: from what happened to bytes for the wire.

Written as the protocol's own messages, because the SDK's classes for them have changed name and shape
several times.
"""

from collections.abc import Iterable
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from agent.catalogue import Severity
from agent.catalogue.attributes import EVENT_NAME
from agent.snapshot import Event
from exporters.otlp.delivery import Encoded
from exporters.otlp.identity import SCOPE, Identity, any_value, key_values, nanoseconds

_SEVERITIES: Final = {
    Severity.PAGE: SeverityNumber.SEVERITY_NUMBER_ERROR,
    Severity.TICKET: SeverityNumber.SEVERITY_NUMBER_WARN,
    Severity.INFO: SeverityNumber.SEVERITY_NUMBER_INFO,
}


def event_request(events: Iterable[Event], observed_at: float, who: Identity) -> Encoded:
    """Return events as one request of log records, observed at ``observed_at`` (Unix seconds)."""
    records = [_record(event, nanoseconds(observed_at)) for event in events]
    resource = Resource(attributes=key_values(who.resource.items()))
    logs = ResourceLogs(resource=resource, scope_logs=[ScopeLogs(scope=SCOPE, log_records=records)])
    request = ExportLogsServiceRequest(resource_logs=[logs])
    return Encoded(request.SerializeToString(), len(records))


def _record(event: Event, observed: int) -> LogRecord:
    """Return the log record. The kind is also an attribute, for receivers older than `event_name`."""
    number = _SEVERITIES[event.kind.severity]
    return LogRecord(
        time_unix_nano=nanoseconds(event.time),
        observed_time_unix_nano=observed,
        severity_number=number,
        severity_text=SeverityNumber.Name(number).removeprefix("SEVERITY_NUMBER_"),
        event_name=event.kind.name,
        body=any_value(event.body),
        attributes=key_values([(EVENT_NAME.key, event.kind.name), *event.attributes]),
    )
