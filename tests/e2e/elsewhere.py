"""Which metrics the node of eight simulated H100 cannot have: some another node has, some no simulation.

By metric and never by panel or rule: what is shipped over any other metric has to find data.
"""

from collections.abc import Mapping
from typing import Any, Final

from agent.catalogue import (
    Metric,
    gpu_errors,
    gpu_health,
    gpu_mig,
    gpu_work,
    probe,
    serving_gpu,
    window,
)

OLD_NODE: Final = "gpu-node-08"
WORKSTATION: Final = "workstation-01"
OTHER_NODES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    OLD_NODE: ("2xV100", {"distributions": True}),
    WORKSTATION: ("1xRTX-6000-ADA", {}),
}
"""By the node's name: what it simulates, and its settings."""

ON_OTHER_NODES: Final[Mapping[Metric, str]] = {
    gpu_health.RETIRED_PAGES: OLD_NODE,
    gpu_health.RETIRED_PAGES_PENDING: OLD_NODE,
    gpu_health.FAN_SPEED: WORKSTATION,
    window.UTILIZATION_DISTRIBUTION: OLD_NODE,
    window.POWER_DISTRIBUTION: OLD_NODE,
}
"""An H100 replaces rows and not pages, and has no fan; the histograms are made where they are asked for."""

_UNDIVIDED: Final = "no simulated GPU is divided by MIG"
_IN_SUM: Final = "simulated NVLinks are told in sum and not link by link"
NOWHERE: Final[Mapping[Metric, str]] = {
    **dict.fromkeys(gpu_mig.METRICS, _UNDIVIDED),
    gpu_work.NVLINK_LINK_STATE: _IN_SUM,
    gpu_work.NVLINK_LINK_IO: _IN_SUM,
    gpu_work.NVLINK_LINK_BANDWIDTH: _IN_SUM,
    gpu_work.NVLINK_LINK_ERRORS: _IN_SUM,
    **dict.fromkeys(
        (probe.SUCCESS, probe.FAILURES),
        "servers that are played back cannot be probed; real ones are",
    ),
    serving_gpu.KV_CACHE_SIZE: "neither vLLM nor Triton tells its KV cache in bytes",
    gpu_errors.SXID_EVENTS: "SXIDs come from the kernel log, which a simulated node does not have",
}
"""What no simulated node has, and why."""
