"""MLServer, Seldon's inference server, measured against 1.7.

What is easily got wrong:

- ``model_infer_request_duration`` is a summary without quantiles, in seconds though its name has no unit:
  a histogram without bounds.
- A model without a version is of version ``None``, as a text.
- ``batch_request_queue`` and ``parallel_request_queue`` are histograms of the queues' lengths at each
  request, with the bounds of latencies: neither a time nor a number of requests that wait now.
- What is in progress is told by HTTP method and without a model: of the server, and POST alone.
- Histograms under other names may be a model's own.
"""

from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import By, Native, Profile, Signal, Source, Where
from agent.collectors.serving.profiles.sources import counter, info, times

_POST: Final = Where("method", frozenset({"POST"}))
_FAILURES: Final = "model_infer_request_failure_total"


def _counter(name: str, word: str) -> tuple[Source, ...]:
    return (Source(name=name, native=Native.COUNTER, by=(By(otherwise=word),)),)


MLSERVER: Final = Profile(
    name="mlserver",
    prefixes=(
        "model_infer_request_",
        "rest_server_requests_",
        "parallel_request_queue",
        "batch_request_queue",
    ),
    model_labels=("model", "model_name"),
    version_labels=("version", "model_version"),
    nameless=frozenset({"None"}),
    signals=(
        Signal(
            serving.REQUESTS_RUNNING,
            (Source(name="rest_server_requests_in_progress", native=Native.GAUGE, where=(_POST,)),),
            of_server=True,
        ),
        Signal(serving.REQUESTS_FINISHED, _counter("model_infer_request_success_total", "success")),
        Signal(serving.REQUESTS_FINISHED, _counter(_FAILURES, "error")),
        Signal(serving.REQUESTS_ERRORS, _counter(_FAILURES, "failure")),
        Signal(
            serving.REQUEST_DURATION,
            (
                Source(name="model_infer_request_duration", native=Native.SUMMARY),
                Source(
                    name="rest_server_request_duration_seconds",
                    native=Native.HISTOGRAM,
                    where=(_POST, Where("path", matching=r"/v2/models/.*/infer")),
                ),
            ),
        ),
        info(counter("model_infer_request_success_total"), times("model_infer_request_duration")),
    ),
)
