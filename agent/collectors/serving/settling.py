"""A page that says something twice: the same is taken once, a contradiction not at all."""

from collections.abc import Mapping
from typing import NamedTuple

from agent.collectors.exposition import NONE, Faults, Page, Series


class Settled(NamedTuple):
    """The values of one sample name; ``contested`` series have several and so none."""

    values: Mapping[Series, float]
    contested: frozenset[Series] = frozenset()


def settle(page: Page, name: str, faults: Faults) -> Settled:
    """Return one value for each series of a sample name."""
    samples = page.samples.get(name, NONE)
    values = dict(samples)
    if len(values) == len(samples):
        return Settled(values)
    spoken: dict[Series, float] = {}
    contested: set[Series] = set()
    for series, value in samples:
        if series not in spoken:
            spoken[series] = value
            continue
        faults.add("duplicate_series", name, f"{series!r} stands there more than once")
        if spoken[series] != value:
            contested.add(series)
    kept = {series: value for series, value in spoken.items() if series not in contested}
    return Settled(kept, frozenset(contested))
