"""How each GPU stands: the few figures by which GPUs of a node are compared, from what is exported."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent.catalogue import Metric, gpu
from agent.catalogue.attributes import GPU_INDEX, GPU_PCI, HW_MODEL
from agent.catalogue.gpu_health import ECC_ERRORS
from agent.catalogue.gpu_work import NVLINK_ERRORS, PCIE_REPLAYS
from agent.moves import moves
from agent.snapshot import Batch, Distribution, Reading

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

_WANTED: Final = frozenset({*_FIGURES, *_ERRORS, gpu.THROTTLE.name, gpu.INFO.name})

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


class Lookout:
    """Finds the few readings that matter among all, and where they are in batches that look alike."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[tuple[Reading, ...], list[int]]] = {}
        """By the position of a batch: what it last held, and the positions of what matters."""

    def sights(self, batches: Iterable[Batch]) -> dict[str, Sight]:
        """Return what the batches say of each GPU that has a model, by ``hw.id``."""
        found: dict[str, Sight] = {}
        for number, batch in enumerate(batches):
            last, places = self._places.get(number, ((), []))
            if moves(batch.readings, last) is None:
                places = [
                    position
                    for position, (metric, _, _) in enumerate(batch.readings)
                    if metric.name in _WANTED
                ]
            self._places[number] = batch.readings, places
            for position in places:
                _take(found, *batch.readings[position])
        return {hw_id: sight for hw_id, sight in found.items() if sight.standing.model}


def _take(
    found: dict[str, Sight],
    metric: Metric,
    attributes: tuple[str, ...],
    value: float | Distribution,
) -> None:
    """Put a reading into the sight of its GPU."""
    sight, name = _of(found, attributes[0]), metric.name
    if name in _FIGURES:
        which, figure = _FIGURES[name]
        if not which or attributes[1] == which:
            setattr(sight.standing, figure, value)
    elif name == gpu.THROTTLE.name:
        at_fault = attributes[1] not in NOT_ITS_FAULT and bool(value)
        sight.held_down = bool(sight.held_down) or at_fault
    elif name == gpu.INFO.name:
        sight.standing.model = attributes[_MODEL]
        sight.name = " ".join(("GPU", *filter(None, (attributes[at] for at in _NAME))))
    elif isinstance(value, float | int):
        if sight.errors is None:
            sight.errors = {}
        sight.errors[name, attributes] = value


def _of(found: dict[str, Sight], hw_id: str) -> Sight:
    sight = found.get(hw_id)
    if sight is None:
        sight = found[hw_id] = Sight(Standing())
    return sight
