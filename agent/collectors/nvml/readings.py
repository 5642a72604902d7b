"""From what a GPU said to readings of the catalogue. Pure: the same record gives the same readings.

Attributes are made once per GPU and used again at every sample, as are the readings that never change.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from agent.catalogue import Metric, gpu, gpu_errors, gpu_health
from agent.catalogue.attributes import CONFIDENCE, THROTTLE_REASON
from agent.collectors.nvml.driver import (
    DriverInfo,
    Identity,
    Processes,
    RecentSamples,
    Sample,
)
from agent.collectors.nvml.families import Families
from agent.collectors.nvml.owners import each_once
from agent.collectors.nvml.rows import Row, each_of, number, told
from agent.snapshot import Holder, Reading, Train

_VENDOR: Final = "NVIDIA"
_GPU: Final = "gpu"
_MEMORY: Final = "memory"

_OF_SAMPLE: Final[tuple[tuple[str, Metric, tuple[str, ...]], ...]] = (
    ("memory_total", gpu.MEMORY_LIMIT, ()),
    ("memory_used", gpu.MEMORY_USAGE, ()),
    ("memory_free", gpu.MEMORY_FREE, ()),
    ("memory_reserved", gpu.MEMORY_RESERVED, ()),
    ("utilization", gpu.UTILIZATION, ("general",)),
    ("encoder_utilization", gpu.UTILIZATION, ("encoder",)),
    ("decoder_utilization", gpu.UTILIZATION, ("decoder",)),
    ("jpeg_utilization", gpu.UTILIZATION, ("jpeg",)),
    ("ofa_utilization", gpu.UTILIZATION, ("ofa",)),
    ("memory_controller_utilization", gpu.MEMORY_CONTROLLER, ()),
    ("temperature", gpu.TEMPERATURE, (_GPU,)),
    ("memory_temperature", gpu.TEMPERATURE, (_MEMORY,)),
    ("power", gpu.POWER, (_GPU,)),
    ("power_limit", gpu.POWER_LIMIT, ()),
    ("energy", gpu.ENERGY, (_GPU,)),
    ("graphics_clock", gpu.CLOCK_FREQUENCY, ("graphics",)),
    ("sm_clock", gpu.CLOCK_FREQUENCY, ("sm",)),
    ("memory_clock", gpu.CLOCK_FREQUENCY, ("memory",)),
    ("video_clock", gpu.CLOCK_FREQUENCY, ("video",)),
    ("performance_state", gpu.PERFORMANCE_STATE, ()),
    ("pcie_generation", gpu.PCIE_GENERATION, ()),
    ("pcie_width", gpu.PCIE_WIDTH, ()),
)
_OF_IDENTITY: Final[tuple[tuple[str, Metric, tuple[str, ...]], ...]] = (
    ("graphics_clock_limit", gpu.CLOCK_LIMIT, ("graphics",)),
    ("sm_clock_limit", gpu.CLOCK_LIMIT, ("sm",)),
    ("memory_clock_limit", gpu.CLOCK_LIMIT, ("memory",)),
    ("video_clock_limit", gpu.CLOCK_LIMIT, ("video",)),
    ("pcie_generation_limit", gpu.PCIE_GENERATION_LIMIT, ()),
    ("pcie_width_limit", gpu.PCIE_WIDTH_LIMIT, ()),
    ("slowdown_temperature", gpu.TEMPERATURE_LIMIT, (_GPU, "throttled")),
    ("shutdown_temperature", gpu.TEMPERATURE_LIMIT, (_GPU, "high.critical")),
    ("maximum_temperature", gpu.TEMPERATURE_LIMIT, (_GPU, "high.degraded")),
    ("maximum_memory_temperature", gpu.TEMPERATURE_LIMIT, (_MEMORY, "high.degraded")),
    ("power_default_limit", gpu_health.POWER_DEFAULT_LIMIT, ()),
    ("power_minimum_limit", gpu_health.POWER_MINIMUM_LIMIT, ()),
    ("power_maximum_limit", gpu_health.POWER_MAXIMUM_LIMIT, ()),
)
_TRAINS: Final = tuple(
    (RecentSamples._fields.index(field), metric, attributes)
    for field, metric, attributes in _OF_SAMPLE
    if field in RecentSamples._fields
)
_THROTTLE: Final = Sample._fields.index("throttle_reasons")
_NOWHERE: Final = -1
"""The position of what follows from several fields."""
_POSITIONS: Final = tuple(Sample._fields.index(field) for field, _, _ in _OF_SAMPLE)


class Series:
    """The readings of one GPU: what is said once is kept, what moves is made anew."""

    def __init__(self, index: int, identity: Identity, driver: DriverInfo) -> None:
        self.uuid = uuid = identity.uuid
        self.identity = identity
        self.info = info_reading(index, identity, driver)
        self.limits = limit_readings(identity)
        self._rows = [
            Row(position, number(metric, (uuid, *attributes)))
            for position, (_, metric, attributes) in zip(_POSITIONS, _OF_SAMPLE, strict=True)
        ]
        reasons = tuple(
            reason for reason in THROTTLE_REASON.values if reason in identity.throttle_reasons
        )
        self._throttle = Row(_THROTTLE, each_of(gpu.THROTTLE, (uuid,), reasons))
        self._margin = Row(_NOWHERE, number(gpu.TEMPERATURE_MARGIN, (uuid,)))
        self._share = Row(_NOWHERE, number(gpu.MEMORY_UTILIZATION, (uuid,)))
        self._families = Families(uuid)

    def trains(self, recent: RecentSamples) -> list[Train]:
        """Return what the driver sampled between two ticks, of the series that it belongs to."""
        samples: tuple[Any, ...] = recent
        return [
            Train(metric, (self.uuid, *attributes), samples[position])
            for position, metric, attributes in _TRAINS
            if samples[position]
        ]

    def moving(self, sample: Sample) -> list[Reading]:
        """Return a reading for each value that the sample has, and for what follows from them."""
        readings = told(sample, self._rows)
        margin = temperature_margin(self.identity, sample)
        if margin is not None:
            readings += self._margin.readings(margin)
        if sample.memory_total and sample.memory_used is not None:
            readings += self._share.readings(sample.memory_used / sample.memory_total)
        if sample.throttle_reasons is not None:
            readings += self._throttle.readings(sample.throttle_reasons)
        readings += self._families.readings(sample)
        return readings


def info_reading(index: int, identity: Identity, driver: DriverInfo) -> Reading:
    """Return the reading that holds what is known of a GPU; what is not known is an empty string."""
    return Reading(
        gpu.INFO,
        (
            identity.uuid,
            str(index),
            identity.model,
            _VENDOR,
            identity.serial,
            identity.pci_bus_id,
            driver.driver_version,
            driver.cuda_version,
            identity.vbios,
            identity.inforom,
        ),
        1,
    )


def limit_readings(identity: Identity) -> tuple[Reading, ...]:
    """Return the maxima and thresholds that the GPU told."""
    return tuple(
        Reading(metric, (identity.uuid, *attributes), value)
        for field, metric, attributes in _OF_IDENTITY
        if (value := getattr(identity, field)) is not None
    )


def temperature_margin(identity: Identity, sample: Sample) -> float | None:
    """Return the degrees left until the slowdown: NVML's own, else limit less temperature."""
    if sample.temperature_margin is not None:
        return sample.temperature_margin
    if identity.slowdown_temperature is None or sample.temperature is None:
        return None
    return identity.slowdown_temperature - sample.temperature


