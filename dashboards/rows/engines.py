"""Row about the engines of one server, side by side: one that lags holds back the requests it was given."""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import serving
from agent.catalogue.attributes import (
    ENGINE,
    KV_CACHE_DTYPE,
    MODEL,
    MODEL_MAX_LENGTH,
    MODEL_VERSION,
    SERVER_VERSION,
)
from agent.catalogue.promql import value
from dashboards.layout import Row, Tile
from dashboards.panel import COUNT, ORANGE, Panel, Step
from dashboards.rows.models import CACHE
from dashboards.served import ON_ENGINE, hit_ratio, now, present, quantile, speed
from dashboards.tables import Fact, Figure, overview

_PER_ENGINE: Final = (MODEL, ENGINE)


def row() -> Row:
    """Return the row."""
    return Row("Engines and models, side by side", (Tile(_now(), 24, 6), Tile(_made_of(), 24, 5)))


def _now() -> Panel:
    p95 = quantile(0.95, serving.TIME_TO_FIRST_TOKEN, _PER_ENGINE, ON_ENGINE)
    between = quantile(0.95, serving.INTER_TOKEN_LATENCY, _PER_ENGINE, ON_ENGINE)
    return overview(
        "Engines now",
        present(_PER_ENGINE, ON_ENGINE),
        (
            Fact(attribute=MODEL, heading="Model"),
            Fact(attribute=ENGINE, heading="Engine", width=160),
            _amount("Running", now(serving.REQUESTS_RUNNING, _PER_ENGINE, ON_ENGINE)),
            _amount("Waiting", now(serving.REQUESTS_WAITING, _PER_ENGINE, ON_ENGINE)),
            _share(
                "KV cache",
                now(serving.KV_CACHE_UTILIZATION, _PER_ENGINE, ON_ENGINE, "max"),
                ((None, "text"), *CACHE[1:]),
            ),
            _share("Prefix hits", hit_ratio(_PER_ENGINE, ON_ENGINE)),
            _amount("Tokens/s", speed(serving.TOKENS_GENERATED, _PER_ENGINE, ON_ENGINE)),
            _amount("Finished/s", speed(serving.REQUESTS_FINISHED, _PER_ENGINE, ON_ENGINE)),
            _amount("Preempted/s", speed(serving.PREEMPTIONS, _PER_ENGINE, ON_ENGINE), bad=True),
            _seconds("TTFT p95", p95),
            _seconds("ITL p95", between),
        ),
        description="A line per data-parallel engine or replica of each model; a server with one engine, or "
        "that does not tell them apart, has one line a model. Empty: the server does not tell it.",
        absent="the server tells nothing of its models",
    )


def _made_of() -> Panel:
    facts = (MODEL, ENGINE, MODEL_VERSION, SERVER_VERSION, MODEL_MAX_LENGTH, KV_CACHE_DTYPE)
    return overview(
        "What the server says of its configuration",
        value(serving.SERVER_INFO, facts, *ON_ENGINE),
        (
            Fact(attribute=MODEL, heading="Model"),
            Fact(attribute=ENGINE, heading="Engine", width=160),
            Fact(attribute=MODEL_VERSION, heading="Model version"),
            Fact(attribute=SERVER_VERSION, heading="Server version"),
            Fact(attribute=MODEL_MAX_LENGTH, heading="Max length"),
            Fact(attribute=KV_CACHE_DTYPE, heading="KV cache type"),
        ),
        description=serving.SERVER_INFO.description,
        absent="the server says nothing of its configuration",
    )


def _amount(heading: str, expression: str, *, bad: bool = False) -> Figure:
    steps = ((None, "text"), (0.001, ORANGE)) if bad else ()
    return Figure(expression=expression, heading=heading, unit=COUNT, width=106, steps=steps)


def _share(heading: str, expression: str, steps: Sequence[Step] = ()) -> Figure:
    return Figure(
        expression=expression, heading=heading, unit=units.PercentUnit, width=95, steps=steps
    )


def _seconds(heading: str, expression: str) -> Figure:
    return Figure(expression=expression, heading=heading, unit=units.Seconds, width=95)
