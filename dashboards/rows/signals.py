"""Table of what each server tells: an empty graph can mean that nothing happened, or that nobody says."""

from collections.abc import Sequence
from typing import Final

from agent.catalogue import Metric, serving
from agent.catalogue.attributes import CLUSTER, NODE, PROVIDER, SERVER
from agent.catalogue.metric import Kind
from agent.catalogue.promql import Condition, aggregate, labels, select, value
from agent.catalogue.recorded import HOLDER
from dashboards.layout import Row, Tile
from dashboards.panel import Panel
from dashboards.served import BOUND, SERVER_LINK, narrowed
from dashboards.tables import Column, Fact, Figure, overview

_SIGNALS: Final = (
    ("TTFT", serving.TIME_TO_FIRST_TOKEN),
    ("ITL", serving.INTER_TOKEN_LATENCY),
    ("TPOT", serving.TIME_PER_OUTPUT_TOKEN),
    ("E2E", serving.REQUEST_DURATION),
    ("Queue time", serving.QUEUE_DURATION),
    ("Prefill", serving.PREFILL_DURATION),
    ("Running", serving.REQUESTS_RUNNING),
    ("Waiting", serving.REQUESTS_WAITING),
    ("Finished", serving.REQUESTS_FINISHED),
    ("Errors", serving.REQUESTS_ERRORS),
    ("Tokens", serving.TOKENS_GENERATED),
    ("KV cache", serving.KV_CACHE_UTILIZATION),
    ("Prefix cache", serving.PREFIX_CACHE_QUERIES),
    ("Preempted", serving.PREEMPTIONS),
    ("Batch size", serving.BATCH_SIZE),
)
_SUMMARIES: Final = {
    serving.REQUEST_DURATION: serving.REQUEST_DURATION_QUANTILES,
    serving.QUEUE_DURATION: serving.QUEUE_DURATION_QUANTILES,
}
_WORDS: Final = tuple(
    (number, word, "transparent") for number, word in ((1, "yes"), (2, "mean"), (3, "quantiles"))
)


def row(where: Sequence[Condition], height: int = 9) -> Row:
    """Return the row; its table is that high."""
    return Row("What each server tells", (Tile(_table(where), 24, height),), collapsed=True)


def _table(where: Sequence[Condition]) -> Panel:
    facts: tuple[Column, ...] = (
        Fact(attribute=SERVER, heading="Server", link=SERVER_LINK, link_title="This server alone"),
        Fact(attribute=PROVIDER, heading="Kind", width=95),
        Fact(attribute=NODE, heading="Node", width=110),
        Fact(attribute=CLUSTER, heading="Cluster", shown=False),
    )
    figures = (
        Figure(expression=_how(metric, where), heading=heading, width=78, states=_WORDS)
        for heading, metric in _SIGNALS
    )
    return overview(
        "Which signals each server tells",
        value(serving.SERVER_UP, HOLDER, *narrowed(serving.SERVER_UP, where)),
        (*facts, *figures),
        description="Empty: the server does not tell it, so it is missing from the graphs above, which is "
        "not 0. Quantiles: by buckets of its own, or computed by itself. Mean: it tells a sum and a count "
        "alone, so no quantile is known. docs/model-servers.md says from which families each signal is.",
        absent="no server is collected from",
    )


def _how(metric: Metric, where: Sequence[Condition]) -> str:
    if metric.kind is not Kind.HISTOGRAM:
        return aggregate("group", HOLDER, select(metric, *narrowed(metric, where)))
    buckets = select(metric, *narrowed(metric, where), part="bucket")
    bounds = aggregate("count", HOLDER, aggregate("group", (*HOLDER, BOUND), buckets))
    found = f"2 + ({bounds} > bool 1)"
    summary = _SUMMARIES.get(metric)
    if summary is None:
        return found
    computed = aggregate("group", HOLDER, select(summary, *narrowed(summary, where), part="count"))
    return f"2 + {computed}\nor on ({labels(HOLDER)}) {found}"
