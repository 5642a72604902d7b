"""What a field of DCGM is: a name, a unit and the series of ours that it is a value of, both ways.

The table in `agent.collectors.dcgm.fields` is made of these; the collector reads by it and the exporter
(`exporters.dcgm`) writes by it, so that the two cannot disagree.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from agent.catalogue import Metric


class Unit(NamedTuple):
    """A unit of DCGM: a value in it times ``times`` over ``per`` is one in the catalogue's unit.

    Two numbers, because division is exact where multiplying by a fraction is not. ``name`` is for people.
    """

    name: str = ""
    times: float = 1.0
    per: float = 1.0


ONE: Final = Unit()
RATIO: Final = Unit("0 to 1")
PERCENT: Final = Unit("%", per=100.0)
MIB: Final = Unit("MiB", times=2.0**20)
CELSIUS: Final = Unit("C")
WATTS: Final = Unit("W")
MILLIJOULES: Final = Unit("mJ", per=1000.0)
MEGAHERTZ: Final = Unit("MHz", times=1e6)
NANOSECONDS: Final = Unit("ns", per=1e9)
BYTES: Final = Unit("bytes")
BYTES_PER_SECOND: Final = Unit("bytes per second")
NVLINK_RATE: Final = Unit("MB/s", times=1024_000.0)
"""NVML counts NVLink traffic in KiB; DCGM divides its rate by 1000 and calls that MB/s."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field and what it means. ``names`` are its names, the one that everybody uses first.

    Outside of ``lowest`` to ``highest``, in DCGM's unit, a value cannot be true; ``whole``: nor can a
    fraction. ``zero_is_absent``: DCGM says 0 where the board has no such sensor. ``counter``: DCGM's
    exporter calls it a counter, whatever it is to us.
    """

    names: tuple[str, ...]
    metric: Metric
    attributes: tuple[str, ...] = ()
    unit: Unit = ONE
    lowest: float = 0.0
    highest: float = inf
    whole: bool = False
    zero_is_absent: bool = False
    counter: bool = False

    def believes(self, value: float) -> bool:
        """Tell whether DCGM can mean this value."""
        return self.lowest <= value <= self.highest and (not self.whole or value.is_integer())

    def ours(self, value: float) -> float:
        """Return a value of DCGM in the catalogue's unit."""
        return value * self.unit.times / self.unit.per

    def theirs(self, value: float) -> float:
        """Return a value of ours in DCGM's unit, such that it reads back as it was.

        57 % read as 0.57 is 56.99999999999999 when multiplied, and is written as 57 again: 15 digits are
        what a double is sure of.
        """
        if self.unit.times == self.unit.per:
            return value
        scaled = value * self.unit.per / self.unit.times
        rounded = float(f"{scaled:.15g}")
        return rounded if self.ours(rounded) == value else scaled


class States(NamedTuple):
    """A field that holds one of several states, or a mask of them; for us, a series for each state.

    ``states`` are pairs: DCGM's number and our word; of a mask (``mask``), the bit and our word.
    """

    names: tuple[str, ...]
    metric: Metric
    states: tuple[tuple[int, str], ...]
    mask: bool = False

    def active(self, value: float) -> frozenset[str] | None:
        """Return the states that DCGM means by ``value``; `None` where it can mean none."""
        if value < 0 or not value.is_integer():
            return None
        if self.mask:
            return frozenset(word for bit, word in self.states if int(value) & bit)
        found = frozenset(word for number, word in self.states if number == value)
        return found or None


def named(prefix: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return full names of fields."""
    return tuple(f"{prefix}{name}" for name in names)


_BLANKS: Final = (
    (2_147_483_632.0, 2_147_483_647.0),  # DCGM_INT32_BLANK and the reasons after it
    (140_737_488_355_328.0, 140_737_488_355_343.0),  # DCGM_FP64_BLANK
    (9_223_372_036_854_775_792.0, inf),  # DCGM_INT64_BLANK
)


def is_blank(value: float) -> bool:
    """Tell whether a value is one of DCGM's ways to say that there is none (not found, not supported...)."""
    return any(low <= value <= high for low, high in _BLANKS)
