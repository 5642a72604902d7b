"""Text Generation Inference of Hugging Face, 3.x.

What is easily got wrong:

- No family names the model; the configuration can.
- Counters have no ``_total``, and one of them ends in ``_count``.
- ``tgi_request_mean_time_per_token_duration`` contains the prefill: it is neither the time per output token
  of OpenTelemetry's convention nor a latency between tokens, and is not used. There is no time to the
  first token.
- A series of failures exists only after the first one of its kind.
- The KV cache's use is what the current batch has reserved, not what it has filled.
- The histogram of batch sizes has 1,024 buckets: of it only the mean is kept.
"""

from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import (
    By,
    Mean,
    Native,
    Profile,
    Ratio,
    Signal,
    Source,
    Where,
)
from agent.collectors.serving.profiles.sources import (
    OTHERWISE_SUCCESS,
    counter,
    gauge,
    histogram,
    info,
    total,
)

_TURNED_AWAY: Final = frozenset({"overloaded"})
_ENDINGS: Final = (
    *((error, "error") for error in ("validation", "template", "incomplete", "generation")),
    ("dropped", "abort"),
)
_ERROR: Final = By(("err",))

TGI: Final = Profile(
    name="tgi",
    prefixes=("tgi_",),
    api="openai",
    signals=(
        info(gauge("tgi_queue_size"), counter("tgi_request_count")),
        Signal(serving.REQUESTS_RUNNING, (gauge("tgi_batch_current_size"),)),
        Signal(serving.REQUESTS_WAITING, (gauge("tgi_queue_size"),)),
        Signal(
            serving.KV_CACHE_UTILIZATION,
            (Ratio(gauge("tgi_batch_current_max_tokens"), gauge("tgi_batch_max_total_tokens")),),
        ),
        Signal(serving.KV_CACHE_CAPACITY, (gauge("tgi_batch_max_total_tokens"),)),
        Signal(serving.REQUESTS_FINISHED, (counter("tgi_request_success", by=OTHERWISE_SUCCESS),)),
        Signal(
            serving.REQUESTS_FINISHED,
            (
                counter(
                    "tgi_request_failure",
                    Where("err", _TURNED_AWAY, excluding=True),
                    by=(By(("err",), otherwise="error", values=_ENDINGS),),
                ),
            ),
        ),
        Signal(serving.REQUESTS_ERRORS, (counter("tgi_request_failure", by=(_ERROR,)),)),
        Signal(
            serving.REQUESTS_REJECTED,
            (counter("tgi_request_failure", Where("err", _TURNED_AWAY), by=(_ERROR,)),),
        ),
        Signal(serving.TOKENS_PROMPT, (total("tgi_request_input_length"),)),
        Signal(serving.TOKENS_GENERATED, (total("tgi_request_generated_tokens"),)),
        Signal(serving.REQUEST_DURATION, (histogram("tgi_request_duration"),)),
        Signal(serving.QUEUE_DURATION, (histogram("tgi_request_queue_duration"),)),
        Signal(serving.COMPUTE_DURATION, (histogram("tgi_request_inference_duration"),)),
        Signal(serving.PROMPT_LENGTH, (histogram("tgi_request_input_length"),)),
        Signal(serving.GENERATION_LENGTH, (histogram("tgi_request_generated_tokens"),)),
        Signal(
            serving.BATCH_SIZE,
            (
                Mean(
                    total("tgi_batch_next_size"),
                    Source(name="tgi_batch_next_size", native=Native.COUNT),
                ),
            ),
        ),
    ),
)
