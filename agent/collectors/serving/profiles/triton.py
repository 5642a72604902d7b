"""Triton Inference Server, measured against 2.51.

What is easily got wrong:

- Durations are counters of microseconds, without ``_total``. Beside the counter of successes they give a
  histogram without bounds: the mean is right, quantiles are not known. Cached requests are in both.
- An error that a Python back end answers is counted as a success by Triton itself: the share of errors
  that can be computed from here is a lower bound.
- An ensemble's requests are counted for the ensemble and for each of its members.
- Failures had no ``reason`` before it was introduced.
- The first-response histogram (decoupled models, where switched on) is in milliseconds.
- Summaries are windows of the past that cannot be added up, and say nothing that the counters do not.
"""

from dataclasses import replace
from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import By, Mean, Native, Profile, Signal, Source

_MICROSECONDS: Final = 1e6
_MILLISECONDS: Final = 1e3
_SUCCESSES: Final = Source(name="nv_inference_request_success", native=Native.COUNTER)
_FAILURE: Final = Source(
    name="nv_inference_request_failure",
    native=Native.COUNTER,
    by=(By(("reason",), otherwise="failure"),),
)


def _mean_of(name: str) -> tuple[Mean, ...]:
    return (Mean(Source(name=name, native=Native.COUNTER, per=_MICROSECONDS), _SUCCESSES),)


TRITON: Final = Profile(
    name="triton",
    prefixes=(
        "nv_inference_",
        "nv_pinned_memory_pool_",
        "nv_cpu_",
        "nv_gpu_",
        "nv_energy_consumption",
        "nv_cache_",
    ),
    model_labels=("model",),
    version_labels=("version",),
    signals=(
        Signal(
            serving.REQUESTS_WAITING,
            (Source(name="nv_inference_pending_request_count", native=Native.GAUGE),),
        ),
        Signal(
            serving.REQUESTS_FINISHED,
            (replace(_SUCCESSES, by=(By(otherwise="success"),)),),
        ),
        Signal(serving.REQUESTS_FINISHED, (_FAILURE,)),
        Signal(serving.REQUESTS_ERRORS, (_FAILURE,)),
        Signal(serving.REQUEST_DURATION, _mean_of("nv_inference_request_duration_us")),
        Signal(serving.QUEUE_DURATION, _mean_of("nv_inference_queue_duration_us")),
        Signal(
            serving.TIME_TO_FIRST_TOKEN,
            (
                Source(
                    name="nv_inference_first_response_histogram_ms",
                    native=Native.HISTOGRAM,
                    per=_MILLISECONDS,
                ),
            ),
        ),
    ),
)
