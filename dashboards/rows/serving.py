"""Rows about what model servers do: tokens, batches, queues, how requests end, caches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import Attribute, Metric, recorded, serving
from agent.catalogue.attributes import ENGINE, ERROR_TYPE, FINISH_REASON, MODEL
from agent.catalogue.promql import Condition, aggregate
from agent.catalogue.recorded import FLEET, Recorded
from dashboards.layout import Row, Tile
from dashboards.panel import COUNT, Look, Panel, Query, graph, per_second, unit_of
from dashboards.scope import legend
from dashboards.served import (
    EACH_ENGINE,
    EACH_MODEL,
    NOT_TOLD,
    OF_MODELS,
    ON_ENGINE,
    acceptance,
    hit_ratio,
    mean,
    now,
    over,
    queue_ratio,
    speed,
    told,
)


@dataclass(frozen=True)
class Scope:
    """Whose lines are drawn: by what they are told apart, what they are called, and what is chosen."""

    by: tuple[Attribute, ...]
    called: str
    where: Sequence[Condition]
    absent: str
    """What stands where nobody tells it."""

    def look(self, ceiling: float | None = None, *, maybe_none: bool = False) -> Look:
        """Return how its graphs look; of what happens rarely, nothing can also mean that it did not."""
        absent = f"none in the time shown, or {self.absent}" if maybe_none else self.absent
        return Look(narrow=True, ceiling=ceiling, absent=absent)

    def level(self, title: str, metric: Metric, operator: str = "sum", note: str = "") -> Panel:
        """Draw a gauge."""
        return graph(
            title,
            Query(now(metric, self.by, self.where, operator), self.called),
            unit=unit_of(metric),
            description=f"{metric.description} {note}".rstrip(),
            look=self.look(1 if unit_of(metric) == units.PercentUnit else None),
        )

    def speed(self, title: str, metric: Metric, word: str, *extra: Attribute) -> Panel:
        """Draw how fast a counter grows; where it is split further, only what does."""
        grown = speed(metric, (*self.by, *extra), self.where)
        return graph(
            title,
            Query(f"{grown} > 0" if extra else grown, f"{legend(*extra)} {self.called}".strip()),
            unit=per_second(word),
            description=f"{metric.description} Per second.",
            look=self.look(maybe_none=bool(extra)),
        )

    def mean(self, title: str, metric: Metric) -> Panel:
        """Draw the mean of a histogram of things that are counted."""
        return graph(
            title,
            Query(mean(metric, self.by, self.where), self.called),
            unit=unit_of(metric),
            description=f"{metric.description} The mean.",
            look=self.look(),
        )

    def share(self, title: str, expression: str, description: str) -> Panel:
        """Draw a share, from 0 to all."""
        return graph(
            title,
            Query(expression, self.called),
            unit=units.PercentUnit,
            description=description,
            look=self.look(1),
        )

    def recorded(self, title: str, series: Recorded, unit: str) -> Panel:
        """Draw a recorded series, which need not have all labels of the scope."""
        by = tuple(attribute for attribute in self.by if attribute in series.attributes)
        return graph(
            title,
            Query(
                aggregate("max", by, told(series, self.where)),
                self.called if by == self.by else title,
            ),
            unit=unit,
            description=series.description,
            look=self.look(),
        )


FLEETWIDE: Final = Scope(FLEET, EACH_MODEL, OF_MODELS, NOT_TOLD)
ENGINES: Final = Scope((MODEL, ENGINE), EACH_ENGINE, ON_ENGINE, "this server does not tell it")


def load(scope: Scope) -> Row:
    """Return what is asked of the models and what waits for them, which tells whether they are overloaded."""
    panels = (
        scope.level("Requests running", serving.REQUESTS_RUNNING),
        scope.level("Requests waiting", serving.REQUESTS_WAITING, note="Alert: ModelQueueGrowing."),
        scope.share("Queue ratio", queue_ratio(scope.by, scope.where), recorded.QUEUED.description),
        scope.level("KV cache in use, fullest engine", serving.KV_CACHE_UTILIZATION, "max"),
        scope.speed("Preemptions", serving.PREEMPTIONS, "req"),
        scope.mean("Batch size", serving.BATCH_SIZE),
    )
    if scope is FLEETWIDE:
        return Row("Load", [Tile(panel, 8, 8) for panel in panels])
    return Row("Load and throughput", [Tile(p, 6, 8) for p in (*panels, *_throughput(scope))])


def tokens(scope: Scope) -> Row:
    """Return the tokens that go in and come out; of one server, what of them was saved."""
    cached, prompt = (
        speed(metric, scope.by, scope.where)
        for metric in (serving.TOKENS_CACHED, serving.TOKENS_PROMPT)
    )
    saved = (
        scope.speed("Prompt tokens from a cache", serving.TOKENS_CACHED, "tok"),
        scope.share(
            "Prompt tokens from a cache, share",
            over(cached, prompt, scope.by),
            serving.TOKENS_CACHED.description,
        ),
        scope.share(
            "Prefix cache hits",
            hit_ratio(scope.by, scope.where),
            f"{serving.PREFIX_CACHE_HITS.description} As a share of those looked up.",
        ),
        scope.share(
            "Speculative tokens accepted",
            acceptance(scope.by, scope.where),
            f"{serving.SPECULATIVE_ACCEPTANCE.description} Counted by us where the server counts tokens. "
            "Low: drafting costs more than it saves.",
        ),
    )
    if scope is FLEETWIDE:
        return Row("Tokens", [Tile(panel, 8, 8) for panel in (*_throughput(scope), *saved)])
    return Row("Tokens that were saved", [Tile(p, 6, 8) for p in saved], collapsed=True)


def _throughput(scope: Scope) -> tuple[Panel, Panel]:
    return (
        scope.speed("Tokens generated", serving.TOKENS_GENERATED, "tok"),
        scope.speed("Prompt tokens", serving.TOKENS_PROMPT, "tok"),
    )


def endings(scope: Scope) -> Row:
    """Return how requests end."""
    panels = (
        scope.speed(
            "Requests finished, by reason", serving.REQUESTS_FINISHED, "req", FINISH_REASON
        ),
        scope.speed(
            "Requests that failed, by what went wrong", serving.REQUESTS_ERRORS, "req", ERROR_TYPE
        ),
        scope.speed("Requests rejected", serving.REQUESTS_REJECTED, "req", ERROR_TYPE),
    )
    return Row("How requests end", [Tile(panel, 8, 8) for panel in panels])


def more(scope: Scope) -> Row:
    """Return what few servers tell, and what few readers ask for."""
    hits, queries = (
        speed(metric, scope.by, scope.where)
        for metric in (serving.RESPONSE_CACHE_HITS, serving.RESPONSE_CACHE_QUERIES)
    )
    panels = (
        scope.mean("Prompt length", serving.PROMPT_LENGTH),
        scope.mean("Generation length", serving.GENERATION_LENGTH),
        scope.mean("Tokens per step of the engine", serving.BATCH_TOKENS),
        _adapters(scope),
        scope.share(
            "Response cache hits",
            over(hits, queries, scope.by),
            serving.RESPONSE_CACHE_HITS.description,
        ),
        scope.level("KV cache capacity", serving.KV_CACHE_CAPACITY),
    )
    return Row(
        "More: lengths, LoRA adapters, caches", [Tile(p, 8, 8) for p in panels], collapsed=True
    )


def costs(scope: Scope) -> Row:
    """Return what the tokens cost, by GPU, energy and money; of servers by themselves."""
    of_fleet = scope is FLEETWIDE
    pairs = (
        (
            "Tokens per GPU-second",
            recorded.MODEL_TOKENS_PER_GPU_SECOND,
            recorded.TOKENS_PER_GPU_SECOND,
        ),
        ("Tokens per joule", recorded.MODEL_TOKENS_PER_JOULE, recorded.TOKENS_PER_JOULE),
        ("Cost per million tokens", recorded.MODEL_COST_PER_MILLION, recorded.COST_PER_MILLION),
    )
    panels = [
        scope.recorded(title, fleet if of_fleet else one, COUNT) for title, fleet, one in pairs
    ]
    return Row("What it costs", [Tile(panel, 8, 8) for panel in panels], collapsed=of_fleet)


def _adapters(scope: Scope) -> Panel:
    told_of = (
        ("running", serving.LORA_RUNNING),
        ("waiting", serving.LORA_WAITING),
        ("limit", serving.LORA_LIMIT),
    )
    return graph(
        "LoRA adapters",
        *(
            Query(now(metric, scope.by, scope.where), f"{word}: {scope.called}")
            for word, metric in told_of
        ),
        unit=COUNT,
        description=f"{serving.LORA_RUNNING.description} {serving.LORA_WAITING.description} "
        f"{serving.LORA_LIMIT.description}",
        look=Look(narrow=True, dashed="/^limit: .*/", absent=scope.absent),
    )
