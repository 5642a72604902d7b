"""NVIDIA Dynamo: its front end and its workers, measured against 1.6.1.

What is easily got wrong:

- A worker's page also has the families of the engine in it (``vllm:``, ``sglang:``, ``trtllm_``): those are
  told under the engine's name, the worker's own under this one. They are the same requests: do not add
  providers up.
- A worker counts calls of all its endpoints; ``generate`` are the requests.
- ``active_requests`` is the new name of ``inflight_requests``. Requests for models that do not exist are
  counted as ``unknown_model``.
- A cancelled request has the status ``error``: it is an abort, and no error.
- Buckets of the duration begin at 2 s, and have one at 0.
- The prefix was ``nv_llm_http_service_`` in the first releases, and can be configured to be that or another.
"""

from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import By, Dialect, Profile, Signal, Where
from agent.collectors.serving.profiles.sources import counter, gauge, histogram, info, total

_GENERATE: Final = Where("dynamo_endpoint", frozenset({"generate"}))
_REQUESTS: Final = "dynamo_frontend_requests_total"
_CANCELLED: Final = frozenset({"cancelled"})
_ENDINGS: Final = (
    ("cancelled", "abort"),
    *((f"{word}timeout", "timeout") for word in ("", "response_", "request_")),
    *(
        (error, "error")
        for error in ("validation", "not_found", "overload", "internal", "not_implemented")
    ),
)
_INPUT: Final = "dynamo_frontend_input_sequence_tokens"
_CACHED: Final = "dynamo_frontend_cached_tokens"
_RUNNING: Final = (
    gauge("dynamo_frontend_active_requests"),
    gauge("dynamo_frontend_inflight_requests"),
    gauge("dynamo_component_inflight_requests", _GENERATE),
)
_LENGTH: Final = gauge("dynamo_frontend_model_context_length")

DYNAMO: Final = Profile(
    name="dynamo",
    prefixes=("dynamo_frontend_", "dynamo_component_"),
    model_labels=("model", "model_name"),
    replica_labels=("worker_id",),
    nameless=frozenset({"unknown_model"}),
    uptime="dynamo_component_uptime_seconds",
    api="openai",
    dialects=(Dialect("dynamo_frontend_", "nv_llm_http_service_"),),
    signals=(
        info(_LENGTH, *_RUNNING, length=(_LENGTH,)),
        Signal(serving.REQUESTS_RUNNING, _RUNNING),
        Signal(
            serving.REQUESTS_WAITING,
            (gauge("dynamo_frontend_queued_requests"), gauge("dynamo_request_queue")),
        ),
        Signal(
            serving.REQUESTS_FINISHED,
            (
                counter(_REQUESTS, by=(By(("error_type", "status"), values=_ENDINGS),)),
                counter("dynamo_component_requests_total", _GENERATE, by=(By(),)),
            ),
        ),
        Signal(
            serving.REQUESTS_ERRORS,
            (
                counter(
                    _REQUESTS,
                    Where("status", frozenset({"error"})),
                    Where("error_type", _CANCELLED, excluding=True),
                    by=(By(("error_type",), otherwise="error"),),
                ),
                counter(
                    "dynamo_component_errors_total",
                    _GENERATE,
                    by=(By(("error_type",), otherwise="error"),),
                ),
            ),
        ),
        Signal(
            serving.REQUESTS_REJECTED,
            (
                counter("dynamo_frontend_model_rejection_total", by=(By(otherwise="overload"),)),
                counter("dynamo_rejection_request_total", by=(By(otherwise="overload"),)),
            ),
        ),
        Signal(serving.TOKENS_PROMPT, (total(_INPUT),)),
        Signal(
            serving.TOKENS_GENERATED,
            (
                counter("dynamo_frontend_output_tokens_total"),
                total("dynamo_frontend_output_sequence_tokens"),
            ),
        ),
        Signal(serving.TOKENS_CACHED, (total(_CACHED),)),
        Signal(serving.PREFIX_CACHE_QUERIES, (total(_INPUT),)),
        Signal(serving.PREFIX_CACHE_HITS, (total(_CACHED),)),
        Signal(
            serving.REQUEST_DURATION,
            (
                histogram("dynamo_frontend_request_duration_seconds"),
                histogram("dynamo_component_request_duration_seconds", _GENERATE),
            ),
        ),
        Signal(
            serving.TIME_TO_FIRST_TOKEN,
            (histogram("dynamo_frontend_time_to_first_token_seconds"),),
        ),
        Signal(
            serving.INTER_TOKEN_LATENCY,
            (histogram("dynamo_frontend_inter_token_latency_seconds"),),
        ),
        Signal(serving.PROMPT_LENGTH, (histogram(_INPUT),)),
        Signal(serving.GENERATION_LENGTH, (histogram("dynamo_frontend_output_sequence_tokens"),)),
    ),
)
