"""Rows about how long requests take: what users feel, then which part of the way it is lost on."""

from collections.abc import Sequence
from typing import Final

from agent.catalogue import Attribute, Metric, recorded, serving
from agent.catalogue.attributes import CLUSTER, ENGINE, MODEL, NODE, PROVIDER, SERVER
from agent.catalogue.promql import Condition, aggregate, labels, select
from agent.catalogue.recorded import FLEET
from dashboards.density import density
from dashboards.layout import Row, Tile
from dashboards.panel import Look, Panel, Query, graph, unit_of
from dashboards.scope import RATE, legend
from dashboards.served import (
    BOUND,
    CHOSEN,
    EACH_ENGINE,
    EACH_MODEL,
    NOT_TOLD,
    OF_MODELS,
    ON_ENGINE,
    QUANTILE,
    mean,
    narrowed,
    quantile,
    told,
)

SIGNALS: Final = {
    "time_to_first_token": ("Time to first token", serving.TIME_TO_FIRST_TOKEN),
    "inter_token_latency": ("Time between tokens", serving.INTER_TOKEN_LATENCY),
    "request_duration": ("Request duration", serving.REQUEST_DURATION),
}
_PARTS: Final = (
    ("Time in the queue", serving.QUEUE_DURATION),
    ("Prefill", serving.PREFILL_DURATION),
    ("Decode", serving.DECODE_DURATION),
    ("Work of the model", serving.COMPUTE_DURATION),
    ("Time per output token", serving.TIME_PER_OUTPUT_TOKEN),
)
_SHARES: Final = (0.5, 0.95, 0.99)
_EXACT: Final = "Quantiles are as exact as the server's own buckets; a gap means no requests."
_NOT_BY_IT: Final = "this server does not tell it"
_PER_ENGINE: Final = (MODEL, ENGINE)
_SERVERS: Final = (SERVER, PROVIDER, NODE, CLUSTER)


def of_models() -> Row:
    """Return the latency of each model, over all servers that have it."""
    return Row(
        "How long requests take", (*(Tile(p, 8, 9) for p in _tails()), Tile(_seen(CHOSEN), 24, 8))
    )


def of_models_in_detail() -> Row:
    """Return what else is known of it: medians, the longest, and the parts of a request's way."""
    quantiles = (_recorded(signal, word) for word in ("p50", "p99") for signal in SIGNALS)
    parts = (
        graph(
            f"{title}, mean",
            Query(mean(metric, FLEET, OF_MODELS), EACH_MODEL),
            unit=unit_of(metric),
            description=f"{metric.description} The mean, which every server's figures give exactly.",
            look=Look(narrow=True, absent=NOT_TOLD),
        )
        for title, metric in (*SIGNALS.values(), *_PARTS)
    )
    return Row(
        "More on latency: medians, longest, and the parts",
        [Tile(panel, 8, 8) for panel in (*quantiles, *parts, _own_quantiles(OF_MODELS, (MODEL,)))],
        collapsed=True,
    )


def _tails() -> tuple[Panel, ...]:
    return tuple(_recorded(signal, "p95", or_mean=True) for signal in SIGNALS)


def _recorded(signal: str, word: str, *, or_mean: bool = False) -> Panel:
    title, metric = SIGNALS[signal]
    known = told(recorded.FLEET_LATENCY[signal, word], OF_MODELS)
    queries = [Query(known, f"{EACH_MODEL}")]
    note = "Absent where the servers of a model differ in their buckets."
    if or_mean:
        same = f"on ({labels(FLEET)})"
        queries.append(Query(f"{_any_mean(metric)}\nunless {same} {known}", f"mean: {EACH_MODEL}"))
        note = (
            "Dashed: the mean, where no quantile is known, because a server tells no buckets or a model's "
            "servers differ in theirs."
        )
    return graph(
        f"{title}, {word}",
        *queries,
        unit=unit_of(metric),
        description=f"{metric.description} Of the last five minutes, over all servers of a model. {note}",
        look=Look(narrow=True, absent=NOT_TOLD, faint="/^mean: .*/"),
    )


