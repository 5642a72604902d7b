"""What an alert rule is: one frozen record that knows how to become YAML."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from agent.catalogue import Attribute
from agent.catalogue.attributes import (
    CLUSTER,
    DRIFT_MODEL,
    FEATURE,
    HW_ID,
    MODEL,
    NODE,
    SERVER,
)
from agent.catalogue.promql import PER_NODE

RUNBOOKS: Final = "runbooks"
"""Folder of the runbooks, beside the rules: what a link to one starts with where no base is given."""
NODE_DASHBOARD: Final = "/d/warpwatch-gpu-node"
"""Path of the GPU node dashboard in any Grafana; its uid never changes."""
DRIFT_DASHBOARD: Final = "/d/warpwatch-drift"
"""Path of the drift dashboard."""
HEALTH_DASHBOARD: Final = "/d/warpwatch-gpu-health"
"""Path of the GPU health dashboard."""
MODELS_DASHBOARD: Final = "/d/warpwatch-inference"
"""Path of the dashboard of all models."""
SERVER_DASHBOARD: Final = "/d/warpwatch-inference-server"
"""Path of the dashboard of one model server."""


_VARIABLES: Final = {
    CLUSTER.label: "cluster",
    NODE.label: "node",
    HW_ID.label: "gpu",
    DRIFT_MODEL.label: "model",
    FEATURE.label: "feature",
    SERVER.label: "server",
    MODEL.label: "model",
}
"""What the dashboard calls its variables."""


class Severity(Enum):
    """What to do about it: wake somebody, or look during the day."""

    CRITICAL = "critical"
    WARNING = "warning"


class Component(Enum):
    """What is broken; alerts of one node and component are one page."""

    GPU = "gpu"
    AGENT = "agent"
    SERVING = "serving"
    MODEL = "model"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One alert.

    ``alert`` is unique: a second severity of the same trouble is a rule of its own, because Alertmanager
    tells alerts apart, and inhibits them, by labels. ``hold`` is how long the expression must be true
    before it fires, ``linger`` how long it goes on firing after that, both as Prometheus durations.
    ``summary`` is the line on the pager, ``subject`` the few words of it, beside the GPU, that tell one such
    alert from another where a page has several; ``action`` is the first thing to do. ``dashboard`` is
    the path of the one that shows more, ``chosen`` are the labels by which the link opens it.
    """

    alert: str
    expression: str
    severity: Severity
    component: Component
    hold: str
    linger: str
    summary: str
    description: str
    action: str
    subject: str = ""
    dashboard: str = NODE_DASHBOARD
    chosen: tuple[Attribute, ...] = PER_NODE

    @property
    def runbook(self) -> str:
        """The runbook's file name."""
        return f"{self.alert}.md"

    def as_yaml(self, runbook_base: str, dashboard_base: str) -> dict[str, Any]:
        """Return the rule in the shape that Prometheus reads; the bases are what links start with."""
        return {
            "alert": self.alert,
            "expr": self.expression,
            "for": self.hold,
            "keep_firing_for": self.linger,
            "labels": {"severity": self.severity.value, "component": self.component.value},
            "annotations": {
                **({"subject": self.subject} if self.subject else {}),
                "summary": self.summary,
                "description": self.description,
                "action": self.action,
                "runbook_url": f"{runbook_base.rstrip('/')}/{self.runbook}",
                "dashboard_url": f"{dashboard_base.rstrip('/')}{self.dashboard}{self._query()}",
            },
        }

    def _query(self) -> str:
        parts = (
            f"var-{_VARIABLES[attribute.label]}={{{{ $labels.{attribute.label} | urlquery }}}}"
            for attribute in self.chosen
        )
        return f"?{'&'.join(parts)}" if self.chosen else ""
