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
    MODEL,
    MODEL_VERSION,
    PROVIDER,
    SERVER,
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
    "Requests that ended, by reason; vLLM counts aborts and errors here as well.",
    FINISH_REASON,
)
REQUESTS_ERRORS = _model(
    "inference.requests.errors",
    Kind.COUNTER,
    "{request}",
    "Requests that ended in an error.",
    ERROR_TYPE,
)
TOKENS_PROMPT = _model(
    "inference.tokens.prompt", Kind.COUNTER, "{token}", "Prompt tokens processed."
)
TOKENS_GENERATED = _model(
    "inference.tokens.generated", Kind.COUNTER, "{token}", "Tokens generated."
)
KV_CACHE_UTILIZATION = _model(
    "inference.kv_cache.utilization", Kind.GAUGE, "1", "Share of the KV cache in use."
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
    REQUEST_DURATION,
    TIME_TO_FIRST_TOKEN,
    TIME_PER_OUTPUT_TOKEN,
    INTER_TOKEN_LATENCY,
    QUEUE_DURATION,
    REQUESTS_RUNNING,
    REQUESTS_WAITING,
    REQUESTS_FINISHED,
    REQUESTS_ERRORS,
    TOKENS_PROMPT,
    TOKENS_GENERATED,
    KV_CACHE_UTILIZATION,
    PREEMPTIONS,
)
