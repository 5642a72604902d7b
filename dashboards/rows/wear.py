"""Rows about what wears out and how GPUs are set: memory errors, memory replaced, limits, modes."""

from typing import Final

from grafana_foundation_sdk.models import units

from agent.catalogue import gpu, gpu_health
from agent.catalogue.attributes import (
    COMPUTE_MODE,
    ERROR_TYPE,
    FAN,
    MEMORY_LOCATION,
    REMAP_AVAILABILITY,
    RETIREMENT_CAUSE,
)
from agent.catalogue.promql import (
    PER_GPU,
    aggregate,
    labels,
    matches,
    value,
)
from dashboards.layout import Row, Tile
from dashboards.lines import ALONE, drawn, flags, growth, lines, planned, states
from dashboards.panel import (
    BLUE,
    EACH_GPU,
    GREEN,
    ORANGE,
    RED,
    Look,
    Panel,
    Query,
    graph,
    timeline,
)
from dashboards.scope import ON_GPU, of_gpu, per_gpu

_RETIRES: Final = "these GPUs retire pages and do not replace rows, or do not tell"
_REPLACES: Final = "these GPUs replace rows and do not retire pages, or do not tell"


def rows() -> tuple[Row, ...]:
    """Return the rows."""
    return (
        Row("Memory errors (ECC)", [Tile(panel, 12, 7) for panel in _ecc()], collapsed=True),
        Row("Memory replaced", [Tile(panel, 12, 7) for panel in _replaced()], collapsed=True),
        Row("Power limits and fans", [Tile(panel, 12, 7) for panel in _limits()], collapsed=True),
        Row("Modes and BAR1", [Tile(panel, 12, 7) for panel in _modes()], collapsed=True),
    )


def _ecc() -> tuple[Panel, ...]:
    kinds = (ERROR_TYPE, MEMORY_LOCATION)
    return (
        growth(
            "ECC errors",
            gpu_health.ECC_ERRORS,
            by=kinds,
            note="Uncorrected ones page: alert GPUUncorrectedEcc.",
        ),
        lines(
            "ECC errors in the board's life",
            gpu_health.ECC_LIFETIME_ERRORS,
            by=kinds,
            nonzero=True,
            look=Look(absent="none, or ECC is off"),
        ),
        flags(
            "SRAM errors beyond NVIDIA's threshold",
            (gpu_health.SRAM_THRESHOLD, ""),
            note="Alert: GPUSramThreshold.",
            absent="these GPUs or this driver do not tell",
        ),
        planned(
            "ECC, now and after the next reset",
            gpu_health.ECC_ENABLED,
            gpu_health.ECC_ENABLED_PENDING,
            GREEN,
            absent="these GPUs have no ECC",
        ),
    )


def _replaced() -> tuple[Panel, ...]:
    each = (*PER_GPU, REMAP_AVAILABILITY)
    left = matches(REMAP_AVAILABILITY, "low|none")
    few, banks = (
        aggregate("sum", PER_GPU, value(gpu_health.ROW_REMAP_BANKS, each, *ON_GPU, *conditions))
        for conditions in ((left,), ())
    )
    failed, pending = (
        value(metric, PER_GPU, *ON_GPU)
        for metric in (gpu_health.ROW_REMAP_FAILURE, gpu_health.ROW_REMAP_PENDING)
    )
    return (
        lines(
            "Rows replaced",
            gpu_health.REMAPPED_ROWS,
            by=(ERROR_TYPE,),
            nonzero=True,
            look=Look(absent="none, or these GPUs retire pages"),
        ),
        timeline(
            "Row replacement failed or pending",
            of_gpu(f"({failed} == 1) * 2\nor on ({labels(PER_GPU)}) {pending}"),
            description=f"{gpu_health.ROW_REMAP_FAILURE.description} "
            f"{gpu_health.ROW_REMAP_PENDING.description} "
            "Alerts: GPURowRemapFailure, GPURowRemapPending.",
            states=((0, "neither", GREEN), (1, "pending", ORANGE), (2, "failed", RED)),
            absent=_RETIRES,
        ),
        graph(
            "Banks with few spare rows left",
            of_gpu(f"({few} or {banks} * 0)\n/ {banks}"),
            unit=units.PercentUnit,
            description="Share of the memory's banks that have few spare rows left, or none. "
            f"{REMAP_AVAILABILITY.description}",
            look=Look(ceiling=1, absent=_RETIRES),
            links=(ALONE,),
        ),
        lines(
            "Pages retired",
            gpu_health.RETIRED_PAGES,
            by=(RETIREMENT_CAUSE,),
            look=Look(absent=_REPLACES),
        ),
        flags(
            "Page retirement pending",
            (gpu_health.RETIRED_PAGES_PENDING, ""),
            colors=(GREEN, ORANGE),
            absent=_REPLACES,
        ),
    )


def _limits() -> tuple[Panel, ...]:
    others = (
        (gpu_health.POWER_DEFAULT_LIMIT, "default"),
        (gpu_health.POWER_MINIMUM_LIMIT, "lowest"),
        (gpu_health.POWER_MAXIMUM_LIMIT, "highest"),
    )
    return (
        lines("Power at the moment of the sample", gpu_health.POWER_INSTANT),
        lines("Power on average of a second", gpu_health.POWER_AVERAGE),
        drawn(
            "Power limits",
            per_gpu(gpu.POWER_LIMIT),
            gpu.POWER_LIMIT,
            more=tuple(Query(per_gpu(m).expression, f"{word} {EACH_GPU}") for m, word in others),
            note="Beside it the one that the board starts with, and the range that can be set.",
        ),
        lines(
            "Fan speed",
            gpu_health.FAN_SPEED,
            by=(FAN,),
            look=Look(ceiling=1, absent="these GPUs have no fan of their own"),
        ),
    )


def _modes() -> tuple[Panel, ...]:
    return (
        planned(
            "MIG, now and after the next reset",
            gpu_health.MIG_ENABLED,
            gpu_health.MIG_ENABLED_PENDING,
            BLUE,
            absent="these GPUs cannot be divided",
        ),
        flags(
            "Persistence mode",
            (gpu_health.PERSISTENCE, ""),
            words=("off", "on"),
            colors=(ORANGE, GREEN),
        ),
        states(
            "Compute mode",
            gpu_health.COMPUTE,
            COMPUTE_MODE,
            (GREEN, BLUE, ORANGE, BLUE),
        ),
        drawn(
            "BAR1 mapped",
            per_gpu(gpu_health.BAR1_USAGE),
            gpu_health.BAR1_USAGE,
            more=(Query(per_gpu(gpu_health.BAR1_LIMIT).expression, f"limit {EACH_GPU}"),),
            look=Look(dashed="/^limit .*/"),
        ),
    )
