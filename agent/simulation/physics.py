"""What the work of the play does to a board: power, heat, and the clocks that answer to heat.

One period is worked out once, slot by slot, and then read: a value depends on the moment alone and not on
who asked before. Power follows the load and the clocks; temperature follows power with the lag of a heat
sink; when it reaches the board's limits the clocks step down until it falls. All is constant within a
slot; what adds up does so in whole numbers and microseconds, so a total is an exact integral.
"""

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
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
THERMAL: Final = frozenset({"sw_thermal", "hw_thermal", "hw_slowdown"})
"""Reasons for which the play holds clocks down: all of them are heat."""


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
class Integral:
    """What a rate amounts to: whole units a second, one rate a slot, the same in each period."""

    rates: "array[int]"
    before: "array[int]"
    """Up to the start of the slot, in units times microseconds; one longer than the rates."""

    @classmethod
    def of(cls, rates: Iterable[int]) -> "Integral":
        """Sum up the rates of a period."""
        held = array("q", rates)
        before = accumulate((rate * _SLOT_MICROSECONDS for rate in held), initial=0)
        return cls(held, array("q", before))

    def until(self, elapsed: float) -> int:
        """Return the total from the start until ``elapsed`` seconds, in units times microseconds."""
        slots, rest = divmod(int(elapsed * 1_000_000), _SLOT_MICROSECONDS)
        periods, slot = divmod(slots, _SLOTS)
        return periods * self.before[-1] + self.before[slot] + self.rates[slot] * rest


@dataclass(frozen=True, slots=True)
class Trace:
    """One period of a board, one value a slot, and what adds up over it."""

    utilization: "array[float]"
    speed: "array[float]"
    power: "array[int]"
    temperature: "array[float]"
    energy: Integral
    """Of milliwatts."""
    work: Integral
    """Of millionths of what the board can do at full speed."""
    throttled: Mapping[str, Integral]
    """Of 1 while the clocks are held down, or have nothing to do, by reason."""

    def at(self, elapsed: float) -> Moment:
        """Return the board ``elapsed`` seconds after the start."""
        slot = int(elapsed / SLOT) % _SLOTS
        return Moment(
            self.utilization[slot], self.speed[slot], self.power[slot], self.temperature[slot]
        )

    def energy_at(self, elapsed: float) -> int:
        """Return the energy used from the start until ``elapsed`` seconds, in millijoules."""
        return self.energy.until(elapsed) // 1_000_000


def trace(scenario: Scenario, model: GpuModel, index: int) -> Trace:
    """Work out the period of one GPU, as it is once the heat of the period before is in the board."""
    heat = _Heat(_INLET + 10.0, 1.0)
    for _ in range(2):
        moments, heat = _period(scenario, model, index, heat)
    return Trace(
        utilization=array("d", [moment.utilization for moment in moments]),
        speed=array("d", [moment.speed for moment in moments]),
        power=array("q", [moment.power for moment in moments]),
        temperature=array("d", [moment.temperature for moment in moments]),
        energy=Integral.of(moment.power for moment in moments),
        work=Integral.of(int(work_rate(moment) * 1_000_000) for moment in moments),
        throttled=_throttled(model, moments),
    )


def _throttled(model: GpuModel, moments: list[Moment]) -> dict[str, Integral]:
    reasons = [throttle_reasons(model, moment) for moment in moments]
    held = {word: Integral.of(int(word in why) for why in reasons) for word in sorted(THERMAL)}
    idle = Integral.of(int(bool(m.speed) and not m.utilization) for m in moments)
    return {**held, "low_utilization": idle}


def work_rate(moment: Moment) -> float:
    """Return how much is done, as a share of what the board can do at full speed."""
    return moment.utilization * moment.speed


def throttle_reasons(model: GpuModel, moment: Moment) -> frozenset[str]:
    """Return why the clocks are held down, in the catalogue's words; a lost board has no clocks."""
    if moment.speed and moment.temperature >= model.slowdown_temperature:
        return THERMAL
    return frozenset({"sw_thermal"}) if 0.0 < moment.speed < 1.0 else frozenset()


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
