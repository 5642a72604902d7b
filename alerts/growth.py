"""Counters that grew, without losing those that Prometheus first sees above 0.

`increase()` knows no growth before a series' first sample. An agent that starts and reads what the kernel
logged while it was away may have counted before it is scraped: its counters begin with the agent, so while
the agent is young, all that they have counted is new.
"""

from collections.abc import Sequence
from typing import Final

from agent.catalogue import Attribute, Metric, itself
from agent.catalogue.promql import PER_NODE, Condition, labels, rate, value

WINDOW: Final = "10m"
"""How far back something counts as new: longer than any gap of an agent that restarts."""
_WINDOW_SECONDS: Final = 600


def grown(metric: Metric, by: Sequence[Attribute], *conditions: Condition) -> str:
    """Return what grew within `WINDOW`, per ``by``, of a counter that begins at 0 with the agent.

    ``by`` holds the node. The least value is taken of what an agent that ended and its successor tell,
    because only the successor is young.
    """
    seen = rate(metric, by, *conditions, window=WINDOW, function="increase")
    counted = value(metric, by, *conditions, operator="min")
    young = f"{value(itself.PROCESS_UPTIME, PER_NODE, operator='min')} < {_WINDOW_SECONDS}"
    return (
        f"({seen} > 0\nor on ({labels(by)}) ({counted} > 0 and on ({labels(PER_NODE)}) ({young})))"
    )
