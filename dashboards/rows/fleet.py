"""Rows about all nodes: which is ill, who holds GPUs for nothing, whose work runs out of memory."""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import Attribute, Metric, gpu, gpu_errors, gpu_health, gpu_owners, itself
from agent.catalogue.attributes import (
    CLUSTER,
    CONTAINER_ID,
    GPU_INDEX,
    GPU_TASK,
    HW_ID,
    HW_MODEL,
    NODE,
    OWNER_KIND,
    OWNER_NAME,
    RECOVERY_ACTION,
    URGENCY,
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
    rate,
    select,
    value,
)
from dashboards.layout import Row, Tile
from dashboards.lines import EVENTS
from dashboards.panel import (
    BLUE,
    COUNT,
    GREEN,
    ORANGE,
    RED,
    Look,
    Panel,
    Query,
    Step,
    graph,
    number,
    unit_of,
)
from dashboards.rows import firing
from dashboards.rows.state import GOOD_AT_0, MARGIN
from dashboards.scope import IN_CLUSTER, RATE, happened, legend
from dashboards.tables import Column, Fact, Figure, overview

IDLE: Final = 0.05
"""Share of time: a GPU that worked less than that, all through the time shown, is held for nothing."""
HELD: Final = 1 << 30
"""Bytes: who holds less has a context and no data on the GPU."""
_GENERAL: Final = equals(GPU_TASK, "general")
_OWNER: Final = (OWNER_KIND, OWNER_NAME, CONTAINER_ID)
_CHOSEN: Final = (
    "${__url_time_range}&${datasource:queryparam}&var-cluster=${__data.fields.Cluster:percentencode}"
    "&var-node=${__data.fields.Node:percentencode}"
)
NODE_LINK: Final = f"/d/warpwatch-gpu-node?{_CHOSEN}"
GPU_LINK: Final = f"{NODE_LINK}&var-gpu=${{__data.fields.UUID}}"
_SOME: Final[Sequence[Step]] = ((None, "text"), (1, ORANGE))
_BAD: Final[Sequence[Step]] = ((None, "text"), (1, RED))


def rows() -> tuple[Row, ...]:
    """Return the rows."""
    return (
        Row(
            "All nodes",
            (*(Tile(panel, 3, 4) for panel in _numbers()), Tile(_nodes(), 24, 10)),
        ),
        Row("Who holds idle GPUs", (Tile(_idle(), 24, 9),)),
        Row("Whose work runs out of GPU memory", (Tile(_deaths(), 24, 8),)),
        Row("Over time", [Tile(panel, 8, 8) for panel in _history()]),
    )


def _numbers() -> tuple[Panel, ...]:
    asked = value(
        gpu_health.RECOVERY,
        (*PER_GPU, RECOVERY_ACTION),
        *IN_CLUSTER,
        differs(RECOVERY_ACTION, "none"),
    )
    told = value(gpu_health.RECOVERY, PER_GPU, *IN_CLUSTER)
    faults = _in_view(gpu_errors.XID_FAULTS, (), equals(URGENCY, "page"))
    return (
        firing.count(IN_CLUSTER),
        _tally("Nodes", f"count({value(itself.INFO, PER_NODE, *IN_CLUSTER)})", ((None, BLUE),),
               "Nodes whose agent reports now. One that fell silent is missing here: alert "
               "WarpwatchAgentMissing."),
        _tally("GPUs", f"sum({value(gpu.DEVICES, PER_NODE, *IN_CLUSTER)})", ((None, BLUE),),
               gpu.DEVICES.description),
        _tally("GPUs lost", f"sum({value(gpu.LOST, PER_GPU, *IN_CLUSTER)})", GOOD_AT_0,
               gpu.LOST.description),
        _tally("Need action", f"sum({asked}) or sum({told}) * 0", GOOD_AT_0,
               "GPUs whose driver asks for a reset or a reboot. Alert: GPURecoveryActionNeeded."),
        _tally("Grave XIDs", f"floor({faults})", GOOD_AT_0,
               "In the time shown: XID errors that need a reset, a reboot or a repair."),
        _tally("Held and idle", f"count({_mean_utilization()} < {IDLE} and {_held()} > {HELD}) or "
               f"count({_mean_utilization()}) * 0", ((None, GREEN), (1, ORANGE)),
               f"GPUs that worked less than {IDLE:.0%} of the time shown while somebody held memory on "
               "them. Look at hours, not minutes."),
        number(
            "Mean utilization",
            Query(f"avg({value(gpu.UTILIZATION, PER_GPU, *IN_CLUSTER, _GENERAL)})", "utilization"),
            unit=unit_of(gpu.UTILIZATION),
            description="Of all GPUs, now: the share of time in which a kernel ran, however small.",
            steps=((None, BLUE),),
        ),
    )  # fmt: skip


