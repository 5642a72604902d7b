"""Rows about the GPUs themselves: how busy, how hot, how much power, how connected, who uses them."""

from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import gpu
from agent.catalogue.attributes import (
    CLOCK,
    GPU_TASK,
    LIMIT_TYPE,
    PROCESS_TYPE,
    SENSOR,
    THROTTLE_REASON,
)
from agent.catalogue.promql import PER_GPU, aggregate, equals, labels, matches, rate, select, value
from dashboards.layout import Row, Tile
from dashboards.lines import ALONE, EVENTS, SHARE, drawn, lines
from dashboards.panel import (
    BLUE,
    COUNT,
    GREEN,
    NONE_SO_FAR,
    ORANGE,
    RED,
    Look,
    Panel,
    Query,
    bars,
    graph,
    timeline,
    unit_of,
)
from dashboards.scope import ON_GPU, ON_NODE, RATE, grown_per_gpu, legend, of_gpu, per_gpu

_SM: Final = equals(CLOCK, "sm")
_LATE: Final = "15m"
"""How far back growth of memory is measured: long enough for batches of varying size to even out."""
_JUST_NOW: Final = "5m"
"""Within this a step, such as a model that was loaded, is over, and a leak is not."""
_DAY: Final = 86_400


def rows() -> tuple[Row, ...]:
    """Return the rows, from what most readers want to what few do."""
    return (
        Row("Utilization and memory", [Tile(panel, 8, 9) for panel in _load()]),
        Row("Temperature", [Tile(panel, 8, 9) for panel in _thermal()]),
        Row("Power and clocks", [Tile(panel, 12, 8) for panel in _power()]),
        Row("Processes and errors", [Tile(panel, 12, 7) for panel in _use()]),
        Row(
            "More on memory and engines",
            [Tile(panel, 12, 8) for panel in _engines()],
            collapsed=True,
        ),
        Row(
            "More on power and clocks", [Tile(panel, 12, 8) for panel in _clocks()], collapsed=True
        ),
        Row("PCIe", [Tile(panel, 8, 8) for panel in _pcie()], collapsed=True),
    )


def _load() -> tuple[Panel, ...]:
    return (
        drawn(
            "GPU utilization",
            per_gpu(gpu.UTILIZATION, equals(GPU_TASK, "general")),
            gpu.UTILIZATION,
            look=Look(ceiling=1, narrow=True),
        ),
        drawn(
            "Memory used, share",
            per_gpu(gpu.MEMORY_UTILIZATION),
            gpu.MEMORY_UTILIZATION,
            look=Look(ceiling=1, narrow=True),
            note="Model servers allocate most of the memory at their start and keep it: full is normal "
            "there. A line that climbs without end is a leak, and ends out of memory.",
        ),
        _time_to_full(),
    )


def _time_to_full() -> Panel:
    """Draw how long the free memory lasts at the rate of late, where it shrinks and that is within a day."""
    late, just_now = (
        aggregate("max", PER_GPU, f"deriv({select(gpu.MEMORY_USAGE, *ON_GPU, window=window)})")
        for window in (_LATE, _JUST_NOW)
    )
    lasts = f"{value(gpu.MEMORY_FREE, PER_GPU, *ON_GPU)} / ({late} > 0)"
    still = f"and on ({labels(PER_GPU)}) ({just_now} > 0)"
    return graph(
        "Memory full in",
        of_gpu(f"{lasts} < {_DAY}\n{still}"),
        unit=units.Seconds,
        description=f"Free memory over how fast the used one grew in the last {_LATE}. A line that falls as "
        "fast as time goes by is a leak: it meets 0 when the process dies. Growth while a model loads shows "
        f"here as well, and goes away once nothing grew for {_JUST_NOW}.",
        look=Look(narrow=True, absent="no GPU's memory fills up within a day"),
        links=(ALONE,),
    )


def _engines() -> tuple[Panel, ...]:
    coders = matches(GPU_TASK, "encoder|decoder")
    return (
        drawn("Memory used", per_gpu(gpu.MEMORY_USAGE), gpu.MEMORY_USAGE),
        drawn("Memory free", per_gpu(gpu.MEMORY_FREE), gpu.MEMORY_FREE),
        drawn(
            "Memory controller utilization",
            per_gpu(gpu.MEMORY_CONTROLLER),
            gpu.MEMORY_CONTROLLER,
            look=SHARE,
        ),
        drawn(
            "Encoder and decoder utilization",
            per_gpu(gpu.UTILIZATION, coders, extra=(GPU_TASK,)),
            gpu.UTILIZATION,
            look=SHARE,
        ),
    )


def _thermal() -> tuple[Panel, ...]:
    core, memory = equals(SENSOR, "gpu"), equals(SENSOR, "memory")
    lowest = value(gpu.TEMPERATURE_LIMIT, (LIMIT_TYPE,), *ON_GPU, core, operator="min")
    return (
        drawn(
            "Temperature of the GPU, and its limits",
            per_gpu(gpu.TEMPERATURE, core),
            gpu.TEMPERATURE,
            more=(Query(lowest, f"limit: {{{{{LIMIT_TYPE.label}}}}}"),),
            look=Look(dashed="/^limit: .*/", narrow=True),
            note="Dashed: the lowest limit among the GPUs. " + LIMIT_TYPE.description,
        ),
        graph(
            "Temperature margin",
            per_gpu(gpu.TEMPERATURE_MARGIN, operator="min"),
            unit=unit_of(gpu.TEMPERATURE_MARGIN),
            description=gpu.TEMPERATURE_MARGIN.description
            + " The alerts go by this margin: a fixed number of degrees is wrong on the next model.",
            look=Look(steps=((None, RED), (1, ORANGE), (5, "transparent")), narrow=True),
            links=(ALONE,),
        ),
        drawn(
            "Temperature of the memory",
            per_gpu(gpu.TEMPERATURE, memory),
            gpu.TEMPERATURE,
            look=Look(narrow=True, absent="these boards have no such sensor, or do not tell"),
        ),
    )


