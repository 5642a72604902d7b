"""What a board does within a slot, as the driver's own sampler would see it: bursts of 300 ms.

A slot's utilization and power are means. Within it, work comes in one burst, at a moment that depends on
the seed, the GPU and the slot alone; the mean of the samples of a slot is the slot's own value, so power
still adds up to energy.
"""

from typing import Final, NamedTuple

from agent.simulation import noise
from agent.simulation.physics import SLOT, Trace
from agent.simulation.spec import GpuModel

_RATE: Final = 10
_IN_SLOT: Final = int(SLOT * _RATE)
_BURST: Final = 3
"""Samples of a slot that lie in its burst."""
_ABOVE: Final = (_IN_SLOT - _BURST) / _BURST
"""How far a burst rises for each unit that the rest falls."""


class Fine(NamedTuple):
    """A tenth of a second: share of 1, milliwatts."""

    utilization: float
    power: int


def sample(model: GpuModel, board: Trace, seed: int, index: int, number: int) -> Fine:
    """Return the sample ``number`` since the start, ten a second."""
    slot, place = divmod(number, _IN_SLOT)
    moment = board.at(slot * SLOT)
    utilization, power = moment.utilization, moment.power
    if not 0.0 < utilization < 1.0:
        return Fine(utilization, power)
    start = int(noise.unit(seed, index, slot, "burst") * _IN_SLOT)
    rise = _ABOVE if (place - start) % _IN_SLOT < _BURST else -1.0
    work = min(utilization, (1.0 - utilization) / _ABOVE)
    floor, ceiling = model.idle_power * 1_000, model.power_limit * 1_000
    swing = max(0, min(power - floor, int((ceiling - power) / _ABOVE)))
    return Fine(utilization + rise * work, int(power + rise * swing))
