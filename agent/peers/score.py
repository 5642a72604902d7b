"""How far a GPU is from its siblings, in robust standard deviations. Pure.

z = |x - median| / (1.4826 * MAD), where 1.4826 makes the median absolute deviation of normal noise its
standard deviation (Iglewicz and Hoaglin, 1993). An outlier is beyond 6 of them *and* beyond an absolute
gap, because siblings that agree to a hair make a harmless hair an outlier. Both conditions are one where
the deviation is never taken for less than a sixth of the gap: then z > 6 says both, and siblings that do
not differ at all (MAD 0) are no special case.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from agent.catalogue.window import OUTLIER
from agent.peers.standing import Standing

FEWEST: Final = 4
"""GPUs under the same load, the one that is judged among them: of three, no two are a majority to trust."""
HIGHEST: Final = 100.0
"""Scores end here: more says no more."""
_TO_DEVIATION: Final = 1.4826

BUSY: Final = 0.5
"""Utilization from which on a GPU works. Below, clocks and power drop by themselves."""
_HEATS: Final = 0.25
"""Of the power limit: what a GPU draws at least whose temperature is its own. A GPU that draws less takes
on that of its busy neighbours, and is held up by it in nothing."""
_SAME_POWER: Final = 0.05
"""Of the power limit: how much less than its own a sibling may draw that works as hard."""
_SAME_WORK: Final = 0.10
"""By how much two GPUs on the same work differ in utilization and in how busy their memory is."""
_SAME_JOB: Final = 0.05
"""By how much they differ in the share of memory that is allocated."""


class Verdict(NamedTuple):
    """How one GPU compares in one respect. ``gap`` is what it takes to be an outlier at all."""

    score: float
    value: float
    median: float
    siblings: int


@dataclass(frozen=True, slots=True)
class Signal:
    """One respect in which GPUs are compared.

    ``worse`` is 1 where more is worse and -1 where less is; ``gap`` is the absolute gap, from the median;
    ``alike`` says whether a sibling does at least the work of the GPU that is judged (itself included).
    """

    word: str
    value: Callable[[Standing], float | None]
    worse: int
    gap: Callable[[float], float]
    alike: Callable[[Standing, Standing], bool]


def _working(standing: Standing) -> bool:
    return standing.utilization is not None and standing.utilization >= BUSY


def _draws_as_much(own: Standing, other: Standing) -> bool:
    """Whether the other one turns as much power into heat: its own load as a board feels it."""
    if own.power is None or other.power is None:
        return False
    limit = own.power_limit or own.power
    return own.power >= _HEATS * limit and other.power >= own.power - _SAME_POWER * limit


def _both_work(own: Standing, other: Standing) -> bool:
    return _working(own) and _working(other)


def _works_as_hard(own: Standing, other: Standing) -> bool:
    return _both_work(own, other) and _draws_as_much(own, other)


def _same_work(own: Standing, other: Standing) -> bool:
    """Whether both are on the same work, as far as a node can tell: busy alike in every respect."""
    return (
        _both_work(own, other)
        and _near(own.utilization, other.utilization, _SAME_WORK)
        and _near(own.traffic, other.traffic, _SAME_WORK)
        and _near(own.allocated, other.allocated, _SAME_JOB)
    )


def _near(one: float | None, other: float | None, slack: float) -> bool:
    return one is not None and other is not None and abs(one - other) <= slack


def _power_of_work(standing: Standing) -> float | None:
    """Return the power that the GPU would draw if it were busy all the time."""
    if not standing.power or not standing.utilization:
        return None
    return standing.power / standing.utilization


SIGNALS: Final = (
    Signal("temperature", lambda gpu: gpu.temperature, 1, lambda _: 10.0, _draws_as_much),
    Signal("clock", lambda gpu: gpu.clock, -1, lambda usual: 0.10 * usual, _works_as_hard),
    Signal("power", _power_of_work, -1, lambda usual: 0.25 * usual, _same_work),
    Signal("throttle", lambda gpu: gpu.throttled, 1, lambda _: 30.0, _works_as_hard),
    Signal("errors", lambda gpu: gpu.errors, 1, lambda _: 10.0, _both_work),
)
"""The gaps, and why:

- temperature 10 Celsius: places in a chassis differ by several degrees, front to rear;
- clock a tenth: boards of one model differ by a few percent at the same power limit;
- power a quarter: two kernels under one utilization differ more than boards do;
- throttle half a minute in five: ten percentage points of time; what is less is an incident, no state;
- errors 10 in ten minutes: single corrected errors are what ECC and replay are for.
"""


BY_WORD: Final = {signal.word: signal for signal in SIGNALS}


def score(
    value: float, siblings: Sequence[float], worse: int, gap: Callable[[float], float]
) -> float:
    """Return by how many robust deviations ``value`` is on the worse side; 0 on the other one."""
    usual = median(siblings)
    deviation = _TO_DEVIATION * median(abs(each - usual) for each in siblings)
    least = gap(usual) / OUTLIER
    distance = worse * (value - usual)
    if distance <= 0:
        return 0.0
    scale = max(deviation, least)
    return min(distance / scale, HIGHEST) if scale else 0.0


def judge(standings: Mapping[str, Standing]) -> dict[tuple[str, str], Verdict]:
    """Return the verdicts by GPU and signal; none where fewer than `FEWEST` share the load."""
    models: dict[str, list[Standing]] = {}
    for standing in standings.values():
        models.setdefault(standing.model, []).append(standing)
    return {
        (hw_id, signal.word): verdict
        for signal in SIGNALS
        for hw_id, own in standings.items()
        if len(models[own.model]) >= FEWEST
        if (verdict := _verdict(own, models[own.model], signal)) is not None
    }


def _verdict(own: Standing, model: Sequence[Standing], signal: Signal) -> Verdict | None:
    value = signal.value(own)
    if value is None:
        return None
    values = [
        theirs
        for other in model
        if signal.alike(own, other) and (theirs := signal.value(other)) is not None
    ]
    if len(values) < FEWEST:
        return None
    return Verdict(
        score(value, values, signal.worse, signal.gap), value, median(values), len(values)
    )


def median(values: Iterable[float]) -> float:
    """Return the middle of ``values``, of which there is at least one.

    As `statistics.median`, whose module brings 2 MiB of exact arithmetic along.
    """
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
