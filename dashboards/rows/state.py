"""First row: is this node well? Everything else on the dashboard says why not."""

from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import gpu, itself
from agent.catalogue.attributes import (
    COLLECTOR,
    COLLECTOR_STATUS,
    GPU_INDEX,
    GPU_PCI,
    HW_DRIVER,
    HW_FIRMWARE,
    HW_ID,
    HW_MODEL,
    HW_SERIAL,
    THROTTLE_REASON,
)
from agent.catalogue.promql import PER_GPU, differs, equals, labels, matches, select, value
from dashboards.layout import Row, Tile
from dashboards.panel import (
    BLUE,
    COUNT,
    GREEN,
    ORANGE,
    RED,
    YELLOW,
    Panel,
    Query,
    facts,
    number,
    timeline,
    unit_of,
)
from dashboards.scope import ON_GPU, ON_NODE, legend, of_gpu

NORMAL_UNDER_LOAD: Final = "sw_power_cap"
"""The one throttle reason that a healthy, busy GPU shows."""
GOOD_AT_0: Final = ((None, GREEN), (1, RED))
_STALE_AFTER: Final = 60
"""Seconds: the agent takes a snapshot about every second and scrapes are at most a minute apart."""


def row() -> Row:
    """Return the row."""
    return Row(
        "State of the node",
        (
            *(Tile(panel, 4, 4) for panel in _numbers()),
            Tile(_gpu_state(), 14, 8),
            Tile(_collectors(), 10, 8),
            Tile(_inventory(), 24, 10),
        ),
    )


def _numbers() -> tuple[Panel, ...]:
    return (
        number(
            "GPUs",
            Query(value(gpu.DEVICES, (), *ON_NODE), "GPUs"),
            unit=COUNT,
            description=gpu.DEVICES.description,
            steps=((None, BLUE),),
        ),
        number(
            "GPUs lost",
            Query(f"sum({value(gpu.LOST, PER_GPU, *ON_NODE)})", "lost"),
            unit=COUNT,
            description=f"{gpu.LOST.description} More than 0 pages: alert GPULost.",
            steps=GOOD_AT_0,
        ),
        number(
            "Smallest temperature margin",
            Query(value(gpu.TEMPERATURE_MARGIN, (), *ON_NODE, operator="min"), "margin"),
            unit=unit_of(gpu.TEMPERATURE_MARGIN),
            description=f"Of the hottest GPU. {gpu.TEMPERATURE_MARGIN.description}",
            steps=((None, RED), (1, ORANGE), (5, GREEN)),
        ),
        number(
            "Power of all GPUs",
            Query(f"sum({value(gpu.POWER, PER_GPU, *ON_NODE)})", "power"),
            unit=unit_of(gpu.POWER),
            description="Power drawn by the boards of all GPUs on the node; not by the host.",
            steps=((None, BLUE),),
        ),
        number(
            "Collectors in trouble",
            Query(f"sum({_in_trouble()})", "in trouble"),
            unit=COUNT,
            description="Sources that are there and do not answer: failed, or stalled in a call. "
            "A source that is not on this machine is no trouble.",
            steps=((None, GREEN), (1, ORANGE)),
        ),
        number(
            "Age of the data",
            Query(f"time() - {value(itself.SNAPSHOT_TIMESTAMP, (), *ON_NODE)}", "age"),
            unit=units.Seconds,
            description="How old the newest snapshot is that Prometheus has. It grows while the agent is "
            "away; after five minutes there is no data at all: alert WarpwatchAgentMissing.",
            steps=((None, GREEN), (_STALE_AFTER, ORANGE), (2 * _STALE_AFTER, RED)),
        ),
    )


def _in_trouble() -> str:
    broken = matches(COLLECTOR_STATUS, "failed|stalled")
    return value(itself.COLLECTOR_STATE, (COLLECTOR,), *ON_NODE, broken)


def _gpu_state() -> Panel:
    """Draw the worst thing that is true of each GPU; `or` takes the first that applies."""
    lost = value(gpu.LOST, PER_GPU, *ON_GPU)
    margin = value(gpu.TEMPERATURE_MARGIN, PER_GPU, *ON_GPU, operator="min")
    held = value(gpu.THROTTLE, PER_GPU, *ON_GPU, differs(THROTTLE_REASON, NORMAL_UNDER_LOAD))
    known = value(gpu.INFO, PER_GPU, *ON_GPU)
    each = f"or on ({labels(PER_GPU)})"
    worst = f"({lost} == 1) * 3\n{each} ({margin} <= 0) * 0 + 2\n{each} ({held} == 1)\n{each} {known} * 0"
    return timeline(
        "GPU state",
        of_gpu(worst, window="6h"),
        description="The worst that is true of each GPU: lost; no temperature margin left; clocks held "
        f"down for a reason other than {NORMAL_UNDER_LOAD}, which is normal under full load; else well. "
        "A gap: the agent or its NVML collector gave nothing.",
        states=(
            (0, "well", GREEN),
            (1, "clocks held down", YELLOW),
            (2, "too hot", ORANGE),
            (3, "lost", RED),
        ),
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
        description=COLLECTOR_STATUS.description,
        states=[(position, word, color) for position, (word, color) in enumerate(states)],
    )


def _inventory() -> Panel:
    columns = (
        (GPU_INDEX, "GPU"),
        (HW_MODEL, "Model"),
        (HW_ID, "UUID"),
        (HW_SERIAL, "Serial number"),
        (GPU_PCI, "PCI address"),
        (HW_DRIVER, "Driver"),
        (HW_FIRMWARE, "VBIOS"),
    )
    return facts(
        "Which GPUs these are",
        Query(select(gpu.INFO, *ON_GPU), ""),
        description="What to tell the vendor. The index can change with a reboot; UUID and serial do not.",
        columns=[(attribute.label, heading) for attribute, heading in columns],
        wide="UUID",
    )
