"""What receivers answer, decoded: how much of a request was refused, and why.

The answer is advice about data already delivered or lost. So an answer that makes no sense is an answer
without advice, and never a failure of its own.
"""

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from exporters.otlp.delivery import Receipt, one_line
from exporters.otlp.settings import Signal


def receipt(signal: Signal, body: bytes) -> Receipt:
    """Return what a receiver that accepted says about it: nothing, or how many items it rejected."""
    try:
        if signal == "metrics":
            metrics = ExportMetricsServiceResponse.FromString(body).partial_success
            return Receipt(max(0, metrics.rejected_data_points), one_line(metrics.error_message))
        logs = ExportLogsServiceResponse.FromString(body).partial_success
        return Receipt(max(0, logs.rejected_log_records), one_line(logs.error_message))
    except DecodeError:
        return Receipt()


def status_words(body: bytes) -> str:
    """Return the message of a `google.rpc.Status`, as the specification wants errors; else empty."""
    from google.rpc.status_pb2 import Status  # noqa: PLC0415 - only where something was refused

    try:
        return one_line(Status.FromString(body).message)
    except DecodeError:
        return ""


def retry_delay(body: bytes) -> float | None:
    """Return the seconds that a `RetryInfo` within a `google.rpc.Status` asks to wait, if one is there."""
    from google.rpc.error_details_pb2 import RetryInfo  # noqa: PLC0415 - as above
    from google.rpc.status_pb2 import Status  # noqa: PLC0415 - as above

    try:
        for detail in Status.FromString(body).details:
            info = RetryInfo()
            if detail.Unpack(info):
                return max(0.0, float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9))
    except DecodeError:
        pass
    return None
