"""Panels of one metric per GPU, in the few shapes that most panels have.

The catalogue brings unit, description and dimensions; a row says the title and what to split by.
"""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import units

from agent.catalogue import Attribute, Metric
from agent.catalogue.attributes import HW_ID
from agent.catalogue.promql import PER_GPU, Condition, equals, labels, rate, value
from dashboards.panel import COUNT, GREEN, RED, Look, Panel, Query, graph, timeline, unit_of
from dashboards.scope import EACH_GPU, ON_GPU, RATE, legend, of_gpu, per_gpu

ALONE: Final = dashboard.DashboardLink("This GPU alone, on the GPU node dashboard").url(
    f"/d/warpwatch-gpu-node?${{__url_time_range}}&${{datasource:queryparam}}"
    f"&${{cluster:queryparam}}&${{node:queryparam}}&var-gpu=${{__field.labels.{HW_ID.label}}}"
)
"""What a click on a line offers."""
SHARE: Final = Look(ceiling=1)
_PER_SECOND: Final = {"By": units.BytesPerSecondIEC, "s": units.PercentUnit}
"""What some units become per second: seconds per second are a share of time."""


def lines(
    title: str,
    metric: Metric,
    *conditions: Condition,
    by: Sequence[Attribute] = (),
    note: str = "",
    look: Look = Look(),  # noqa: B008 - frozen
) -> Panel:
    """Return the metric's value per GPU and ``by``; ``note`` is added to its description."""
    query = per_gpu(metric, *conditions, extra=by)
    return drawn(title, query, metric, note=note, look=look)


def drawn(
    title: str,
    query: Query,
    metric: Metric,
    *,
    more: tuple[Query, ...] = (),
    note: str = "",
    look: Look = Look(),  # noqa: B008 - frozen
    links: Sequence[dashboard.DashboardLink] = (ALONE,),
) -> Panel:
    """Return lines of a metric that the query asks for in a way of its own."""
    return graph(
        title,
        query,
        *more,
        unit=unit_of(metric),
        description=f"{metric.description} {note}".rstrip(),
        look=look,
        links=links,
    )


def speed(
    title: str,
    metric: Metric,
    *conditions: Condition,
    by: Sequence[Attribute] = (),
    note: str = "",
    look: Look = Look(),  # noqa: B008 - frozen
) -> Panel:
    """Return how fast a counter of bytes or seconds grows per GPU and ``by``.

    Raises `KeyError` for a counter of other things: of those, `growth` is drawn.
    """
    grown = rate(metric, (*PER_GPU, *by), *ON_GPU, *conditions, window=RATE)
    return graph(
        title,
        of_gpu(grown, *by),
        unit=_PER_SECOND[metric.unit],
        description=f"Per second. {metric.description} {note}".rstrip(),
        look=look,
        links=(ALONE,),
    )


def growth(
    title: str,
    metric: Metric,
    *conditions: Condition,
    by: Sequence[Attribute] = (),
    note: str = "",
) -> Panel:
    """Return how many more there were in each step of the graph, as bars per GPU and ``by``."""
    grown = rate(metric, (*PER_GPU, *by), *ON_GPU, *conditions, window=RATE, function="increase")
    return graph(
        title,
        of_gpu(grown, *by),
        unit=COUNT,
        description=f"New ones per step of the graph. {metric.description} {note}".rstrip(),
        look=Look(events=True),
        links=(ALONE,),
    )


def flags(
    title: str,
    *told: tuple[Metric, str],
    conditions: Sequence[Condition] = (),
    by: Sequence[Attribute] = (),
    words: tuple[str, str] = ("no", "yes"),
    colors: tuple[str, str] = (GREEN, RED),
    note: str = "",
) -> Panel:
    """Return bands of metrics that are 0 or 1; each metric has a word for the legend."""
    queries = (
        Query(
            per_gpu(metric, *conditions, extra=by).expression,
            " ".join(part for part in (EACH_GPU, word, legend(*by)) if part),
        )
        for metric, word in told
    )
    said = " ".join(dict.fromkeys(metric.description for metric, _ in told))
    return timeline(
        title,
        *queries,
        description=f"{said} {note}".rstrip(),
        states=[(state, words[state], colors[state]) for state in (0, 1)],
    )


def states(
    title: str, metric: Metric, attribute: Attribute, colors: Sequence[str], *, note: str = ""
) -> Panel:
    """Return a band per GPU of a metric that is 1 for one of an attribute's values and 0 for the others.

    ``colors`` are those of the values, in the catalogue's order.
    """
    terms = (
        f"({value(metric, PER_GPU, *ON_GPU, equals(attribute, word))} == 1) * {position}"
        for position, word in enumerate(attribute.values)
    )
    named = zip(attribute.values, colors, strict=True)
    return timeline(
        title,
        of_gpu(f"\nor on ({labels(PER_GPU)}) ".join(terms)),
        description=f"{metric.description} {note}".rstrip(),
        states=[
            (position, word.replace("_", " "), color)
            for position, (word, color) in enumerate(named)
        ],
    )
