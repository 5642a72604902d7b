"""Rows about how well GPUs are: the driver's verdict, its errors, and what holds clocks down."""

from collections.abc import Sequence
from typing import Final

from agent.catalogue import Attribute, Metric, gpu, gpu_errors, gpu_health, gpu_work, system, window
from agent.catalogue.attributes import (
    CONFIDENCE,
    DRIVER_EVENT,
    ERROR_TYPE,
    NVLINK_STATE,
    OOM_LIMIT,
    PEER_SIGNAL,
    RECOVERY_ACTION,
    SWITCH_PCI,
    SXID,
    THROTTLE_REASON,
    URGENCY,
    XID,
)
from agent.catalogue.promql import (
    PER_GPU,
    Condition,
    differs,
    equals,
    matches,
    rate,
    value,
)
from dashboards.layout import Row, Tile
from dashboards.lines import EVENTS, drawn, growth, speed, states
from dashboards.panel import (
    COUNT,
    GREEN,
    NONE_SO_FAR,
    ORANGE,
    RED,
    Look,
    Panel,
    Query,
    graph,
    number,
)
from dashboards.rows import firing
from dashboards.scope import ON_GPU, ON_NODE, happened, legend, of_gpu

_NORMAL: Final = "sw_power_cap|low_utilization"
_FAULTY: Final = "hw_thermal|hw_power_brake|sw_thermal"
"""Reasons that the alert GPUThrottledByHardware goes by."""
_ORDINARY: Final = window.OUTLIER / 2
_SHARE_OR_NONE: Final = Look(ceiling=1, absent=NONE_SO_FAR)


def rows() -> tuple[Row, ...]:
    """Return the rows, from the verdict to its reasons."""
    return (
        Row(
            "Verdict",
            (
                *(Tile(panel, 3, 4) for panel in _numbers()),
                *(Tile(panel, 12, 8) for panel in _verdict()),
            ),
        ),
        Row(
            "Errors of the driver",
            [
                *(Tile(panel, 12, 7) for panel in _xids()),
                *(Tile(panel, 8, 7) for panel in _other_errors()),
            ],
        ),
        Row("Out of memory", [Tile(panel, 12, 7) for panel in _out_of_memory()]),
        Row("Held down", [Tile(panel, 12, 8) for panel in _held()]),
    )


def _numbers() -> tuple[Panel, ...]:
    """Answer "is any of these GPUs ill?" by kind of illness; each has its graphs below."""
    asked = differs(RECOVERY_ACTION, "none")
    down = matches(NVLINK_STATE, "inactive|traffic_disabled")
    reasons = matches(THROTTLE_REASON, _FAULTY)
    outliers = value(window.PEER_OUTLIER, PER_GPU, *ON_GPU)
    uncorrected = equals(ERROR_TYPE, "uncorrected")
    return (
        firing.count(),
        _tally(
            "Need action",
            _sum_or_0(gpu_health.RECOVERY, PER_GPU, asked),
            "GPUs whose driver asks for a reset or a reboot. Alert: GPURecoveryActionNeeded.",
        ),
        _tally(
            "Grave XIDs",
            _in_view(gpu_errors.XID_FAULTS, equals(URGENCY, "page")),
            "In the time shown: XID errors that need a reset, a reboot or a repair. Alert: GPUFatalXid.",
        ),
        _tally(
            "XIDs to look at",
            _in_view(gpu_errors.XID_FAULTS, equals(URGENCY, "ticket")),
            "In the time shown: XID errors that can wait for the day.",
            ORANGE,
        ),
        _tally(
            "Uncorrected ECC",
            _in_view(gpu_health.ECC_ERRORS, uncorrected),
            "In the time shown: memory errors that cost data. Alert: GPUUncorrectedEcc.",
        ),
        _tally(
            "NVLinks down",
            _sum_or_0(gpu_work.NVLINKS, (*PER_GPU, NVLINK_STATE), down),
            "Links that carry nothing; some boards and machines have such at all times, and the alert "
            "GPUNvlinkDown goes by what changed.",
            ORANGE,
        ),
        _tally(
            "Held down",
            _sum_or_0(gpu.THROTTLE, PER_GPU, reasons),
            "GPUs whose clocks are held down now by heat or by a power supply. "
            "Alert: GPUThrottledByHardware.",
            ORANGE,
        ),
        _tally(
            "Outliers",
            f"count({outliers} > {window.OUTLIER:g}) or count({outliers}) * 0",
            "GPUs that are unlike their siblings under the same load. Alert: GPUPeerOutlier.",
            ORANGE,
        ),
    )


