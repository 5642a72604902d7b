"""Alerts about the node's own memory: what ends work on a GPU that is well."""

from typing import Final

from agent.catalogue import system
from agent.catalogue.attributes import OOM_LIMIT
from agent.catalogue.promql import PER_NODE
from alerts.growth import grown
from alerts.identity import WHERE
from alerts.rule import HEALTH_DASHBOARD, Component, Rule, Severity

_WHOSE: Final = f'{{{{ or $labels.{OOM_LIMIT.label} "limit unknown" }}}}'


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
        summary=f"Process killed, out of memory ({_WHOSE}) on {WHERE}",
        description="The kernel ended it: the node was out of memory (host) or a container at its limit "
        "(cgroup), not a GPU. A training job ends so when its data loaders or its checkpoint grow.",
        action="Read the agent's event system.oom_kill for the process and its container; then see whether "
        "the container's memory grew until its limit.",
        dashboard=HEALTH_DASHBOARD,
    )
