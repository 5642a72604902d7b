"""LMDeploy, measured against 0.18: vLLM's metrics under its own prefix, with differences.

What is easily got wrong:

- ``time_per_output_token_seconds`` and ``iter_token_latency`` are both observed per decode step; neither is
  the time per output token of a request. The second one is newer, and has no unit in its name.
- ``finished_reason`` is Python's spelling of an enumeration. It does not tell a stop from the limit of
  length: both are successes.
- ``num_requests_succeeded`` and ``num_requests_failed`` are gauges, and are not used.
- ``prefix_cache_hit_rate`` is a gauge of all time; the counters of cached and prompt tokens say more.
"""

from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import By, Profile, Signal, Where
from agent.collectors.serving.profiles.sources import counter, gauge, histogram, info, label

_PREFIX: Final = "ResponseType."
_ENDINGS: Final = {
    "SUCCESS": "success",
    "FINISH": "success",
    "CANCEL": "abort",
    "ENGINE_STOP_ERROR": "error",
    "SESSION_REPEAT": "error",
    "SESSION_NOT_EXIST": "error",
    "HANDLER_NOT_EXIST": "error",
    "INPUT_LENGTH_ERROR": "error",
    "INTERNAL_ENGINE_ERROR": "error",
    "PREFIX_CACHE_CONFLICT_INTERACTIVE_MODE": "error",
    "NO_QUEUE": "error",
}
_FINISHED: Final = "lmdeploy:request_success_total"
_NO_ERRORS: Final = Where(
    "finished_reason",
    frozenset(
        f"{prefix}{word}"
        for prefix in ("", _PREFIX)
        for word, ending in _ENDINGS.items()
        if ending != "error"
    ),
    excluding=True,
)
_RUNNING: Final = gauge("lmdeploy:num_requests_running")
_PROMPT: Final = counter("lmdeploy:prompt_tokens_total")
_CACHED: Final = counter("lmdeploy:cached_tokens_total")

LMDEPLOY: Final = Profile(
    name="lmdeploy",
    prefixes=("lmdeploy:",),
    model_labels=("model_name",),
    engine_labels=("engine",),
    started="process_start_time_seconds",
    api="openai",
    signals=(
        info(_RUNNING, _PROMPT, length=(label("lmdeploy:backend_config_info", "session_len"),)),
        Signal(serving.REQUESTS_RUNNING, (_RUNNING,)),
        Signal(serving.REQUESTS_WAITING, (gauge("lmdeploy:num_requests_waiting"),)),
        Signal(serving.KV_CACHE_UTILIZATION, (gauge("lmdeploy:gpu_cache_usage_perc"),)),
        Signal(
            serving.REQUESTS_FINISHED,
            (
                counter(
                    _FINISHED,
                    by=(
                        By(
                            ("finished_reason",),
                            values=tuple(
                                (f"{prefix}{word}", ending)
                                for prefix in ("", _PREFIX)
                                for word, ending in _ENDINGS.items()
                            ),
                        ),
                    ),
                ),
            ),
        ),
        Signal(
            serving.REQUESTS_ERRORS,
            (
                counter(
                    _FINISHED,
                    _NO_ERRORS,
                    by=(
                        By(
                            ("finished_reason",),
                            values=tuple((f"{_PREFIX}{word}", word) for word in _ENDINGS),
                        ),
                    ),
                ),
            ),
        ),
        Signal(serving.TOKENS_PROMPT, (_PROMPT,)),
        Signal(serving.TOKENS_GENERATED, (counter("lmdeploy:generation_tokens_total"),)),
        Signal(serving.TOKENS_CACHED, (_CACHED,)),
        Signal(serving.PREFIX_CACHE_QUERIES, (_PROMPT,)),
        Signal(serving.PREFIX_CACHE_HITS, (_CACHED,)),
        Signal(serving.REQUEST_DURATION, (histogram("lmdeploy:e2e_request_latency_seconds"),)),
        Signal(serving.TIME_TO_FIRST_TOKEN, (histogram("lmdeploy:time_to_first_token_seconds"),)),
        Signal(
            serving.INTER_TOKEN_LATENCY,
            (
                histogram("lmdeploy:iter_token_latency"),
                histogram("lmdeploy:time_per_output_token_seconds"),
            ),
        ),
        Signal(serving.QUEUE_DURATION, (histogram("lmdeploy:request_queue_time_seconds"),)),
        Signal(serving.PREFILL_DURATION, (histogram("lmdeploy:request_prefill_time_seconds"),)),
        Signal(serving.DECODE_DURATION, (histogram("lmdeploy:request_decode_time_seconds"),)),
        Signal(serving.PROMPT_LENGTH, (histogram("lmdeploy:request_prompt_tokens"),)),
        Signal(serving.GENERATION_LENGTH, (histogram("lmdeploy:request_generation_tokens"),)),
        Signal(serving.BATCH_TOKENS, (histogram("lmdeploy:iteration_tokens_total"),)),
        Signal(
            serving.SPECULATIVE_DRAFTED,
            (counter("lmdeploy:spec_decode_num_draft_tokens_total"),),
        ),
        Signal(
            serving.SPECULATIVE_ACCEPTED,
            (counter("lmdeploy:spec_decode_num_accepted_tokens_total"),),
        ),
    ),
)
