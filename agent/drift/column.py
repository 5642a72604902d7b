"""One column of a batch, looked at once: who judges its values and who counts them share what was found.

The fast ways are for batches of plain numbers or plain words; anything else is sorted value by value, so that
a word among numbers is counted and never guessed at.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from math import isfinite, nan
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

LONGEST_CATEGORY: Final = 64
"""Characters; what is longer is text, not a category."""
_NUMBERS: Final = frozenset({int, float})
_PLAIN_NUMBERS: Final = _NUMBERS | {type(None)}
_PLAIN_WORDS: Final = frozenset({str, type(None)})
_FLOAT_LIMIT: Final = 2.0**53
"""Integers beyond it lose digits as a float, which no bin of ten would notice; beyond 1e308 they are none."""


class Numbers(NamedTuple):
    """A column as numbers. ``ascending`` are the finite ones; the rest is counted."""

    ascending: NDArray[np.float64]
    missing: int
    """`None` and NaN."""
    infinite: int
    """Infinities, and integers that no float holds."""
    wrong: int
    """Values that are no numbers."""

    def outside(self, low: float, high: float) -> int:
        """Return how many of the finite ones are below ``low`` or above ``high``."""
        found = self.ascending
        if not len(found) or (found[0] >= low and found[-1] <= high):
            return 0
        below = found.searchsorted(low, side="left")
        return int(below + len(found) - max(below, found.searchsorted(high, side="right")))


class Words(NamedTuple):
    """A column as categories: how often each is there; the rest is counted."""

    counted: Mapping[str, int]
    missing: int
    """`None` and NaN."""
    wrong: int
    """Values that spell no category."""


class Column:
    """The ``values`` of one feature; what they are is found when it is asked for, and then known."""

    def __init__(self, values: Sequence[object]) -> None:
        self.values = values

    @cached_property
    def _types(self) -> set[type]:
        return set(map(type, self.values))

    @cached_property
    def numbers(self) -> Numbers:
        """The values as numbers."""
        values, missing, wrong = self.values, 0, 0
        if not self._types <= _PLAIN_NUMBERS:
            values = [value for value in self.values if type(value) in _NUMBERS]
            missing = sum(value is None for value in self.values)
            wrong = len(self.values) - len(values) - missing
        infinite = 0
        try:
            found = np.array(values, dtype=np.float64)  # `None` becomes NaN
        except OverflowError:  # an integer of hundreds of digits
            held = [number for value in values if (number := _as_float(value)) is not None]
            infinite = len(values) - len(held)
            found = np.array(held, dtype=np.float64)
        with np.errstate(all="ignore"):
            total = found.sum()
        if not isfinite(total):  # a value is none, or they are too large together, which is no harm
            missing += int(np.isnan(found).sum())
            infinite += int(np.isinf(found).sum())
            found = found[np.isfinite(found)]
        found.sort()
        return Numbers(found, missing, infinite, wrong)

    @cached_property
    def words(self) -> Words:
        """The values as categories."""
        if self._types <= _PLAIN_WORDS:
            plain: Counter[str | None] = Counter(self.values)  # type: ignore[arg-type]
            missing = plain.pop(None, 0)
            return Words(plain, missing, 0)  # type: ignore[arg-type]
        # 1, 1.0 and True are equal, and so one key
        missing = sum(value is None or value != value for value in self.values)  # noqa: PLR0124 - NaN
        spelt = Counter(map(category, self.values))
        wrong = spelt.pop(None, 0) - missing
        return Words(spelt, missing, wrong)  # type: ignore[arg-type]

    @cached_property
    def lengths(self) -> "Column":
        """The lengths of texts, in characters; what is no text stays wrong."""
        return Column([_length(value) for value in self.values])


def finite(value: object) -> float | None:
    """Return a number as a float, `None` where it is none, or none that is finite."""
    if type(value) not in _NUMBERS:
        return None
    number = _as_float(value)
    return number if number is not None and isfinite(number) else None


def category(value: object) -> str | None:
    """Return the category that a value spells, `None` where it is no word, whole number or truth value."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < _FLOAT_LIMIT else None
    if isinstance(value, float) and isfinite(value):
        return f"{value:g}"
    return None


def spelled(value: object) -> str | None:
    """Return a category to compare with others or to keep: what is long, such as a text, as its hash."""
    name = category(value)
    if name is None or len(name) <= LONGEST_CATEGORY:
        return name
    return blake2b(name.encode(), digest_size=16).hexdigest()


def _as_float(value: object) -> float | None:
    """Return a number, or nothing as NaN; `None` for an integer that no float holds."""
    try:
        return nan if value is None else float(value)  # type: ignore[arg-type]  # no others come here
    except OverflowError:
        return None


def _length(value: object) -> object:
    if isinstance(value, str):
        return len(value)
    return None if value is None else ()
