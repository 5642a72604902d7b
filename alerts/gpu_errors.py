"""Alerts about what the driver reported, and about applications that ran out of GPU memory."""

from typing import Final

from agent.catalogue import Attribute, gpu, gpu_errors
from agent.catalogue.attributes import CONFIDENCE, HW_ID, NODE, URGENCY, XID
from agent.catalogue.promql import (
    PER_GPU,
    PER_NODE,
    aggregate,
    equals,
    matches,
    select,
)
from alerts.growth import grown
from alerts.identity import EXACTLY, WHERE, WHICH, of_gpu
from alerts.rule import HEALTH_DASHBOARD, Component, Rule, Severity

_LOOK_BACK: Final = "15m"
"""How far back codes are looked up: longer than the alerts' own window, so that it finds what they saw."""


def rules() -> tuple[Rule, ...]:
    """Return the rules."""
    return (_fatal_xid(), _burst(), _burst_ticket(), _out_of_memory())


def _codes(of: Attribute) -> str:
    """Return a template that lists the codes of late, each with a space before it.

    Asked for when the alert is told and not carried as labels: a burst brings codes one after another, and
    each would begin another alert. Also finds codes whose counters were born above 0.
    """
    seen = select(gpu.XID_EVENTS, equals(of, "%s"))
    before = f"{seen} offset {_LOOK_BACK}"
    late = aggregate("max", (XID,), f"{seen} > 0 unless {before}")
    window = select(gpu.XID_EVENTS, equals(of, "%s"), window=_LOOK_BACK)
    grew = aggregate("max", (XID,), f"increase({window}) > 0")
    asked = f"{grew} or {late}".replace("%s", "%[1]s")
    return (
        f"{{{{ range query (printf `{asked}` $labels.{of.label}) | sortByLabel `{XID.label}` }}}}"
        f" {{{{ .Labels.{XID.label} }}}}{{{{ end }}}}"
    )


def _fatal_xid() -> Rule:
    """Go by urgency and not by a list of codes: the policy in force at the agent has decided."""
    codes = _codes(HW_ID)
    return Rule(
        alert="GPUFatalXid",
        expression=of_gpu(grown(gpu_errors.XID_FAULTS, PER_GPU, equals(URGENCY, "page"))),
        severity=Severity.CRITICAL,
        component=Component.GPU,
        hold="0s",
        linger="30m",
        subject=f"XID{codes}",
        summary=f"XID{codes} on {WHICH}, {WHERE}",
        description=f"{EXACTLY}. The driver reported an error after which the GPU needs a reset, a reboot "
        "or a decision. Work on it has failed or cannot be trusted.",
        action="Cordon the node and look up the XID in the runbook.",
        dashboard=HEALTH_DASHBOARD,
        chosen=PER_GPU,
    )


def _burst() -> Rule:
    """Catch what no GPU can be named for: a fatal error of an NVSwitch, an XID of an unknown address."""
    return Rule(
        alert="GPUXidBurst",
        expression=grown(gpu_errors.XID_BURSTS, PER_NODE, equals(URGENCY, "page")),
        severity=Severity.CRITICAL,
        component=Component.GPU,
        hold="0s",
        linger="30m",
        summary=f"Burst of fatal GPU or NVSwitch errors on {WHERE}",
        description=f"The worst of them pages. XIDs on the node within {_LOOK_BACK}:{_codes(NODE)}. "
        "Where a GPU is known, GPUFatalXid names it and this alert is muted; an error of an NVSwitch "
        "concerns all GPUs of its fabric.",
        action="Cordon the node and read the first XID or SXid line of the burst in the kernel log.",
        dashboard=HEALTH_DASHBOARD,
    )


def _burst_ticket() -> Rule:
    return Rule(
        alert="GPUXidBurstTicket",
        expression=grown(gpu_errors.XID_BURSTS, PER_NODE, equals(URGENCY, "ticket")),
        severity=Severity.WARNING,
        component=Component.GPU,
        hold="0s",
        linger="1h",
        summary=f"GPU errors on {WHERE} want a look",
        description="A burst of errors, none of which pages, and one at least of which somebody should look "
        f"into. XIDs on the node within {_LOOK_BACK}:{_codes(NODE)}.",
        action="Look up the XIDs in the runbook; plan what they ask for with the next drain.",
        dashboard=HEALTH_DASHBOARD,
    )


def _out_of_memory() -> Rule:
    sure = matches(CONFIDENCE, "high|medium")
    return Rule(
        alert="GPUOutOfMemory",
        expression=of_gpu(grown(gpu.OOM_EVENTS, PER_GPU, sure)),
        severity=Severity.WARNING,
        component=Component.GPU,
        hold="0s",
        linger="15m",
        summary=f"Out of memory on {WHICH}, {WHERE}",
        description=f"{EXACTLY}. A process that held the memory nearly full vanished: most likely it ran out "
        "of GPU memory. This is inferred; guesses of low confidence are left out.",
        action="Read the agent's event gpu.oom for the process, then its log; the dashboard shows whether "
        "the memory grew until then.",
        chosen=PER_GPU,
    )
