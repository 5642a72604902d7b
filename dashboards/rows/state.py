"""First rows: is this node well? Everything else on the dashboard says why not."""

from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import gpu, gpu_errors, gpu_health, itself
from agent.catalogue.attributes import (
    COLLECTOR,
    COLLECTOR_STATUS,
    GPU_INDEX,
    GPU_PCI,
    GPU_TASK,
    HW_DRIVER,
    HW_FIRMWARE,
    HW_ID,
    HW_MODEL,
    HW_SERIAL,
    RECOVERY_ACTION,
    SENSOR,
    THROTTLE_REASON,
    URGENCY,
)
from agent.catalogue.promql import PER_GPU, differs, equals, identity, labels, matches, rate, value
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
    number,
    timeline,
    unit_of,
)
from dashboards.rows import firing
from dashboards.scope import ON_GPU, ON_NODE, of_gpu
from dashboards.tables import UUID_WIDTH, Fact, Figure, overview

NORMAL_UNDER_LOAD: Final = "sw_power_cap"
"""The one throttle reason that a healthy, busy GPU shows."""
GOOD_AT_0: Final = ((None, GREEN), (1, RED))
MARGIN: Final = ((None, RED), (1, ORANGE), (5, GREEN))
"""Degrees left to the slowdown: none is too hot, five are what the alert GPUNearThermalLimit goes by."""
FULL: Final = ((None, GREEN), (0.9, ORANGE), (0.98, RED))
_STALE_AFTER: Final = 60
"""Seconds: the agent takes a snapshot about every second and scrapes are at most a minute apart."""
_REMEMBERED: Final = "6h"
"""How long a GPU that is not listed any more keeps its name here."""
_STATES: Final = (
    (0, "well", GREEN),
    (1, "clocks held down", YELLOW),
    (2, "too hot", ORANGE),
    (3, "driver asks for action", RED),
    (4, "lost", RED),
)
ALONE: Final = (
    "/d/warpwatch-gpu-node?${__url_time_range}&${datasource:queryparam}&${cluster:queryparam}"
    "&${node:queryparam}&var-gpu=${__data.fields.UUID}"
)


def rows() -> tuple[Row, ...]:
    """Return the rows."""
    return (
        Row(
            "State of the node",
            (
                *(Tile(panel, 3, 4) for panel in _numbers()),
                Tile(_gpu_state(), 14, 9),
                Tile(firing.listed(), 10, 9),
                Tile(_gpus(), 24, 10),
            ),
        ),
        Row("Which GPUs these are", (Tile(_inventory(), 24, 10),), collapsed=True),
    )


