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
- ``lora_requests_info`` leaves a series behind for every combination of adapters there ever was; its value
  is a time, and only the newest one is true. It names neither model nor engine.
- Under Ray the names begin with ``ray_vllm:`` (up to 2.50) or ``ray_vllm_``, and old releases declare
  counters as gauges. Replicas are told by Ray's ids. Ray goes on exposing those that are dead: their
  counters stand still, which is right in a sum over time, and their gauges too, which is why replicas are
  kept apart. Behind Triton the labels are ``model`` and ``version``, behind Dynamo both spellings.
"""

from dataclasses import replace
from typing import Final

from agent.catalogue import serving, serving_gpu
from agent.collectors.serving.profile import (
    By,
    Dialect,
    Product,
    Profile,
    Signal,
    Source,
    Where,
)
from agent.collectors.serving.profiles.sources import counter, gauge, histogram, info, label

_FINISHED: Final = counter("vllm:request_success_total", by=(By(("finished_reason",)),))
_ENGINE_ERRORS: Final = replace(_FINISHED, where=(Where("finished_reason", frozenset({"error"})),))
_HTTP_ERRORS: Final = counter(
    "http_requests_total",
    Where("method", frozenset({"POST"})),
    Where("status", matching="[45](xx|..)"),
    by=(By(("status",)),),
)
_RUNNING: Final = gauge("vllm:num_requests_running")
_CACHE: Final = "vllm:cache_config_info"
_ADAPTERS: Final = "vllm:lora_requests_info"


def _adapters(value_label: str, *, listed: bool = True) -> tuple[Source, ...]:
    return (replace(label(_ADAPTERS, value_label), listed=listed, newest=True),)


VLLM: Final = Profile(
    name="vllm",
    prefixes=("vllm:",),
    model_labels=("model_name", "model"),
    version_labels=("version",),
    engine_labels=("engine",),
    replica_labels=("ReplicaId", "WorkerId", "worker_id"),
    started="process_start_time_seconds",
    api="openai",
    dialects=(
        Dialect("vllm:", "ray_vllm:", declared=("gauge",)),
        Dialect("vllm:", "ray_vllm_", declared=("gauge",)),
    ),
    signals=(
        info(
            _RUNNING,
            counter("vllm:prompt_tokens_total"),
            dtype=(label(_CACHE, "cache_dtype"),),
        ),
        Signal(serving.REQUESTS_RUNNING, (_RUNNING,)),
        Signal(serving.REQUESTS_WAITING, (gauge("vllm:num_requests_waiting"),)),
        Signal(
            serving.KV_CACHE_UTILIZATION,
            (gauge("vllm:kv_cache_usage_perc"), gauge("vllm:gpu_cache_usage_perc")),
        ),
        Signal(
            serving.KV_CACHE_CAPACITY,
            (Product(of=label(_CACHE, "num_gpu_blocks"), times=label(_CACHE, "block_size")),),
            models=_RUNNING,
        ),
        # Per GPU, and "None" where vLLM sized it by itself.
        Signal(
            serving_gpu.KV_CACHE_SIZE, (label(_CACHE, "kv_cache_memory_bytes"),), models=_RUNNING
        ),
        Signal(serving.REQUESTS_FINISHED, (_FINISHED,)),
        Signal(serving.REQUESTS_ERRORS, (_ENGINE_ERRORS,)),
        Signal(serving.REQUESTS_ERRORS, (_HTTP_ERRORS,), of_server=True),
        Signal(
            serving.REQUESTS_REJECTED,
            (counter("vllm:admission_rejections_total", by=(By(("reason",)),)),),
        ),
        Signal(serving.PREEMPTIONS, (counter("vllm:num_preemptions_total"),)),
        Signal(serving.TOKENS_PROMPT, (counter("vllm:prompt_tokens_total"),)),
        Signal(serving.TOKENS_GENERATED, (counter("vllm:generation_tokens_total"),)),
        Signal(serving.TOKENS_CACHED, (counter("vllm:prompt_tokens_cached_total"),)),
        Signal(
            serving.PREFIX_CACHE_QUERIES,
            (
                counter("vllm:prefix_cache_queries_total"),
                counter("vllm:gpu_prefix_cache_queries_total"),
            ),
        ),
        Signal(
            serving.PREFIX_CACHE_HITS,
            (
                counter("vllm:prefix_cache_hits_total"),
                counter("vllm:gpu_prefix_cache_hits_total"),
            ),
        ),
        Signal(serving.REQUEST_DURATION, (histogram("vllm:e2e_request_latency_seconds"),)),
        Signal(serving.TIME_TO_FIRST_TOKEN, (histogram("vllm:time_to_first_token_seconds"),)),
        Signal(
            serving.TIME_PER_OUTPUT_TOKEN,
            (histogram("vllm:request_time_per_output_token_seconds"),),
        ),
        Signal(
            serving.INTER_TOKEN_LATENCY,
            (
                histogram("vllm:inter_token_latency_seconds"),
                histogram("vllm:time_per_output_token_seconds"),
            ),
        ),
        Signal(
            serving.QUEUE_DURATION,
            (
                histogram("vllm:request_queue_time_seconds"),
                histogram("vllm:time_in_queue_requests"),
            ),
        ),
        Signal(serving.PREFILL_DURATION, (histogram("vllm:request_prefill_time_seconds"),)),
        Signal(serving.DECODE_DURATION, (histogram("vllm:request_decode_time_seconds"),)),
        Signal(serving.PROMPT_LENGTH, (histogram("vllm:request_prompt_tokens"),)),
        Signal(serving.GENERATION_LENGTH, (histogram("vllm:request_generation_tokens"),)),
        Signal(serving.BATCH_TOKENS, (histogram("vllm:iteration_tokens_total"),)),
        Signal(serving.SPECULATIVE_DRAFTED, (counter("vllm:spec_decode_num_draft_tokens_total"),)),
        Signal(
            serving.SPECULATIVE_ACCEPTED, (counter("vllm:spec_decode_num_accepted_tokens_total"),)
        ),
        Signal(serving.LORA_RUNNING, _adapters("running_lora_adapters")),
        Signal(serving.LORA_WAITING, _adapters("waiting_lora_adapters")),
        Signal(serving.LORA_LIMIT, _adapters("max_lora", listed=False)),
    ),
)
