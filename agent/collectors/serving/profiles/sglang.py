"""SGLang, measured against 0.5.23: it exposes metrics only with ``--enable-metrics``.

What is easily got wrong:

- The schedulers of all tensor-parallel, pipeline and expert ranks can report. They work on the same
  requests, so the lowest rank counts and the others repeat it; data-parallel ranks are engines.
- With priorities on, the gauges of requests have a series per priority beside the total, which is the one
  with an empty ``priority``.
- ``is_streaming`` came late and is on some families only: it is summed over.
- ``cached_tokens_total`` has a source per request, ``total`` where its details are not known: never both,
  so the sources are added up. Prompt and cached tokens are both counted when a request ends.
- ``num_requests_total`` says nothing about how a request ended, and an aborted one may be in it: aborts
  are told as errors of that type, and not as a reason of finishing.
- ``spec_accept_rate`` is 0 where there is no speculation. ``cache_hit_rate`` is that of the last batch, and
  ``gen_throughput`` stays when the server idles: neither is used.
- ``time_per_output_token_seconds`` is the former name of ``inter_token_latency_seconds``.
"""

from dataclasses import replace
from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import By, Profile, Signal, Where
from agent.collectors.serving.profiles.sources import counter, gauge, histogram, info

_ALL_PRIORITIES: Final = Where("priority", frozenset({""}))
_RUNNING: Final = gauge("sglang:num_running_reqs", _ALL_PRIORITIES)
_PROMPT: Final = counter("sglang:prompt_tokens_total")
_CACHED: Final = counter("sglang:cached_tokens_total")
_HTTP_ERRORS: Final = counter(
    "sglang:http_responses_total",
    Where("method", frozenset({"POST"})),
    Where("status_code", matching="[45].."),
    by=(By(("status_code",)),),
)

SGLANG: Final = Profile(
    name="sglang",
    prefixes=("sglang:",),
    model_labels=("model_name", "model"),
    engine_labels=("dp_rank",),
    replica_labels=("worker_id",),
    rank_labels=("tp_rank", "pp_rank", "moe_ep_rank"),
    api="openai",
    signals=(
        info(_RUNNING, _PROMPT, length=(gauge("sglang:context_len"),)),
        Signal(serving.REQUESTS_RUNNING, (_RUNNING,)),
        Signal(serving.REQUESTS_WAITING, (gauge("sglang:num_queue_reqs", _ALL_PRIORITIES),)),
        Signal(serving.KV_CACHE_UTILIZATION, (gauge("sglang:token_usage"),)),
        Signal(serving.KV_CACHE_CAPACITY, (gauge("sglang:max_total_num_tokens"),)),
        Signal(serving.REQUESTS_FINISHED, (counter("sglang:num_requests_total", by=(By(),)),)),
        Signal(
            serving.REQUESTS_ERRORS,
            (counter("sglang:num_aborted_requests_total", by=(By(otherwise="abort"),)),),
        ),
        Signal(serving.REQUESTS_ERRORS, (_HTTP_ERRORS,), of_server=True),
        Signal(serving.PREEMPTIONS, (counter("sglang:num_retracted_requests_total"),)),
        Signal(serving.TOKENS_PROMPT, (_PROMPT,)),
        Signal(serving.TOKENS_GENERATED, (counter("sglang:generation_tokens_total"),)),
        Signal(serving.TOKENS_CACHED, (_CACHED,)),
        Signal(serving.PREFIX_CACHE_QUERIES, (_PROMPT,)),
        Signal(serving.PREFIX_CACHE_HITS, (_CACHED,)),
        Signal(serving.REQUEST_DURATION, (histogram("sglang:e2e_request_latency_seconds"),)),
        Signal(serving.TIME_TO_FIRST_TOKEN, (histogram("sglang:time_to_first_token_seconds"),)),
        Signal(
            serving.TIME_PER_OUTPUT_TOKEN,
            (histogram("sglang:request_time_per_output_token_seconds"),),
        ),
        Signal(
            serving.INTER_TOKEN_LATENCY,
            (
                histogram("sglang:inter_token_latency_seconds"),
                histogram("sglang:time_per_output_token_seconds"),
            ),
        ),
        Signal(serving.QUEUE_DURATION, (histogram("sglang:queue_time_seconds"),)),
        Signal(serving.PROMPT_LENGTH, (histogram("sglang:prompt_tokens_histogram"),)),
        Signal(serving.GENERATION_LENGTH, (histogram("sglang:generation_tokens_histogram"),)),
        Signal(
            serving.SPECULATIVE_ACCEPTANCE,
            (replace(gauge("sglang:spec_accept_rate"), sentinels=(0.0,)),),
        ),
        Signal(serving.LORA_RUNNING, (gauge("sglang:lora_pool_slots_used"),)),
        Signal(serving.LORA_LIMIT, (gauge("sglang:lora_pool_slots_total"),)),
    ),
)
