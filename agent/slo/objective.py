"""What somebody promised about a model, and whom it concerns."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from agent.catalogue import Metric, serving

AVAILABILITY: Final = "availability"
LATENCIES: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        "time_to_first_token": serving.TIME_TO_FIRST_TOKEN,
        "request_duration": serving.REQUEST_DURATION,
        "inter_token_latency": serving.INTER_TOKEN_LATENCY,
        "time_per_output_token": serving.TIME_PER_OUTPUT_TOKEN,
        "queue": serving.QUEUE_DURATION,
    }
)
"""The histograms that signals are counted from, by signal; availability is counted from counters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """That of all events of ``signal`` at least the share ``target`` is good, over ``window`` seconds.

    ``model`` and ``server`` are names or patterns (``*``, ``?``, ``[...]``), case as it is. ``threshold``
    is in seconds, and `None` for availability alone.
    """

    name: str
    signal: str
    target: float
    window: float
    model: str = "*"
    server: str = "*"
    threshold: float | None = None

    def covers(self, server: str, model: str) -> bool:
        """Whether the objective is about this model of this server."""
        return fnmatchcase(model, self.model) and fnmatchcase(server, self.server)
