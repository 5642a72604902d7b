"""Text Embeddings Inference of Hugging Face.

What is easily got wrong:

- No family names the model; the configuration can.
- Counters have no ``_total``, and some of them end in ``_count``.
- ``te_request_*`` are requests, ``te_embed_*`` and ``te_predict_*`` the texts in them: only requests are
  told. ``method`` (one text or a batch of them) is summed over.
- A series of failures exists only after the first one of its kind.
"""

from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import By, Profile, Signal, Where
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
    *((error, "error") for error in ("validation", "tokenization", "inference", "batch_size")),
    ("dropped", "abort"),
)
_ERROR: Final = By(("err",))

TEI: Final = Profile(
    name="tei",
    prefixes=(
        "te_request_",
        "te_embed_",
        "te_predict_",
        "te_rerank_",
        "te_tokenize_",
        "te_queue_size",
        "te_batch_next_",
    ),
    signals=(
        info(gauge("te_queue_size"), counter("te_request_count")),
        Signal(serving.REQUESTS_WAITING, (gauge("te_queue_size"),)),
        Signal(serving.REQUESTS_FINISHED, (counter("te_request_success", by=OTHERWISE_SUCCESS),)),
        Signal(
            serving.REQUESTS_FINISHED,
            (
                counter(
                    "te_request_failure",
                    Where("err", _TURNED_AWAY, excluding=True),
                    by=(By(("err",), otherwise="error", values=_ENDINGS),),
                ),
            ),
        ),
        Signal(serving.REQUESTS_ERRORS, (counter("te_request_failure", by=(_ERROR,)),)),
        Signal(
            serving.REQUESTS_REJECTED,
            (counter("te_request_failure", Where("err", _TURNED_AWAY), by=(_ERROR,)),),
        ),
        Signal(serving.TOKENS_PROMPT, (total("te_request_input_length"),)),
        Signal(serving.REQUEST_DURATION, (histogram("te_request_duration"),)),
        Signal(serving.QUEUE_DURATION, (histogram("te_request_queue_duration"),)),
        Signal(serving.COMPUTE_DURATION, (histogram("te_request_inference_duration"),)),
        Signal(serving.PROMPT_LENGTH, (histogram("te_request_input_length"),)),
        Signal(serving.BATCH_SIZE, (histogram("te_batch_next_size"),)),
        Signal(serving.BATCH_TOKENS, (histogram("te_batch_next_tokens"),)),
    ),
)
