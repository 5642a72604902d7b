"""The model servers as the page shows them."""

from collections.abc import Iterator
from typing import Final

from agent.catalogue import serving
from exporters.status import words
from exporters.status.history import gauge_trend, rate_trend
from exporters.status.lookup import Lookup
from exporters.status.model import Level, ModelTrends, ModelView, ServerView
from exporters.status.rates import growth, latency, per_second

FULL_CACHE: Final = 0.95
"""Share of the KV cache from which on a server is about to push requests out."""

_OF_A_MODEL: Final = len(serving.MODEL_ATTRIBUTES)
_SHOWN: Final = (
    serving.SERVER_INFO,
    serving.REQUESTS_RUNNING,
    serving.REQUESTS_WAITING,
    serving.REQUESTS_FINISHED,
    serving.REQUESTS_ERRORS,
    serving.REQUEST_DURATION,
    serving.QUEUE_DURATION,
    serving.TIME_TO_FIRST_TOKEN,
    serving.TIME_PER_OUTPUT_TOKEN,
    serving.TOKENS_PROMPT,
    serving.TOKENS_GENERATED,
    serving.KV_CACHE_UTILIZATION,
)
"""What makes a row of its own: what else is told of a model may be told otherwise, such as of all engines."""


def server_views(lookup: Lookup, now: float) -> tuple[ServerView, ...]:
    """Return each model server that any reading names, by name."""
    servers = {attributes[:2] for metric in serving.METRICS for attributes in lookup.rows(metric)}
    return tuple(_server(name, provider, lookup, now) for name, provider in sorted(servers))


def _server(name: str, provider: str, lookup: Lookup, now: float) -> ServerView:
    known = tuple(_models(name, provider, lookup, now))
    models = tuple(model for model in known if model.name or model.version or model.engine)
    unattributed = [model.errors for model in known if model not in models]
    up = lookup.number(serving.SERVER_UP, name, provider)
    level, verdict = _judge(up, models, tuple(model for model in known if model not in models))
    return ServerView(
        name=name,
        provider=provider,
        up=None if up is None else up == 1,
        level=level,
        verdict=verdict,
        scrape_duration=lookup.number(serving.SCRAPE_DURATION, name, provider),
        unattributed_errors=next(iter(unattributed), None),
        models=models,
    )


def _judge(
    up: float | None, models: tuple[ModelView, ...], whole: tuple[ModelView, ...]
) -> tuple[Level, str]:
    """Judge a server by its models and by what it counts for the ``whole`` server.

    The same failure may be in both counts (a request's and the HTTP answer's), so the larger one is told.
    """
    if up == 0:
        return Level.LOST, "Down: gives no metrics"
    errors = max(sum(each.errors_recently or 0 for each in group) for group in (models, whole))
    if errors:
        several = "" if errors == 1 else "s"
        return Level.ATTENTION, f"{words.whole(errors)} error{several} in the last minute"
    for model in models:
        if model.kv_cache is not None and model.kv_cache >= FULL_CACHE:
            return Level.ATTENTION, f"KV cache at {words.percent(model.kv_cache)}"
    return Level.OK, "Up" if up == 1 else "Up, by what it tells"


def _models(name: str, provider: str, lookup: Lookup, now: float) -> Iterator[ModelView]:
    models = {
        attributes[:_OF_A_MODEL]
        for metric in _SHOWN
        for attributes in lookup.rows(metric)
        if attributes[:2] == (name, provider)
    }
    return (_model(key, lookup, now) for key in sorted(models))


def _model(key: tuple[str, ...], lookup: Lookup, now: float) -> ModelView:
    recently = growth(lookup, serving.REQUESTS_ERRORS, *key)
    duration = latency(lookup, serving.REQUEST_DURATION, *key)
    errors = [count for _, (_, count) in lookup.numbers(serving.REQUESTS_ERRORS, *key)]
    finished = per_second(lookup, serving.REQUESTS_FINISHED, *key)
    if finished is None and duration is not None:
        finished = duration.requests / duration.window
    return ModelView(
        name=key[2],
        version=key[3],
        engine=key[4],
        running=lookup.number(serving.REQUESTS_RUNNING, *key),
        waiting=lookup.number(serving.REQUESTS_WAITING, *key),
        kv_cache=lookup.number(serving.KV_CACHE_UTILIZATION, *key),
        requests_per_second=finished,
        prompt_tokens_per_second=per_second(lookup, serving.TOKENS_PROMPT, *key),
        generated_tokens_per_second=per_second(lookup, serving.TOKENS_GENERATED, *key),
        errors=sum(errors) if errors else None,
        errors_recently=recently[0] if recently else None,
        time_to_first_token=latency(lookup, serving.TIME_TO_FIRST_TOKEN, *key),
        time_per_output_token=latency(lookup, serving.TIME_PER_OUTPUT_TOKEN, *key),
        request_duration=duration,
        queue_duration=latency(lookup, serving.QUEUE_DURATION, *key),
        trends=ModelTrends(
            running=gauge_trend(lookup.history(serving.REQUESTS_RUNNING, *key), now),
            waiting=gauge_trend(lookup.history(serving.REQUESTS_WAITING, *key), now),
            tokens=rate_trend(lookup.history(serving.TOKENS_GENERATED, *key), now),
        ),
    )
