"""llama.cpp's server: it exposes metrics only with ``--metrics``.

What is easily got wrong:

- No labels at all, so no model; the configuration can name it.
- ``predicted_tokens_seconds`` and ``prompt_tokens_seconds`` are tokens per second, not seconds, and not used.
- Seconds of generating beside tokens generated give the mean time per token. Each token is one
  observation: that is a latency between tokens, and not a request's time per output token.
- ``n_busy_slots_per_decode`` is a mean over the server's life, and not used. The share of the KV cache was
  removed in 2025.
"""

from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import Mean, Profile, Signal
from agent.collectors.serving.profiles.sources import counter, gauge, info

_GENERATED: Final = counter("llamacpp:tokens_predicted_total")

LLAMACPP: Final = Profile(
    name="llamacpp",
    prefixes=("llamacpp:",),
    api="openai",
    signals=(
        info(gauge("llamacpp:requests_processing"), _GENERATED),
        Signal(serving.REQUESTS_RUNNING, (gauge("llamacpp:requests_processing"),)),
        Signal(serving.REQUESTS_WAITING, (gauge("llamacpp:requests_deferred"),)),
        Signal(serving.KV_CACHE_UTILIZATION, (gauge("llamacpp:kv_cache_usage_ratio"),)),
        Signal(serving.TOKENS_PROMPT, (counter("llamacpp:prompt_tokens_total"),)),
        Signal(serving.TOKENS_GENERATED, (_GENERATED,)),
        Signal(
            serving.INTER_TOKEN_LATENCY,
            (Mean(counter("llamacpp:tokens_predicted_seconds_total"), _GENERATED),),
        ),
    ),
)
