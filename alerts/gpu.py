"""Alerts about GPUs that are gone or hot. They carry the UUID, and index and model where these are known."""

from typing import Final

from agent.catalogue import gpu, itself
from agent.catalogue.attributes import COLLECTOR, NODE
from agent.catalogue.promql import (
    PER_GPU,
    PER_NODE,
    aggregate,
    equals,
    labels,
    select,
    value,
)
from alerts.identity import EXACTLY, REMEMBERED, WHERE, WHICH, of_gpu
from alerts.rule import Component, Rule, Severity

MARGIN_LOW: Final = 5
"""Degrees Celsius left before the driver slows the GPU down. Below it a warm day or one failed fan is enough;
health checks in the field warn at the same distance. A margin and no temperature: limits differ by model."""


def rules() -> tuple[Rule, ...]:
    """Return the rules."""
    return (_lost(), _missing(), _overheating(), _near_limit())


def _lost() -> Rule:
    return Rule(
        alert="GPULost",
        expression=of_gpu(f"{value(gpu.LOST, PER_GPU)} == 1"),
        severity=Severity.CRITICAL,
        component=Component.GPU,
        hold="2m",
        linger="15m",
        summary=f"{WHICH} on {WHERE} is lost",
        description=f"{EXACTLY} was there and cannot be reached any more. What ran on it has failed or "
        "hangs; the driver gives it back only after a reset or a reboot.",
        action="Cordon the node, read the XID in the kernel log, drain, then power-cycle.",
        chosen=PER_GPU,
    )


def _missing() -> Rule:
    """Find what a restarted agent cannot know to be lost: it never saw the GPU.

    Only while the driver answers: a node without data is not a node without GPUs.
    """
    had = aggregate("max", PER_NODE, f"max_over_time({select(gpu.DEVICES, window=REMEMBERED)})")
    answers = value(itself.COLLECTOR_UP, PER_NODE, equals(COLLECTOR, "nvml"))
    return Rule(
        alert="GPUMissing",
        expression=f"({had} - {value(gpu.DEVICES, PER_NODE)} > 0)\n"
        f"and on ({labels(PER_NODE)}) ({answers} == 1)",
        severity=Severity.CRITICAL,
        component=Component.GPU,
        hold="5m",
        linger="15m",
        summary=f"Node {{{{ $labels.{NODE.label} }}}} has {{{{ $value | printf `%.0f` }}}} fewer GPUs than "
        "it had",
        description=f"The driver lists {{{{ $value | printf `%.0f` }}}} fewer than within the last "
        f"{REMEMBERED}. Work may start on this node and find a GPU too few.",
        action="Compare `nvidia-smi -L` with `lspci -d 10de:` on the node, then cordon it.",
    )


def _overheating() -> Rule:
    margin = value(gpu.TEMPERATURE_MARGIN, PER_GPU, operator="min")
    return Rule(
        alert="GPUOverheating",
        expression=of_gpu(f"{margin} <= 0"),
        severity=Severity.CRITICAL,
        component=Component.GPU,
        hold="5m",
        linger="10m",
        summary=f"{WHICH} on {WHERE} is overheating and slowed down",
        description=f"{EXACTLY} has a temperature margin of {{{{ $value | printf `%.0f` }}}} degrees C: the "
        "driver is slowing it down to protect it. A few degrees more switch it off.",
        action="Check fans, airflow and inlet temperature; drain the node if the margin stays at 0 or below.",
        chosen=PER_GPU,
    )


def _near_limit() -> Rule:
    margin = value(gpu.TEMPERATURE_MARGIN, PER_GPU, operator="min")
    return Rule(
        alert="GPUNearThermalLimit",
        expression=of_gpu(f"{margin} > 0 < {MARGIN_LOW}"),
        severity=Severity.WARNING,
        component=Component.GPU,
        hold="10m",
        linger="10m",
        summary=f"{WHICH} on {WHERE} is near its thermal limit",
        description=f"{EXACTLY} has {{{{ $value | printf `%.0f` }}}} degrees C left before the driver slows "
        "it down. It still runs at full speed.",
        action="Compare with the node's other GPUs, then look at fans, airflow and inlet temperature.",
        chosen=PER_GPU,
    )
