"""The GPUs as the page shows them: their readings gathered, and judged in words."""

from typing import Final

from agent.catalogue import gpu
from agent.catalogue.attributes import GPU_INDEX, GPU_PCI, HW_DRIVER, HW_ID, HW_MODEL, HW_SERIAL
from agent.snapshot import Snapshot
from exporters.status import words
from exporters.status.health import reasons
from exporters.status.history import gauge_trend
from exporters.status.lookup import Lookup
from exporters.status.model import (
    GpuTrends,
    GpuView,
    Holder,
    Level,
    Memory,
    PcieLink,
    Temperature,
)

HELD: Final = 1 << 30
"""Bytes in use from which on an idle GPU counts as taken."""

_GENERAL: Final = "general"


def gpu_views(snapshot: Snapshot, lookup: Lookup) -> tuple[GpuView, ...]:
    """Return each GPU of the snapshot, in the driver's order."""
    ids = {
        attributes[0]
        for metric in gpu.METRICS
        if metric.attributes[:1] == (HW_ID,)
        for attributes in lookup.rows(metric)
    }
    views = (_view(hw_id, snapshot, lookup) for hw_id in ids)
    return tuple(sorted(views, key=_order))


def _order(view: GpuView) -> tuple[bool, int, str]:
    known = view.index.isdecimal()
    return not known, int(view.index) if known else 0, view.id


def _view(hw_id: str, snapshot: Snapshot, lookup: Lookup) -> GpuView:
    info = _info(hw_id, lookup)
    throttle = _throttle(hw_id, lookup)
    temperature = _temperature(hw_id, lookup)
    pcie = _pcie(hw_id, lookup)
    memory = _memory(hw_id, lookup)
    lost = lookup.number(gpu.LOST, hw_id) == 1
    why = reasons(
        hw_id,
        snapshot,
        lookup,
        throttle=throttle,
        temperature=temperature,
        pcie=pcie,
        memory=memory,
    )
    level = Level.LOST if lost else Level.ATTENTION if why else Level.OK
    if lost:
        why = ("Lost: fallen off the bus, or no longer listed", *why)
    return GpuView(
        id=hw_id,
        index=info.get(GPU_INDEX.key, ""),
        model=info.get(HW_MODEL.key, ""),
        serial=info.get(HW_SERIAL.key, ""),
        pci=info.get(GPU_PCI.key, ""),
        driver=info.get(HW_DRIVER.key, ""),
        level=level,
        verdict=why[0] if why else _use(hw_id, lookup, memory),
        reasons=why,
        memory=memory,
        utilization=lookup.number(gpu.UTILIZATION, hw_id, _GENERAL),
        encoder=lookup.number(gpu.UTILIZATION, hw_id, "encoder"),
        decoder=lookup.number(gpu.UTILIZATION, hw_id, "decoder"),
        power=lookup.number(gpu.POWER, hw_id, "gpu"),
        power_limit=lookup.number(gpu.POWER_LIMIT, hw_id),
        temperature=temperature,
        throttle=throttle,
        clock=lookup.number(gpu.CLOCK_FREQUENCY, hw_id, "sm"),
        clock_limit=lookup.number(gpu.CLOCK_LIMIT, hw_id, "sm"),
        performance_state=lookup.number(gpu.PERFORMANCE_STATE, hw_id),
        pcie=pcie,
        holders=_holders(hw_id, snapshot),
        trends=_trends(hw_id, snapshot.taken_at, lookup),
    )


def _info(hw_id: str, lookup: Lookup) -> dict[str, str]:
    """Return what the info series says, by attribute; several sources may each know a part."""
    keys = tuple(attribute.key for attribute in gpu.INFO.attributes)
    known: dict[str, str] = {}
    for attributes, _ in lookup.numbers(gpu.INFO, hw_id):
        said = zip(keys, attributes, strict=True)
        known = {**{key: value for key, value in said if value}, **known}
    return known


def _memory(hw_id: str, lookup: Lookup) -> Memory:
    return Memory(
        used=lookup.number(gpu.MEMORY_USAGE, hw_id),
        total=lookup.number(gpu.MEMORY_LIMIT, hw_id),
        reserved=lookup.number(gpu.MEMORY_RESERVED, hw_id),
        share=lookup.number(gpu.MEMORY_UTILIZATION, hw_id),
    )


def _temperature(hw_id: str, lookup: Lookup) -> Temperature:
    return Temperature(
        gpu=lookup.number(gpu.TEMPERATURE, hw_id, "gpu"),
        memory=lookup.number(gpu.TEMPERATURE, hw_id, "memory"),
        limit=lookup.number(gpu.TEMPERATURE_LIMIT, hw_id, "gpu", "throttled"),
        margin=lookup.number(gpu.TEMPERATURE_MARGIN, hw_id),
    )


def _pcie(hw_id: str, lookup: Lookup) -> PcieLink:
    return PcieLink(
        generation=lookup.number(gpu.PCIE_GENERATION, hw_id),
        generation_limit=lookup.number(gpu.PCIE_GENERATION_LIMIT, hw_id),
        width=lookup.number(gpu.PCIE_WIDTH, hw_id),
        width_limit=lookup.number(gpu.PCIE_WIDTH_LIMIT, hw_id),
    )


def _throttle(hw_id: str, lookup: Lookup) -> tuple[str, ...]:
    return tuple(
        attributes[1] for attributes, (_, active) in lookup.numbers(gpu.THROTTLE, hw_id) if active
    )


def _holders(hw_id: str, snapshot: Snapshot) -> tuple[Holder, ...]:
    """Return who holds memory, the largest first."""
    found = [
        Holder(holder.pid, holder.name, holder.memory_bytes)
        for batch in snapshot.latest.values()
        for holder in batch.holders
        if holder.hw_id == hw_id
    ]
    return tuple(sorted(found, key=lambda holder: -(holder.memory or 0)))


def _use(hw_id: str, lookup: Lookup, memory: Memory) -> str:
    """Return how a healthy GPU is used, by the last two minutes where they are known."""
    busy = lookup.number(gpu.UTILIZATION, hw_id, _GENERAL)
    if busy is None:
        return "Well; how busy it is cannot be read"
    if busy > 0 or any(value for _, value in lookup.history(gpu.UTILIZATION, hw_id, _GENERAL)):
        return "Well, working"
    if memory.used is not None and memory.used >= HELD:
        return f"Well, idle with {words.size(memory.used)} held"
    return "Well, idle"


def _trends(hw_id: str, now: float, lookup: Lookup) -> GpuTrends:
    return GpuTrends(
        utilization=gauge_trend(lookup.history(gpu.UTILIZATION, hw_id, _GENERAL), now),
        memory=gauge_trend(lookup.history(gpu.MEMORY_USAGE, hw_id), now),
        power=gauge_trend(lookup.history(gpu.POWER, hw_id, "gpu"), now),
        temperature=gauge_trend(lookup.history(gpu.TEMPERATURE, hw_id, "gpu"), now),
    )
