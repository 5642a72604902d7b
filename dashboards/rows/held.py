"""Row about the GPUs that one server holds, which tells whether the model is slow because of them.

`inference.gpu.info` says which GPUs. Of a MIG device it is the board that has a clock and a temperature.
"""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import Attribute, Metric, gpu, serving_gpu
from agent.catalogue.attributes import (
    ATTRIBUTION,
    CLOCK,
    CLUSTER,
    GPU_INDEX,
    GPU_TASK,
    HW_ID,
    HW_MODEL,
    K8S_CONTAINER,
    K8S_NAMESPACE,
    K8S_POD,
    NODE,
    SENSOR,
    THROTTLE_REASON,
)
from agent.catalogue.promql import (
    PER_GPU,
    PER_NODE,
    Condition,
    aggregate,
    differs,
    equals,
    identity,
    labels,
    named,
    select,
    value,
)
from dashboards.layout import Row, Tile
from dashboards.lines import ALONE
from dashboards.panel import BLUE, GREEN, ORANGE, RED, YELLOW, Look, Panel, graph, timeline, unit_of
from dashboards.scope import ON_NODE, RATE
from dashboards.served import NODE_LINK, ON_SERVER, boards, held, of_held
from dashboards.tables import Fact, Figure, overview

_NORMAL: Final = "sw_power_cap"
_REASONS: Final = (*PER_GPU, THROTTLE_REASON)
_SM: Final = equals(CLOCK, "sm")
_UNKNOWN: Final = "not known which GPUs the server holds: see `gpus` of the configuration"
_BOARD: Final = " Of exactly the GPUs that this server holds; of a MIG device, of its board."
_SHARE: Final = Look(ceiling=1, narrow=True, absent=_UNKNOWN)
_GPU_LINK: Final = f"{NODE_LINK}&var-gpu=${{__data.fields.UUID}}"


def row() -> Row:
    """Return the row: as wide as the graphs of latency above it, so that moments stand below each other."""
    panels = (*_reasons(), *_levels())
    tiles = [*(Tile(panel, 8, 7) for panel in panels), Tile(_table(), 24, 5)]
    return Row("The GPUs that it holds: is it slow because of them?", tiles)


def _reasons() -> tuple[Panel, Panel]:
    worked = value(gpu.UTILIZATION, PER_GPU, *ON_NODE, equals(GPU_TASK, "general"))
    return _line("GPU utilization", worked, gpu.UTILIZATION.description), _clocks()


def _clocks() -> Panel:
    """Draw why clocks are held down, and a line for each GPU whose clocks are free."""
    return timeline(
        "Clocks held down, by reason",
        of_held(f"{_throttled(PER_GPU)} == 0"),
        of_held(f"{_throttled(_REASONS, differs(THROTTLE_REASON, _NORMAL))} > 0", THROTTLE_REASON),
        of_held(
            f"({_throttled(_REASONS, equals(THROTTLE_REASON, _NORMAL))} > 0) * 2", THROTTLE_REASON
        ),
        description=f"{THROTTLE_REASON.description}{_BOARD}",
        states=(
            (0, "free", GREEN),
            (1, "held down", YELLOW),
            (2, "at its power limit, which is normal under full load", BLUE),
        ),
        absent=_UNKNOWN,
    )


def _throttled(by: Sequence[Attribute], *conditions: Condition) -> str:
    """Return the most of each step: a long view must not step over a short slowdown."""
    seen = select(gpu.THROTTLE, *ON_NODE, *conditions, window=RATE)
    return aggregate("max", by, f"max_over_time({seen})")


