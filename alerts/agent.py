"""Alerts about the agent: without it every other alert is silent, and silence looks like health."""

from typing import Final

from agent.catalogue import itself
from agent.catalogue.attributes import COLLECTOR, COLLECTOR_STATUS, NODE, PROBLEM
from agent.catalogue.promql import (
    PER_NODE,
    aggregate,
    differs,
    equals,
    labels,
    matches,
    select,
    value,
)
from alerts.rule import Component, Rule, Severity

REMEMBERED: Final = "6h"
"""How long a node whose agent is silent is remembered. A shorter time would end the alert while the trouble
lasts through the night, a longer one would keep warning of nodes that were taken away on purpose."""
GPU_COLLECTOR: Final = "nvml"
SERVER_COLLECTORS: Final = "serving/.+"
WEB_COLLECTOR: Final = "web"

_BROKEN: Final = matches(COLLECTOR_STATUS, "failed|stalled")
"""Not `unavailable`: a source that is not on the machine is no trouble."""
_WHERE: Final = f"node {{{{ $labels.{NODE.label} }}}}"


def rules() -> tuple[Rule, ...]:
    """Return the rules."""
    return (_no_agents(), _missing(), _driver_silent(), _collector_failing(), _web_file_broken())


def _no_agents() -> Rule:
    return Rule(
        alert="WarpwatchNoAgents",
        expression=f"absent({select(itself.INFO)})",
        severity=Severity.CRITICAL,
        component=Component.AGENT,
        hold="10m",
        linger="5m",
        summary="No Warpwatch agent reports: GPUs are not watched",
        description="Prometheus has no series of any agent. No other alert of Warpwatch can fire.",
        action="Check that the DaemonSet has pods and that Prometheus finds them as targets.",
        chosen=(),
    )


def _missing() -> Rule:
    """Compare with the recent past: what `up` is called, and whether there is one, depends on the road."""
    seen = aggregate("max", PER_NODE, f"last_over_time({select(itself.INFO, window=REMEMBERED)})")
    return Rule(
        alert="WarpwatchAgentMissing",
        expression=f"{seen}\nunless on ({labels(PER_NODE)})\n{value(itself.INFO, PER_NODE)}",
        severity=Severity.WARNING,
        component=Component.AGENT,
        hold="10m",
        linger="5m",
        summary=f"Warpwatch agent on {_WHERE} is missing",
        description=f"It reported within the last {REMEMBERED} and does not now. The node's GPUs and model "
        "servers are not watched. A node taken away on purpose looks the same, and is forgotten after "
        f"{REMEMBERED}.",
        action="Check whether the node is meant to exist, then its warpwatch pod.",
    )


def _driver_silent() -> Rule:
    state = value(itself.COLLECTOR_STATE, PER_NODE, equals(COLLECTOR, GPU_COLLECTOR), _BROKEN)
    return Rule(
        alert="GPUDriverNotAnswering",
        expression=f"{state} == 1",
        severity=Severity.CRITICAL,
        component=Component.GPU,
        hold="5m",
        linger="10m",
        summary=f"NVIDIA driver on {_WHERE} does not answer",
        description="The agent's NVML collector is failed or stalled: a call into the driver came back with "
        "an error or not at all. No GPU of the node is watched; most often one of them has died.",
        action="Run `timeout 20 nvidia-smi` on the node and read the kernel log for NVRM lines.",
    )


def _collector_failing() -> Rule:
    """Leave out what has an alert of its own: the driver and the model servers."""
    others = differs(COLLECTOR, f"{GPU_COLLECTOR}|{SERVER_COLLECTORS}")
    state = value(itself.COLLECTOR_STATE, (COLLECTOR, *PER_NODE), _BROKEN, others)
    which = f"{{{{ $labels.{COLLECTOR.label} }}}}"
    return Rule(
        alert="WarpwatchCollectorFailing",
        expression=f"{state} == 1",
        severity=Severity.WARNING,
        component=Component.AGENT,
        hold="5m",
        linger="10m",
        summary=f"Collector {which} on {_WHERE} gives no data",
        description=f"The source of collector {which} is there and fails, or a call to it hangs. What it "
        "measures is missing; everything else goes on.",
        action="Open the agent's status page or its log: it says what the source answered.",
    )


def _web_file_broken() -> Rule:
    """Tell of a renewal that failed while the old certificate is still good: later it is an outage."""
    counted = select(itself.COLLECTOR_PROBLEMS, equals(COLLECTOR, WEB_COLLECTOR), window="10m")
    problems = aggregate("sum", (PROBLEM, *PER_NODE), f"increase({counted})")
    return Rule(
        alert="WarpwatchWebFileBroken",
        expression=f"{problems} > 0",
        severity=Severity.WARNING,
        component=Component.AGENT,
        # Longer than the window, or a certificate and its key that were written one after the other would do.
        hold="15m",
        linger="10m",
        summary=f"A file that protects the endpoint on {_WHERE} is broken",
        description=f"{{{{ $labels.{PROBLEM.label} }}}}: a certificate, key, token or user file was replaced "
        "by something that cannot be used. What was read before stays in use, until it expires.",
        action="Read the log of the process: it names the file, what is wrong with it, and the fix.",
    )
