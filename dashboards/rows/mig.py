"""Rows about the parts that MIG makes of a GPU, which programs see as GPUs of their own."""

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from agent.catalogue import Attribute, Metric, gpu_mig
from agent.catalogue.attributes import (
    COMPUTE_INSTANCE,
    GPU_INSTANCE,
    HW_ID,
    HW_PARENT,
    MIG_PROFILE,
    PIPE,
)
from agent.catalogue.promql import PER_GPU, matches, select, value
from dashboards.layout import Row, Tile
from dashboards.lines import SHARE, drawn, lines
from dashboards.panel import Look, Panel, Query, facts, graph
from dashboards.scope import ON_NODE, of_mig


def rows() -> tuple[Row, ...]:
    """Return the rows."""
    return (
        Row("Which MIG devices there are", (Tile(_inventory(), 16, 9), Tile(_count(), 8, 9))),
        Row("Memory and processes", [Tile(panel, 12, 8) for panel in _memory()]),
        Row("Work (GPUs that can profile)", [Tile(panel, 12, 8) for panel in _work()]),
    )


def _count() -> Panel:
    return lines("MIG devices per GPU", gpu_mig.MIG_DEVICES, look=Look(narrow=True))


def _inventory() -> Panel:
    columns = (
        (HW_PARENT, "GPU"),
        (MIG_PROFILE, "Profile"),
        (GPU_INSTANCE, "GPU instance"),
        (COMPUTE_INSTANCE, "Compute instance"),
        (HW_ID, "UUID"),
    )
    return facts(
        "MIG devices",
        Query(select(gpu_mig.MIG_INFO, *ON_NODE, matches(HW_PARENT, "$gpu")), ""),
        description="The UUID is what a program is given. It changes when the GPU is divided anew.",
        columns=[(attribute.label, heading) for attribute, heading in columns],
        wide="UUID",
    )


def _memory() -> tuple[Panel, ...]:
    return (
        _part("Memory used", gpu_mig.MIG_MEMORY_USAGE),
        _part("Memory free", gpu_mig.MIG_MEMORY_FREE),
        _share("Memory used, share", gpu_mig.MIG_MEMORY_USAGE, gpu_mig.MIG_MEMORY_LIMIT),
        _part("Processes", gpu_mig.MIG_PROCESSES),
        _part("Memory held by processes", gpu_mig.MIG_PROCESS_MEMORY),
    )


def _work() -> tuple[Panel, ...]:
    return (
        _part("Utilization", gpu_mig.MIG_UTILIZATION, look=SHARE),
        _part("Multiprocessors with work", gpu_mig.MIG_SM_ACTIVE, look=SHARE),
        _part("Occupancy of the multiprocessors", gpu_mig.MIG_SM_OCCUPANCY, look=SHARE),
        _part("Arithmetic units at work", gpu_mig.MIG_PIPE_ACTIVE, by=(PIPE,), look=SHARE),
        _part("Memory bandwidth used", gpu_mig.MIG_MEMORY_BANDWIDTH, look=SHARE),
    )


def _part(
    title: str,
    metric: Metric,
    *,
    by: Sequence[Attribute] = (),
    look: Look = Look(),  # noqa: B008 - frozen
) -> Panel:
    """Draw a metric per MIG device, whose id is not the GPU's: it is found by its parent."""
    query = of_mig(value(metric, (*PER_GPU, *by), *ON_NODE), *by)
    return drawn(title, query, metric, look=look, links=())


def _share(title: str, part: Metric, whole: Metric) -> Panel:
    used, there = (value(metric, PER_GPU, *ON_NODE) for metric in (part, whole))
    return graph(
        title,
        of_mig(f"{used} / {there}"),
        unit=units.PercentUnit,
        description=f"Of what the instance has. {part.description}",
        look=SHARE,
    )
