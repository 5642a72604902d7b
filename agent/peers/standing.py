"""How each GPU stands: the few figures by which GPUs of a node are compared, from what is exported."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent.catalogue import gpu
from agent.catalogue.attributes import GPU_INDEX, GPU_PCI, HW_MODEL
from agent.catalogue.gpu_health import ECC_ERRORS
from agent.catalogue.gpu_work import NVLINK_ERRORS, PCIE_REPLAYS
from agent.snapshot import Batch

NOT_ITS_FAULT: Final = frozenset({"sw_power_cap", "sync_boost"})
"""Reasons to slow down that a healthy GPU has: its own power limit, and its siblings."""
_ERRORS: Final = frozenset({ECC_ERRORS.name, PCIE_REPLAYS.name, NVLINK_ERRORS.name})
"""Counters of errors of the hardware. XIDs are events of their own, and often the application's."""
_MODEL: Final = gpu.INFO.attributes.index(HW_MODEL)
_NAME: Final = tuple(map(gpu.INFO.attributes.index, (GPU_INDEX, HW_MODEL, GPU_PCI)))
_FIGURES: Final = {
    gpu.UTILIZATION.name: ("general", "utilization"),
    gpu.MEMORY_CONTROLLER.name: ("", "traffic"),
    gpu.MEMORY_UTILIZATION.name: ("", "allocated"),
    gpu.TEMPERATURE.name: ("gpu", "temperature"),
    gpu.CLOCK_FREQUENCY.name: ("sm", "clock"),
    gpu.POWER.name: ("gpu", "power"),
    gpu.POWER_LIMIT.name: ("", "power_limit"),
}
"""By metric: the second attribute that is meant, and the figure."""

Counter = tuple[str, tuple[str, ...]]
"""A counter's metric and attributes."""


@dataclass(slots=True)
class Standing:
    """The figures of one GPU, in the catalogue's units; `None` where they are not known."""

    model: str = ""
    utilization: float | None = None
    traffic: float | None = None
    """Share of time in which its memory is read or written."""
    allocated: float | None = None
    """Share of its memory."""
    temperature: float | None = None
    clock: float | None = None
    power: float | None = None
    power_limit: float | None = None
    throttled: float | None = None
    """Seconds of the last five minutes in which its clocks were held down, its power limit apart."""
    errors: float | None = None
    """Errors of the hardware in the last ten minutes."""


@dataclass(slots=True)
class Sight:
    """What the batches say of one GPU now."""

    standing: Standing
    name: str = ""
    """What people call it: index, model and PCI address, as far as they are known."""
    held_down: bool | None = None
    errors: dict[Counter, float] | None = None


def sights(batches: Iterable[Batch]) -> dict[str, Sight]:
    """Return what the batches say of each GPU that has a model, by ``hw.id``."""
    found: dict[str, Sight] = {}
    for batch in batches:
        for metric, attributes, value in batch.readings:
            name = metric.name
            if name in _FIGURES:
                which, figure = _FIGURES[name]
                if not which or attributes[1] == which:
                    setattr(_of(found, attributes[0]).standing, figure, value)
            elif name == gpu.THROTTLE.name:
                sight = _of(found, attributes[0])
                at_fault = attributes[1] not in NOT_ITS_FAULT and bool(value)
                sight.held_down = bool(sight.held_down) or at_fault
            elif name in _ERRORS and isinstance(value, float | int):
                sight = _of(found, attributes[0])
                if sight.errors is None:
                    sight.errors = {}
                sight.errors[name, attributes] = value
            elif name == gpu.INFO.name:
                sight = _of(found, attributes[0])
                sight.standing.model = attributes[_MODEL]
                sight.name = " ".join(("GPU", *filter(None, (attributes[at] for at in _NAME))))
    return {hw_id: sight for hw_id, sight in found.items() if sight.standing.model}


def _of(found: dict[str, Sight], hw_id: str) -> Sight:
    sight = found.get(hw_id)
    if sight is None:
        sight = found[hw_id] = Sight(Standing())
    return sight
