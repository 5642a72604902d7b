"""Last row: what the agent costs, what it could not read, and whether its data gets away."""

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from agent.catalogue import Attribute, Metric, itself
from agent.catalogue.attributes import (
    COLLECTOR,
    COLLECTOR_STATUS,
    EVENT_NAME,
    EXPORTER,
    NOT_LET_IN,
    PROBLEM,
    PYTHON,
    SIGNAL,
    VERSION,
)
from agent.catalogue.promql import equals, rate, value
from dashboards.layout import Row, Tile
from dashboards.panel import (
    COUNT,
    GREEN,
    NONE_SO_FAR,
    ORANGE,
    RED,
    Look,
    Panel,
    Query,
    graph,
    per_second,
    timeline,
    unit_of,
)
from dashboards.scope import ON_NODE, RATE, happened, legend
from dashboards.tables import Fact, overview

_QUEUE = (EXPORTER, SIGNAL)
_NARROW = Look(narrow=True, absent="nothing to tell")
_NARROW_EVENTS = Look(narrow=True, events=True, absent=NONE_SO_FAR)


def row() -> Row:
    """Return the row."""
    return Row(
        "The agent itself",
        (Tile(_collectors(), 24, 6), *(Tile(panel, 8, 7) for panel in _panels())),
        collapsed=True,
    )


def _collectors() -> Panel:
    """Draw each collector's state: the catalogue's words, numbered in its order."""
    states = tuple(
        zip(COLLECTOR_STATUS.values, (GREEN, "text", ORANGE, RED), strict=True),
    )
    terms = (
        f"{value(itself.COLLECTOR_STATE, (COLLECTOR,), *ON_NODE, equals(COLLECTOR_STATUS, word))}"
        f" * {position}"
        for position, (word, _) in enumerate(states)
    )
    return timeline(
        "Collectors",
        Query("\n+ ".join(terms), legend(COLLECTOR)),
        description=f"{COLLECTOR_STATUS.description} Alert: WarpwatchCollectorFailing.",
        states=[(position, word, color) for position, (word, color) in enumerate(states)],
    )


def _panels() -> tuple[Panel, ...]:
    since = f"time() - {value(itself.COLLECTOR_LAST_SUCCESS, (COLLECTOR,), *ON_NODE)}"
    cores = Query(rate(itself.PROCESS_CPU, (), *ON_NODE, window=RATE), "cores")
    return (
        graph(
            "CPU of the agent",
            cores,
            unit=units.PercentUnit,
            look=_NARROW,
            description=f"Share of one core. {itself.PROCESS_CPU.description}",
        ),
        _level("Memory of the agent", itself.PROCESS_MEMORY, ()),
        _level("Uptime of the agent", itself.PROCESS_UPTIME, ()),
        _level("Collector duration", itself.COLLECTOR_DURATION, (COLLECTOR,)),
        graph(
            "Time since a collector gave data",
            Query(since, legend(COLLECTOR)),
            unit=units.Seconds,
            look=_NARROW,
            description=itself.COLLECTOR_LAST_SUCCESS.description,
        ),
        _speed("Problems, by reason", itself.COLLECTOR_PROBLEMS, (COLLECTOR, PROBLEM), "problems"),
        _growth("Requests not let in", itself.WEB_REFUSED, (NOT_LET_IN,)),
        _growth("Events, by kind", itself.EVENTS, (EVENT_NAME,)),
        _speed("Items exported by OTLP", itself.EXPORT_ITEMS, _QUEUE, "items"),
        _speed("Export requests that failed", itself.EXPORT_FAILED, _QUEUE, "requests"),
        _growth("Items given up", itself.EXPORT_DROPPED, _QUEUE),
        _level("Export queue", itself.EXPORT_QUEUE, _QUEUE),
        overview(
            "What the agent is made of",
            value(itself.INFO, (VERSION, PYTHON), *ON_NODE),
            (Fact(attribute=VERSION, heading="Agent"), Fact(attribute=PYTHON, heading="Python")),
            description=itself.INFO.description,
            absent="no agent on this node gave data",
        ),
    )


def _level(title: str, metric: Metric, by: Sequence[Attribute]) -> Panel:
    query = Query(value(metric, by, *ON_NODE), legend(*by) or title)
    return graph(title, query, unit=unit_of(metric), description=metric.description, look=_NARROW)


def _speed(title: str, metric: Metric, by: Sequence[Attribute], word: str) -> Panel:
    query = Query(rate(metric, by, *ON_NODE, window=RATE), legend(*by))
    return graph(
        title,
        query,
        unit=per_second(word),
        description=f"{metric.description} Per second.",
        look=_NARROW,
    )


def _growth(title: str, metric: Metric, by: Sequence[Attribute]) -> Panel:
    query = Query(happened(metric, by, *ON_NODE), legend(*by))
    description = f"New ones per step of the graph. {metric.description}"
    return graph(title, query, unit=COUNT, description=description, look=_NARROW_EVENTS)