def _numbers() -> tuple[Panel, ...]:
    asked = value(
        gpu_health.RECOVERY, (*PER_GPU, RECOVERY_ACTION), *ON_NODE, differs(RECOVERY_ACTION, "none")
    )
    told = value(gpu_health.RECOVERY, PER_GPU, *ON_NODE)
    faults = rate(
        gpu_errors.XID_FAULTS,
        (),
        *ON_NODE,
        equals(URGENCY, "page"),
        window="$__range",
        function="increase",
    )
    return (
        firing.count(),
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
            "Need action",
            Query(f"sum({asked}) or sum({told}) * 0", "need action"),
            unit=COUNT,
            description="GPUs that cannot be relied on until what the driver asks for is done: the table "
            "below says what. Alert: GPURecoveryActionNeeded.",
            steps=GOOD_AT_0,
            absent="not told",
        ),
        number(
            "Grave XIDs",
            Query(f"floor({faults})", "XIDs"),
            unit=COUNT,
            description="XID errors in the time shown that need a reset, a reboot or a repair. "
            "Alert: GPUFatalXid.",
            steps=GOOD_AT_0,
        ),
        number(
            "Least margin",
            Query(value(gpu.TEMPERATURE_MARGIN, (), *ON_NODE, operator="min"), "margin"),
            unit=unit_of(gpu.TEMPERATURE_MARGIN),
            description=f"Of the hottest GPU. {gpu.TEMPERATURE_MARGIN.description}",
            steps=MARGIN,
        ),
        number(
            "Sources failing",
            Query(f"sum({_in_trouble()})", "in trouble"),
            unit=COUNT,
            description="Collectors whose source is there and does not answer: failed, or stalled in a "
            "call. A source that is not on this machine is no trouble.",
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


def worst() -> str:
    """Return the worst thing that is true of each GPU; `or` takes the first that applies."""
    lost = value(gpu.LOST, PER_GPU, *ON_GPU)
    asked = value(gpu_health.RECOVERY, PER_GPU, *ON_GPU, differs(RECOVERY_ACTION, "none"))
    margin = value(gpu.TEMPERATURE_MARGIN, PER_GPU, *ON_GPU, operator="min")
    held = value(gpu.THROTTLE, PER_GPU, *ON_GPU, differs(THROTTLE_REASON, NORMAL_UNDER_LOAD))
    known = value(gpu.INFO, PER_GPU, *ON_GPU)
    each = f"or on ({labels(PER_GPU)})"
    return (
        f"({lost} == 1) * 4\n{each} ({asked} == 1) * 3\n{each} ({margin} <= 0) * 0 + 2\n"
        f"{each} ({held} == 1)\n{each} {known} * 0"
    )


def _gpu_state() -> Panel:
    return timeline(
        "GPU state",
        of_gpu(worst(), window=_REMEMBERED),
        description="The worst that is true of each GPU: lost; the driver asks for a reset or a reboot; no "
        "temperature margin left; clocks held down for a reason other than "
        f"{NORMAL_UNDER_LOAD}, which is normal under full load; else well. "
        "A gap: the agent or its NVML collector gave nothing.",
        states=_STATES,
    )


def _gpus() -> Panel:
    """Put the GPUs side by side, the newest value of what matters first."""
    general, core = equals(GPU_TASK, "general"), equals(SENSOR, "gpu")
    asks = " or ".join(
        f"({value(gpu_health.RECOVERY, PER_GPU, *ON_GPU, equals(RECOVERY_ACTION, word))} == 1) * {place}"
        for place, word in enumerate(RECOVERY_ACTION.values)
    )
    power, limit = (value(m, PER_GPU, *ON_GPU) for m in (gpu.POWER, gpu.POWER_LIMIT))
    xids = rate(gpu.XID_EVENTS, PER_GPU, *ON_GPU, window="$__range", function="increase")
    ooms = rate(gpu.OOM_EVENTS, PER_GPU, *ON_GPU, window="$__range", function="increase")
    some = ((None, "text"), (1, ORANGE))
    return overview(
        "GPUs now",
        identity(*ON_GPU, window=_REMEMBERED),
        (
            Fact(
                attribute=GPU_INDEX,
                heading="GPU",
                width=60,
                number=True,
                link=ALONE,
                link_title="This GPU alone",
            ),
            Fact(attribute=HW_MODEL, heading="Model", width=210),
            Figure(expression=worst(), heading="State", states=_STATES, width=150),
            Figure(
                expression=asks,
                heading="Driver asks for",
                width=130,
                states=[
                    (place, word.replace("_", " "), "transparent" if word == "none" else RED)
                    for place, word in enumerate(RECOVERY_ACTION.values)
                ],
            ),
            Figure(
                expression=value(gpu.UTILIZATION, PER_GPU, *ON_GPU, general),
                heading="Utilization",
                unit=units.PercentUnit,
                full=1,
                steps=((None, BLUE),),
            ),
            Figure(
                expression=value(gpu.MEMORY_UTILIZATION, PER_GPU, *ON_GPU),
                heading="Memory used",
                unit=units.PercentUnit,
                full=1,
                steps=FULL,
            ),
            Figure(
                expression=f"{power} / {limit}",
                heading="Power / limit",
                unit=units.PercentUnit,
                full=1,
                steps=((None, BLUE),),
            ),
            Figure(
                expression=value(gpu.TEMPERATURE, PER_GPU, *ON_GPU, core),
                heading="Temp.",
                unit=units.Celsius,
                width=75,
            ),
            Figure(
                expression=value(gpu.TEMPERATURE_MARGIN, PER_GPU, *ON_GPU, operator="min"),
                heading="Margin",
                unit=units.Celsius,
                width=75,
                steps=MARGIN,
            ),
            Figure(expression=f"floor({xids})", heading="XIDs", width=65, steps=some),
            Figure(expression=f"floor({ooms})", heading="OOMs", width=70, steps=some),
            Fact(attribute=HW_ID, heading="UUID", shown=False),
        ),
        description="XIDs and OOMs (processes that ran out of GPU memory) are counted over the time shown; "
        "all else is the newest value. A lost GPU has empty cells. Memory: model servers allocate most of "
        "it at their start and keep it. Click on a GPU's number to see it alone.",
        absent="this node has no GPU, or the agent cannot see it",
    )


def _inventory() -> Panel:
    facts = (
        (GPU_INDEX, "GPU", 60),
        (HW_MODEL, "Model", 200),
        (HW_ID, "UUID", UUID_WIDTH),
        (HW_SERIAL, "Serial number", 0),
        (GPU_PCI, "PCI address", 0),
        (HW_DRIVER, "Driver", 0),
        (HW_FIRMWARE, "VBIOS", 0),
    )
    return overview(
        "Which GPUs these are",
        value(gpu.INFO, [attribute for attribute, _, _ in facts], *ON_GPU),
        [
            Fact(
                attribute=attribute,
                heading=heading,
                width=width,
                number=attribute is GPU_INDEX,
            )
            for attribute, heading, width in facts
        ],
        description="What to tell the vendor. The index can change with a reboot; UUID and serial do not.",
        absent="this node has no GPU, or the agent cannot see it",
    )
