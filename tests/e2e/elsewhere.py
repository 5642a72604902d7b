"""Which metrics the node of eight simulated H100 cannot have: some another node has, some no simulation.

By metric and never by panel or rule: what is shipped over any other metric has to find data.
"""

from collections.abc import Mapping
from typing import Any, Final

from agent.catalogue import (
    Attribute,
    Metric,
    gpu_errors,
    gpu_health,
    gpu_mig,
    gpu_work,
    itself,
    probe,
    serving_gpu,
    system,
    window,
)
from agent.catalogue.attributes import RECOVERY_ACTION

OLD_NODE: Final = "gpu-node-08"
WORKSTATION: Final = "workstation-01"
DIVIDED: Final = "gpu-node-09"
OTHER_NODES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    OLD_NODE: ("2xV100", {"distributions": True}),
    WORKSTATION: ("1xRTX-6000-ADA", {}),
    DIVIDED: ("2xH100/3g.40gb+4x1g.10gb", {"nvlink_links": True}),
}
"""By the node's name: what it simulates, and its settings."""

ON_OTHER_NODES: Final[Mapping[Metric, str]] = {
    gpu_health.RETIRED_PAGES: OLD_NODE,
    gpu_health.RETIRED_PAGES_PENDING: OLD_NODE,
    gpu_health.FAN_SPEED: WORKSTATION,
    window.UTILIZATION_DISTRIBUTION: OLD_NODE,
    window.POWER_DISTRIBUTION: OLD_NODE,
    **dict.fromkeys(gpu_mig.METRICS, DIVIDED),
    gpu_work.NVLINK_LINK_STATE: DIVIDED,
    gpu_work.NVLINK_LINK_IO: DIVIDED,
    gpu_work.NVLINK_LINK_BANDWIDTH: DIVIDED,
    gpu_work.NVLINK_LINK_ERRORS: DIVIDED,
    itself.WEB_REFUSED: WORKSTATION,
}
"""An H100 replaces rows and not pages, has no fan, and is not divided unless it is asked for; histograms and
single NVLinks are told where they are asked for, and who is refused where somebody is asked."""

PROTECTED: Final = WORKSTATION
"""The node whose endpoint wants a token."""

NOWHERE: Final[Mapping[Metric, str]] = {
    **dict.fromkeys(
        (probe.SUCCESS, probe.FAILURES),
        "servers that are played back cannot be probed; real ones are",
    ),
    serving_gpu.KV_CACHE_SIZE: "neither vLLM nor Triton tells its KV cache in bytes",
    gpu_errors.SXID_EVENTS: "SXIDs come from the kernel log, which a simulated node does not have",
    system.OOM_KILLS: "so do the processes that the kernel killed",
}
"""What no simulated node has, and why."""

STATES: Final[Mapping[Metric, Attribute]] = {gpu_health.RECOVERY: RECOVERY_ACTION}
"""States of which a word has a series once it was so (docs/adr/0013-what-is-told-how-often.md): the simulated
node that is looked at never needs to recover, so a selector of words is asked for without its choice."""
