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
from dashboards.panel import (
    COUNT,
    EACH_GPU,
    GREEN,
    NO_DATA,
    NONE_SO_FAR,
    ORANGE,
    RED,
    Look,
    Panel,
    Query,
    graph,
    timeline,
    unit_of,
)
from dashboards.scope import ON_GPU, RATE, happened, legend, of_gpu, per_gpu

ALONE: Final = dashboard.DashboardLink("This GPU alone, on the GPU node dashboard").url(
    f"/d/warpwatch-gpu-node?${{__url_time_range}}&${{datasource:queryparam}}"
    f"&${{cluster:queryparam}}&${{node:queryparam}}&var-gpu=${{__field.labels.{HW_ID.label}}}"
)
"""What a click on a line offers."""
SHARE: Final = Look(ceiling=1)
EVENTS: Final = Look(events=True, narrow=True, absent=NONE_SO_FAR)
_PER_SECOND: Final = {"By": units.BytesPerSecondIEC, "s": units.PercentUnit}
"""What some units become per second: seconds per second are a share of time."""


def lines(
    title: str,
    metric: Metric,
    *conditions: Condition,
    by: Sequence[Attribute] = (),
    note: str = "",
    look: Look = Look(),  # noqa: B008 - frozen
    nonzero: bool = False,
) -> Panel:
    """Return the metric's value per GPU and ``by``; ``note`` is added to its description.

    With ``nonzero``, what is 0 is not drawn: of many kinds, those that there are.
    """
    expression = value(metric, (*PER_GPU, *by), *ON_GPU, *conditions)
    query = of_gpu(f"{expression} > 0" if nonzero else expression, *by)
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
    nonzero: bool = False,
    otherwise: Metric | None = None,
) -> Panel:
    """Return how fast a counter of bytes or seconds grows per GPU and ``by``.

    ``otherwise`` is a gauge of the same, for GPUs without the counter. With ``nonzero``, what stands still
    is not drawn. Raises `KeyError` for a counter of other things: of those, `growth` is drawn.
    """
    grown = rate(metric, (*PER_GPU, *by), *ON_GPU, *conditions, window=RATE)
    if otherwise is not None:
        grown = f"{grown}\nor {value(otherwise, (*PER_GPU, *by), *ON_GPU, *conditions)}"
    if nonzero:
        grown = f"({grown}) > 0"
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
    grown = happened(metric, (*PER_GPU, *by), *ON_GPU, *conditions)
    return graph(
        title,
        of_gpu(grown, *by),
        unit=COUNT,
        description=f"New ones per step of the graph. {metric.description} {note}".rstrip(),
        look=EVENTS,
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
    absent: str = NO_DATA,
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
        absent=absent,
    )


def planned(title: str, now: Metric, after: Metric, color: str, *, absent: str = NO_DATA) -> Panel:
    """Return a band per GPU of a mode that is on or off, and will change with the next reset or not."""
    is_on, will_be = (value(metric, PER_GPU, *ON_GPU) for metric in (now, after))
    changes = f"{is_on} + 2 * ({is_on} != bool {will_be})"
    return timeline(
        title,
        of_gpu(f"{changes}\nor on ({labels(PER_GPU)}) {is_on}"),
        description=f"{now.description} {after.description}",
        states=(
            (0, "off", "text"),
            (1, "on", color),
            (2, "off, on after the next reset", ORANGE),
            (3, "on, off after the next reset", ORANGE),
        ),
        absent=absent,
    )


def states(
    title: str,
    metric: Metric,
    attribute: Attribute,
    colors: Sequence[str],
    *,
    note: str = "",
    absent: str = NO_DATA,
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
        absent=absent,
    )
