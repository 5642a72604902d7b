"""Metrics of service level objectives: what was good, of how much, and what was promised.

The objective is data beside the counters, so that one set of burn-rate rules serves every objective that
somebody puts into the configuration.
"""

from typing import Final

from agent.catalogue.attributes import MODEL, PROVIDER, SERVER, SLO, SLO_SIGNAL
from agent.catalogue.metric import Kind, Metric

_COUNTED: Final = (SLO, SERVER, PROVIDER, MODEL)

SLO_GOOD: Final = Metric(
    name="inference.slo.good",
    kind=Kind.COUNTER,
    unit="{event}",
    description="Events since the agent first saw the server that kept the objective: not slower than "
    "`inference.slo.threshold`, or, for availability, finished without an error.",
    attributes=_COUNTED,
    group="serving",
)
SLO_TOTAL: Final = Metric(
    name="inference.slo.total",
    kind=Kind.COUNTER,
    unit="{event}",
    description="Events that the objective is about: observations of the signal, or, for availability, "
    "requests that ended, were refused or failed. Never less than the good ones.",
    attributes=_COUNTED,
    group="serving",
)
SLO_THRESHOLD: Final = Metric(
    name="inference.slo.threshold",
    kind=Kind.GAUGE,
    unit="s",
    description="The bound that good is counted by: the greatest one of the server's own histogram that "
    "is not above the configured threshold.",
    attributes=_COUNTED,
    group="serving",
)
SLO_OBJECTIVE: Final = Metric(
    name="inference.slo.objective",
    kind=Kind.GAUGE,
    unit="1",
    description="The share of events that must be good, as configured.",
    attributes=(SLO, SLO_SIGNAL),
    group="serving",
)
SLO_WINDOW: Final = Metric(
    name="inference.slo.window",
    kind=Kind.GAUGE,
    unit="s",
    description="The time over which the objective must be kept, as configured.",
    attributes=(SLO,),
    group="serving",
)

METRICS: Final = (SLO_GOOD, SLO_TOTAL, SLO_THRESHOLD, SLO_OBJECTIVE, SLO_WINDOW)
