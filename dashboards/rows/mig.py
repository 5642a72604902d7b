"""Rows about the parts that MIG makes of a GPU, which programs see as GPUs of their own."""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import Attribute, Metric, gpu_mig
from agent.catalogue.attributes import (
    COMPUTE_INSTANCE,
    GPU_INDEX,
    GPU_INSTANCE,
    HW_ID,
    MIG_PROFILE,
    PIPE,
)
from agent.catalogue.promql import PER_GPU, value
from dashboards.layout import Row, Tile
from dashboards.lines import drawn, lines
from dashboards.panel import BLUE, Look, Panel, graph
from dashboards.rows.state import FULL
from dashboards.scope import ON_NODE, mig_identity, of_mig
from dashboards.tables import UUID_WIDTH, Fact, Figure, overview

_ABSENT: Final = "no GPU of this node is divided into MIG devices, or none of the chosen ones"
_SHARE: Final = Look(ceiling=1, absent="not told: no GPU is divided, or these cannot profile")


def rows() -> tuple[Row, ...]:
    """Return the rows."""
    return (
        Row("MIG devices", (Tile(_devices(), 24, 14),)),
        Row("Over time", [Tile(panel, 12, 9) for panel in _main()]),
        Row("Memory and processes", [Tile(panel, 12, 9) for panel in _memory()], collapsed=True),
        Row(
            "Inside the multiprocessors",
            [Tile(panel, 12, 9) for panel in _inside()],
            collapsed=True,
        ),
        Row("How GPUs are divided", (Tile(_count(), 24, 7),), collapsed=True),
    )


def _count() -> Panel:
    return lines(
        "MIG devices per GPU",
        gpu_mig.MIG_DEVICES,
        look=Look(absent=_ABSENT),
        note="A step is a GPU that was divided anew.",
    )


def _devices() -> Panel:
    """Put the devices side by side, those of one GPU together."""

    def now(metric: Metric) -> str:
        return value(metric, PER_GPU, *ON_NODE)

    return overview(
        "MIG devices now",
        mig_identity(),
        (
            Fact(attribute=GPU_INDEX, heading="GPU", width=60, number=True),
            Fact(attribute=MIG_PROFILE, heading="Profile", width=110),
            Fact(attribute=GPU_INSTANCE, heading="GPU inst.", width=90, number=True),
            Fact(attribute=COMPUTE_INSTANCE, heading="Comp. inst.", width=105, number=True),
            Figure(
                expression=f"{now(gpu_mig.MIG_MEMORY_USAGE)} / {now(gpu_mig.MIG_MEMORY_LIMIT)}",
                heading="Memory used",
                unit=units.PercentUnit,
                full=1,
                steps=FULL,
            ),
            Figure(
                expression=now(gpu_mig.MIG_MEMORY_LIMIT),
                heading="of",
                unit=units.BytesIEC,
                width=85,
            ),
            Figure(
                expression=now(gpu_mig.MIG_UTILIZATION),
                heading="Utilization",
                unit=units.PercentUnit,
                full=1,
                steps=((None, BLUE),),
            ),
            Figure(expression=now(gpu_mig.MIG_PROCESSES), heading="Processes", width=90),
            Fact(attribute=HW_ID, heading="UUID", width=UUID_WIDTH),
        ),
        description="The UUID is what a program is given; it changes when the GPU is divided anew. "
        "Utilization is of the device's own share of the GPU, and there where the GPU can profile.",
        absent=_ABSENT,
    )


def _main() -> tuple[Panel, ...]:
    return (
        _share("Memory used, share", gpu_mig.MIG_MEMORY_USAGE, gpu_mig.MIG_MEMORY_LIMIT),
        _part("Utilization", gpu_mig.MIG_UTILIZATION, look=_SHARE),
    )


def _memory() -> tuple[Panel, ...]:
    look = Look(absent=_ABSENT)
    return (
        _part("Memory used", gpu_mig.MIG_MEMORY_USAGE, look=look),
        _part("Memory free", gpu_mig.MIG_MEMORY_FREE, look=look),
        _part("Memory held by processes", gpu_mig.MIG_PROCESS_MEMORY, look=look),
        _part("Processes", gpu_mig.MIG_PROCESSES, look=look),
    )


def _inside() -> tuple[Panel, ...]:
    return (
        _part("Multiprocessors with work", gpu_mig.MIG_SM_ACTIVE, look=_SHARE),
        _part("Occupancy of the multiprocessors", gpu_mig.MIG_SM_OCCUPANCY, look=_SHARE),
        _part("Arithmetic units at work", gpu_mig.MIG_PIPE_ACTIVE, by=(PIPE,), look=_SHARE),
        _part("Memory bandwidth used", gpu_mig.MIG_MEMORY_BANDWIDTH, look=_SHARE),
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
        look=Look(ceiling=1, absent=_ABSENT),
    )
