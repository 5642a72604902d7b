"""What features of a model are by declaration, which wins over what was learned; what breaks it is counted.

Whoever knows that a postcode is no number says so; bins, references and counts follow.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.column import Column
from agent.drift.embedding import vector
from agent.drift.reference import Reference
from agent.drift.rows import LATENCY, LENGTH, PREDICTION, SCORE

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

    def violations(self, column: Column) -> int:
        """Return how many values of a column are not what they are declared to be."""
        match self.kind:
            case "categorical":
                words = column.words
                known = frozenset(self.values)
                new = sum(count for name, count in words.counted.items() if name not in known)
                broken, missing = words.wrong + (new if known else 0), words.missing
            case "embedding":
                missing = sum(value is None for value in column.values)
                broken = sum(vector(value) is None for value in column.values) - missing
            case kind:
                numbers = (column.lengths if kind == TEXT else column).numbers
                low, high = self._range
                broken = numbers.wrong + numbers.infinite + numbers.outside(low, high)
                missing = numbers.missing
        return broken + (missing if self.required else 0)

    @property
    def _range(self) -> tuple[float, float]:
        return -inf if self.low is None else self.low, inf if self.high is None else self.high


class Schema:
    """What is declared of the features of a model; of those that are not, nothing."""

    def __init__(self, declared: Sequence[Declared] = ()) -> None:
        self.by_name: Mapping[str, Declared] = {each.plain.name: each.plain for each in declared}

    def violations(self, columns: Mapping[str, Column], absent: int) -> int:
        """Return how many values break it; a column that is not there is missing in ``absent`` rows."""
        found = 0
        for name, declared in self.by_name.items():
            if name in columns:
                found += declared.violations(columns[name])
            elif declared.required:
                found += absent
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


def categories(declared: Declared, seen: Mapping[str, int], most: int) -> CategoryBins:
    """Return the bins of declared values: those that were seen most often first, then as declared."""
    names = sorted(declared.values, key=lambda name: -seen.get(name, 0))
    return CategoryBins(tuple(names[:most]))
