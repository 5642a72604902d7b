"""Last row: what the agent costs, what it could not read, and whether its data gets away."""

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from agent.catalogue import Attribute, Metric, itself
from agent.catalogue.attributes import (
    COLLECTOR,
    EVENT_NAME,
    EXPORTER,
    PROBLEM,
    PYTHON,
    SIGNAL,
    VERSION,
)
from agent.catalogue.promql import rate, select, value
from dashboards.layout import Row, Tile
from dashboards.panel import COUNT, Look, Panel, Query, facts, graph, per_second, unit_of
from dashboards.scope import ON_NODE, RATE, legend

_QUEUE = (EXPORTER, SIGNAL)
_NARROW = Look(narrow=True)


def row() -> Row:
    """Return the row."""
    return Row("The agent itself", [Tile(panel, 8, 7) for panel in _panels()])


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
        _growth("Events, by kind", itself.EVENTS, (EVENT_NAME,)),
        _speed("Items exported by OTLP", itself.EXPORT_ITEMS, _QUEUE, "items"),
        _speed("Export requests that failed", itself.EXPORT_FAILED, _QUEUE, "requests"),
        _growth("Items given up", itself.EXPORT_DROPPED, _QUEUE),
        _level("Export queue", itself.EXPORT_QUEUE, _QUEUE),
        facts(
            "What the agent is made of",
            Query(select(itself.INFO, *ON_NODE), ""),
            description=itself.INFO.description,
            columns=((VERSION.label, "Agent"), (PYTHON.label, "Python")),
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
    query = Query(rate(metric, by, *ON_NODE, window=RATE, function="increase"), legend(*by))
    description = f"New ones per step of the graph. {metric.description}"
    return graph(title, query, unit=COUNT, description=description, look=_NARROW)
