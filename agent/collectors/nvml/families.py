"""From what a GPU said to readings, as tables: one value, a mapping with an entry per series, or a state.

A mapping makes a reading per entry; a state makes one for the word that is so, 1, and one for each that was
so before, 0, so that each can be alerted on by itself and none is left at 1.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final, NamedTuple

from agent.catalogue import Metric, gpu_health, gpu_work
from agent.catalogue.attributes import (
    COMPUTE_MODE,
    FABRIC_HEALTH,
    FABRIC_STATE,
    NVLINK_STATE,
    RECOVERY_ACTION,
)
from agent.collectors.nvml.driver import Condition, Link, Sample
from agent.collectors.nvml.rows import Entries as EntriesOf
from agent.collectors.nvml.rows import OneOf, Row, number, states, told
from agent.snapshot import Reading

_GPU: Final = "gpu"


class Entries(NamedTuple):
    """A field that is a mapping; ``before`` are attributes ahead of the entry's own.

    ``sparse``: entries that never were more than 0 are not told.
    """

    field: str
    metric: Metric
    before: tuple[str, ...] = ()
    sparse: bool = False


class State(NamedTuple):
    """A field that is one of ``words``."""

    field: str
    metric: Metric
    words: tuple[str, ...]


class Value(NamedTuple):
    """A field that is a number or a truth."""

    field: str
    metric: Metric


OF_SAMPLE: Final = (
    Entries("throttle_time", gpu_health.THROTTLE_TIME),
    State("recovery_action", gpu_health.RECOVERY, RECOVERY_ACTION.values),
    Entries("pcie_bytes", gpu_work.IO),
    Entries("pcie_throughput", gpu_work.PCIE_THROUGHPUT),
    Value("pcie_replays", gpu_work.PCIE_REPLAYS),
    Entries("nvlink_bytes", gpu_work.NVLINK_IO),
    Entries("nvlink_throughput", gpu_work.NVLINK_THROUGHPUT),
    Value("power_instant", gpu_health.POWER_INSTANT),
    Value("power_average", gpu_health.POWER_AVERAGE),
    Value("sm_active", gpu_work.SM_ACTIVE),
    Value("sm_occupancy", gpu_work.SM_OCCUPANCY),
    Entries("pipe_active", gpu_work.PIPE_ACTIVE),
    Value("memory_bandwidth_utilization", gpu_work.MEMORY_BANDWIDTH),
)
OF_CONDITION: Final = (
    Value("bar1_total", gpu_health.BAR1_LIMIT),
    Value("bar1_used", gpu_health.BAR1_USAGE),
    Entries("fan_speeds", gpu_health.FAN_SPEED),
    Entries("ecc_errors", gpu_health.ECC_ERRORS, (_GPU,)),
    Entries("ecc_lifetime_errors", gpu_health.ECC_LIFETIME_ERRORS),
    Value("sram_threshold_exceeded", gpu_health.SRAM_THRESHOLD),
    Entries("retired_pages", gpu_health.RETIRED_PAGES),
    Value("retired_pages_pending", gpu_health.RETIRED_PAGES_PENDING),
    Entries("remapped_rows", gpu_health.REMAPPED_ROWS),
    Value("row_remap_pending", gpu_health.ROW_REMAP_PENDING),
    Value("row_remap_failure", gpu_health.ROW_REMAP_FAILURE),
    Entries("row_remap_banks", gpu_health.ROW_REMAP_BANKS, sparse=True),
    Value("persistence_mode", gpu_health.PERSISTENCE),
    State("compute_mode", gpu_health.COMPUTE, COMPUTE_MODE.values),
    Value("ecc_enabled", gpu_health.ECC_ENABLED),
    Value("ecc_enabled_pending", gpu_health.ECC_ENABLED_PENDING),
    Value("mig_enabled", gpu_health.MIG_ENABLED),
    Value("mig_enabled_pending", gpu_health.MIG_ENABLED_PENDING),
    State("fabric_state", gpu_work.FABRIC_REGISTRATION, FABRIC_STATE.values),
    Value("fabric_failed", gpu_work.FABRIC_FAILED),
    State("fabric_health", gpu_work.FABRIC_SUMMARY, FABRIC_HEALTH.values),
    Entries("fabric_faults", gpu_work.FABRIC_FAULTS),
    Entries("nvlinks", gpu_work.NVLINKS),
    Value("nvlink_bandwidth", gpu_work.NVLINK_BANDWIDTH),
    Entries("nvlink_errors", gpu_work.NVLINK_ERRORS),
    Entries("nvlink_bytes", gpu_work.NVLINK_IO),
)
_Row = Entries | State | Value


class Families:
    """The readings of one GPU; what did not change is the same object as before."""

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid
        self._of_sample = [_row(uuid, Sample._fields, row) for row in OF_SAMPLE]
        self._of_condition = [_row(uuid, Condition._fields, row) for row in OF_CONDITION]
        self._condition: Condition | None = None
        self._of_last_condition: tuple[Reading, ...] = ()

    def readings(self, sample: Sample) -> list[Reading]:
        """Return the readings of a sample and of the condition that it holds."""
        readings = told(sample, self._of_sample)
        condition = sample.condition
        if condition is None:
            return readings
        if condition is not self._condition:
            slow = told(condition, self._of_condition)
            for link in condition.links or ():
                slow += _of_link(self._uuid, link)
            self._condition, self._of_last_condition = condition, tuple(slow)
        readings += self._of_last_condition
        return readings


def _row(uuid: str, fields: tuple[str, ...], row: _Row) -> Row:
    position = fields.index(row.field)
    match row:
        case Entries(_, metric, before, sparse):
            return Row(position, EntriesOf(metric, (uuid, *before), sparse=sparse))
        case State(_, metric, words):
            return Row(position, OneOf(metric, (uuid,), words))
        case Value(_, metric):
            return Row(position, number(metric, (uuid,)))


def _of_link(uuid: str, link: Link) -> Iterator[Reading]:
    number = str(link.number)
    reading = partial(_of_part, (uuid, number))
    if link.state is not None:
        yield from states(
            gpu_work.NVLINK_LINK_STATE, (uuid, number), NVLINK_STATE.values, link.state
        )
    if link.bandwidth is not None:
        yield reading(gpu_work.NVLINK_LINK_BANDWIDTH, (), link.bandwidth)
    for direction, moved in (("transmit", link.transmitted), ("receive", link.received)):
        if moved is not None:
            yield reading(gpu_work.NVLINK_LINK_IO, (direction,), moved)
    errors: Mapping[str, int] = link.errors or {}
    for kind, number_of in errors.items():
        yield reading(gpu_work.NVLINK_LINK_ERRORS, (kind,), number_of)


def _of_part(
    before: tuple[str, ...], metric: Metric, attributes: tuple[str, ...], value: float
) -> Reading:
    return Reading(metric, (*before, *attributes), value)
