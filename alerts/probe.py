"""Alerts about the black-box probe: the server does not answer what a user would ask.

One pages: a server that answered until lately, whose metrics are fine, does not answer any more. All else
that keeps a probe from its answer is for working hours: it never worked, it is not let in, or the metrics
are gone as well.
"""

from typing import Final

from agent.catalogue import probe, serving
from agent.catalogue.attributes import NODE, PROBE_FAILURE, SERVER
from agent.catalogue.promql import aggregate, labels, matches, rate, select, value
from alerts.rule import SERVER_DASHBOARD, Component, Rule, Severity
from alerts.serving import PER_SERVER

_BEFORE: Final = "6h"
"""How long ago a probe may have succeeded for its failure to be a change."""
_OF_OURS: Final = matches(PROBE_FAILURE, "unauthorized|no_input|redirect")
"""Failures that say more about the probe's configuration than about the server."""
_LATELY: Final = "15m"


def rules() -> tuple[Rule, ...]:
    """Return the rules."""
    return (_unanswered(), _failing())


def _failing_now() -> str:
    return f"{value(probe.SUCCESS, PER_SERVER)} == 0"


def _stopped_answering() -> str:
    """Find servers that give metrics and stopped answering, for no reason that lies with the probe."""
    same = f"on ({labels(PER_SERVER)})"
    before = select(probe.SUCCESS, window=_BEFORE)
    answered = aggregate("max", PER_SERVER, f"max_over_time({before})")
    ours = rate(probe.FAILURES, PER_SERVER, _OF_OURS, window=_LATELY, function="increase")
    return (
        f"{_failing_now()}\n"
        f"and {same} {answered} == 1\n"
        f"and {same} {value(serving.SERVER_UP, PER_SERVER)} == 1\n"
        f"unless {same} {ours} > 0"
    )


def _unanswered() -> Rule:
    which, where = (f"{{{{ $labels.{attribute.label} }}}}" for attribute in (SERVER, NODE))
    return Rule(
        alert="ModelServerProbeUnanswered",
        expression=_stopped_answering(),
        severity=Severity.CRITICAL,
        component=Component.SERVING,
        dashboard=SERVER_DASHBOARD,
        chosen=PER_SERVER,
        hold="2m",
        linger="5m",
        summary=f"Model server {which} on node {where} does not answer requests",
        subject=f"{which} does not answer",
        description="Its metrics are fine, and a small request of our own, which it answered within the "
        "last 6 hours, has not been answered as it should be for 2 minutes: it hangs, or it fails.",
        action="Send it a request yourself; if it hangs, take it out of the load balancer and restart it.",
    )


def _failing() -> Rule:
    which, where = (f"{{{{ $labels.{attribute.label} }}}}" for attribute in (SERVER, NODE))
    return Rule(
        alert="ModelServerProbeFailing",
        expression=f"{_failing_now()}\nunless on ({labels(PER_SERVER)}) (\n{_stopped_answering()}\n)",
        severity=Severity.WARNING,
        component=Component.SERVING,
        dashboard=SERVER_DASHBOARD,
        chosen=PER_SERVER,
        hold="10m",
        linger="5m",
        summary=f"The probe of model server {which} on node {where} fails",
        subject=f"probe of {which} fails",
        description="It has failed for 10 minutes. It never succeeded, or it is not let in, or the server's "
        "metrics are gone as well.",
        action="Look at the failure's name: a wrong model, URL or token is corrected in the configuration.",
    )
