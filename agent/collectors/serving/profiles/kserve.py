"""KServe: its Python SDK, measured against 0.21, and Knative's queue-proxy, by Knative's documents.

What is easily got wrong:

- The SDK times the steps of a request, each in a histogram: the prediction alone is told here. It counts
  no requests and no errors: how many there were is the count of predictions and explanations, those that
  failed among them.
- queue-proxy told milliseconds until Knative 1.18 and tells seconds since 1.19, under other names with
  other labels; the first patch releases of 1.19 and 1.20 had other names again. Aggregated pages (port
  9088) have the SDK's families and queue-proxy's together.
- ``revision_request_latencies`` has the wait in queue-proxy, ``revision_app_request_latencies`` and its
  successors have not.
- The queue's depth has the requests that are being answered in it as well: requests in progress, and not
  those that wait.
- vLLM's families beside the SDK's are those of the Hugging Face runtime: the page is vLLM's as well.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import Added, By, Native, Profile, Signal, Source, Where
from agent.collectors.serving.profiles.sources import info, times

_MILLISECONDS: Final = 1e3
_STATUS: Final = ("http_response_status_code",)
_CODE: Final = ("response_code",)
_REFUSED_OR_FAILED: Final = "[45]..|[45]xx"


def _histogram(name: str, *, per: float = 1.0) -> Source:
    return Source(name=name, native=Native.HISTOGRAM, per=per)


def _times(name: str, by: By) -> Source:
    return Source(name=name, native=Native.COUNT, by=(by,))


_PREDICT: Final = "request_predict_seconds"
_EXPLAIN: Final = "request_explain_seconds"
_INVOCATIONS: Final = (
    "kn_serving_invocation_duration_seconds",
    "kn_queueproxy_app_duration_seconds",
)
_ANSWERS: Final = (
    *(_times(name, By(_STATUS)) for name in _INVOCATIONS),
    *(
        Source(name=name, native=Native.COUNTER, by=(By(_CODE),))
        for name in ("revision_request_count", "revision_app_request_count")
    ),
)


def _failed(answers: Iterable[Source]) -> tuple[Source, ...]:
    return tuple(
        replace(each, where=(Where(each.by[0].labels[0], matching=_REFUSED_OR_FAILED),))
        for each in answers
    )


KSERVE: Final = Profile(
    name="kserve",
    prefixes=(
        "request_preprocess_seconds",
        _PREDICT,
        "request_postprocess_seconds",
        _EXPLAIN,
        "revision_request_",
        "revision_app_request_",
        "revision_queue_depth",
        "kn_serving_",
        "kn_queueproxy_",
    ),
    model_labels=("model_name", "service_name", "kn_service_name"),
    version_labels=("revision_name", "kn_revision_name"),
    started="process_start_time_seconds",
    signals=(
        Signal(
            serving.REQUESTS_RUNNING,
            tuple(
                Source(name=name, native=Native.GAUGE)
                for name in (
                    "kn_serving_queue_depth",
                    "kn_queueproxy_depth",
                    "revision_queue_depth",
                )
            ),
        ),
        Signal(
            serving.REQUESTS_FINISHED,
            (*_ANSWERS, Added((_times(_PREDICT, By()), _times(_EXPLAIN, By())))),
        ),
        Signal(serving.REQUESTS_ERRORS, _failed(_ANSWERS)),
        Signal(
            serving.REQUEST_DURATION,
            (
                *map(_histogram, _INVOCATIONS),
                _histogram("revision_request_latencies", per=_MILLISECONDS),
                _histogram("revision_app_request_latencies", per=_MILLISECONDS),
                _histogram(_PREDICT),
                _histogram(_EXPLAIN),
            ),
        ),
        Signal(
            serving.COMPUTE_DURATION,
            (
                _histogram(_PREDICT),
                *map(_histogram, _INVOCATIONS),
                _histogram("revision_app_request_latencies", per=_MILLISECONDS),
            ),
        ),
        info(*(replace(each, by=()) for each in _ANSWERS), times(_PREDICT), times(_EXPLAIN)),
    ),
)
