"""First rows about models: are they fast, are they up, are they overloaded; then a line for each."""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import Attribute, recorded, serving
from agent.catalogue.attributes import CLUSTER, MODEL, NODE, PROVIDER, SERVER
from agent.catalogue.promql import Condition, aggregate, select, value
from agent.catalogue.recorded import FLEET, HOLDER, Recorded
from dashboards.current import current
from dashboards.layout import Row, Tile
from dashboards.panel import BLUE, COUNT, GREEN, ORANGE, RED, Panel, Step, per_second
from dashboards.rows import firing
from dashboards.scope import ON_NODE
from dashboards.served import (
    CHOSEN,
    MODEL_LINK,
    OF_MODELS,
    ON_SERVER,
    SERVER_LINK,
    error_ratio,
    hit_ratio,
    mean,
    narrowed,
    now,
    present,
    queue_ratio,
    told,
)
from dashboards.tables import Column, Fact, Figure, overview

ERRORS: Final[Sequence[Step]] = ((None, GREEN), (0.01, ORANGE), (0.05, RED))
"""The last one is what the alert ModelErrorsHigh goes by."""
WAITING: Final[Sequence[Step]] = ((None, GREEN), (0.25, ORANGE), (0.5, RED))
"""Half of the requests in the queue: they wait as long as they work."""
CACHE: Final[Sequence[Step]] = ((None, GREEN), (0.85, ORANGE), (0.95, RED))
"""From the last one on engines hold requests back or push some out."""
_PLAIN: Final[Sequence[Step]] = ((None, BLUE),)
_UP: Final = ((0, "down", RED), (1, "up", "transparent"))
_NEWEST: Final = "Of the last five minutes."


def of_fleet() -> Row:
    """Return the numbers of all chosen models, what fires, and a line per model."""
    return Row(
        "Models",
        (
            *(Tile(panel, 3, 4) for panel in (*_numbers(CHOSEN), firing.objectives(OF_MODELS))),
            Tile(_models(), 24, 9),
            Tile(firing.of_models(OF_MODELS), 24, 6),
        ),
    )


def servers() -> Row:
    """Return a line per chosen server."""
    description = (
        "Click on a server to see it and its GPUs. A latency is that of the slowest of its models."
    )
    return Row("Servers", (Tile(_servers(CHOSEN, description), 24, 10),))


def of_server() -> Row:
    """Return the numbers of one server, and what fires about it."""
    held = current(
        "GPUs held",
        f"max({told(recorded.GPUS, ON_SERVER)})",
        unit=COUNT,
        description=recorded.GPUS.description,
        steps=_PLAIN,
        absent="not known",
    )
    tiles = (_state(), *_numbers(ON_SERVER)[1:], held)
    return Row(
        "Is it fast, is it up, is it overloaded?",
        (*(Tile(panel, 3, 4) for panel in tiles), Tile(firing.of_models(ON_SERVER), 24, 4)),
    )


def on_node() -> Row:
    """Return a line per model server of a node."""
    description = "Click on a server to see its latency above the GPUs that it holds."
    return Row(
        "Model servers on this node", (Tile(_servers(ON_NODE, description, brief=True), 24, 6),)
    )


def _state() -> Panel:
    return current(
        "Server",
        value(serving.SERVER_UP, (), *ON_SERVER),
        unit=COUNT,
        description=f"{serving.SERVER_UP.description} Alert: ModelServerNoData.",
        steps=((None, RED), (1, GREEN)),
        absent="not seen",
        states=((0, "down", RED), (1, "up", GREEN)),
    )


def _numbers(where: Sequence[Condition]) -> tuple[Panel, ...]:
    up = _up(where)
    cache = select(serving.KV_CACHE_UTILIZATION, *narrowed(serving.KV_CACHE_UTILIZATION, where))
    return (
        _number("Servers down", f"count({up} == 0) or count({up}) * 0", COUNT, ((None, GREEN), (1, RED)),
                "Servers whose last scrape gave no metrics, whatever their model. Alert: ModelServerNoData."),
        _number("Requests", f"sum({told(recorded.REQUESTS, where)})", per_second("req"), _PLAIN,
                f"{recorded.REQUESTS.description} {_NEWEST}"),
        _number("Errors", error_ratio((), where), units.PercentUnit, ERRORS,
                f"{recorded.ERRORS.description} {_NEWEST} Alert: ModelErrorsHigh."),
        _slowest("TTFT, p95", "time_to_first_token", where),
        _slowest("ITL, p95", "inter_token_latency", where),
        _number("Queue", queue_ratio((), where), units.PercentUnit, WAITING,
                f"{recorded.QUEUED.description} Of servers that tell both. Alert: ModelQueueGrowing."),
        _number("KV cache", f"max({cache})", units.PercentUnit, CACHE,
                f"{serving.KV_CACHE_UTILIZATION.description} Of the engine with the fullest one."),
    )  # fmt: skip


def _number(
    title: str, expression: str, unit: str, steps: Sequence[Step], description: str
) -> Panel:
    return current(
        title, expression, unit=unit, description=description, steps=steps, absent="not told"
    )


def _slowest(title: str, signal: str, where: Sequence[Condition]) -> Panel:
    series = recorded.SERVED_LATENCY[signal, "p95"]
    said = f"{series.description} Of the slowest of the chosen models and servers. {_NEWEST}"
    return _number(title, f"max({told(series, where)})", units.Seconds, _PLAIN, said)


