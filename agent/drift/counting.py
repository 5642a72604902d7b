"""Counts values into bins, a batch at a time: all that is kept of a payload are these counts.

The fast way is for batches in which every value has the type that the reference knows; a batch with
anything else is sorted value by value, so that a word among numbers is counted and never guessed at.
"""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from math import isfinite, isnan
from typing import Final, Protocol

import numpy as np

from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.reference import FeatureReference

OUT_OF_RANGE: Final = "out_of_range"
NEW_CATEGORY: Final = "new_category"
TYPE_ERROR: Final = "type_error"
_NUMBERS: Final = frozenset({int, float})
_WORDS: Final = frozenset({str, type(None)})
LONGEST_CATEGORY: Final = 64
"""Characters; what is longer is text, not a category."""
_FLOAT_LIMIT: Final = 2.0**53
"""Integers beyond it lose digits as a float, which no bin of ten would notice; beyond 1e308 they are none."""


class FeatureCounter(Protocol):
    """The counts of one feature. ``counts`` are per bin, in the order of the labels; they only grow."""

    reference: FeatureReference

    @property
    def counts(self) -> Sequence[int]:
        """How many values each bin got."""

    @property
    def issues(self) -> dict[str, int]:
        """How many values had what wrong with them; every possible issue is there from the start."""

    def add(self, values: Sequence[object]) -> None:
        """Count values; `None` and NaN are missing."""

    def add_missing(self, count: int) -> None:
        """Count rows that did not have the feature at all."""


class NumericCounter:
    """Counts numbers."""

    def __init__(self, reference: FeatureReference) -> None:
        if not isinstance(reference.bins, NumericBins):
            raise TypeError(f"{reference.name} is no numeric feature")
        self.reference = reference
        self._edges = np.array(reference.bins.edges, dtype=np.float64)
        self._counts = np.zeros(len(reference.bins.labels), dtype=np.int64)
        self._ends = np.zeros(len(self._edges) + 2, dtype=np.int64)
        """How many values of a batch stand before each bin, and how many there are."""
        self._missing = len(self._counts) - 2
        self._low = -np.inf if reference.low is None else reference.low
        self._high = np.inf if reference.high is None else reference.high
        self._out_of_range = 0
        self._type_errors = 0

    @property
    def counts(self) -> Sequence[int]:
        """How many values each bin got."""
        return self._counts.tolist()

    @property
    def issues(self) -> dict[str, int]:
        """Out of range: below the least or above the greatest value of the reference, or infinite."""
        return {OUT_OF_RANGE: self._out_of_range, TYPE_ERROR: self._type_errors}

    def add(self, values: Sequence[object]) -> None:
        """Count values; `None` and NaN are missing."""
        if not set(map(type, values)) <= _NUMBERS:
            values = self._sorted_out(values)
        try:
            numbers = np.array(values, dtype=np.float64)
        except OverflowError:  # an integer of hundreds of digits
            numbers = np.array(self._finite(values), dtype=np.float64)
        with np.errstate(all="ignore"):
            total = numbers.sum()
        if not isfinite(total):  # a value is none, or they are too large together, which is no harm
            self._counts[self._missing] += int(np.isnan(numbers).sum())
            beyond = int(np.isinf(numbers).sum())
            self._counts[-1] += beyond
            self._out_of_range += beyond
            numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            return
        numbers.sort()  # in order, nine edges are found at once: a third of finding each value's bin
        self._ends[1:-1] = numbers.searchsorted(self._edges, side="right")
        self._ends[-1] = len(numbers)
        self._counts[: len(self._ends) - 1] += self._ends[1:] - self._ends[:-1]
        if numbers[0] < self._low or numbers[-1] > self._high:
            outside = (numbers < self._low) | (numbers > self._high)
            self._out_of_range += int(outside.sum())

    def add_missing(self, count: int) -> None:
        """Count rows that did not have the feature at all."""
        self._counts[self._missing] += count

    def _sorted_out(self, values: Sequence[object]) -> list[object]:
        """Return the numbers among the values and count the rest."""
        numbers = [value for value in values if type(value) in _NUMBERS]
        missing = sum(value is None for value in values)
        wrong = len(values) - len(numbers) - missing
        self._counts[self._missing] += missing
        self._counts[-1] += wrong
        self._type_errors += wrong
        return numbers

    def _finite(self, values: Sequence[object]) -> list[float]:
        numbers = [_as_float(value) for value in values]
        beyond = numbers.count(None)
        self._counts[-1] += beyond
        self._out_of_range += beyond
        return [number for number in numbers if number is not None]


class CategoryCounter:
    """Counts words."""

    def __init__(self, reference: FeatureReference) -> None:
        if not isinstance(reference.bins, CategoryBins):
            raise TypeError(f"{reference.name} is no categorical feature")
        self.reference = reference
        self._index = {name: place for place, name in enumerate(reference.bins.categories)}
        self._counts = [0] * len(reference.bins.labels)
        self._new = 0
        self._type_errors = 0

    @property
    def counts(self) -> Sequence[int]:
        """How many values each bin got."""
        return self._counts

    @property
    def issues(self) -> dict[str, int]:
        """New: a category that has no bin of its own."""
        return {NEW_CATEGORY: self._new, TYPE_ERROR: self._type_errors}

    def add(self, values: Sequence[object]) -> None:
        """Count values; `None` and NaN are missing."""
        if set(map(type, values)) <= _WORDS:
            counted: Counter[str | None] = Counter(values)  # type: ignore[arg-type]
            missing, wrong = counted.pop(None, 0), 0
        else:  # 1, 1.0 and True are equal, and so one key
            missing = sum(value is None or value != value for value in values)  # noqa: PLR0124 - NaN
            counted = Counter(map(category, values))
            wrong = counted.pop(None, 0) - missing
        self._counts[-2] += missing
        self._counts[-1] += wrong
        self._type_errors += wrong
        for name, count in counted.items():
            self._add_one(str(name), count)

    def _add_one(self, name: str, count: int) -> None:
        place = self._index.get(name)
        if place is None:
            self._counts[-1] += count
            self._new += count
        else:
            self._counts[place] += count

    def add_missing(self, count: int) -> None:
        """Count rows that did not have the feature at all."""
        self._counts[-2] += count


def counter(reference: FeatureReference) -> FeatureCounter:
    """Return what counts a feature."""
    if isinstance(reference.bins, NumericBins):
        return NumericCounter(reference)
    return CategoryCounter(reference)


def finite(value: object) -> float | None:
    """Return a number as a float, `None` where it is none, or none that is finite."""
    if type(value) not in _NUMBERS:
        return None
    number = _as_float(value)
    return number if number is not None and isfinite(number) else None


def spelled(value: object) -> str | None:
    """Return a category to compare with others or to keep: what is long, such as a text, as its hash."""
    name = category(value)
    if name is None or len(name) <= LONGEST_CATEGORY:
        return name
    return blake2b(name.encode(), digest_size=16).hexdigest()


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


def _as_float(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]  # numbers alone come here
    except OverflowError:
        return None
    return number if isfinite(number) or isnan(number) else None