def _tally(title: str, expression: str, description: str, color: str = RED) -> Panel:
    return number(
        title,
        Query(expression, title),
        unit=COUNT,
        description=description,
        steps=((None, GREEN), (1, color)),
        absent="not told",
    )


def _sum_or_0(metric: Metric, by: Sequence[Attribute], condition: Condition) -> str:
    """Return the sum where the condition holds, and 0 where the metric is told and it holds nowhere."""
    some, any_at_all = value(metric, by, *ON_GPU, condition), value(metric, by, *ON_GPU)
    return f"sum({some}) or sum({any_at_all}) * 0"


def _in_view(metric: Metric, *conditions: Condition) -> str:
    grown = rate(metric, (), *ON_GPU, *conditions, window="$__range", function="increase")
    return f"floor({grown})"


def _verdict() -> tuple[Panel, ...]:
    asks = [RED] * (len(RECOVERY_ACTION.values) - 1)
    scores = value(window.PEER_OUTLIER, (*PER_GPU, PEER_SIGNAL), *ON_GPU)
    return (
        states(
            "What the driver asks for",
            gpu_health.RECOVERY,
            RECOVERY_ACTION,
            (GREEN, *asks),
            note="Alert: GPURecoveryActionNeeded. A gap: the driver is too old to say, or the GPU is lost.",
            absent="this driver does not tell",
        ),
        drawn(
            "Unlike its siblings",
            of_gpu(f"{scores} > {_ORDINARY:g}", PEER_SIGNAL),
            window.PEER_OUTLIER,
            look=Look(
                steps=((None, "transparent"), (window.OUTLIER, ORANGE)),
                absent="no GPU stands out, or fewer than four share a load",
            ),
            note=f"{PEER_SIGNAL.description} Below {_ORDINARY:g} nothing is drawn. "
            "Alert: GPUPeerOutlier.",
        ),
    )


def _xids() -> tuple[Panel, ...]:
    return (
        growth(
            "XID errors, by urgency",
            gpu_errors.XID_FAULTS,
            by=(URGENCY,),
            note="Alert: GPUFatalXid.",
        ),
        growth("XID errors, by code", gpu.XID_EVENTS, by=(XID,)),
    )


def _other_errors() -> tuple[Panel, ...]:
    return (
        _on_node(
            "Bursts of errors, by urgency",
            Query(happened(gpu_errors.XID_BURSTS, (URGENCY,), *ON_NODE), legend(URGENCY)),
            f"{gpu_errors.XID_BURSTS.description} Alerts: GPUXidBurst, GPUXidBurstTicket.",
        ),
        _on_node(
            "NVSwitch errors, by code",
            Query(
                happened(gpu_errors.SXID_EVENTS, (SWITCH_PCI, SXID), *ON_NODE),
                legend(SWITCH_PCI, SXID),
            ),
            gpu_errors.SXID_EVENTS.description,
        ),
        growth("Announced by the driver", gpu_errors.DRIVER_EVENTS, by=(DRIVER_EVENT,)),
    )


def _out_of_memory() -> tuple[Panel, ...]:
    """Draw both ways in which work dies for want of memory: a GPU's, which is inferred, and the node's."""
    return (
        growth(
            "Out of GPU memory, by confidence",
            gpu.OOM_EVENTS,
            by=(CONFIDENCE,),
            note="Alert: GPUOutOfMemory.",
        ),
        _on_node(
            "Killed by the kernel, by whose memory was out",
            Query(happened(system.OOM_KILLS, (OOM_LIMIT,), *ON_NODE), legend(OOM_LIMIT)),
            f"{system.OOM_KILLS.description} The event names the process and its container.",
        ),
    )


def _on_node(title: str, query: Query, description: str) -> Panel:
    """Draw what is counted per node or switch: it has no GPU to be named by."""
    return graph(
        title,
        query,
        unit=COUNT,
        description=f"New ones per step of the graph. {description}",
        look=EVENTS,
    )


def _held() -> tuple[Panel, ...]:
    return (
        speed(
            "Time held down, share by reason",
            gpu_health.THROTTLE_TIME,
            differs(THROTTLE_REASON, _NORMAL),
            by=(THROTTLE_REASON,),
            look=_SHARE_OR_NONE,
            nonzero=True,
            note="Without what is normal: the power limit under load, and idling. "
            "Alert: GPUThrottledByHardware.",
        ),
        speed(
            "Time at the power limit or idle, share",
            gpu_health.THROTTLE_TIME,
            matches(THROTTLE_REASON, _NORMAL),
            by=(THROTTLE_REASON,),
            look=_SHARE_OR_NONE,
            nonzero=True,
        ),
    )
