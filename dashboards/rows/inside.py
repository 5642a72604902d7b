"""Rows about what runs in a GPU: how well it is used inside, and whose work it is."""

from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import Metric, gpu, gpu_owners, gpu_work
from agent.catalogue.attributes import (
    CONTAINER_ID,
    GPU_INDEX,
    GPU_TASK,
    OWNER_KIND,
    OWNER_NAME,
    PIPE,
)
from agent.catalogue.promql import (
    PER_GPU,
    aggregate,
    equals,
    identity,
    labels,
    named,
    select,
    value,
)
from dashboards.layout import Row, Tile
from dashboards.lines import SHARE, drawn, lines
from dashboards.panel import ORANGE, Look, Panel
from dashboards.scope import ON_GPU, of_gpu
from dashboards.tables import Fact, Figure, overview

_OWNER: Final = (OWNER_KIND, OWNER_NAME, CONTAINER_ID)
_IDLE: Final = ((None, ORANGE), (0.05, "text"))
"""Share of time: a GPU that worked less than that, all through the time shown, is held for nothing."""

_SHORT: Final = 13
"""Characters of a container's id that its tools (crictl) show."""


def profiling() -> Row:
    """Return the row about how well GPUs are used inside."""
    return Row("Profiling (GPM)", [Tile(panel, 12, 8) for panel in _profile()], collapsed=True)


def owners() -> Row:
    """Return the row about whose work it is."""
    return Row("Who uses the GPUs", (Tile(_holders(), 24, 10),))


def owners_over_time() -> Row:
    """Return the row about how that changed."""
    return Row("Owners over time", [Tile(panel, 12, 8) for panel in _owners()], collapsed=True)


def _profile() -> tuple[Panel, ...]:
    look = Look(ceiling=1, absent="these GPUs cannot profile, or a profiler holds them")
    return (
        lines("Multiprocessors with work", gpu_work.SM_ACTIVE, look=look),
        lines("Occupancy of the multiprocessors", gpu_work.SM_OCCUPANCY, look=look),
        lines("Arithmetic units at work", gpu_work.PIPE_ACTIVE, by=(PIPE,), look=look),
        lines("Memory bandwidth used", gpu_work.MEMORY_BANDWIDTH, look=look),
    )


def _holders() -> Panel:
    """List who is on which GPU, the least busy GPU first: those that could be given back."""
    per_owner = (*PER_GPU, *_OWNER)
    present = value(gpu_owners.OWNER_PROCESSES, per_owner, *ON_GPU)
    busy = select(gpu.UTILIZATION, *ON_GPU, equals(GPU_TASK, "general"), window="$__range")
    mean = aggregate("max", PER_GPU, f"avg_over_time({busy})")
    return overview(
        "Who holds which GPU",
        named(present, identity(*ON_GPU)),
        (
            Fact(attribute=GPU_INDEX, heading="GPU", width=60, number=True),
            Fact(attribute=OWNER_KIND, heading="Held by", width=110),
            Fact(attribute=OWNER_NAME, heading="Name"),
            Fact(attribute=CONTAINER_ID, heading="Container"),
            Figure(expression=present, heading="Processes", width=90),
            Figure(
                expression=value(gpu_owners.OWNER_MEMORY, per_owner, *ON_GPU),
                heading="Memory held",
                unit=units.BytesIEC,
                width=110,
            ),
            Figure(
                expression=value(gpu_owners.OWNER_UTILIZATION, per_owner, *ON_GPU),
                heading="Its utilization now",
                unit=units.PercentUnit,
                width=155,
            ),
            Figure(
                expression=f"{present} * 0 + on ({labels(PER_GPU)}) group_left () {mean}",
                heading="GPU's mean utilization",
                unit=units.PercentUnit,
                width=185,
                steps=_IDLE,
            ),
        ),
        description="The least busy GPU first. Orange: the GPU worked less than 5 % of the time shown, so "
        f"look at hours, not minutes, before you take it back. {OWNER_KIND.description}",
        absent="no process holds these GPUs, or the agent cannot see processes",
        by="GPU's mean utilization",
    )


def _owners() -> tuple[Panel, ...]:
    return (
        _by_owner("Memory by owner", gpu_owners.OWNER_MEMORY),
        _by_owner("Utilization by owner", gpu_owners.OWNER_UTILIZATION, look=SHARE),
        _by_owner("Processes by owner", gpu_owners.OWNER_PROCESSES),
        lines(
            "Memory that nobody owns",
            gpu_owners.MEMORY_UNOWNED,
            note="Alert: GPUMemoryUnowned.",
        ),
    )


def _by_owner(title: str, metric: Metric, look: Look = Look()) -> Panel:  # noqa: B008 - frozen
    """Draw a metric by owner; of a container's id, as much as the container tools show."""
    container, start = CONTAINER_ID.label, "." * _SHORT
    each = value(metric, (*PER_GPU, *_OWNER), *ON_GPU)
    short = f'label_replace({each}, "{container}", "$1", "{container}", "({start}).*")'
    return drawn(title, of_gpu(short, *_OWNER), metric, look=look, note=OWNER_KIND.description)
