"""Alerts about how a GPU is: what its driver asks for, what holds it down, what it lacks."""

from typing import Final

from agent.catalogue import gpu, gpu_health, gpu_owners, gpu_work, window
from agent.catalogue.attributes import (
    NVLINK_STATE,
    PEER_SIGNAL,
    RECOVERY_ACTION,
    THROTTLE_REASON,
)
from agent.catalogue.promql import (
    PER_GPU,
    aggregate,
    differs,
    labels,
    matches,
    rate,
    select,
    value,
)
from alerts.identity import EXACTLY, WHERE, WHICH, of_gpu
from alerts.rule import HEALTH_DASHBOARD, Component, Rule, Severity

HELD_SHARE: Final = 0.05
"""Share of time. Below it is the odd second; above it, work takes longer than it should on this GPU alone."""
LINKS_REMEMBERED: Final = "1d"
"""How long the best state of the links is remembered: no shorter than a night."""

_ACTION: Final = f"{{{{ $labels.{RECOVERY_ACTION.label} | reReplaceAll `_` ` ` }}}}"
_REASON: Final = f"{{{{ $labels.{THROTTLE_REASON.label} }}}}"
_SIGNAL: Final = f"{{{{ $labels.{PEER_SIGNAL.label} }}}}"


def rules() -> tuple[Rule, ...]:
    """Return the rules."""
    return (_recovery(), _held(), _links_down(), _lanes_missing(), _outlier(), _unowned())


def _recovery() -> Rule:
    by = (*PER_GPU, RECOVERY_ACTION)
    asked = value(gpu_health.RECOVERY, by, differs(RECOVERY_ACTION, "none"))
    return Rule(
        alert="GPURecoveryActionNeeded",
        expression=of_gpu(f"{asked} == 1"),
        severity=Severity.CRITICAL,
        component=Component.GPU,
        hold="1m",
        linger="5m",
        subject=_ACTION,
        summary=f"{WHICH} on {WHERE} needs: {_ACTION}",
        description=f"{EXACTLY}. NVIDIA's driver says that the GPU cannot be relied on until this is done: "
        f"{_ACTION}. It is the driver's own verdict on all that it knows; the XIDs are the evidence.",
        action=f"Cordon the node, drain it, then do it: {_ACTION}.",
        dashboard=HEALTH_DASHBOARD,
        chosen=PER_GPU,
    )


def _held() -> Rule:
    """Go by the driver's own clock: a flag that is looked at now and then misses short slowdowns."""
    reasons = matches(THROTTLE_REASON, "hw_thermal|hw_power_brake|sw_thermal")
    share = rate(gpu_health.THROTTLE_TIME, (*PER_GPU, THROTTLE_REASON), reasons, window="5m")
    return Rule(
        alert="GPUThrottledByHardware",
        expression=of_gpu(f"{share} > {HELD_SHARE}"),
        severity=Severity.WARNING,
        component=Component.GPU,
        hold="10m",
        linger="10m",
        subject=_REASON,
        summary=f"{WHICH} on {WHERE} is held down: {_REASON}",
        description=f"{EXACTLY}. For {{{{ $value | humanizePercentage }}}} of the time its clocks are held "
        "down by heat or by its power supply, not by its power limit. Work that spans several GPUs waits "
        "for it.",
        action="hw_power_brake: look at power supplies; else at fans, airflow and inlet temperature.",
        dashboard=HEALTH_DASHBOARD,
        chosen=PER_GPU,
    )


def _links_down() -> Rule:
    """Compare with the day: how many links a GPU should have differs by board and machine.

    Links that are not up are counted, and not those that are active: a link that sleeps is well. A GPU that
    is divided by MIG may switch its links off.
    """
    by = (*PER_GPU, NVLINK_STATE)
    down = matches(NVLINK_STATE, "inactive|traffic_disabled")
    least = f"min_over_time({select(gpu_work.NVLINKS, down, window=LINKS_REMEMBERED)})"
    more = f"{value(gpu_work.NVLINKS, by, down)} - {aggregate('min', by, least)} > 0"
    divided = f"{value(gpu_health.MIG_ENABLED, PER_GPU)} == 1"
    return Rule(
        alert="GPUNvlinkDown",
        expression=of_gpu(f"({more}) unless on ({labels(PER_GPU)}) ({divided})"),
        severity=Severity.CRITICAL,
        component=Component.GPU,
        hold="5m",
        linger="10m",
        summary=f"NVLink down on {WHICH}, {WHERE}",
        description=f"{EXACTLY}. {{{{ $value | printf `%.0f` }}}} NVLinks more than within the last "
        f"{LINKS_REMEMBERED} are {{{{ $labels.{NVLINK_STATE.label} | reReplaceAll `_` ` ` }}}}. Work that "
        "spans GPUs is slow, hangs or fails.",
        action="Drain the node, then reset all GPUs that the links join; read the XIDs 74 and 144 to 150.",
        dashboard=HEALTH_DASHBOARD,
        chosen=PER_GPU,
    )


def _lanes_missing() -> Rule:
    width, most = (value(m, PER_GPU) for m in (gpu.PCIE_WIDTH, gpu.PCIE_WIDTH_LIMIT))
    return Rule(
        alert="GPUPcieWidthReduced",
        expression=of_gpu(f"{width} < {most}"),
        severity=Severity.WARNING,
        component=Component.GPU,
        hold="15m",
        linger="10m",
        summary=f"{WHICH} on {WHERE} has lost PCIe lanes",
        description=f"{EXACTLY} runs on {{{{ $value | printf `%.0f` }}}} PCIe lanes, fewer than GPU and slot "
        "could. The width does not drop at idle, as the generation does: this is a bad contact or a fault.",
        action="Reseat the card or its riser with the next maintenance; if it comes back, replace them.",
        dashboard=HEALTH_DASHBOARD,
        chosen=PER_GPU,
    )


def _outlier() -> Rule:
    score = value(window.PEER_OUTLIER, (*PER_GPU, PEER_SIGNAL))
    return Rule(
        alert="GPUPeerOutlier",
        expression=of_gpu(f"{score} > {window.OUTLIER:g}"),
        severity=Severity.WARNING,
        component=Component.GPU,
        hold="15m",
        linger="10m",
        subject=_SIGNAL,
        summary=f"{WHICH} on {WHERE} is unlike its siblings: {_SIGNAL}",
        description=f"{EXACTLY}. Among the GPUs of its model and load on this node it stands out by "
        f"{{{{ $value | printf `%.0f` }}}} robust standard deviations, for the worse.",
        action="Compare it with the node's other GPUs; work that spans them waits for the slowest.",
        dashboard=HEALTH_DASHBOARD,
        chosen=PER_GPU,
    )


def _unowned() -> Rule:
    return Rule(
        alert="GPUMemoryUnowned",
        expression=of_gpu(f"{value(gpu_owners.MEMORY_UNOWNED, PER_GPU)} > 0"),
        severity=Severity.WARNING,
        component=Component.GPU,
        hold="15m",
        linger="10m",
        summary=f"Memory of {WHICH} on {WHERE} is held by nobody",
        description=f"{EXACTLY}. {{{{ $value | humanize1024 }}}}B of device memory are in use and no process "
        "owns them, as after a crash that the driver did not clean up.",
        action="See whether a process hangs in the kernel; reset the GPU with the next drain.",
        chosen=PER_GPU,
    )
