"""Metrics of model servers, one language for all of them.

``gen_ai.server.*`` where OpenTelemetry's convention has the metric and means the same; its
``time_per_output_token`` is per request, so a server's per-step inter-token latency is never mapped to it.
Histograms keep the server's own bounds; a server that tells only a sum and a count gives a histogram
with no bounds, whose mean is right and whose quantiles are not known.
"""

from typing import Final

from agent.catalogue.attributes import (
    ENGINE,
    ERROR_TYPE,
    FINISH_REASON,
    KV_CACHE_DTYPE,
    MODEL,
    MODEL_MAX_LENGTH,
    MODEL_VERSION,
    PROVIDER,
    SERVER,
    SERVER_VERSION,
)
from agent.catalogue.metric import Attribute, Kind, Metric

SERVER_ATTRIBUTES: Final = (SERVER, PROVIDER)
MODEL_ATTRIBUTES: Final = (SERVER, PROVIDER, MODEL, MODEL_VERSION, ENGINE)


def _model(name: str, kind: Kind, unit: str, description: str, *attributes: Attribute) -> Metric:
    return Metric(
        name=name,
        kind=kind,
        unit=unit,
        description=description,
        attributes=(*MODEL_ATTRIBUTES, *attributes),
        group="serving",
    )


SERVER_UP = Metric(
    name="inference.server.up",
    kind=Kind.UP_DOWN_COUNTER,
    unit="1",
    description="1 where the last scrape of the model server gave metrics of a known server, else 0.",
    attributes=SERVER_ATTRIBUTES,
    group="serving",
)
SCRAPE_DURATION = Metric(
    name="inference.server.scrape.duration",
    kind=Kind.GAUGE,
    unit="s",
    description="How long the last scrape took, from request to parsed.",
    attributes=SERVER_ATTRIBUTES,
    group="serving",
)
SCRAPE_AGE = Metric(
    name="inference.server.scrape.age",
    kind=Kind.GAUGE,
    unit="s",
    description="How long ago the server last gave metrics; it grows while the server is down, and is "
    "absent before the first time.",
    attributes=SERVER_ATTRIBUTES,
    group="serving",
)
SERIES_DROPPED = Metric(
    name="inference.server.series.dropped",
    kind=Kind.UP_DOWN_COUNTER,
    unit="{series}",
    description="Series left out of the server's last scrape, whole metrics at a time, because all servers "
    "together may have no more (`server_series`: 1,000 per 16 of them); absent while nothing is left out.",
    attributes=SERVER_ATTRIBUTES,
    group="serving",
)
SERVER_INFO = _model(
    "inference.server.info",
    Kind.UP_DOWN_COUNTER,
    "1",
    "Always 1, one series per model and engine: what the server says of its configuration.",
    SERVER_VERSION,
    MODEL_MAX_LENGTH,
    KV_CACHE_DTYPE,
)
REQUEST_DURATION = _model(
    "gen_ai.server.request.duration",
    Kind.HISTOGRAM,
    "s",
    "From the request's arrival at the server to its last byte, finished requests.",
)
TIME_TO_FIRST_TOKEN = _model(
    "gen_ai.server.time_to_first_token",
    Kind.HISTOGRAM,
    "s",
    "From the request's arrival to its first token.",
)
TIME_PER_OUTPUT_TOKEN = _model(
    "gen_ai.server.time_per_output_token",
    Kind.HISTOGRAM,
    "s",
    "Mean time per token after the first, one observation per request.",
)
INTER_TOKEN_LATENCY = _model(
    "inference.inter_token_latency",
    Kind.HISTOGRAM,
    "s",
    "Time between tokens, one observation per decode step.",
)
QUEUE_DURATION = _model(
    "inference.queue.duration", Kind.HISTOGRAM, "s", "Time that requests waited before work began."
)
PREFILL_DURATION = _model(
    "inference.prefill.duration",
    Kind.HISTOGRAM,
    "s",
    "Time from the beginning of the work on a request to its first token.",
)
DECODE_DURATION = _model(
    "inference.decode.duration",
    Kind.HISTOGRAM,
    "s",
    "Time from a request's first token to its last.",
)
COMPUTE_DURATION = _model(
    "inference.compute.duration",
    Kind.HISTOGRAM,
    "s",
    "Time that the model worked on a request, without queueing.",
)
REQUEST_DURATION_QUANTILES = _model(
    "inference.request.duration.quantiles",
    Kind.SUMMARY,
    "s",
    "As gen_ai.server.request.duration where the server gives quantiles of a recent window, which cannot "
    "be added up or averaged.",
)
QUEUE_DURATION_QUANTILES = _model(
    "inference.queue.duration.quantiles",
    Kind.SUMMARY,
    "s",
    "As inference.queue.duration where the server gives quantiles of a recent window, which cannot be "
    "added up or averaged.",
)
REQUESTS_RUNNING = _model(
    "inference.requests.running", Kind.UP_DOWN_COUNTER, "{request}", "Requests being worked on."
)
REQUESTS_WAITING = _model(
    "inference.requests.waiting", Kind.UP_DOWN_COUNTER, "{request}", "Requests in the queue."
)
REQUESTS_FINISHED = _model(
    "inference.requests.finished",
    Kind.COUNTER,
    "{request}",
    "Requests that ended, by reason, aborts and errors among them; Triton counts errors that a Python "
    "back end answers as success.",
    FINISH_REASON,
)
REQUESTS_ERRORS = _model(
    "inference.requests.errors",
    Kind.COUNTER,
    "{request}",
    "Requests that ended in an error. Sources overlap: a request can be in the engine's count and, without "
    "a model, in that of HTTP answers; compare them, do not add them.",
    ERROR_TYPE,
)
REQUESTS_REJECTED = _model(
    "inference.requests.rejected",
    Kind.COUNTER,
    "{request}",
    "Requests that were turned away because the server was full; some servers count them as errors too.",
    ERROR_TYPE,
)
TOKENS_PROMPT = _model(
    "inference.tokens.prompt", Kind.COUNTER, "{token}", "Prompt tokens processed."
)
TOKENS_GENERATED = _model(
    "inference.tokens.generated", Kind.COUNTER, "{token}", "Tokens generated."
)
TOKENS_CACHED = _model(
    "inference.tokens.cached",
    Kind.COUNTER,
    "{token}",
    "Prompt tokens taken from a cache and not computed; they are among the prompt tokens.",
)
PROMPT_LENGTH = _model(
    "inference.prompt.length",
    Kind.HISTOGRAM,
    "{token}",
    "Tokens of a request's prompt, one observation per request.",
)
GENERATION_LENGTH = _model(
    "inference.generation.length",
    Kind.HISTOGRAM,
    "{token}",
    "Tokens generated for a request, one observation per request.",
)
BATCH_SIZE = _model(
    "inference.batch.size",
    Kind.HISTOGRAM,
    "{request}",
    "Requests worked on together, one observation per execution of the model.",
)
BATCH_TOKENS = _model(
    "inference.batch.tokens",
    Kind.HISTOGRAM,
    "{token}",
    "Tokens worked on together, one observation per step of the engine.",
)
KV_CACHE_UTILIZATION = _model(
    "inference.kv_cache.utilization", Kind.GAUGE, "1", "Share of the KV cache in use."
)
KV_CACHE_CAPACITY = _model(
    "inference.kv_cache.capacity",
    Kind.UP_DOWN_COUNTER,
    "{token}",
    "Tokens that the KV cache can hold.",
)
PREFIX_CACHE_QUERIES = _model(
    "inference.prefix_cache.queries",
    Kind.COUNTER,
    "{token}",
    "Prompt tokens that were looked up in the prefix cache.",
)
PREFIX_CACHE_HITS = _model(
    "inference.prefix_cache.hits",
    Kind.COUNTER,
    "{token}",
    "Prompt tokens that were found in the prefix cache.",
)
RESPONSE_CACHE_QUERIES = _model(
    "inference.response_cache.queries",
    Kind.COUNTER,
    "{request}",
    "Requests that were looked up in the cache of whole responses.",
)
RESPONSE_CACHE_HITS = _model(
    "inference.response_cache.hits",
    Kind.COUNTER,
    "{request}",
    "Requests that were answered from the cache of whole responses, without the model.",
)
SPECULATIVE_DRAFTED = _model(
    "inference.speculative.tokens.drafted",
    Kind.COUNTER,
    "{token}",
    "Tokens that speculative decoding proposed.",
)
SPECULATIVE_ACCEPTED = _model(
    "inference.speculative.tokens.accepted",
    Kind.COUNTER,
    "{token}",
    "Proposed tokens that the model agreed with.",
)
SPECULATIVE_ACCEPTANCE = _model(
    "inference.speculative.acceptance",
    Kind.GAUGE,
    "1",
    "Share of the proposed tokens that the model agreed with, as the server computes it: only where it "
    "does not count them.",
)
LORA_RUNNING = _model(
    "inference.lora.adapters.running",
    Kind.UP_DOWN_COUNTER,
    "{adapter}",
    "LoRA adapters in use.",
)
LORA_WAITING = _model(
    "inference.lora.adapters.waiting",
    Kind.UP_DOWN_COUNTER,
    "{adapter}",
    "LoRA adapters that requests in the queue ask for.",
)
LORA_LIMIT = _model(
    "inference.lora.adapters.limit",
    Kind.UP_DOWN_COUNTER,
    "{adapter}",
    "LoRA adapters that can be in use at once.",
)
PREEMPTIONS = _model(
    "inference.preemptions",
    Kind.COUNTER,
    "{preemption}",
    "Requests pushed out of the batch for want of KV cache.",
)

