"""One GPU of the play, and what befell its board in the days before: all from the seed alone."""

from dataclasses import dataclass
from typing import Final

from agent.simulation import noise
from agent.simulation.physics import Trace
from agent.simulation.scenario import Part
from agent.simulation.spec import GpuModel

AMPERE: Final = (8, 0)
HOPPER: Final = (9, 0)
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Board:
    """One GPU of the play."""

    model: GpuModel
    part: Part
    trace: Trace
    seed: int
    index: int
    divided: bool = False
    """Whether MIG divides it."""
    each_link: bool = False
    """Whether its driver is asked for each NVLink by itself."""

    @property
    def days_up(self) -> float:
        """For how many days the driver had been loaded when the play began."""
        return 1.0 + 30.0 * self.unit("days")

    def unit(self, what: str) -> float:
        """Return a number from 0 (with) to 1 (without) that this board has for ``what``."""
        return noise.unit(self.seed, self.index, what)

    def rare(self, what: str, elapsed: float, *, days: float, share: float = 0.4) -> int:
        """Count what befalls a ``share`` of the boards about once in so many days, and others never.

        From when the driver was loaded until ``elapsed`` seconds into the play.
        """
        if self.unit(what) >= share:
            return 0
        pause = days * (0.5 + self.unit(f"{what} pause")) * DAY
        return int((self.days_up * DAY + elapsed) / pause)
