"""The GPUs as the page shows them: their readings gathered, and judged in words."""

from collections.abc import Iterator
from typing import Final

from agent.catalogue import gpu
from agent.catalogue.attributes import GPU_INDEX, GPU_PCI, HW_DRIVER, HW_ID, HW_MODEL, HW_SERIAL
from agent.catalogue.events import GPU_OOM
from agent.snapshot import Snapshot
from exporters.status import words
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

NARROW_MARGIN: Final = 5.0
"""Degrees Celsius below the slowdown limit from which on the page asks for a look."""
RECENT: Final = 600.0
"""Seconds for which an out-of-memory death stays on the GPU's card."""
HARMLESS: Final = frozenset({"sw_power_cap"})
"""Throttle reasons that a busy, healthy GPU shows."""
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
    lost = lookup.number(gpu.LOST, hw_id) == 1
    reasons = _reasons(hw_id, snapshot, lookup, throttle, temperature, pcie)
    level = Level.LOST if lost else Level.ATTENTION if reasons else Level.OK
    memory = _memory(hw_id, lookup)
    if lost:
        reasons = ("Lost: fallen off the bus, or no longer listed", *reasons)
    return GpuView(
        id=hw_id,
        index=info.get(GPU_INDEX.key, ""),
        model=info.get(HW_MODEL.key, ""),
        serial=info.get(HW_SERIAL.key, ""),
        pci=info.get(GPU_PCI.key, ""),
        driver=info.get(HW_DRIVER.key, ""),
        level=level,
        verdict=reasons[0] if reasons else _use(hw_id, lookup, memory),
        reasons=reasons,
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


def _reasons(
    hw_id: str,
    snapshot: Snapshot,
    lookup: Lookup,
    throttle: tuple[str, ...],
    temperature: Temperature,
    pcie: PcieLink,
) -> tuple[str, ...]:
    """Return why somebody should look at this GPU, gravest first."""
    return (
        *_fatal_xids(hw_id, lookup),
        *_heat(temperature),
        *(
            f"Clocks held down: {words.THROTTLE_WORDS.get(reason, reason)}"
            for reason in throttle
            if reason not in HARMLESS
        ),
        *_deaths(hw_id, snapshot),
        *_narrow_link(pcie),
    )


def _fatal_xids(hw_id: str, lookup: Lookup) -> Iterator[str]:
    fatal = frozenset(map(str, gpu.FATAL_XIDS))
    for (_, code), (_, count) in lookup.numbers(gpu.XID_EVENTS, hw_id):
        if code in fatal and count:
            yield f"XID {code}, {count:.0f} times since the agent started"


def _heat(temperature: Temperature) -> Iterator[str]:
    margin = temperature.margin
    if margin is not None and margin <= 0:
        yield "At its temperature limit: the driver slows it down"
    elif margin is not None and margin <= NARROW_MARGIN:
        yield f"{margin:.0f} °C below the slowdown temperature"


def _deaths(hw_id: str, snapshot: Snapshot) -> Iterator[str]:
    for event in reversed(snapshot.events):
        ours = (HW_ID.key, hw_id) in event.attributes
        if event.kind is GPU_OOM and ours and snapshot.taken_at - event.time < RECENT:
            yield f"Out of GPU memory {words.span(snapshot.taken_at - event.time)} ago"
            return


def _narrow_link(pcie: PcieLink) -> Iterator[str]:
    if pcie.width and pcie.width_limit and pcie.width < pcie.width_limit:
        yield f"PCIe runs on {pcie.width:.0f} of {pcie.width_limit:.0f} lanes"


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