def process_readings(uuid: str, processes: Processes) -> list[Reading]:
    """Return how many processes use the GPU and what they hold, per type.

    Memory is absent while that of a single process is not known: a part would look like the whole.
    """
    readings = []
    for kind, listed in (("compute", processes.compute), ("graphics", processes.graphics)):
        if listed is None:
            continue
        attributes = (uuid, kind)
        readings.append(Reading(gpu.PROCESSES, attributes, len({one.pid for one in listed})))
        held = [one.memory for one in listed]
        if None not in held:
            total = sum(filter(None, held))
            readings.append(Reading(gpu.PROCESS_MEMORY, attributes, total))
    return readings


def holders(uuid: str, processes: Processes) -> tuple[Holder, ...]:
    """Return who holds memory on the GPU, each process once, the greatest holder first."""
    ordered = sorted(each_once(processes), key=lambda one: (-(one.memory or 0), one.pid))
    return tuple(
        Holder(
            uuid,
            one.pid,
            one.name,
            one.memory,
            one.container,
            one.gpu_instance,
            one.compute_instance,
        )
        for one in ordered
    )


def counter_readings(
    uuid: str, ooms: Mapping[str, int], announced: Mapping[str, int]
) -> Iterable[Reading]:
    """Return the counters of what happened to a GPU: by how sure an OOM is, and what was announced."""
    for word, count in announced.items():
        yield Reading(gpu_errors.DRIVER_EVENTS, (uuid, word), count)
    for confidence, count in ooms.items():
        yield Reading(gpu.OOM_EVENTS, (uuid, confidence), count)


def ooms_at_zero() -> dict[str, int]:
    """Return counts for every confidence of an OOM."""
    return dict.fromkeys(CONFIDENCE.values, 0)
