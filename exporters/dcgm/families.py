"""What dcgm-exporter would call our series: a family per field, with DCGM's own type.

Made from the table by which its pages are read (`agent.collectors.dcgm.fields`), so that what is written
here reads back as it was. The name that everybody uses is written, not the one that DCGM 4.6 gave.
Masks of throttle reasons are not written: DCGM's has bits for idling and for user settings, which we do
not have, and a mask without them would say what is not so.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from agent.catalogue import Kind, Metric, gpu, gpu_health, gpu_mig, gpu_work
from agent.collectors.dcgm.errors import TOTAL
from agent.collectors.dcgm.field import NVLINK_RATE, Field, States
from agent.collectors.dcgm.fields import FIELDS, STATES


class Family(NamedTuple):
    """A family as dcgm-exporter declares it; ``field`` converts its values, where one does."""

    name: str
    kind: str
    help: str
    field: Field


SeriesOfGpu = tuple[Metric, tuple[str, ...]]
"""A metric and its attributes without the GPU's id."""


def _family(field: Field) -> Family:
    counter = field.counter or field.metric.kind is Kind.COUNTER
    unit = f" Unit: {field.unit.name}." if field.unit.name else ""
    kind = "counter" if counter else "gauge"
    return Family(field.names[0], kind, f"{field.metric.description}{unit}", field)


def _by_series(families: tuple[Family, ...]) -> Mapping[SeriesOfGpu, tuple[Family, ...]]:
    found: dict[SeriesOfGpu, tuple[Family, ...]] = {}
    for family in families:
        key = (family.field.metric, family.field.attributes)
        found[key] = (*found.get(key, ()), family)
    return found


_OF_FIELDS: Final = tuple(_family(field) for field in FIELDS)
NVLINK_BANDWIDTH: Final = Family(
    "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL",
    "counter",
    f"Rate over all NVLinks, both directions together (no counter, whatever its type). "
    f"Unit: {NVLINK_RATE.name}.",
    Field(names=(), metric=gpu_work.NVLINK_THROUGHPUT, unit=NVLINK_RATE),
)
XID: Final = Family(
    "DCGM_FI_DEV_XID_ERRORS",
    "gauge",
    "Number of the last XID since the agent started, 0 before the first.",
    Field(names=(), metric=gpu.XID_EVENTS),
)


def _of_states(states: States) -> Family:
    """Return the family of a field that holds the number of a state."""
    numbers = ", ".join(f"{number} {word}" for number, word in states.states)
    field = Field(names=states.names, metric=states.metric)
    return Family(
        states.names[0], "gauge", f"{states.metric.description} Values: {numbers}.", field
    )


NUMBERED: Final[Mapping[Metric, tuple[Family, Mapping[str, int]]]] = {
    states.metric: (_of_states(states), {word: number for number, word in states.states})
    for states in STATES
    if not states.mask
}
"""Fields that hold the number of a state: family and number by our word."""
FAMILIES: Final = (
    *_OF_FIELDS,
    *(family for family, _ in NUMBERED.values()),
    NVLINK_BANDWIDTH,
    XID,
)
"""All of them, in the order in which they are written."""
BY_SERIES: Final = _by_series(_OF_FIELDS)

_OF_INSTANCES: Final = {
    gpu_mig.MIG_MEMORY_LIMIT: gpu.MEMORY_LIMIT,
    gpu_mig.MIG_MEMORY_USAGE: gpu.MEMORY_USAGE,
    gpu_mig.MIG_MEMORY_FREE: gpu.MEMORY_FREE,
    gpu_mig.MIG_SM_ACTIVE: gpu_work.SM_ACTIVE,
    gpu_mig.MIG_SM_OCCUPANCY: gpu_work.SM_OCCUPANCY,
    gpu_mig.MIG_PIPE_ACTIVE: gpu_work.PIPE_ACTIVE,
    gpu_mig.MIG_MEMORY_BANDWIDTH: gpu_work.MEMORY_BANDWIDTH,
}
"""DCGM has the same field for a GPU and for its MIG instances; we do not."""
BY_SERIES_OF_INSTANCE: Final[Mapping[SeriesOfGpu, tuple[Family, ...]]] = {
    **{
        (ours, attributes): families
        for ours, board in _OF_INSTANCES.items()
        for (metric, attributes), families in BY_SERIES.items()
        if metric is board
    },
    # The driver has no GPU_UTIL of an instance; what it has is from the performance counters.
    (gpu_mig.MIG_UTILIZATION, ()): tuple(
        family
        for family in BY_SERIES[gpu.UTILIZATION, ("general",)]
        if family.name.startswith("DCGM_FI_PROF_")
    ),
}
ECC: Final = (gpu_health.ECC_ERRORS, gpu_health.ECC_LIFETIME_ERRORS)
ECC_TOTAL: Final = TOTAL
