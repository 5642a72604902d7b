"""Triton Inference Server, measured against 2.51, with TensorRT-LLM as a back end.

What is easily got wrong:

- Durations are counters of microseconds, without ``_total``. Beside the counter of successes they give a
  histogram without bounds: the mean is right, quantiles are not known. Cached requests are in both; the
  model works no time on them. Executions do not have them, so a batch is measured by the executions.
- An error that a Python back end answers is counted as a success by Triton itself: the share of errors
  that can be computed from here is a lower bound.
- An ensemble's requests are counted for the ensemble and for each of its members, whose failures are all
  of reason OTHER.
- Failures had no ``reason`` before it was introduced. A request that its client cancelled is no error.
- The first-response histogram (decoupled models, where switched on) is in milliseconds.
- Summaries (where switched on) are of a sliding window and cannot be added up.
- The TensorRT-LLM back end tells several things in one family, told apart by a label: of its blocks,
  ``fraction`` is a share and the others are counts. It takes requests from Triton's queue into its own.
- The vLLM back end writes vLLM's own families, with Triton's labels: the page is vLLM's as well.
"""

from dataclasses import replace
from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import (
    Added,
    By,
    Mean,
    Native,
    Product,
    Profile,
    Ratio,
    Signal,
    Source,
    Where,
)
from agent.collectors.serving.profiles.sources import info

_MICROSECONDS: Final = 1e6
_MILLISECONDS: Final = 1e3
_SUCCESSES: Final = Source(name="nv_inference_request_success", native=Native.COUNTER)
_FAILURES: Final = Source(name="nv_inference_request_failure", native=Native.COUNTER)
_REASON: Final = By(("reason",), otherwise="failure")
_ENDED: Final = By(
    ("reason",),
    otherwise="error",
    values=(
        ("CANCELED", "abort"),
        ("REJECTED", "rejected"),
        ("BACKEND", "error"),
        ("OTHER", "error"),
    ),
)


def _counter(name: str) -> Source:
    return Source(name=name, native=Native.COUNTER)


def _microseconds(name: str) -> Source:
    return Source(name=name, native=Native.COUNTER, per=_MICROSECONDS)


def _quantiles(name: str) -> tuple[Source, ...]:
    return (Source(name=name, native=Native.SUMMARY, per=_MICROSECONDS),)


def _trt_llm(family: str, label: str, value: str) -> Source:
    return Source(
        name=f"nv_trt_llm_{family}_metrics",
        native=Native.GAUGE,
        where=(Where(label, frozenset({value})),),
    )


def _requests(kind: str) -> Source:
    return _trt_llm("request", "request_type", kind)


def _blocks(kind: str) -> Source:
    return _trt_llm("kv_cache_block", "kv_cache_block_type", kind)


_BATCHER: Final = "inflight_batcher_specific_metric"

TRITON: Final = Profile(
    name="triton",
    prefixes=(
        "nv_inference_",
        "nv_trt_llm_",
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
            serving.REQUESTS_RUNNING,
            (
                _requests("scheduled"),
                _trt_llm("inflight_batcher", _BATCHER, "generation_requests"),
            ),
        ),
        Signal(
            serving.REQUESTS_WAITING,
            (
                Added(
                    (
                        Source(name="nv_inference_pending_request_count", native=Native.GAUGE),
                        _requests("waiting"),
                    )
                ),
            ),
        ),
        Signal(
            serving.REQUESTS_FINISHED,
            (replace(_SUCCESSES, by=(By(otherwise="success"),)),),
        ),
        Signal(serving.REQUESTS_FINISHED, (replace(_FAILURES, by=(_ENDED,)),)),
        Signal(
            serving.REQUESTS_ERRORS,
            (
                replace(
                    _FAILURES,
                    where=(Where("reason", frozenset({"CANCELED"}), excluding=True),),
                    by=(_REASON,),
                ),
            ),
        ),
        Signal(
            serving.REQUESTS_REJECTED,
            (
                replace(
                    _FAILURES,
                    where=(Where("reason", frozenset({"REJECTED"})),),
                    by=(_REASON,),
                ),
            ),
        ),
        Signal(
            serving.REQUEST_DURATION,
            (Mean(_microseconds("nv_inference_request_duration_us"), _SUCCESSES),),
        ),
        Signal(
            serving.QUEUE_DURATION,
            (Mean(_microseconds("nv_inference_queue_duration_us"), _SUCCESSES),),
        ),
        Signal(
            serving.COMPUTE_DURATION,
            (Mean(_microseconds("nv_inference_compute_infer_duration_us"), _SUCCESSES),),
        ),
        Signal(serving.REQUEST_DURATION_QUANTILES, _quantiles("nv_inference_request_summary_us")),
        Signal(serving.QUEUE_DURATION_QUANTILES, _quantiles("nv_inference_queue_summary_us")),
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
        Signal(
            serving.BATCH_SIZE,
            (Mean(_counter("nv_inference_count"), _counter("nv_inference_exec_count")),),
        ),
        Signal(
            serving.RESPONSE_CACHE_QUERIES,
            (
                Added(
                    (
                        _counter("nv_cache_num_hits_per_model"),
                        _counter("nv_cache_num_misses_per_model"),
                    ),
                    whole=True,
                ),
            ),
        ),
        Signal(serving.RESPONSE_CACHE_HITS, (_counter("nv_cache_num_hits_per_model"),)),
        Signal(
            serving.KV_CACHE_UTILIZATION,
            (_blocks("fraction"), Ratio(_blocks("used"), _blocks("max"))),
        ),
        Signal(
            serving.KV_CACHE_CAPACITY,
            (Product(_blocks("max"), _blocks("tokens_per")),),
        ),
        info(_SUCCESSES, _requests("active")),
    ),
)
