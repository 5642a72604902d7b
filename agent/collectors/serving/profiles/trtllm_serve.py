"""trtllm-serve of TensorRT-LLM, and the same engine as a worker of Dynamo.

What is easily got wrong:

- The metrics are at ``/prometheus/metrics``; ``/metrics`` is JSON about single iterations.
- Families of requests need ``return_perf_metrics``, gauges need ``enable_iter_perf_stats``.
- ``time_per_output_token_seconds`` is per request here, unlike vLLM's of that name.
- The cache is counted in blocks, some of them filled in part: queries and hits are told as the tokens that
  the blocks can hold, so that hits / queries is the server's own hit rate.
- Dynamo passed the families on as ``trtllm:`` up to 0.7.
"""

from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import (
    Added,
    By,
    Dialect,
    Product,
    Profile,
    Signal,
)
from agent.collectors.serving.profiles.sources import counter, gauge, histogram, info, label, times

_ENDINGS: Final = (
    ("end_id", "stop"),
    ("stop_words", "stop"),
    ("cancelled", "abort"),
    ("timed_out", "timeout"),
)
_FINISHED: Final = counter(
    "trtllm_request_success_total", by=(By(("finished_reason",), values=_ENDINGS),)
)
_REUSED: Final = counter("trtllm_kv_cache_reused_blocks_total")
_MISSED: Final = counter("trtllm_kv_cache_missed_blocks_total")
_BLOCK: Final = gauge("trtllm_kv_cache_tokens_per_block")

TRTLLM_SERVE: Final = Profile(
    name="trtllm_serve",
    prefixes=("trtllm_",),
    model_labels=("model_name", "model"),
    replica_labels=("worker_id",),
    api="openai",
    paths=("/prometheus/metrics", "/metrics"),
    dialects=(Dialect("trtllm_", "trtllm:"),),
    signals=(
        info(
            gauge("trtllm_model_config_info"),
            gauge("trtllm_num_requests_running"),
            times("trtllm_e2e_request_latency_seconds"),
            length=(label("trtllm_model_config_info", "max_model_len"),),
            dtype=(label("trtllm_kv_cache_config_info", "cache_dtype"),),
        ),
        Signal(serving.REQUESTS_RUNNING, (gauge("trtllm_num_requests_running"),)),
        Signal(serving.REQUESTS_WAITING, (gauge("trtllm_num_requests_waiting"),)),
        Signal(serving.KV_CACHE_UTILIZATION, (gauge("trtllm_kv_cache_utilization"),)),
        Signal(
            serving.KV_CACHE_CAPACITY,
            (Product(of=gauge("trtllm_kv_cache_max_blocks"), times=_BLOCK),),
        ),
        Signal(serving.REQUESTS_FINISHED, (_FINISHED,)),
        Signal(
            serving.REQUESTS_ERRORS,
            (counter("trtllm_request_error_total", by=(By(("http_code",), otherwise="error"),)),),
        ),
        Signal(serving.TOKENS_PROMPT, (counter("trtllm_prompt_tokens_total"),)),
        Signal(serving.TOKENS_GENERATED, (counter("trtllm_generation_tokens_total"),)),
        Signal(serving.TOKENS_CACHED, (counter("trtllm_prompt_cached_tokens_total"),)),
        Signal(
            serving.PREFIX_CACHE_QUERIES,
            (Product(of=Added((_REUSED, _MISSED), whole=True), times=_BLOCK),),
        ),
        Signal(serving.PREFIX_CACHE_HITS, (Product(of=_REUSED, times=_BLOCK),)),
        Signal(serving.REQUEST_DURATION, (histogram("trtllm_e2e_request_latency_seconds"),)),
        Signal(serving.TIME_TO_FIRST_TOKEN, (histogram("trtllm_time_to_first_token_seconds"),)),
        Signal(serving.TIME_PER_OUTPUT_TOKEN, (histogram("trtllm_time_per_output_token_seconds"),)),
        Signal(serving.QUEUE_DURATION, (histogram("trtllm_request_queue_time_seconds"),)),
        Signal(serving.PREFILL_DURATION, (histogram("trtllm_request_prefill_time_seconds"),)),
        Signal(serving.DECODE_DURATION, (histogram("trtllm_request_decode_time_seconds"),)),
        Signal(
            serving.SPECULATIVE_DRAFTED, (counter("trtllm_spec_decode_num_draft_tokens_total"),)
        ),
        Signal(
            serving.SPECULATIVE_ACCEPTED,
            (counter("trtllm_spec_decode_num_accepted_tokens_total"),),
        ),
    ),
)
