"""Learns what a feature looks like, in bounded memory, and freezes it as a reference.

Numbers go into a KLL sketch (rank error 1.3 % at k = 200), words into a frequent-items sketch; both can be
merged, so that a reference of the whole fleet is made of what each node saw. Nothing else is kept.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nextafter
from typing import Final, NamedTuple

import datasketches
import numpy as np

from agent.drift.bins import CATEGORIES, QUANTILE_BINS, CategoryBins, NumericBins
from agent.drift.counting import LONGEST_CATEGORY, category, finite
from agent.drift.embedding import Projection, VectorReservoir
from agent.drift.performance import SCORE_BINS
from agent.drift.reference import FeatureReference
from agent.drift.rows import SCORE

KLL_K: Final = 200
"""Rank error 1.3 % at 2-5 KiB a feature (Karnin, Lang and Liberty 2016; Apache DataSketches)."""
FREQUENT_SIZE: Final = 10
"""Base-2 logarithm of the frequent-items map: categories above 0.1 % of the samples are surely found."""
FEWEST_OF_A_CATEGORY: Final = 20
"""A category that fewer rows have gets no name of its own in a label: it might be a person."""
_TEXT_COVERAGE: Final = 0.5
"""Words whose most frequent categories cover less than this share are text, known by its length."""
LENGTH: Final = ".length"
"""What the name of a text's length ends in."""


@dataclass(slots=True)
class _Seen:
    """Counts of what a feature's values were."""

    numbers: int = 0
    words: int = 0
    missing: int = 0
    other: int = 0


class Learned(NamedTuple):
    """What one column was: one feature, or those of an embedding and how they are made."""

    features: tuple[FeatureReference, ...]
    projection: Projection | None = None


class FeatureLearner:
    """Takes in values of one feature until it is frozen.

    A feature is numeric where most of its values are numbers, categorical where most are words of which
    few kinds make up most, and else text, of which the length in characters is learned. Vectors are an
    embedding, where ``embeddings`` allows to keep a sample of them until the reference is frozen.
    """

    def __init__(self, name: str, *, embeddings: bool = False) -> None:
        self.name = name
        self._vectors = VectorReservoir() if embeddings else None
        self._vectors_seen = 0
        self._seen = _Seen()
        self._numbers = datasketches.kll_doubles_sketch(KLL_K)
        self._lengths = datasketches.kll_doubles_sketch(KLL_K)
        self._words = datasketches.frequent_strings_sketch(FREQUENT_SIZE)

    @property
    def samples(self) -> int:
        """How many values were seen, missing ones included."""
        seen = self._seen
        return seen.numbers + seen.words + seen.missing + seen.other + self._vectors_seen

    def add(self, values: Sequence[object]) -> None:
        """Take in values; `None` and NaN are missing."""
        numbers: list[float] = []
        words: Counter[str] = Counter()
        for value in values:
            if value is None or value != value:  # noqa: PLR0124 - NaN alone differs from itself
                self._seen.missing += 1
            elif (number := finite(value)) is not None:
                numbers.append(number)
            elif (name := category(value)) is not None:
                words[name] += 1
            elif self._vectors and isinstance(value, list) and self._vectors.add(value):
                self._vectors_seen += 1
            else:
                self._seen.other += 1
        self._take(numbers, words)

    def add_missing(self, count: int) -> None:
        """Take in rows that did not have the feature."""
        self._seen.missing += count

    def _take(self, numbers: list[float], words: Counter[str]) -> None:
        self._seen.numbers += len(numbers)
        self._seen.words += words.total()
        if numbers:
            self._numbers.update(np.array(numbers))
        for word, count in words.items():
            self._words.update(word[: LONGEST_CATEGORY + 1], count)
            self._lengths.update(np.full(count, float(len(word))))

    def freeze(self) -> Learned | None:
        """Return what was learned, `None` where nothing was seen that could be compared with."""
        seen = self._seen
        if self._vectors_seen > max(seen.numbers, seen.words):
            return self._embedding()
        if seen.numbers >= seen.words:
            return Learned((self._number(),)) if seen.numbers else None
        return Learned((self._word(),))

    def _number(self) -> FeatureReference:
        odd = self.samples - self._seen.missing - self._seen.numbers
        return _numeric(self.name, self._numbers, self._seen.missing, odd)

    def _word(self) -> FeatureReference:
        seen, categories = self._seen, self._categories()
        named = sum(categories.values())
        if named < _TEXT_COVERAGE * seen.words:
            odd = self.samples - seen.missing - seen.words
            return _numeric(self.name + LENGTH, self._lengths, seen.missing, odd)
        counts = (*categories.values(), seen.missing, self.samples - seen.missing - named)
        return FeatureReference(self.name, CategoryBins(tuple(categories)), counts)

    def _embedding(self) -> Learned | None:
        """Learn the directions of the sample, then what the sample looks like along them."""
        found = self._vectors.learn(self.name) if self._vectors else None
        if found is None:
            return None
        projection, told = found
        features = []
        for name, values in told.items():
            learner = FeatureLearner(name)
            learner.add(values)
            features.append(learner._number())
        return Learned(tuple(features), projection)

    def _categories(self) -> dict[str, int]:
        """Return the most frequent categories that may have a name, the most frequent first."""
        found = self._words.get_frequent_items(
            datasketches.frequent_items_error_type.NO_FALSE_NEGATIVES
        )
        named = [
            (name, low)
            for name, _, low, _ in found
            if low >= FEWEST_OF_A_CATEGORY and len(name) <= LONGEST_CATEGORY and name
        ]
        return dict(sorted(named, key=lambda item: (-item[1], item[0]))[:CATEGORIES])


def _numeric(
    name: str, sketch: "datasketches.kll_doubles_sketch", missing: int, odd: int
) -> FeatureReference:
    """Cut at the quantiles of the sketch; where many values are equal there are fewer bins."""
    low, high = float(sketch.get_min_value()), float(sketch.get_max_value())
    bins = SCORE_BINS if name == SCORE else QUANTILE_BINS
    ranks = [place / bins for place in range(1, bins)]
    cuts = sorted({float(cut) for cut in sketch.get_quantiles(ranks)} - {high})
    if low == high:  # a constant: what lies beside it must not fall into its bin
        cuts = [nextafter(low, -inf), low]
    counts = _apportioned(sketch.get_pmf(cuts, True), int(sketch.n))
    return FeatureReference(name, NumericBins(tuple(cuts)), (*counts, missing, odd), low, high)


def _apportioned(shares: Sequence[float], total: int) -> tuple[int, ...]:
    """Return whole counts of these shares that sum to ``total``."""
    ends = [round(float(end) * total) for end in np.cumsum(shares)]
    ends[-1] = total
    return tuple(int(count) for count in np.diff([0, *ends]))