def _models() -> Panel:
    def recorded_as(series: Recorded) -> str:
        return aggregate("max", FLEET, told(series, OF_MODELS))

    columns: tuple[Column, ...] = (
        Fact(
            attribute=MODEL,
            heading="Model",
            link=MODEL_LINK,
            link_title="This model alone",
            width=220,
        ),
        Fact(attribute=PROVIDER, heading="Kind", width=95),
        Fact(attribute=CLUSTER, heading="Cluster", shown=False),
        *_traffic(FLEET, OF_MODELS),
        *(
            _latency(f"{heading} p95", recorded_as(recorded.FLEET_LATENCY[signal, "p95"]))
            for heading, signal in _LATENCIES
        ),
        _latency("E2E mean", _mean_duration(FLEET, OF_MODELS)),
        *_load(FLEET, OF_MODELS),
        *(
            _amount(heading, recorded_as(series))
            for heading, series in (
                ("Tok/GPU·s", recorded.MODEL_TOKENS_PER_GPU_SECOND),
                ("Tok/J", recorded.MODEL_TOKENS_PER_JOULE),
                ("Cost/Mtok", recorded.MODEL_COST_PER_MILLION),
            )
        ),
    )
    return overview(
        "Models now",
        present(FLEET, OF_MODELS),
        columns,
        description="Over all servers of a model, whichever server is chosen. A cell is empty where no "
        "server of the model tells it, which is not 0: the last row says who tells what. p95 is "
        "empty where a model's servers differ in their buckets; the mean is right. Cost is in the "
        "currency of the configured prices, of GPUs that serve this model alone.",
        absent="no model server tells anything",
        by="Req/s",
        falling=True,
    )


def _servers(where: Sequence[Condition], description: str, *, brief: bool = False) -> Panel:
    """Draw a line per server; a ``brief`` one is about one node, and leaves out what costs what."""
    columns: tuple[Column, ...] = (
        Fact(
            attribute=SERVER,
            heading="Server",
            link=SERVER_LINK,
            link_title="This server alone",
            width=0 if brief else 120,
        ),
        Fact(attribute=PROVIDER, heading="Kind", width=95),
        Fact(attribute=NODE, heading="Node", width=95, shown=not brief),
        Fact(attribute=CLUSTER, heading="Cluster", shown=False),
        Figure(expression=_up(where), heading="Up", width=60, states=_UP),
        *_traffic(HOLDER, where),
        *(
            _latency(f"{heading} p95", _of_server(recorded.SERVED_LATENCY[signal, "p95"], where))
            for heading, signal in _LATENCIES
        ),
        _latency("E2E mean", _mean_duration(HOLDER, where)),
        *_load(HOLDER, where),
        _amount("GPUs", _of_server(recorded.GPUS, where)),
        *(() if brief else _prices(where)),
    )
    return overview(
        "Model servers now",
        _up(where),
        columns,
        description=f"{description} A cell is empty where the server does not tell it, which is not 0.",
        absent="no model server is collected from here",
        by="Up",
    )


def _up(where: Sequence[Condition]) -> str:
    return value(serving.SERVER_UP, HOLDER, *narrowed(serving.SERVER_UP, where))


def _of_server(series: Recorded, where: Sequence[Condition]) -> str:
    """Return a recorded series of a server, of its slowest model where it is told for each."""
    return aggregate("max", HOLDER, told(series, where))


def _prices(where: Sequence[Condition]) -> tuple[Column, ...]:
    return (
        _amount("Tok/GPU·s", _of_server(recorded.TOKENS_PER_GPU_SECOND, where)),
        _amount("Tok/J", _of_server(recorded.TOKENS_PER_JOULE, where)),
        _amount("Cost/Mtok", _of_server(recorded.COST_PER_MILLION, where)),
    )


_LATENCIES: Final = (
    ("TTFT", "time_to_first_token"),
    ("ITL", "inter_token_latency"),
    ("E2E", "request_duration"),
)


def _traffic(by: Sequence[Attribute], where: Sequence[Condition]) -> tuple[Column, ...]:
    return (
        _amount("Req/s", aggregate("sum", by, told(recorded.REQUESTS, where))),
        Figure(
            expression=error_ratio(by, where),
            heading="Errors",
            unit=units.PercentUnit,
            width=68,
            steps=((None, "text"), *ERRORS[1:]),
        ),
    )


def _load(by: Sequence[Attribute], where: Sequence[Condition]) -> tuple[Column, ...]:
    return (
        _amount("Running", now(serving.REQUESTS_RUNNING, by, where)),
        _amount("Waiting", now(serving.REQUESTS_WAITING, by, where)),
        Figure(
            expression=now(serving.KV_CACHE_UTILIZATION, by, where, "max"),
            heading="KV cache",
            unit=units.PercentUnit,
            width=76,
            steps=((None, "text"), *CACHE[1:]),
        ),
        Figure(
            expression=hit_ratio(by, where),
            heading="Prefix hits",
            unit=units.PercentUnit,
            width=84,
        ),
        _amount("Tok/s", aggregate("sum", by, told(recorded.TOKENS, where))),
    )


def _mean_duration(by: Sequence[Attribute], where: Sequence[Condition]) -> str:
    """Return the mean duration; where the server has quantiles of its own, by its sum and count."""
    histogram = mean(serving.REQUEST_DURATION, by, where)
    summary = mean(serving.REQUEST_DURATION_QUANTILES, by, where)
    return f"({histogram})\nor ({summary})"


def _amount(heading: str, expression: str) -> Figure:
    return Figure(expression=expression, heading=heading, unit=COUNT, width=_widths(heading))


def _latency(heading: str, expression: str) -> Figure:
    return Figure(
        expression=expression, heading=heading, unit=units.Seconds, width=_widths(heading)
    )


def _widths(heading: str) -> int:
    """Return the pixels that a short number and its heading need: many columns leave no room to spare."""
    return max(62, 10 * len(heading))
