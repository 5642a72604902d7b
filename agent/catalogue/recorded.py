"""Series that Prometheus computes from ours: what they are called, and by what they are told apart.

The expressions live with the alerts, which is where rules are made; the names are here, because panels and
alerts ask for them. They follow Prometheus's own custom, ``level:what:how``: the level says by what a
series is told apart, ``how`` over which time it was computed.
"""

from dataclasses import dataclass
from typing import Final

from agent.catalogue.attributes import CLUSTER, MODEL, NODE, PROVIDER, SERVER, SLO
from agent.catalogue.metric import Attribute

SERVED: Final = (SERVER, PROVIDER, MODEL, NODE, CLUSTER)
"""A model on one server."""
HOLDER: Final = (SERVER, PROVIDER, NODE, CLUSTER)
"""A server: it holds GPUs, and nobody can say for which of its models."""
FLEET: Final = (MODEL, PROVIDER, CLUSTER)
"""A model on all servers of one kind in a cluster."""
PROMISED: Final = (SLO, MODEL, CLUSTER)
"""An objective and a model that it is about."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One recorded series; ``attributes`` are all of its labels, node and cluster included."""

    name: str
    description: str
    attributes: tuple[Attribute, ...]


def _served(what: str, description: str) -> Recorded:
    return Recorded(name=f"inference:{what}", description=description, attributes=SERVED)


def _holder(what: str, description: str) -> Recorded:
    return Recorded(name=f"inference:{what}", description=description, attributes=HOLDER)


def _fleet(what: str, description: str) -> Recorded:
    return Recorded(name=f"inference_model:{what}", description=description, attributes=FLEET)


REQUESTS = _served("requests:rate5m", "Requests a second that ended.")
ERRORS = _served(
    "errors:ratio_rate5m",
    "Share of the requests that ended in an error of the server's; absent where it counts none.",
)
TOKENS = _served("tokens_generated:rate5m", "Tokens generated a second.")
QUEUED = _served(
    "queue:ratio",
    "Requests that wait, as a share of those that wait or run; 0 where there are none.",
)

QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
LATENCIES: Final = {
    "time_to_first_token": "Time to the first token",
    "inter_token_latency": "Time between tokens",
    "request_duration": "Duration of requests",
}
_OF_BUCKETS: Final = (
    "by the server's own buckets: within a bucket it is interpolated, and beyond the last bound it is that "
    "bound."
)
SERVED_LATENCY: Final = {
    (signal, word): _served(f"{signal}_seconds:{word}_rate5m", f"{said}, {word}, {_OF_BUCKETS}")
    for signal, said in LATENCIES.items()
    for word in QUANTILES
}
FLEET_LATENCY: Final = {
    (signal, word): _fleet(
        f"{signal}_seconds:{word}_rate5m",
        f"{said} over all servers, {word}, {_OF_BUCKETS} Absent where servers differ in their buckets.",
    )
    for signal, said in LATENCIES.items()
    for word in QUANTILES
}

GPUS = _holder("gpus:sum", "GPUs that the server holds; of those it shares, its share.")
POWER = _holder(
    "power_watts:rate5m",
    "Power of the server's GPUs, of shared ones its share; absent while one of them does not tell.",
)
COST = _holder(
    "cost_per_hour:sum",
    "Price of an hour of the server's GPUs, of shared ones its share; absent while one has no price.",
)
KV_CACHE = _holder(
    "kv_cache_bytes_per_gpu:max",
    "KV cache on each of the server's GPUs; where its engines differ, that of the largest.",
)
TOKENS_PER_GPU_SECOND = _holder(
    "tokens_per_gpu_second:rate5m",
    "Tokens generated per second and GPU that the server holds; absent for the first five minutes.",
)
TOKENS_PER_JOULE = _holder(
    "tokens_per_joule:rate5m",
    "Tokens generated per joule of the server's GPUs, idle time included.",
)
COST_PER_MILLION = _holder(
    "cost_per_million_tokens:rate5m",
    "Price of the server's GPUs per million tokens generated, idle time included; absent while it "
    "generates none.",
)
MODEL_TOKENS_PER_GPU_SECOND = _fleet(
    "tokens_per_gpu_second:rate5m",
    "As inference:, over all servers of the cluster that have this model alone.",
)
MODEL_TOKENS_PER_JOULE = _fleet(
    "tokens_per_joule:rate5m",
    "As inference:, over all servers of the cluster that have this model alone.",
)
MODEL_COST_PER_MILLION = _fleet(
    "cost_per_million_tokens:rate5m",
    "As inference:, over all servers of the cluster that have this model alone.",
)

SLO_WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
SLO_RATIOS: Final = {
    window: Recorded(
        name=f"inference_slo:bad:ratio_rate{window}",
        description=f"Share of the events of the last {window} that were not good.",
        attributes=PROMISED,
    )
    for window in SLO_WINDOWS
}
SLO_EVENTS: Final = {
    window: Recorded(
        name=f"inference_slo:events:increase{window}",
        description=f"Events of the last {window} that the objective is about.",
        attributes=PROMISED,
    )
    for window in ("1h", "6h", "1d", "3d")
}
BURN_BASE: Final = 30 * 24 * 3600
"""Seconds of the objective's window that `BURN_RATES` are for; those of another window scale with it."""
BURN_RATES: Final = {"1h": 14.4, "6h": 6.0, "1d": 3.0, "3d": 1.0}
"""How many times faster than allowed a budget may burn over each window before an alert fires: the Site
Reliability Workbook's, chapter 5. Alerts and dashboards go by these."""
OUTAGE: Final = 0.95
"""Share of bad events that is always fast enough: a loose objective would ask for more than all of them."""

RECORDED: Final = (
    REQUESTS,
    ERRORS,
    TOKENS,
    QUEUED,
    *SERVED_LATENCY.values(),
    *FLEET_LATENCY.values(),
    GPUS,
    POWER,
    COST,
    KV_CACHE,
    TOKENS_PER_GPU_SECOND,
    TOKENS_PER_JOULE,
    COST_PER_MILLION,
    MODEL_TOKENS_PER_GPU_SECOND,
    MODEL_TOKENS_PER_JOULE,
    MODEL_COST_PER_MILLION,
    *SLO_RATIOS.values(),
    *SLO_EVENTS.values(),
)
