"""Row about the black-box probe: what our own requests came to, whatever the servers say of themselves."""

from collections.abc import Sequence
from typing import Final

from agent.catalogue import Attribute, Metric, probe
from agent.catalogue.attributes import NODE, PROBE_FAILURE, PROBE_SKIPPED, SERVER
from agent.catalogue.promql import Condition, value
from dashboards.layout import Row, Tile
from dashboards.panel import COUNT, GREEN, RED, Look, Panel, Query, graph, timeline, unit_of
from dashboards.scope import happened, legend
from dashboards.served import EACH_SERVER, ITS_SERVER, mean, narrowed, quantile

_PER_SERVER: Final = (SERVER, NODE)
_NOT_PROBED: Final = "no chosen server is probed"
_NONE: Final = "none in the time shown"


def row(where: Sequence[Condition], *, collapsed: bool) -> Row:
    """Return the row."""
    panels = (
        _success(where),
        _latency("Duration of a probe", probe.DURATION, where),
        _latency("Time to first token of a probe", probe.TIME_TO_FIRST_TOKEN, where),
        _growth("Probes that failed, by what was wrong", probe.FAILURES, where, PROBE_FAILURE),
        _growth("Probes not sent, by budget", probe.SKIPPED, where, PROBE_SKIPPED),
        _growth("Tokens that probes cost", probe.TOKENS, where),
    )
    return Row("Probes: requests of our own", [Tile(p, 8, 7) for p in panels], collapsed=collapsed)


def _success(where: Sequence[Condition]) -> Panel:
    return timeline(
        "Probes answered",
        Query(value(probe.SUCCESS, _PER_SERVER, *narrowed(probe.SUCCESS, where)), EACH_SERVER),
        description=f"{probe.SUCCESS.description} Alert: ModelServerProbeUnanswered.",
        states=((0, "not answered", RED), (1, "answered", GREEN)),
        absent=_NOT_PROBED,
    )


def _latency(title: str, metric: Metric, where: Sequence[Condition]) -> Panel:
    return graph(
        title,
        Query(quantile(0.95, metric, _PER_SERVER, where), f"p95 {EACH_SERVER}"),
        Query(mean(metric, _PER_SERVER, where), f"mean {EACH_SERVER}"),
        unit=unit_of(metric),
        description=metric.description,
        look=Look(narrow=True, absent=_NOT_PROBED, faint="/^mean .*/"),
        links=(ITS_SERVER,),
    )


def _growth(title: str, metric: Metric, where: Sequence[Condition], *by: Attribute) -> Panel:
    grown = happened(metric, (*_PER_SERVER, *by), *narrowed(metric, where))
    return graph(
        title,
        Query(grown, f"{legend(*by)} {EACH_SERVER}".strip()),
        unit=COUNT,
        description=f"New ones per step of the graph. {metric.description}",
        look=Look(narrow=True, events=True, absent=_NONE),
    )