def _levels() -> tuple[Panel, ...]:
    power, limit = (value(m, PER_GPU, *ON_NODE) for m in (gpu.POWER, gpu.POWER_LIMIT))
    clock, most = (value(m, PER_GPU, *ON_NODE, _SM) for m in (gpu.CLOCK_FREQUENCY, gpu.CLOCK_LIMIT))
    memory = value(gpu.MEMORY_UTILIZATION, PER_GPU, *ON_NODE)
    margin = value(gpu.TEMPERATURE_MARGIN, PER_GPU, *ON_NODE, operator="min")
    near = Look(steps=((None, RED), (1, ORANGE), (5, "transparent")), narrow=True, absent=_UNKNOWN)
    return (
        _line(
            "SM clock, share of the highest",
            f"{clock} / {most}",
            "Of the streaming multiprocessors. Low while busy: the model is slow because of the GPU.",
        ),
        _line(
            "Temperature margin",
            margin,
            gpu.TEMPERATURE_MARGIN.description,
            unit=unit_of(gpu.TEMPERATURE_MARGIN),
            look=near,
        ),
        _line(
            "Power, share of its limit",
            f"{power} / {limit}",
            "At 100 % the driver lowers the clocks to stay there, which is normal under full load.",
        ),
        _line(
            "Memory used, share",
            memory,
            "Model servers allocate most of the memory at their start and keep it: full is normal.",
        ),
    )


def _line(
    title: str,
    expression: str,
    description: str,
    unit: str = units.PercentUnit,
    look: Look = _SHARE,
) -> Panel:
    return graph(
        title,
        of_held(expression),
        unit=unit,
        description=f"{description}{_BOARD}",
        look=look,
        links=(ALONE,),
    )


def _table() -> Panel:
    facts = (HW_ID, ATTRIBUTION, K8S_NAMESPACE, K8S_POD, K8S_CONTAINER, *PER_NODE)
    lines = named(aggregate("group", facts, boards()), identity(*ON_NODE))
    core = equals(SENSOR, "gpu")
    return overview(
        "GPUs of this server",
        lines,
        (
            Fact(
                attribute=GPU_INDEX,
                heading="GPU",
                width=60,
                number=True,
                link=_GPU_LINK,
                link_title="This GPU",
            ),
            Fact(attribute=HW_MODEL, heading="Model", width=210),
            Fact(attribute=HW_ID, heading="UUID", shown=False),
            Fact(attribute=NODE, heading="Node", shown=False),
            Fact(attribute=CLUSTER, heading="Cluster", shown=False),
            Fact(attribute=ATTRIBUTION, heading="How its part is known", width=170),
            _figure(
                "Its part", value(serving_gpu.GPU_SHARE, PER_GPU, *ON_SERVER), serving_gpu.GPU_SHARE
            ),
            _figure(
                "Utilization", _now(gpu.UTILIZATION, equals(GPU_TASK, "general")), gpu.UTILIZATION
            ),
            _figure("Memory", _now(gpu.MEMORY_USAGE), gpu.MEMORY_USAGE),
            _figure("Power", _now(gpu.POWER), gpu.POWER),
            _figure("Temperature", _now(gpu.TEMPERATURE, core), gpu.TEMPERATURE),
            _figure("Price/h", _now(serving_gpu.GPU_PRICE), serving_gpu.GPU_PRICE),
            _figure("KV cache", _cache(), serving_gpu.KV_CACHE_SIZE),
            Fact(attribute=K8S_NAMESPACE, heading="Namespace"),
            Fact(attribute=K8S_POD, heading="Pod"),
            Fact(attribute=K8S_CONTAINER, heading="Container"),
        ),
        description="Click on a GPU to see it on the GPU node dashboard. "
        f"{serving_gpu.GPU_SHARE.description} "
        f"{serving_gpu.KV_CACHE_SIZE.description}",
        absent=_UNKNOWN,
    )


def _now(metric: Metric, *conditions: Condition) -> str:
    """Return a figure of the held boards alone: one of another would be a line of its own."""
    return f"{value(metric, PER_GPU, *ON_NODE, *conditions)}\nand on ({labels(PER_GPU)}) ({held()})"


def _cache() -> str:
    size = value(serving_gpu.KV_CACHE_SIZE, PER_NODE, *ON_SERVER)
    return f"({held()})\n* on ({labels(PER_NODE)}) group_left () {size}"


def _figure(heading: str, expression: str, metric: Metric) -> Figure:
    return Figure(expression=expression, heading=heading, unit=unit_of(metric), width=108)