def _power() -> tuple[Panel, ...]:
    share = f"{value(gpu.POWER, PER_GPU, *ON_GPU)} / {value(gpu.POWER_LIMIT, PER_GPU, *ON_GPU)}"
    # The most of each step: a long view must not step over a short slowdown.
    seen = f"max_over_time({select(gpu.THROTTLE, *ON_GPU, window=RATE)})"
    held = aggregate("sum", (THROTTLE_REASON,), aggregate("max", (*PER_GPU, THROTTLE_REASON), seen))
    now, most = (value(m, PER_GPU, *ON_GPU, _SM) for m in (gpu.CLOCK_FREQUENCY, gpu.CLOCK_LIMIT))
    return (
        drawn("Power", per_gpu(gpu.POWER), gpu.POWER),
        graph(
            "Power, share of its limit",
            of_gpu(share),
            unit=units.PercentUnit,
            links=(ALONE,),
            description="Power drawn over the enforced limit. At 100 % the driver lowers the clocks to "
            "stay there (sw_power_cap), which is normal under full load.",
        ),
        graph(
            "SM clock, share of the highest",
            of_gpu(f"{now} / {most}"),
            unit=units.PercentUnit,
            look=SHARE,
            links=(ALONE,),
            description="Of the streaming multiprocessors, which do the work. Low while busy, with no "
            "reason in the next panel: somebody has locked the clocks.",
        ),
        graph(
            "GPUs with clocks held down, by reason",
            Query(f"{held} > 0", legend(THROTTLE_REASON)),
            unit=COUNT,
            description=f"How many of the chosen GPUs. {THROTTLE_REASON.description}",
            look=Look(absent=NONE_SO_FAR),
        ),
    )


def _clocks() -> tuple[Panel, ...]:
    used = rate(gpu.ENERGY, PER_GPU, *ON_GPU, window="$__range", function="increase")
    return (
        graph(
            "Power of all GPUs",
            Query(f"sum({value(gpu.POWER, PER_GPU, *ON_NODE)})", "all GPUs"),
            unit=unit_of(gpu.POWER),
            description="Power drawn by the boards of all GPUs on the node; not by the host.",
        ),
        bars(
            "Energy used in the time shown",
            of_gpu(used),
            unit=unit_of(gpu.ENERGY),
            steps=((None, BLUE),),
            description="From the boards' own counters: no spike between two samples is lost.",
        ),
        drawn("SM clock", per_gpu(gpu.CLOCK_FREQUENCY, _SM), gpu.CLOCK_FREQUENCY),
        drawn(
            "Memory clock",
            per_gpu(gpu.CLOCK_FREQUENCY, equals(CLOCK, "memory")),
            gpu.CLOCK_FREQUENCY,
            note="Of the device memory.",
        ),
        drawn(
            "Performance state",
            per_gpu(gpu.PERFORMANCE_STATE),
            gpu.PERFORMANCE_STATE,
            look=Look(ceiling=15),
        ),
    )


def _pcie() -> tuple[Panel, ...]:
    most = value(gpu.PCIE_GENERATION_LIMIT, (), *ON_GPU)
    width, widest = (value(m, PER_GPU, *ON_GPU) for m in (gpu.PCIE_WIDTH, gpu.PCIE_WIDTH_LIMIT))
    return (
        timeline(
            "PCIe lanes missing",
            of_gpu(f"{width} < bool {widest}"),
            description=gpu.PCIE_WIDTH_LIMIT.description,
            states=((0, "all lanes", GREEN), (1, "lanes missing", RED)),
        ),
        drawn("PCIe lanes in use", per_gpu(gpu.PCIE_WIDTH), gpu.PCIE_WIDTH, look=Look(narrow=True)),
        drawn(
            "PCIe generation",
            per_gpu(gpu.PCIE_GENERATION),
            gpu.PCIE_GENERATION,
            more=(Query(most, "possible"),),
            look=Look(dashed="/^possible$/", narrow=True),
            note="Dashed: the highest that a GPU here could.",
        ),
    )


def _use() -> tuple[Panel, ...]:
    return (
        graph(
            "XID errors",
            grown_per_gpu(gpu.XID_EVENTS),
            unit=COUNT,
            look=EVENTS,
            links=(ALONE,),
            description="New ones per step of the graph; the marks name their codes, which "
            "docs.nvidia.com/deploy/xid-errors explains. Those that need a reset or a reboot page: "
            "alert GPUFatalXid.",
        ),
        graph(
            "Out of GPU memory",
            grown_per_gpu(gpu.OOM_EVENTS),
            unit=COUNT,
            look=EVENTS,
            links=(ALONE,),
            description="New ones per step of the graph. " + gpu.OOM_EVENTS.description,
        ),
        lines("Processes", gpu.PROCESSES, by=(PROCESS_TYPE,), nonzero=True),
        lines("Memory held by processes", gpu.PROCESS_MEMORY, by=(PROCESS_TYPE,), nonzero=True),
    )
