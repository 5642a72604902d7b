"""Rows about how well GPUs are: the driver's verdict, errors, memory that wears out, limits and modes."""

from typing import Final

from agent.catalogue import gpu, gpu_errors, gpu_health, window
from agent.catalogue.attributes import (
    COMPUTE_MODE,
    CONFIDENCE,
    DRIVER_EVENT,
    ERROR_TYPE,
    FAN,
    MEMORY_LOCATION,
    PEER_SIGNAL,
    RECOVERY_ACTION,
    REMAP_AVAILABILITY,
    RETIREMENT_CAUSE,
    SWITCH_PCI,
    SXID,
    THROTTLE_REASON,
    URGENCY,
    XID,
)
from agent.catalogue.promql import differs, matches, rate
from dashboards.layout import Row, Tile
from dashboards.lines import SHARE, drawn, flags, growth, lines, speed, states
from dashboards.panel import BLUE, COUNT, GREEN, ORANGE, RED, Look, Panel, Query, graph
from dashboards.scope import EACH_GPU, ON_NODE, RATE, legend, per_gpu

_NORMAL: Final = "sw_power_cap|low_utilization"
_NEUTRAL: Final = "text"


def rows() -> tuple[Row, ...]:
    """Return the rows, from the driver's verdict to its modes."""
    return (
        Row("Verdict", [Tile(panel, 12, 8) for panel in _verdict()]),
        Row("Errors of the driver", [Tile(panel, 12, 7) for panel in _errors()]),
        Row("Held down", [Tile(panel, 12, 8) for panel in _held()]),
        Row("Memory errors (ECC)", [Tile(panel, 12, 7) for panel in _ecc()], collapsed=True),
        Row("Memory replaced", [Tile(panel, 12, 7) for panel in _replaced()], collapsed=True),
        Row("Power limits and fans", [Tile(panel, 12, 7) for panel in _limits()], collapsed=True),
        Row("Modes and BAR1", [Tile(panel, 12, 7) for panel in _modes()], collapsed=True),
    )


def _verdict() -> tuple[Panel, ...]:
    asks = [RED] * (len(RECOVERY_ACTION.values) - 1)
    return (
        states(
            "What the driver asks for",
            gpu_health.RECOVERY,
            RECOVERY_ACTION,
            (GREEN, *asks),
            note="Alert: GPURecoveryActionNeeded. A gap: the driver is too old to say.",
        ),
        lines(
            "Unlike its siblings",
            window.PEER_OUTLIER,
            by=(PEER_SIGNAL,),
            look=Look(steps=((None, "transparent"), (window.OUTLIER, ORANGE))),
            note=f"{PEER_SIGNAL.description} Alert: GPUPeerOutlier.",
        ),
    )


def _errors() -> tuple[Panel, ...]:
    return (
        growth(
            "XID errors, by urgency",
            gpu_errors.XID_FAULTS,
            by=(URGENCY,),
            note="Alert: GPUFatalXid.",
        ),
        growth("XID errors, by code", gpu.XID_EVENTS, by=(XID,)),
        _on_node(
            "Bursts of errors, by urgency",
            Query(
                rate(gpu_errors.XID_BURSTS, (URGENCY,), *ON_NODE, window=RATE, function="increase"),
                legend(URGENCY),
            ),
            f"{gpu_errors.XID_BURSTS.description} Alerts: GPUXidBurst, GPUXidBurstTicket.",
        ),
        _on_node(
            "NVSwitch errors, by code",
            Query(
                rate(
                    gpu_errors.SXID_EVENTS,
                    (SWITCH_PCI, SXID),
                    *ON_NODE,
                    window=RATE,
                    function="increase",
                ),
                legend(SWITCH_PCI, SXID),
            ),
            gpu_errors.SXID_EVENTS.description,
        ),
        growth("Announced by the driver", gpu_errors.DRIVER_EVENTS, by=(DRIVER_EVENT,)),
        growth(
            "Out of GPU memory, by confidence",
            gpu.OOM_EVENTS,
            by=(CONFIDENCE,),
            note="Alert: GPUOutOfMemory.",
        ),
    )


def _on_node(title: str, query: Query, description: str) -> Panel:
    """Draw what is counted per node or switch: it has no GPU to be named by."""
    return graph(
        title,
        query,
        unit=COUNT,
        description=f"New ones per step of the graph. {description}",
        look=Look(events=True),
    )


def _held() -> tuple[Panel, ...]:
    return (
        speed(
            "Time held down, share by reason",
            gpu_health.THROTTLE_TIME,
            differs(THROTTLE_REASON, _NORMAL),
            by=(THROTTLE_REASON,),
            look=SHARE,
            note="Without what is normal: the power limit under load, and idling. "
            "Alert: GPUThrottledByHardware.",
        ),
        speed(
            "Time at the power limit or idle, share",
            gpu_health.THROTTLE_TIME,
            matches(THROTTLE_REASON, _NORMAL),
            by=(THROTTLE_REASON,),
            look=SHARE,
        ),
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
        lines("ECC errors in the board's life", gpu_health.ECC_LIFETIME_ERRORS, by=kinds),
        flags(
            "SRAM errors beyond NVIDIA's threshold",
            (gpu_health.SRAM_THRESHOLD, ""),
            note="Alert: GPUSramThreshold.",
        ),
        flags(
            "ECC, now and after the next reset",
            (gpu_health.ECC_ENABLED, "now"),
            (gpu_health.ECC_ENABLED_PENDING, "next"),
            words=("off", "on"),
            colors=(_NEUTRAL, GREEN),
        ),
    )


def _replaced() -> tuple[Panel, ...]:
    few = matches(REMAP_AVAILABILITY, "low|none")
    return (
        lines("Rows replaced", gpu_health.REMAPPED_ROWS, by=(ERROR_TYPE,)),
        flags(
            "Row replacement failed or pending",
            (gpu_health.ROW_REMAP_FAILURE, "failed"),
            (gpu_health.ROW_REMAP_PENDING, "pending"),
            note="Alerts: GPURowRemapFailure, GPURowRemapPending.",
        ),
        lines(
            "Banks with few spare rows left",
            gpu_health.ROW_REMAP_BANKS,
            few,
            by=(REMAP_AVAILABILITY,),
            note=REMAP_AVAILABILITY.description,
        ),
        lines("Pages retired", gpu_health.RETIRED_PAGES, by=(RETIREMENT_CAUSE,)),
        flags(
            "Page retirement pending",
            (gpu_health.RETIRED_PAGES_PENDING, ""),
            colors=(GREEN, ORANGE),
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
        lines("Fan speed", gpu_health.FAN_SPEED, by=(FAN,), look=SHARE),
    )


def _modes() -> tuple[Panel, ...]:
    return (
        flags(
            "MIG, now and after the next reset",
            (gpu_health.MIG_ENABLED, "now"),
            (gpu_health.MIG_ENABLED_PENDING, "next"),
            words=("off", "on"),
            colors=(_NEUTRAL, BLUE),
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
