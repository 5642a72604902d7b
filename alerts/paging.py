"""The Alertmanager configuration: who is told of what, and what is kept quiet because it follows from it."""

from typing import Any, Final

from agent.catalogue.attributes import CLUSTER, DRIFT_MODEL, HW_ID, MODEL, NODE, SERVER
from agent.catalogue.promql import PER_NODE
from agent.catalogue.recorded import PROMISED
from agent.catalogue.recorded_drift import PER_FEATURE
from alerts.rule import Severity
from alerts.slo import BURNS

KEY_FILE: Final = "/etc/alertmanager/secrets/pagerduty-routing-key"
"""File with the integration key of a PagerDuty service (Events API v2)."""
TEMPLATES: Final = "*.tmpl"
"""Relative to the configuration file."""

_PLACE: Final = [attribute.label for attribute in PER_NODE]
_PROMISE: Final = [attribute.label for attribute in PROMISED]
_FEATURE: Final = [attribute.label for attribute in PER_FEATURE]


def configuration() -> dict[str, Any]:
    """Return the configuration.

    One page per cluster, node and component: a fault on a node is one incident, however many GPUs tell of
    it. Drift belongs to no node but to a model, and is one incident, however many of its features drift.
    The two severities are routes of their own, so that an open warning never swallows a page: PagerDuty
    knows an incident by a key that is made of route and group.
    """
    return {
        "templates": [TEMPLATES],
        "route": {
            "receiver": "pagerduty",
            "group_by": [CLUSTER.label, NODE.label, "component", DRIFT_MODEL.label],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "4h",
            "routes": [
                {"matchers": [f'severity="{severity.value}"'], "receiver": "pagerduty"}
                for severity in Severity
            ],
        },
        "inhibit_rules": _inhibitions(),
        "receivers": [{"name": "pagerduty", "pagerduty_configs": [_pagerduty()]}],
    }


def _inhibitions() -> list[dict[str, Any]]:
    """Mute what follows from something worse on the same node.

    The effects have names of their own, and no rule mutes its own source: with a general "critical mutes
    warning" one GPU's page would hide another's trouble.
    """
    return [
        # All agents gone is one page, not one warning per node.
        _mutes("WarpwatchNoAgents", "WarpwatchAgentMissing", equal=["component"]),
        _mutes(
            "WarpwatchAgentMissing", "ModelServerNoData|WarpwatchCollectorFailing", equal=_PLACE
        ),
        # dcgm-exporter asks the same driver.
        _mutes("GPUDriverNotAnswering", "WarpwatchCollectorFailing", equal=_PLACE),
        _mutes(
            "GPUOverheating",
            "GPUNearThermalLimit|GPUThrottledByHardware",
            equal=[HW_ID.label, *_PLACE],
        ),
        _mutes("GPURowRemapFailure", "GPURowRemapPending", equal=[HW_ID.label, *_PLACE]),
        # A burst is told by the GPU where one is known, and a bad one need not be told twice.
        _mutes("GPUFatalXid", "GPUXidBurst|GPUXidBurstTicket", equal=_PLACE),
        _mutes("GPUXidBurst", "GPUXidBurstTicket", equal=_PLACE),
        # The faster an objective burns, the more of the slower alerts follow from it.
        *(
            _mutes(fast.alert, "|".join(slow.alert for slow in BURNS[place:]), equal=_PROMISE)
            for place, fast in enumerate(BURNS[:-1], 1)
        ),
        # Where values are missing, the shares of all bins are others.
        _mutes("ModelFeatureMissing", "ModelFeatureShapeChanged", equal=_FEATURE),
        # A server that does nothing has a queue that grows.
        _mutes("ModelServerHung", "ModelQueueGrowing", equal=[SERVER.label, MODEL.label, *_PLACE]),
    ]


def _mutes(source: str, target: str, *, equal: list[str]) -> dict[str, Any]:
    return {
        "source_matchers": [f'alertname="{source}"'],
        "target_matchers": [f'alertname=~"{target}"'],
        "equal": equal,
    }


def _pagerduty() -> dict[str, Any]:
    return {
        "routing_key_file": KEY_FILE,
        "send_resolved": True,
        "severity": _template("severity"),
        "source": _template("source"),
        "client": "Warpwatch",
        "client_url": _template("dashboard"),
        "description": _template("summary"),
        "class": _template("class"),
        "component": "{{ .GroupLabels.component }}",
        "group": f"{{{{ .GroupLabels.{CLUSTER.label} }}}}",
        "links": [
            {"href": _template("runbook"), "text": "Runbook"},
            {"href": _template("dashboard"), "text": "Dashboard"},
        ],
        "details": {
            "what": _template("details"),
            "action": _template("action"),
            "runbook": _template("runbook_text"),
            # Empty, because the built-in ones list every label of every alert; past 512 KB Alertmanager
            # throws all details away.
            "firing": "",
            "resolved": "",
        },
    }


def _template(name: str) -> str:
    return f'{{{{ template "warpwatch.{name}" . }}}}'
