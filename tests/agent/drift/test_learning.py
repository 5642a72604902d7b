import random

import pytest

from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.column import Column
from agent.drift.counting import counter
from agent.drift.learning import FEWEST_OF_A_CATEGORY, FeatureLearner
from agent.drift.reference import FeatureReference


def learned(*batches: list[object], name: str = "x") -> FeatureReference:
    """Return the reference of these values."""
    learner = FeatureLearner(name)
    for batch in batches:
        learner.add(batch)
    found = learner.freeze()
    assert found is not None
    (reference,) = found.features
    return reference


def test_numbers_are_cut_at_their_quantiles() -> None:
    """Each of ten bins holds a tenth of the reference, within the sketch's rank error."""
    numbers = random.Random(7)
    values: list[object] = [numbers.lognormvariate(5, 1.2) for _ in range(20_000)]

    reference = learned(values, [None] * 100, ["odd"] * 3)

    assert isinstance(reference.bins, NumericBins)
    assert len(reference.bins.edges) == 9
    assert reference.samples == 20_103
    assert reference.counts[-2:] == (100, 3)
    counted = counter(reference)
    counted.add(Column(values))
    assert all(1_400 < count < 2_600 for count in counted.counts[:10])
    assert all(
        abs(now - then) < 0.03 * 20_000
        for now, then in zip(counted.counts, reference.counts, strict=True)
    )
    assert counted.issues["out_of_range"] == 0


def test_few_distinct_numbers_make_few_bins() -> None:
    """Edges are distinct values: 0 and 1 make two bins, each with its own."""
    reference = learned([0, 1, 1, 1] * 50)

    assert reference.bins == NumericBins((0.0,))
    assert reference.counts == (50, 150, 0, 0)


def test_a_constant_keeps_its_own_bin() -> None:
    """What lies below or above a constant falls beside it."""
    reference = learned([5.0] * 100)
    counted = counter(reference)

    counted.add(Column([4.9, 5, 5.1]))

    assert reference.counts == (0, 100, 0, 0, 0)
    assert list(counted.counts) == [1, 1, 1, 0, 0]


def test_words_of_few_kinds_are_categories() -> None:
    """The most frequent ones get a bin, the most frequent first; a rare one gets no name."""
    reference = learned(["pro"] * 40 + ["free"] * 100 + ["ann@example.org"] * 3 + [None])

    assert reference.bins == CategoryBins(("free", "pro"))
    assert reference.counts == (100, 40, 1, 3)


def test_words_of_many_kinds_are_text_known_by_its_length() -> None:
    """Text is never in a label: its length in characters is a feature of its own."""
    reference = learned([f"a prompt number {number}" for number in range(1_000)])

    assert reference.name == "x.length"
    assert isinstance(reference.bins, NumericBins)
    assert (reference.low, reference.high) == (17.0, 19.0)


def test_words_that_are_names_of_bins_are_no_categories() -> None:
    """Such a word in a payload is counted as other; it neither passes for missing nor stops anything."""
    learner = FeatureLearner("plan")
    learner.add(["__missing__", "__other__", "free", "pro"] * 100)

    learned = learner.freeze()

    assert learned is not None
    (plan,) = learned.features
    assert plan.bins == CategoryBins(("free", "pro"))
    assert plan.counts == (100, 100, 0, 200)


def test_long_words_are_no_categories() -> None:
    """However often the same long text comes, it does not become a label."""
    reference = learned(["the same system prompt, " * 10] * (10 * FEWEST_OF_A_CATEGORY))

    assert isinstance(reference.bins, NumericBins)


@pytest.mark.parametrize("values", [[], [None, float("nan")], [[1], {}]])
def test_nothing_comparable_gives_no_reference(values: list[object]) -> None:
    """A feature that never had a value is not compared."""
    learner = FeatureLearner("x")

    learner.add(values)

    assert learner.freeze() is None
