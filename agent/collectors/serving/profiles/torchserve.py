"""TorchServe, measured against 0.12 (its last release) with ``metrics_mode=prometheus``.

What is easily got wrong:

- Latencies are counters of microseconds. Beside the counter of inference requests they give a histogram
  without bounds. A model without a version is of version ``default``.
- ``Requests2XX``, ``4XX`` and ``5XX`` count every HTTP call, those of the management interface too, and
  know no model: errors of the server.
- ``QueueTime``, ``HandlerTime``, ``PredictionTime`` and their like hold the last value only. They are no
  distribution, and there is nothing to make of them.
- Names like ``CPUUtilization`` are anybody's: what tells the server are its own, declared before the
  first request.
"""

from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import By, Mean, Native, Profile, Signal, Source
from agent.collectors.serving.profiles.sources import info

_MICROSECONDS: Final = 1e6
_REQUESTS: Final = "ts_inference_requests_total"


def _mean_of(name: str) -> tuple[Mean, ...]:
    spent = Source(name=name, native=Native.COUNTER, per=_MICROSECONDS)
    return (Mean(spent, Source(name=_REQUESTS, native=Native.COUNTER)),)


def _errors(family: str, kind: str) -> Signal:
    source = Source(name=family, native=Native.COUNTER, by=(By(otherwise=kind),))
    return Signal(serving.REQUESTS_ERRORS, (source,), of_server=True)


TORCHSERVE: Final = Profile(
    name="torchserve",
    prefixes=("ts_inference_", "ts_queue_latency_"),
    model_labels=("model_name",),
    version_labels=("model_version",),
    nameless=frozenset({"default"}),
    signals=(
        Signal(
            serving.REQUESTS_FINISHED,
            (Source(name=_REQUESTS, native=Native.COUNTER, by=(By(),)),),
        ),
        _errors("Requests5XX", "5xx"),
        _errors("Requests4XX", "4xx"),
        Signal(serving.REQUEST_DURATION, _mean_of("ts_inference_latency_microseconds")),
        Signal(serving.QUEUE_DURATION, _mean_of("ts_queue_latency_microseconds")),
        info(Source(name=_REQUESTS, native=Native.COUNTER)),
    ),
)
