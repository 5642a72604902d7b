"""What features of a model are by declaration, which wins over what was learned; what breaks it is counted.

Whoever knows that a postcode is no number says so; bins, references and counts follow.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.counting import category, finite
from agent.drift.embedding import vector
from agent.drift.reference import Reference
from agent.drift.rows import LATENCY, LENGTH, PREDICTION, SCORE, Rows

NUMERIC: Final = "numeric"
CATEGORICAL: Final = "categorical"
TEXT: Final = "text"
EMBEDDING: Final = "embedding"
ROLE_OF_KIND: Final[Mapping[str, str]] = {
    "score": SCORE,
    "class": PREDICTION,
    "latency": LATENCY,
}
"""Kinds that only one feature of a model has, and the columns that they are in."""
_RANGES: Final = {"score": (0.0, 1.0), "latency": (0.0, None)}


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What one feature is. ``kind`` is one of the above; `Schema` turns those with a role into plain ones.

    ``values`` are the categories that there may be, all if empty; ``low`` and ``high`` bound a number, or the
    length of a text in characters. ``required``: it may not be missing.
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    required: bool = False

    @property
    def plain(self) -> "Declared":
        """The same as a numeric or a categorical feature, under the name of its role."""
        if self.kind not in ROLE_OF_KIND:
            return self
        low, high = _RANGES.get(self.kind, (None, None))
        return Declared(
            name=ROLE_OF_KIND[self.kind],
            kind=CATEGORICAL if self.kind == "class" else NUMERIC,
            values=self.values,
            low=low if self.low is None else self.low,
            high=high if self.high is None else self.high,
            required=self.required,
        )

    def violations(self, values: Sequence[object]) -> int:
        """Return how many of these are not what they are declared to be.

        The fast ways are for batches of plain numbers or words, as counting has them.
        """
        kinds = set(map(type, values))
        if self.kind == NUMERIC and kinds <= {int, float}:
            with suppress(OverflowError):
                return self._beyond(np.array(values, dtype=np.float64))
        if self.kind == CATEGORICAL and kinds <= {str, type(None)}:
            return self._unlisted(Counter(values))  # type: ignore[arg-type]
        missing = sum(_is_missing(value) for value in values)
        right = sum(self._fits(value) for value in values if not _is_missing(value))
        return len(values) - right - (0 if self.required else missing)

    def _beyond(self, numbers: NDArray[np.float64]) -> int:
        low = -inf if self.low is None else self.low
        high = inf if self.high is None else self.high
        right = (numbers >= low) & (numbers <= high) & (np.abs(numbers) < inf)
        missing = 0 if self.required else int(np.isnan(numbers).sum())
        return len(numbers) - int(right.sum()) - missing

    def _unlisted(self, counted: Mapping[str | None, int]) -> int:
        known = set(self.values)
        return sum(
            count
            for name, count in counted.items()
            if (self.required if name is None else bool(known) and name not in known)
        )

    def _fits(self, value: object) -> bool:
        match self.kind:
            case "categorical":
                name = category(value)
                return name is not None and (not self.values or name in self.values)
            case "text":
                return isinstance(value, str) and self._is_within(len(value))
            case "embedding":
                return vector(value) is not None
            case _:
                number = finite(value)
                return number is not None and self._is_within(number)

    def _is_within(self, number: float) -> bool:
        low = -inf if self.low is None else self.low
        return low <= number <= (inf if self.high is None else self.high)


class Schema:
    """What is declared of the features of a model; of those that are not, nothing."""

    def __init__(self, declared: Sequence[Declared] = ()) -> None:
        self.by_name: Mapping[str, Declared] = {each.plain.name: each.plain for each in declared}

    def violations(self, rows: Rows) -> int:
        """Return how many values break it. What is absent is missing in each row, where rows are whole."""
        found = 0
        for name, declared in self.by_name.items():
            values = rows.columns.get(name)
            if values is not None:
                found += declared.violations(values)
            elif declared.required and rows.whole:
                found += rows.size
        return found

    def features(self, reference: Reference) -> frozenset[str]:
        """Return the features of a reference that are declared, or made of a column that is."""
        made = (
            feature
            for each in reference.projections
            if each.name in self.by_name
            for feature in each.features
        )
        return frozenset((*self.by_name, *(name + LENGTH for name in self.by_name), *made))

    def contradiction(self, reference: Reference) -> str:
        """Return what the reference takes for something else than is declared, nothing if it does not."""
        return "; ".join(
            f"{name} is declared {declared.kind}, and {found} in the reference {reference.id}"
            for name, declared in self.by_name.items()
            for found in _kinds(name, reference)
            if found != declared.kind
        )


def _kinds(name: str, reference: Reference) -> Iterator[str]:
    """Yield what a feature is in a reference, if it is in it."""
    if any(each.name == name for each in reference.projections):
        yield EMBEDDING
    if name + LENGTH in reference.by_name:
        yield TEXT
    if name in reference.by_name:
        bins = reference.by_name[name].bins
        yield NUMERIC if isinstance(bins, NumericBins) else CATEGORICAL


def _is_missing(value: object) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN alone differs from itself


def categories(declared: Declared, seen: Mapping[str, int], most: int) -> CategoryBins:
    """Return the bins of declared values: those that were seen most often first, then as declared."""
    names = sorted(declared.values, key=lambda name: -seen.get(name, 0))
    return CategoryBins(tuple(names[:most]))
