"""Metrics of the node itself, where they tell why work on its GPUs ended."""

from typing import Final

from agent.catalogue.attributes import OOM_LIMIT
from agent.catalogue.metric import Kind, Metric

OOM_KILLS: Final = Metric(
    name="system.memory.oom_kills",
    kind=Kind.COUNTER,
    unit="{process}",
    description="Processes that the kernel killed for want of memory of the node or of their control group, "
    "by the kernel log; not of a GPU.",
    attributes=(OOM_LIMIT,),
    group="system",
)

METRICS: Final = (OOM_KILLS,)
