"""Rows about what runs in a GPU: how well it is used inside, and whose work it is."""

from agent.catalogue import gpu_owners, gpu_work
from agent.catalogue.attributes import CONTAINER_ID, OWNER_KIND, OWNER_NAME, PIPE
from dashboards.layout import Row, Tile
from dashboards.lines import SHARE, lines
from dashboards.panel import Panel

_OWNER = (OWNER_KIND, OWNER_NAME, CONTAINER_ID)


def rows() -> tuple[Row, ...]:
    """Return the rows."""
    return (
        Row("Profiling (GPM)", [Tile(panel, 12, 8) for panel in _profile()], collapsed=True),
        Row("Owners of processes", [Tile(panel, 12, 8) for panel in _owners()], collapsed=True),
    )


def _profile() -> tuple[Panel, ...]:
    note = "Absent where the GPU cannot profile, or while a profiler holds it."
    return (
        lines("Multiprocessors with work", gpu_work.SM_ACTIVE, look=SHARE, note=note),
        lines("Occupancy of the multiprocessors", gpu_work.SM_OCCUPANCY, look=SHARE, note=note),
        lines("Arithmetic units at work", gpu_work.PIPE_ACTIVE, by=(PIPE,), look=SHARE, note=note),
        lines("Memory bandwidth used", gpu_work.MEMORY_BANDWIDTH, look=SHARE, note=note),
    )


def _owners() -> tuple[Panel, ...]:
    return (
        lines("Memory by owner", gpu_owners.OWNER_MEMORY, by=_OWNER, note=OWNER_KIND.description),
        lines("Utilization by owner", gpu_owners.OWNER_UTILIZATION, by=_OWNER, look=SHARE),
        lines("Processes by owner", gpu_owners.OWNER_PROCESSES, by=_OWNER),
        lines(
            "Memory that nobody owns",
            gpu_owners.MEMORY_UNOWNED,
            note="Alert: GPUMemoryUnowned.",
        ),
    )