def _tally(title: str, expression: str, steps: Sequence[Step], description: str) -> Panel:
    return number(
        title,
        Query(expression, title),
        unit=COUNT,
        description=description,
        steps=steps,
        absent="not told",
    )


def _in_view(metric: Metric, by: Sequence[Attribute], *conditions: Condition) -> str:
    return rate(metric, by, *IN_CLUSTER, *conditions, window="$__range", function="increase")


def _mean_utilization() -> str:
    worked = select(gpu.UTILIZATION, *IN_CLUSTER, _GENERAL, window="$__range")
    return aggregate("max", PER_GPU, f"avg_over_time({worked})")


def _held() -> str:
    each = value(gpu_owners.OWNER_MEMORY, (*PER_GPU, *_OWNER), *IN_CLUSTER)
    return aggregate("max", PER_GPU, each)


def _where() -> tuple[Column, ...]:
    return (
        Fact(attribute=NODE, heading="Node", link=NODE_LINK, link_title="This node"),
        Fact(attribute=CLUSTER, heading="Cluster", width=110),
    )


def _nodes() -> Panel:
    def of(metric: Metric, operator: str = "max") -> str:
        return aggregate(operator, PER_NODE, value(metric, PER_GPU, *IN_CLUSTER))

    xids = _in_view(gpu_errors.XID_FAULTS, PER_NODE, equals(URGENCY, "page"))
    worked = value(gpu.UTILIZATION, PER_GPU, *IN_CLUSTER, _GENERAL)
    return overview(
        "Nodes now",
        value(itself.INFO, PER_NODE, *IN_CLUSTER),
        (
            *_where(),
            Figure(
                expression=firing.per(PER_NODE, IN_CLUSTER),
                heading="Alerts",
                width=80,
                steps=_BAD,
            ),
            Figure(expression=value(gpu.DEVICES, PER_NODE, *IN_CLUSTER), heading="GPUs", width=75),
            Figure(expression=of(gpu.LOST, "sum"), heading="Lost", width=75, steps=_BAD),
            Figure(expression=f"floor({xids})", heading="Grave XIDs", width=105, steps=_BAD),
            Figure(
                expression=f"floor({_in_view(gpu.OOM_EVENTS, PER_NODE)})",
                heading="OOMs",
                width=75,
                steps=_SOME,
            ),
            Figure(
                expression=aggregate(
                    "min", PER_NODE, value(gpu.TEMPERATURE_MARGIN, PER_GPU, *IN_CLUSTER)
                ),
                heading="Least margin",
                unit=units.Celsius,
                width=115,
                steps=MARGIN,
            ),
            Figure(
                expression=aggregate("avg", PER_NODE, worked),
                heading="Mean utilization",
                unit=units.PercentUnit,
                full=1,
                steps=((None, BLUE),),
            ),
            Figure(
                expression=of(gpu.POWER, "sum"),
                heading="Power",
                unit=unit_of(gpu.POWER),
                width=90,
            ),
        ),
        description="Click on a node to see it alone. XIDs and OOMs are counted over the time shown.",
        absent="no agent reports",
        by="Alerts",
        falling=True,
    )