def _any_mean(metric: Metric) -> str:
    """Return the mean; of durations also where the server computes quantiles itself."""
    of_histogram = mean(metric, FLEET, OF_MODELS)
    if metric is not serving.REQUEST_DURATION:
        return f"({of_histogram})"
    of_summary = mean(serving.REQUEST_DURATION_QUANTILES, FLEET, OF_MODELS)
    return f"(({of_histogram})\nor on ({labels(FLEET)}) ({of_summary}))"


def _seen(where: Sequence[Condition]) -> Panel:
    """Draw the observations by those bounds that all chosen servers have, or the sum would be of unlike."""
    metric = serving.TIME_TO_FIRST_TOKEN
    bucket = select(metric, *narrowed(metric, where), part="bucket", window=RATE)
    counted = aggregate("sum", (BOUND,), f"increase({bucket})")
    there = select(metric, *narrowed(metric, where), part="bucket")
    having = aggregate("count", (BOUND,), aggregate("group", (*_SERVERS, BOUND), there))
    everyone = aggregate("count", (), aggregate("group", _SERVERS, there))
    return density(
        "Time to first token, how many requests took how long",
        f"{counted}\nand on ({BOUND.label}) ({having} == on () group_left () {everyone})",
        unit=unit_of(metric),
        description=f"{metric.description} By those bounds of buckets that all chosen servers have: choose "
        "one kind of server for a finer picture. Two bands are two kinds of requests.",
        absent=NOT_TOLD,
    )


def of_server() -> Row:
    """Return the latency of one server, each of its engines by itself."""
    signals = (_tail(title, metric) for title, metric in SIGNALS.values())
    return Row("How long requests take", [Tile(panel, 8, 8) for panel in signals])


def of_server_in_detail() -> Row:
    """Return the parts of a request's way, and the requests' sizes."""
    parts = (_spread(title, metric) for title, metric in (*SIGNALS.values(), *_PARTS))
    own = (
        _own_quantiles(ON_ENGINE, _PER_ENGINE),
        _own_quantiles(
            ON_ENGINE, _PER_ENGINE, serving.QUEUE_DURATION_QUANTILES, "Time in the queue"
        ),
    )
    return Row(
        "Where on its way a request spends the time",
        (Tile(_seen(ON_ENGINE), 24, 8), *(Tile(panel, 8, 8) for panel in (*parts, *own))),
        collapsed=True,
    )


def _tail(title: str, metric: Metric) -> Panel:
    """Draw p95 per engine, and the mean of what has no buckets."""
    known = quantile(0.95, metric, _PER_ENGINE, ON_ENGINE)
    average = mean(metric, _PER_ENGINE, ON_ENGINE)
    without = f"({average})\nunless on ({labels(_PER_ENGINE)}) ({known})"
    return graph(
        f"{title}, p95",
        Query(known, EACH_ENGINE),
        Query(without, f"mean: {EACH_ENGINE}"),
        unit=unit_of(metric),
        description=f"{metric.description} {_EXACT} Dashed: the mean, where the server tells no buckets.",
        look=Look(narrow=True, absent=_NOT_BY_IT, faint="/^mean: .*/"),
    )


def _spread(title: str, metric: Metric) -> Panel:
    """Draw mean and quantiles per model, over its engines."""
    quantiles = (
        Query(quantile(share, metric, (MODEL,), ON_ENGINE), f"p{share * 100:g} {legend(MODEL)}")
        for share in _SHARES
    )
    return graph(
        title,
        Query(mean(metric, (MODEL,), ON_ENGINE), f"mean {legend(MODEL)}"),
        *quantiles,
        unit=unit_of(metric),
        description=f"{metric.description} {_EXACT} A server without buckets has a mean alone.",
        look=Look(narrow=True, absent=_NOT_BY_IT, faint="/^mean .*/"),
    )


def _own_quantiles(
    where: Sequence[Condition],
    by: Sequence[Attribute],
    metric: Metric = serving.REQUEST_DURATION_QUANTILES,
    title: str = "Request duration",
) -> Panel:
    split = (SERVER, *by, QUANTILE)
    newest = aggregate("max", split, f"{select(metric, *narrowed(metric, where))} >= 0")
    return graph(
        f"{title}, quantiles that servers compute",
        Query(newest, f"{legend(QUANTILE)} {legend(SERVER, *by)}"),
        unit=unit_of(metric),
        description=metric.description,
        look=Look(narrow=True, absent=NOT_TOLD),
    )
