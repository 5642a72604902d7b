"""Whose series are exported where two collectors know the same: those of the collector that stands first.

NVML is asked before dcgm-exporter, which asks NVML in turn: what both know is known twice, and a sum over
both would be wrong. What is left out for that reason is no problem to be counted for ever; it is said once.
"""

import logging
from collections.abc import Set as AbstractSet
from dataclasses import replace

from agent.catalogue import Metric, gpu_health
from agent.snapshot import Batch, Reading, SeriesKey, series_key

_log = logging.getLogger(__name__)

_STATES = frozenset({gpu_health.COMPUTE, gpu_health.RECOVERY})
"""Of which one word is so; a source tells those alone that are so or were."""
_Part = tuple[Metric, str]
"""A metric and the GPU that it is about."""


class Precedence:
    """Collects what is known, collector by collector, in the order in which they win.

    A new one for each snapshot; ``told`` are the names of the collectors of whose overlap was spoken
    already, kept by the caller.
    """

    def __init__(self, told: set[str]) -> None:
        self._told = told
        self._known: set[SeriesKey] = set()
        self._parts: set[_Part] | None = None

    def without_known(self, name: str, batch: Batch, keys: AbstractSet[SeriesKey]) -> Batch:
        """Return the batch without what collectors before know; ``keys`` are of its series."""
        if not self._known:
            return batch
        # Most are not of a GPU, and this runs for every series of every snapshot.
        totals = [each for each in batch.readings if each[0].group == "gpu" and _is_total(each)]
        if not totals and self._known.isdisjoint(keys):
            return batch
        fresh = tuple(each for each in batch.readings if not self._knows(each))
        if len(fresh) == len(batch.readings):
            return batch
        self._tell(name, len(batch.readings) - len(fresh), len(batch.readings))
        return replace(batch, readings=fresh)

    def add(self, keys: AbstractSet[SeriesKey]) -> None:
        """Take in the series of a collector: the next ones' are compared with them."""
        self._known |= keys
        self._parts = None

    def _knows(self, reading: Reading) -> bool:
        metric, attributes, _ = reading
        if series_key(metric, attributes) in self._known:
            return True
        return _is_total(reading) and (metric, attributes[0]) in self._known_parts()

    def _known_parts(self) -> set[_Part]:
        if self._parts is None:
            self._parts = {
                (metric, attributes[0]) for metric, attributes in self._known if attributes
            }
        return self._parts

    def _tell(self, name: str, left_out: int, all_of_them: int) -> None:
        if name not in self._told:
            self._told.add(name)
            _log.info(
                "collector %s: %d of its %d series are known from the collectors before it, whose "
                "values are used (said once)",
                *(name, left_out, all_of_them),
            )


def _is_total(reading: Reading) -> bool:
    """Tell whether a reading is of a whole that another source may tell in parts.

    An attribute of a GPU's series that is absent means all of its values together: ECC errors without a
    location are those of all memories. They give way to the parts, or a sum would count both. So do the
    words of a state: what is so of a GPU is said by one source.
    """
    metric, attributes, _ = reading
    if metric in _STATES:
        return True
    return "" in attributes and metric.group == "gpu" and not metric.facts
