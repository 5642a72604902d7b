"""What the work of the play does to a board: power, heat, and the clocks that answer to heat.

One period is worked out once, slot by slot, and then read: a value depends on the moment alone and not on
who asked before. Power follows the load and the clocks; temperature follows power with the lag of a heat
sink; when it reaches the board's limits the clocks step down until it falls. Power is constant within a
slot and counted in whole milliwatts and microseconds, so energy is its exact integral.
"""

import math
from array import array
from dataclasses import dataclass
from typing import Final, NamedTuple

from agent.simulation.scenario import PERIOD, Scenario
from agent.simulation.spec import GpuModel

SLOT: Final = 0.5
"""Seconds for which power is constant."""
_SLOT_MICROSECONDS: Final = int(SLOT * 1_000_000)
_SLOTS: Final = int(PERIOD / SLOT)
_INLET: Final = 29.0
"""Celsius of the air that comes in."""
_RISE_AT_LIMIT: Final = 33.0
"""Kelvin above the inlet at full power, with air: an H100 at 630 W was seen at 59 Celsius."""
_BLOCKED: Final = 5.0
"""By how much a blocked inlet raises the thermal resistance."""
_LAG: Final = 14.0
"""Time constant of chip and heat sink, seconds."""
_SOFT_STEP: Final = 0.01
_HARD_SPEED: Final = 0.5
_SLOWEST: Final = 0.35


class Moment(NamedTuple):
    """A board at one moment: shares of 1, milliwatts, Celsius."""

    utilization: float
    speed: float
    """The clocks' share of their maximum."""
    power: int
    temperature: float


class _Heat(NamedTuple):
    temperature: float
    speed: float


@dataclass(frozen=True, slots=True)
class Trace:
    """One period of a board, one value a slot; ``energy`` is summed up to the start of the slot."""

    utilization: "array[float]"
    speed: "array[float]"
    power: "array[int]"
    temperature: "array[float]"
    energy: "array[int]"
    """Milliwatts times microseconds; one longer than the others."""

    def at(self, elapsed: float) -> Moment:
        """Return the board ``elapsed`` seconds after the start."""
        slot = int(elapsed / SLOT) % _SLOTS
        return Moment(
            self.utilization[slot], self.speed[slot], self.power[slot], self.temperature[slot]
        )

    def energy_at(self, elapsed: float) -> int:
        """Return the energy used from the start until ``elapsed`` seconds, in millijoules."""
        slots, rest = divmod(int(elapsed * 1_000_000), _SLOT_MICROSECONDS)
        periods, slot = divmod(slots, _SLOTS)
        spent = periods * self.energy[-1] + self.energy[slot] + self.power[slot] * rest
        return spent // 1_000_000


def trace(scenario: Scenario, model: GpuModel, index: int) -> Trace:
    """Work out the period of one GPU, as it is once the heat of the period before is in the board."""
    heat = _Heat(_INLET + 10.0, 1.0)
    for _ in range(2):
        moments, heat = _period(scenario, model, index, heat)
    energy = array("q", [0])
    for moment in moments:
        energy.append(energy[-1] + moment.power * _SLOT_MICROSECONDS)
    return Trace(
        utilization=array("d", [moment.utilization for moment in moments]),
        speed=array("d", [moment.speed for moment in moments]),
        power=array("q", [moment.power for moment in moments]),
        temperature=array("d", [moment.temperature for moment in moments]),
        energy=energy,
    )


def _period(
    scenario: Scenario, model: GpuModel, index: int, heat: _Heat
) -> tuple[list[Moment], _Heat]:
    moments = []
    for slot in range(_SLOTS):
        moment = _moment(scenario, model, index, slot * SLOT, heat)
        moments.append(moment)
        blocked = scenario.airflow_blocked(index, slot * SLOT)
        heat = _next_heat(model, moment, _BLOCKED if blocked else 1.0)
    return moments, heat


def _moment(scenario: Scenario, model: GpuModel, index: int, second: float, heat: _Heat) -> Moment:
    if scenario.lost(index, second):
        return Moment(0.0, 0.0, 0, heat.temperature)
    utilization, intensity = scenario.load(index, second)
    if intensity == 0.0:
        awake = model.idle_power * (1.25 if scenario.occupants(index, second) else 1.0)
        return Moment(0.0, heat.speed, int(awake * 1_000), heat.temperature)
    # Slower clocks make the same work take longer, and less power.
    busy = min(1.0, max(0.0, utilization) / heat.speed)
    span = model.power_limit - model.idle_power
    watts = model.idle_power + span * intensity * busy * heat.speed**2
    return Moment(busy, heat.speed, int(watts * 1_000), heat.temperature)


def _next_heat(model: GpuModel, moment: Moment, resistance: float) -> _Heat:
    rise = _RISE_AT_LIMIT * resistance * moment.power / 1_000 / model.power_limit
    settled = _INLET + rise
    temperature = settled + (moment.temperature - settled) * math.exp(-SLOT / _LAG)
    return _Heat(temperature, _governed(model, temperature, moment.speed or 1.0))


def _governed(model: GpuModel, temperature: float, speed: float) -> float:
    """Return the clocks that the board's firmware grants at this temperature."""
    if temperature >= model.slowdown_temperature:
        return max(_SLOWEST, min(speed, _HARD_SPEED) - _SOFT_STEP)
    if temperature >= model.operating_temperature:
        return max(_SLOWEST, speed - _SOFT_STEP)
    return min(1.0, speed + _SOFT_STEP)
