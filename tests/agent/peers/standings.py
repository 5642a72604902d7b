"""GPUs to compare, as a node exports them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random

from agent.catalogue import gpu
from agent.catalogue.attributes import GPU_INDEX, HW_ID, HW_MODEL
from agent.catalogue.gpu_health import ECC_ERRORS
from agent.snapshot import Batch, Reading

MODEL = "NVIDIA H100 80GB HBM3"


@dataclass(frozen=True)
class Figures:
    """One GPU at work, as a batch tells of it."""

    hw_id: str
    model: str = MODEL
    utilization: float = 0.97
    traffic: float = 0.5
    allocated: float = 0.75
    temperature: float = 58.0
    clock: float = 1.755e9
    power: float = 620.0
    throttled: bool = False
    errors: int = 0

    def readings(self) -> tuple[Reading, ...]:
        """Return the readings of the GPU."""
        own = self.hw_id
        info = tuple(
            {HW_ID: own, GPU_INDEX: own[-1], HW_MODEL: self.model}.get(each, "")
            for each in gpu.INFO.attributes
        )
        return (
            Reading(gpu.INFO, info, 1),
            Reading(gpu.UTILIZATION, (own, "general"), self.utilization),
            Reading(gpu.UTILIZATION, (own, "encoder"), 0.0),
            Reading(gpu.MEMORY_CONTROLLER, (own,), self.traffic),
            Reading(gpu.MEMORY_UTILIZATION, (own,), self.allocated),
            Reading(gpu.TEMPERATURE, (own, "gpu"), self.temperature),
            Reading(gpu.TEMPERATURE, (own, "memory"), self.temperature + 30),
            Reading(gpu.CLOCK_FREQUENCY, (own, "sm"), self.clock),
            Reading(gpu.CLOCK_FREQUENCY, (own, "memory"), 2.6e9),
            Reading(gpu.POWER, (own, "gpu"), self.power),
            Reading(gpu.POWER_LIMIT, (own,), 700.0),
            Reading(gpu.THROTTLE, (own, "sw_power_cap"), 1),
            Reading(gpu.THROTTLE, (own, "hw_thermal"), int(self.throttled)),
            Reading(ECC_ERRORS, (own, "gpu", "corrected", "sram"), self.errors),
        )


def node(count: int = 8) -> list[Figures]:
    """Return GPUs that are all alike."""
    return [Figures(f"GPU-{n}") for n in range(count)]


def noisy(random: Random, gpus: Iterable[Figures]) -> list[Figures]:
    """Return GPUs with the noise that equal boards have, several times what a window leaves of it."""
    return [
        replace(
            each,
            utilization=min(1.0, max(0.0, random.gauss(each.utilization, 0.02))),
            traffic=min(1.0, max(0.0, random.gauss(each.traffic, 0.02))),
            temperature=random.gauss(each.temperature, 2.5),
            clock=random.gauss(each.clock, each.clock * 0.015),
            power=random.gauss(each.power, each.power * 0.03),
            throttled=random.random() < 0.01,
        )
        for each in gpus
    ]


def batch(now: float, gpus: Iterable[Figures]) -> Batch:
    """Return a batch of these GPUs."""
    return Batch(now, tuple(reading for each in gpus for reading in each.readings()))
