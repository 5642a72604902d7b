"""The readings of one field of a record, the same objects for as long as the field says the same.

What did not change is not made anew, and whoever comes later sees by the object that it did not.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from agent.catalogue import Metric
from agent.snapshot import Reading


class Row:
    """A field: ``make`` gives its readings from a value."""

    __slots__ = ("_make", "last", "position", "value")

    def __init__(self, position: int, make: Callable[[Any], tuple[Reading, ...]]) -> None:
        self.position = position
        """Of the field in the record."""
        self._make = make
        self.value: Any = None
        self.last: tuple[Reading, ...] = ()
        """The readings of `value`."""

    def readings(self, value: Any) -> tuple[Reading, ...]:
        """Return the readings of ``value``, which is not `None` and is not changed later."""
        if value is not self.value and value != self.value:
            self.value, self.last = value, self._make(value)
        return self.last


def told(record: tuple[Any, ...], rows: Iterable[Row]) -> list[Reading]:
    """Return the readings of those fields that ``record`` has."""
    readings: list[Reading] = []
    for row in rows:
        value = record[row.position]
        if value is None:
            continue
        readings += row.last if value is row.value else row.readings(value)
    return readings


def number(metric: Metric, attributes: tuple[str, ...]) -> Callable[[Any], tuple[Reading, ...]]:
    """Return what makes the reading of a number, or of a truth, which becomes one."""
    return lambda value: (Reading(metric, attributes, value + 0),)


class OneOf:
    """Makes the readings of a state: 1 for the word that is so, 0 for those that were so before.

    A word that never was so has no series; see docs/adr/0013-what-is-told-how-often.md.
    """

    __slots__ = ("_before", "_metric", "_seen", "_words")

    def __init__(self, metric: Metric, before: tuple[str, ...], words: tuple[str, ...]) -> None:
        self._metric = metric
        self._before = before
        self._words = words
        self._seen: set[str] = set()

    def __call__(self, is_so: str) -> tuple[Reading, ...]:
        """Return the readings while ``is_so``."""
        self._seen.add(is_so)
        seen = [word for word in self._words if word in self._seen]
        return tuple(states(self._metric, self._before, seen, is_so))


def states(
    metric: Metric, before: tuple[str, ...], words: Iterable[str], is_so: str
) -> Iterator[Reading]:
    """Yield a reading for each word."""
    for word in words:
        yield Reading(metric, (*before, word), int(word == is_so))


def each_of(
    metric: Metric, before: tuple[str, ...], words: tuple[str, ...]
) -> Callable[[Any], tuple[Reading, ...]]:
    """Return what makes the readings of a set of ``words``: 1 for each that is in it."""
    return lambda found: tuple(
        Reading(metric, (*before, word), int(word in found)) for word in words
    )


class Entries:
    """Makes the readings of a mapping, one for each entry; those of entries that stay are kept.

    ``sparse``: an entry that never was more than 0 has no series.
    """

    __slots__ = ("_before", "_kept", "_metric", "_sparse")

    def __init__(self, metric: Metric, before: tuple[str, ...], *, sparse: bool = False) -> None:
        self._metric = metric
        self._before = before
        self._sparse = sparse
        self._kept: dict[str | tuple[str, ...], Reading] = {}

    def __call__(self, values: Mapping[str | tuple[str, ...], float]) -> tuple[Reading, ...]:
        """Return the readings of ``values``."""
        kept = self._kept
        if self._sparse:
            values = {entry: value for entry, value in values.items() if value or entry in kept}
        for entry, value in values.items():
            last = kept.get(entry)
            if last is None:
                own = (entry,) if isinstance(entry, str) else entry
                kept[entry] = Reading(self._metric, (*self._before, *own), value + 0)
            elif last.value != value:
                kept[entry] = Reading(self._metric, last.attributes, value + 0)
        if len(kept) > len(values):
            self._kept = kept = {entry: kept[entry] for entry in values}
            return tuple(kept.values())
        return tuple([kept[entry] for entry in values])
