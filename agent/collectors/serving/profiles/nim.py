"""NVIDIA NIM for LLMs, 1.x: the metrics of an early vLLM, without any prefix.

What is easily got wrong:

- Names as general as ``num_requests_running`` tell no server: it is known by ``num_request_max`` beside
  them.
- ``time_per_output_token_seconds`` is per decode step, as vLLM's was: a page captured after 5 requests and
  174 tokens has 169 observations.
- The path was ``/metrics`` in images of mid-2024 and is ``/v1/metrics`` since.
- Newer builds expose plain vLLM's names, and are read as vLLM.
"""

from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import By, Profile, Signal
from agent.collectors.serving.profiles.sources import (
    OTHERWISE_SUCCESS,
    counter,
    gauge,
    histogram,
    info,
)

_RUNNING: Final = gauge("num_requests_running")

NIM: Final = Profile(
    name="nim",
    prefixes=("num_request_max",),
    requires=("num_requests_running", "num_requests_waiting"),
    model_labels=("model_name",),
    api="openai",
    paths=("/v1/metrics", "/metrics"),
    signals=(
        info(_RUNNING, counter("prompt_tokens_total")),
        Signal(serving.REQUESTS_RUNNING, (_RUNNING,)),
        Signal(serving.REQUESTS_WAITING, (gauge("num_requests_waiting"),)),
        Signal(serving.KV_CACHE_UTILIZATION, (gauge("gpu_cache_usage_perc"),)),
        Signal(
            serving.REQUESTS_FINISHED,
            (
                counter("request_finish_total", by=(By(("finished_reason",)),)),
                counter("request_success_total", by=OTHERWISE_SUCCESS),
            ),
        ),
        Signal(
            serving.REQUESTS_ERRORS,
            (counter("request_failure_total", by=(By(otherwise="failure"),)),),
        ),
        Signal(serving.TOKENS_PROMPT, (counter("prompt_tokens_total"),)),
        Signal(serving.TOKENS_GENERATED, (counter("generation_tokens_total"),)),
        Signal(serving.REQUEST_DURATION, (histogram("e2e_request_latency_seconds"),)),
        Signal(serving.TIME_TO_FIRST_TOKEN, (histogram("time_to_first_token_seconds"),)),
        Signal(serving.INTER_TOKEN_LATENCY, (histogram("time_per_output_token_seconds"),)),
        Signal(serving.PROMPT_LENGTH, (histogram("request_prompt_tokens"),)),
        Signal(serving.GENERATION_LENGTH, (histogram("request_generation_tokens"),)),
    ),
)
