"""Alerts about model servers."""

from typing import Final

from agent.catalogue import itself, serving
from agent.catalogue.attributes import COLLECTOR, COLLECTOR_STATUS, NODE, SERVER
from agent.catalogue.promql import PER_NODE, aggregate, labels, matches, select, value
from alerts.agent import SERVER_COLLECTORS
from alerts.rule import Component, Rule, Severity

PER_SERVER: Final = (SERVER, *PER_NODE)


def rules() -> tuple[Rule, ...]:
    """Return the rules."""
    return (_no_data(),)


def _no_data() -> Rule:
    which, where = (f"{{{{ $labels.{attribute.label} }}}}" for attribute in (SERVER, NODE))
    return Rule(
        alert="ModelServerNoData",
        expression=f"{value(serving.SERVER_UP, PER_SERVER)} == 0\n"
        f"or on ({labels(PER_SERVER)})\n{_collector_broken()}",
        severity=Severity.WARNING,
        component=Component.SERVING,
        hold="5m",
        linger="5m",
        summary=f"Model server {which} on node {where} gives no data",
        description="It is configured and has not given metrics for 5 minutes: it is down, still loading "
        "its model, or answers something that is not a known server's metrics. It may or may not be serving.",
        action="Send it a request; then look at its pod and at what its metrics URL answers.",
    )


def _collector_broken() -> str:
    """Find servers whose collector failed as a whole: then there is no reading that says 0."""
    broken = select(
        itself.COLLECTOR_STATE,
        matches(COLLECTOR, SERVER_COLLECTORS),
        matches(COLLECTOR_STATUS, "failed|stalled"),
    )
    server = f'label_replace({broken}, "{SERVER.label}", "$1", "{COLLECTOR.label}", "serving/(.+)")'
    return f"{aggregate('max', PER_SERVER, server)} == 1"
