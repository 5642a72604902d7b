"""Row about how the figures were got: which servers answer, how old they are, what could not be read."""

from collections.abc import Sequence
from typing import Final

from agent.catalogue import Metric, discovery, itself, serving
from agent.catalogue.attributes import (
    COLLECTOR,
    DISCOVERY_SOURCE,
    DISCOVERY_STATE,
    K8S_CONTAINER,
    K8S_NAMESPACE,
    K8S_POD,
    NODE,
    PROBLEM,
    SERVER,
)
from agent.catalogue.promql import Condition, equals, matches, value
from dashboards.layout import Row, Tile
from dashboards.panel import COUNT, GREEN, RED, Look, Panel, Query, graph, timeline, unit_of
from dashboards.scope import happened, legend
from dashboards.served import EACH_SERVER, ITS_SERVER, narrowed
from dashboards.tables import Fact, overview

_PER_SERVER: Final = (SERVER, NODE)


def row(where: Sequence[Condition], *, single: bool = False) -> Row:
    """Return the row; of a ``single`` server the collector's name is known exactly."""
    collector = "serving/$server"
    its = equals(COLLECTOR, collector) if single else matches(COLLECTOR, collector)
    panels = (
        _up(where),
        _level("Time since a server gave metrics", serving.SCRAPE_AGE, where),
        _level("Scrape duration", serving.SCRAPE_DURATION, where),
        _level("Series left out for the budget", serving.SERIES_DROPPED, where),
        _problems((*where, its)),
        *(() if single else (_targets(where),)),
        _pods(where),
    )
    return Row(
        "How servers are found and read", [Tile(p, 8, 8) for p in panels], collapsed=not single
    )


def _up(where: Sequence[Condition]) -> Panel:
    return timeline(
        "Servers",
        Query(
            value(serving.SERVER_UP, _PER_SERVER, *narrowed(serving.SERVER_UP, where)), EACH_SERVER
        ),
        description=f"{serving.SERVER_UP.description} Alert: ModelServerNoData.",
        states=((0, "gives no metrics", RED), (1, "gives metrics", GREEN)),
        absent="no server is collected from",
    )


def _level(title: str, metric: Metric, where: Sequence[Condition]) -> Panel:
    return graph(
        title,
        Query(value(metric, _PER_SERVER, *narrowed(metric, where)), EACH_SERVER),
        unit=unit_of(metric),
        description=metric.description,
        look=Look(narrow=True),
        links=(ITS_SERVER,),
    )


def _problems(where: Sequence[Condition]) -> Panel:
    metric = itself.COLLECTOR_PROBLEMS
    grown = happened(metric, (COLLECTOR, PROBLEM, NODE), *narrowed(metric, where))
    return graph(
        "Problems, by what was wrong",
        Query(grown, legend(PROBLEM, COLLECTOR, NODE)),
        unit=COUNT,
        description=f"New ones per step of the graph. {metric.description} The status page has each in full.",
        look=Look(narrow=True, events=True, absent="none in the time shown"),
    )


def _targets(where: Sequence[Condition]) -> Panel:
    by = (DISCOVERY_STATE, DISCOVERY_SOURCE)
    places = value(discovery.TARGETS, (*by, NODE), *narrowed(discovery.TARGETS, where))
    return graph(
        "Places found",
        Query(f"sum by ({', '.join(a.label for a in by)}) ({places})", legend(*by)),
        unit=unit_of(discovery.TARGETS),
        description=f"{discovery.TARGETS.description} Over all nodes of what is chosen.",
        look=Look(narrow=True, absent="the agents do not look for servers by themselves"),
    )


def _pods(where: Sequence[Condition]) -> Panel:
    metric = discovery.SERVER_POD
    facts = (SERVER, K8S_NAMESPACE, K8S_POD, K8S_CONTAINER)
    return overview(
        "Pods of the servers",
        value(metric, facts, *narrowed(metric, where)),
        (
            Fact(attribute=SERVER, heading="Server"),
            Fact(attribute=K8S_NAMESPACE, heading="Namespace"),
            Fact(attribute=K8S_POD, heading="Pod"),
            Fact(attribute=K8S_CONTAINER, heading="Container"),
        ),
        description=metric.description,
        absent="no server's pod is known",
    )