METRICS: Final = (
    SERVER_UP,
    SCRAPE_DURATION,
    SCRAPE_AGE,
    SERIES_DROPPED,
    SERVER_INFO,
    REQUEST_DURATION,
    TIME_TO_FIRST_TOKEN,
    TIME_PER_OUTPUT_TOKEN,
    INTER_TOKEN_LATENCY,
    QUEUE_DURATION,
    PREFILL_DURATION,
    DECODE_DURATION,
    COMPUTE_DURATION,
    REQUEST_DURATION_QUANTILES,
    QUEUE_DURATION_QUANTILES,
    REQUESTS_RUNNING,
    REQUESTS_WAITING,
    REQUESTS_FINISHED,
    REQUESTS_ERRORS,
    REQUESTS_REJECTED,
    TOKENS_PROMPT,
    TOKENS_GENERATED,
    TOKENS_CACHED,
    PROMPT_LENGTH,
    GENERATION_LENGTH,
    BATCH_SIZE,
    BATCH_TOKENS,
    KV_CACHE_UTILIZATION,
    KV_CACHE_CAPACITY,
    PREFIX_CACHE_QUERIES,
    PREFIX_CACHE_HITS,
    RESPONSE_CACHE_QUERIES,
    RESPONSE_CACHE_HITS,
    SPECULATIVE_DRAFTED,
    SPECULATIVE_ACCEPTED,
    SPECULATIVE_ACCEPTANCE,
    LORA_RUNNING,
    LORA_WAITING,
    LORA_LIMIT,
    PREEMPTIONS,
)
