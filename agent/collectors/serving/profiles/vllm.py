"""vLLM, from V0 to 0.33: names from its own metric classes, renames from its pull requests.

What is easily got wrong:

- ``request_success_total`` counts every finished request, aborted and failed ones too.
- ``time_per_output_token_seconds`` (gone by 0.33) was observed per decode step: it is the former name of
  ``inter_token_latency_seconds`` and has nothing to do with the time per output token of a request.
- ``iteration_tokens_total`` is a histogram, ``kv_cache_usage_perc`` a ratio.
- The engine never sees a request that its HTTP front end refuses. ``http_requests_total`` does, but knows
  no model: its POST requests of class 4xx and 5xx are errors without a model. A request on which the
  engine fails can be in both, as ``error`` and as ``5xx``: compare the two, do not add them.
- V0 has no label ``engine``, and gives -1 for what is switched off.
"""

from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import By, Native, Profile, Signal, Source, Where


def _histogram(name: str) -> Source:
    return Source(name=f"vllm:{name}", native=Native.HISTOGRAM)


def _gauge(name: str) -> Source:
    return Source(name=f"vllm:{name}", native=Native.GAUGE)


def _counter(name: str) -> Source:
    return Source(name=f"vllm:{name}_total", native=Native.COUNTER)


_FINISHED: Final = "vllm:request_success_total"
_ENGINE_ERRORS: Final = Source(
    name=_FINISHED,
    native=Native.COUNTER,
    where=(Where("finished_reason", frozenset({"error"})),),
    by=(By(("finished_reason",)),),
)
_HTTP_ERRORS: Final = Source(
    name="http_requests_total",
    native=Native.COUNTER,
    where=(Where("method", frozenset({"POST"})), Where("status", matching="[45](xx|..)")),
    by=(By(("status",)),),
)

VLLM: Final = Profile(
    name="vllm",
    prefixes=("vllm:",),
    model_labels=("model_name", "model"),
    version_labels=("version",),
    engine_labels=("engine",),
    signals=(
        Signal(serving.REQUESTS_RUNNING, (_gauge("num_requests_running"),)),
        Signal(serving.REQUESTS_WAITING, (_gauge("num_requests_waiting"),)),
        Signal(
            serving.KV_CACHE_UTILIZATION,
            (_gauge("kv_cache_usage_perc"), _gauge("gpu_cache_usage_perc")),
        ),
        Signal(
            serving.REQUESTS_FINISHED,
            (Source(name=_FINISHED, native=Native.COUNTER, by=(By(("finished_reason",)),)),),
        ),
        Signal(serving.REQUESTS_ERRORS, (_ENGINE_ERRORS,)),
        Signal(serving.REQUESTS_ERRORS, (_HTTP_ERRORS,), of_server=True),
        Signal(serving.TOKENS_PROMPT, (_counter("prompt_tokens"),)),
        Signal(serving.TOKENS_GENERATED, (_counter("generation_tokens"),)),
        Signal(serving.PREEMPTIONS, (_counter("num_preemptions"),)),
        Signal(serving.REQUEST_DURATION, (_histogram("e2e_request_latency_seconds"),)),
        Signal(serving.TIME_TO_FIRST_TOKEN, (_histogram("time_to_first_token_seconds"),)),
        Signal(
            serving.TIME_PER_OUTPUT_TOKEN, (_histogram("request_time_per_output_token_seconds"),)
        ),
        Signal(
            serving.INTER_TOKEN_LATENCY,
            (
                _histogram("inter_token_latency_seconds"),
                _histogram("time_per_output_token_seconds"),
            ),
        ),
        Signal(
            serving.QUEUE_DURATION,
            (_histogram("request_queue_time_seconds"), _histogram("time_in_queue_requests")),
        ),
    ),
)
