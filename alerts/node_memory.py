"""Alerts about the node's own memory: what ends work on a GPU that is well."""

from typing import Final

from agent.catalogue import system
from agent.catalogue.attributes import OOM_LIMIT
from agent.catalogue.promql import PER_NODE
from alerts.growth import grown
from alerts.identity import WHERE
from alerts.rule import HEALTH_DASHBOARD, Component, Rule, Severity

_LIMIT: Final = f"$labels.{OOM_LIMIT.label}"
_WHOSE: Final = (
    f'{{{{ if eq {_LIMIT} "cgroup" }}}}a container\'s limit'
    f'{{{{ else if eq {_LIMIT} "host" }}}}the node\'s memory'
    "{{ else }}memory{{ end }}"
)


def rules() -> tuple[Rule, ...]:
    """Return the rules."""
    return (_killed(),)


def _killed() -> Rule:
    return Rule(
        alert="NodeOutOfMemoryKill",
        expression=grown(system.OOM_KILLS, (*PER_NODE, OOM_LIMIT)),
        severity=Severity.WARNING,
        component=Component.GPU,
        hold="0s",
        linger="15m",
        subject=_WHOSE,
        summary=f"The kernel killed a process for want of memory ({_WHOSE}) on {WHERE}",
        description="It is the node's memory that was out, or a container's share of it, and not a GPU's. A "
        "training job ends so when its data loaders or its checkpoint grow.",
        action="Read the agent's event system.oom_kill for the process and its container; then see whether "
        "the container's memory grew until its limit.",
        dashboard=HEALTH_DASHBOARD,
    )