def _idle() -> Panel:
    per_owner = (*PER_GPU, *_OWNER)
    memory = value(gpu_owners.OWNER_MEMORY, per_owner, *IN_CLUSTER)
    mean = _mean_utilization()
    held = f"({memory} > {HELD}) and on ({labels(PER_GPU)}) ({mean} < {IDLE})"
    return overview(
        "Idle GPUs, and who holds them",
        named(f"({held}) * 0 + 1", identity(*IN_CLUSTER)),
        (
            *_where(),
            Fact(
                attribute=GPU_INDEX,
                heading="GPU",
                width=60,
                number=True,
                link=GPU_LINK,
                link_title="This GPU",
            ),
            Fact(attribute=HW_MODEL, heading="Model", width=210),
            Fact(attribute=OWNER_KIND, heading="Held by", width=100),
            Fact(attribute=OWNER_NAME, heading="Name"),
            Fact(attribute=CONTAINER_ID, heading="Container"),
            Figure(expression=held, heading="Memory held", unit=units.BytesIEC, width=115),
            Figure(
                expression=f"({held}) * 0 + on ({labels(PER_GPU)}) group_left () {mean}",
                heading="Mean utilization",
                unit=units.PercentUnit,
                width=130,
            ),
            Fact(attribute=HW_ID, heading="UUID", shown=False),
        ),
        description=f"GPUs that worked less than {IDLE:.0%} of the time shown, and each who held more than "
        "1 GiB on them: choose a time of hours. A warm standby looks the same; ask before you take it back. "
        f"{OWNER_KIND.description}",
        absent="no GPU is idle and held; or agents cannot see processes",
        by="Memory held",
        falling=True,
    )


def _deaths() -> Panel:
    died = happened(gpu.OOM_EVENTS, PER_GPU, *IN_CLUSTER, window="$__range")
    most = f"max_over_time({select(gpu.MEMORY_UTILIZATION, *IN_CLUSTER, window='$__range')})"
    return overview(
        "GPUs whose memory ran out",
        named(f"({died}) * 0 + 1", identity(*IN_CLUSTER)),
        (
            *_where(),
            Fact(
                attribute=GPU_INDEX,
                heading="GPU",
                width=60,
                number=True,
                link=GPU_LINK,
                link_title="This GPU",
            ),
            Fact(attribute=HW_MODEL, heading="Model", width=210),
            Figure(expression=died, heading="Times", width=90, steps=_SOME),
            Figure(
                expression=f"{aggregate('max', PER_GPU, most)} and on ({labels(PER_GPU)}) ({died})",
                heading="Memory used at most",
                unit=units.PercentUnit,
                full=1,
                steps=((None, BLUE),),
            ),
            Fact(attribute=HW_ID, heading="UUID", shown=False),
        ),
        description="Inferred: a process that held the memory nearly full vanished. Click on the GPU: memory "
        "that climbs until the mark is a leak, and dies again after as long. Several GPUs of one job at "
        "once: the job; one alone: a rank that gathers. Alert: GPUOutOfMemory.",
        absent="none in the time shown",
        by="Times",
        falling=True,
    )


def _history() -> tuple[Panel, ...]:
    worked = value(gpu.UTILIZATION, PER_GPU, *IN_CLUSTER, _GENERAL)
    return (
        graph(
            "Mean utilization by node",
            Query(aggregate("avg", PER_NODE, worked), legend(NODE)),
            unit=unit_of(gpu.UTILIZATION),
            description=gpu.UTILIZATION.description,
            look=Look(ceiling=1, narrow=True),
        ),
        graph(
            "Power by node",
            Query(aggregate("sum", PER_NODE, value(gpu.POWER, PER_GPU, *IN_CLUSTER)), legend(NODE)),
            unit=unit_of(gpu.POWER),
            description="Power drawn by the boards of all GPUs of a node; not by the host.",
            look=Look(narrow=True),
        ),
        graph(
            "XID errors by node and urgency",
            Query(
                happened(gpu_errors.XID_FAULTS, (*PER_NODE, URGENCY), *IN_CLUSTER, window=RATE),
                legend(NODE, URGENCY),
            ),
            unit=COUNT,
            description=f"New ones per step of the graph. {gpu_errors.XID_FAULTS.description}",
            look=EVENTS,
        ),
    )
