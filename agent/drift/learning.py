"""Learns what a feature looks like, in bounded memory, and freezes it as a reference.

Numbers go into a KLL sketch (rank error 0.7 % at k = 400), words into a frequent-items sketch; both can be
merged, so that a reference of the whole fleet is made of what each node saw. Nothing else is kept.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, isfinite, nextafter
from typing import Final, NamedTuple

import datasketches
import numpy as np

from agent.drift.bins import CATEGORIES, QUANTILE_BINS, RESERVED, CategoryBins, NumericBins
from agent.drift.column import LONGEST_CATEGORY, category, finite
from agent.drift.embedding import Projection, VectorReservoir
from agent.drift.performance import SCORE_BINS
from agent.drift.reference import FeatureReference
from agent.drift.rows import LENGTH, SCORE
from agent.drift.schema import CATEGORICAL, EMBEDDING, NUMERIC, TEXT, Declared, categories

KLL_K: Final = 400
"""Rank error 0.7 % at 4-10 KiB a feature (Karnin, Lang and Liberty 2016; Apache DataSketches). The sketch is
random: at 200 two references of the same rows have edges so far apart that small shifts are seen or not."""
FREQUENT_SIZE: Final = 10
"""Base-2 logarithm of the frequent-items map: categories above 0.1 % of the samples are surely found."""
FEWEST_OF_A_CATEGORY: Final = 20
"""A category that fewer rows have gets no name of its own in a label: it might be a person."""
_TEXT_COVERAGE: Final = 0.5
"""Words whose most frequent categories cover less than this share are text, known by its length."""


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
    embedding, where ``embeddings`` allows to keep a sample of them until the reference is frozen. What is
    ``declared`` needs no such guess.
    """

    def __init__(
        self, name: str, *, embeddings: bool = False, declared: Declared | None = None
    ) -> None:
        self.name = name
        self._declared = declared
        self._kind = declared.kind if declared else None
        wanted = embeddings if declared is None else declared.kind == EMBEDDING
        self._vectors = VectorReservoir() if wanted else None
        self._vectors_seen = 0
        self._seen = _Seen()

    # Each when it is first needed: most features need but one of them.
    @cached_property
    def _numbers(self) -> "datasketches.kll_doubles_sketch":
        return datasketches.kll_doubles_sketch(KLL_K)

    @cached_property
    def _lengths(self) -> "datasketches.kll_doubles_sketch":
        return datasketches.kll_doubles_sketch(KLL_K)

    @cached_property
    def _words(self) -> "datasketches.frequent_strings_sketch":
        return datasketches.frequent_strings_sketch(FREQUENT_SIZE)

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
            elif self._kind in (None, NUMERIC) and (number := finite(value)) is not None:
                numbers.append(number)
            elif (name := self._word_of(value)) is not None:
                words[name] += 1
            elif self._vectors and isinstance(value, list) and self._vectors.add(value):
                self._vectors_seen += 1
            else:
                self._seen.other += 1
        self._take(numbers, words)

    def _word_of(self, value: object) -> str | None:
        if self._kind in (None, CATEGORICAL):
            return category(value)
        return value if self._kind == TEXT and isinstance(value, str) else None

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
        if not seen.numbers and not seen.words and not self._vectors_seen:
            return None
        if self._vectors_seen > max(seen.numbers, seen.words):
            return self._embedding()
        if seen.numbers >= seen.words:
            return Learned((self._number(),))
        return Learned((self._word(),))

    def _number(self) -> FeatureReference:
        odd = self.samples - self._seen.missing - self._seen.numbers
        return self._bounded(_numeric(self.name, self._numbers, self._seen.missing, odd))

    def _word(self) -> FeatureReference:
        seen, found = self._seen, self._categories()
        is_text = self._kind == TEXT or (
            self._kind is None and sum(found.values()) < _TEXT_COVERAGE * seen.words
        )
        if is_text:
            odd = self.samples - seen.missing - seen.words
            return self._bounded(_numeric(self.name + LENGTH, self._lengths, seen.missing, odd))
        bins = CategoryBins(tuple(found))
        if self._declared and self._declared.values:
            found = {name: self._words.get_estimate(name) for name in self._declared.values}
            bins = categories(self._declared, found, CATEGORIES)
        named = tuple(found[name] for name in bins.categories)
        counts = (*named, seen.missing, self.samples - seen.missing - sum(named))
        return FeatureReference(self.name, bins, counts)

    def _bounded(self, found: FeatureReference) -> FeatureReference:
        """Return a numeric feature with the range that is declared in the place of the one that was seen."""
        if self._declared is None:
            return found
        low = found.low if self._declared.low is None else self._declared.low
        high = found.high if self._declared.high is None else self._declared.high
        if low is not None and high is not None and low > high:  # nothing that was seen is allowed
            low, high = self._declared.low, self._declared.high
        return replace(found, low=low, high=high)

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
            if low >= FEWEST_OF_A_CATEGORY
            and 0 < len(name) <= LONGEST_CATEGORY
            and name not in RESERVED
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
        cuts = [cut for cut in (nextafter(low, -inf), low) if isfinite(cut)]
    counts = _apportioned(sketch.get_pmf(cuts, True), int(sketch.n))
    return FeatureReference(name, NumericBins(tuple(cuts)), (*counts, missing, odd), low, high)


def _apportioned(shares: Sequence[float], total: int) -> tuple[int, ...]:
    """Return whole counts of these shares that sum to ``total``."""
    ends = [round(float(end) * total) for end in np.cumsum(shares)]
    ends[-1] = total
    return tuple(int(count) for count in np.diff([0, *ends]))
