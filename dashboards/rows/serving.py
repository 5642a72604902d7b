"""Row about the model servers on the node: rate, errors and duration, then what they wait for."""

from collections.abc import Sequence
from typing import Final

from agent.catalogue import Attribute, Metric, serving
from agent.catalogue.attributes import ENGINE, ERROR_TYPE, FINISH_REASON, MODEL, SERVER
from agent.catalogue.promql import aggregate, rate, value
from dashboards.layout import Row, Tile
from dashboards.panel import GREEN, RED, Look, Panel, Query, graph, per_second, timeline, unit_of
from dashboards.scope import ON_NODE, RATE, legend

PER_MODEL: Final = (SERVER, MODEL)
QUANTILES: Final = (0.5, 0.95, 0.99)


def row() -> Row:
    """Return the row."""
    return Row(
        "Model servers on this node",
        (
            Tile(_up(), 12, 6),
            Tile(_level("Scrape duration", serving.SCRAPE_DURATION, (SERVER,)), 12, 6),
            *(Tile(_latency(title, metric), 12, 8) for title, metric in _DURATIONS),
            *(Tile(panel, 12, 8) for panel in _work()),
            *(Tile(panel, 8, 7) for panel in _queue()),
        ),
    )


_DURATIONS: Final = (
    ("Request duration", serving.REQUEST_DURATION),
    ("Time to first token", serving.TIME_TO_FIRST_TOKEN),
    ("Time per output token", serving.TIME_PER_OUTPUT_TOKEN),
    ("Time between tokens", serving.INTER_TOKEN_LATENCY),
    ("Time in the queue", serving.QUEUE_DURATION),
)


def _work() -> tuple[Panel, ...]:
    return (
        _level("KV cache in use", serving.KV_CACHE_UTILIZATION, (*PER_MODEL, ENGINE), ceiling=1),
        _speed("Tokens generated", serving.TOKENS_GENERATED, "tok"),
        _speed("Prompt tokens", serving.TOKENS_PROMPT, "tok"),
        _speed("Requests finished, by reason", serving.REQUESTS_FINISHED, "req", FINISH_REASON),
        _speed("Requests that failed", serving.REQUESTS_ERRORS, "req", ERROR_TYPE),
    )


def _queue() -> tuple[Panel, ...]:
    return (
        _total("Requests running", serving.REQUESTS_RUNNING),
        _total("Requests waiting", serving.REQUESTS_WAITING),
        _speed("Preemptions", serving.PREEMPTIONS, "req", narrow=True),
    )


def _up() -> Panel:
    return timeline(
        "Model servers",
        Query(value(serving.SERVER_UP, (SERVER,), *ON_NODE), legend(SERVER)),
        description=f"{serving.SERVER_UP.description} Alert: ModelServerNoData.",
        states=((0, "no data", RED), (1, "gives data", GREEN)),
    )


def _latency(title: str, metric: Metric) -> Panel:
    """Draw the mean and quantiles of a duration.

    A server that tells no buckets has a mean alone; its quantiles are not known (NaN) and not drawn.
    """
    total, count = (
        rate(metric, PER_MODEL, *ON_NODE, window=RATE, part=p) for p in ("sum", "count")
    )
    mean = Query(f"{total} / {count}", f"mean {legend(*PER_MODEL)}")
    buckets = rate(metric, (*PER_MODEL, _BOUND), *ON_NODE, window=RATE, part="bucket")
    quantiles = (
        Query(f"histogram_quantile({q}, {buckets}) >= 0", f"p{q * 100:g} {legend(*PER_MODEL)}")
        for q in QUANTILES
    )
    return graph(
        title,
        mean,
        *quantiles,
        unit=unit_of(metric),
        description=f"{metric.description} Quantiles are as exact as the server's own buckets; "
        "a gap means that there were no requests.",
    )


_BOUND: Final = Attribute("le", "A histogram bucket's upper bound, in Prometheus.")


def _total(title: str, metric: Metric) -> Panel:
    """Draw the sum over a model's engines and versions."""
    each = value(metric, metric.attributes, *ON_NODE)
    query = Query(aggregate("sum", PER_MODEL, each), legend(*PER_MODEL))
    return graph(
        title, query, unit=unit_of(metric), description=metric.description, look=Look(narrow=True)
    )


def _level(
    title: str,
    metric: Metric,
    by: Sequence[Attribute],
    ceiling: float | None = None,
) -> Panel:
    return graph(
        title,
        Query(value(metric, by, *ON_NODE), legend(*by)),
        unit=unit_of(metric),
        description=metric.description,
        look=Look(ceiling=ceiling),
    )


def _speed(title: str, metric: Metric, word: str, *extra: Attribute, narrow: bool = False) -> Panel:
    by = (*PER_MODEL, *extra)
    return graph(
        title,
        Query(rate(metric, by, *ON_NODE, window=RATE), legend(*extra, *PER_MODEL)),
        unit=per_second(word),
        description=f"{metric.description} Per second.",
        look=Look(narrow=narrow),
    )
