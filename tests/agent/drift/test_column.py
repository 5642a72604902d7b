"""What is found in a column is the same whichever way it was found."""

from math import inf, isfinite, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.column import Column, category

NUMBERS = st.lists(st.one_of(st.none(), st.integers(), st.floats()))
ANYTHING = st.lists(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.none()))
)


@given(st.one_of(NUMBERS, ANYTHING), st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_numbers_are_those_that_one_look_after_the_other_finds(
    values: list[float | str | None], one: float, other: float
) -> None:
    """Finite numbers are in order; each other value is missing, infinite or wrong."""
    low, high = sorted((one, other))
    plain = [
        float(value)
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    finite = sorted(number for number in plain if isfinite(number))

    found = Column(values).numbers

    assert found.ascending.tolist() == finite
    assert found.missing == values.count(None) + sum(map(isnan, plain))
    assert found.infinite == sum(number in (inf, -inf) for number in plain)
    assert found.wrong == len(values) - values.count(None) - len(plain)
    assert found.outside(low, high) == sum(not low <= number <= high for number in finite)


@given(st.one_of(st.lists(st.one_of(st.none(), st.text())), ANYTHING))
def test_words_are_those_that_one_look_after_the_other_finds(values: list[object]) -> None:
    """Each value is in one category, missing or wrong."""
    found = Column(values).words

    for name in {category(value) for value in values} - {None}:
        assert found.counted[str(name)] == sum(category(value) == name for value in values)
    assert found.missing == sum(value is None or value != value for value in values)  # noqa: PLR0124 - NaN
    assert sum(found.counted.values()) + found.missing + found.wrong == len(values)


def test_an_integer_that_no_float_holds_is_infinite() -> None:
    """It is so beside numbers, beside nothing and beside words."""
    for beside in (1.5, None, "x"):
        found = Column([10**400, beside, -(10**400)]).numbers
        assert found.infinite == 2


def test_what_was_found_is_known() -> None:
    """Who judges a column and who counts it share one look at its values."""
    column = Column([3.0, 1.0])

    first = column.numbers
    column.values = []

    assert column.numbers is first
    assert column.words.counted == {}


@pytest.mark.parametrize("value", [0, True, 1.5, ["x"], {}])
def test_what_is_no_text_has_no_length(value: object) -> None:
    """It stays wrong; nothing stays missing."""
    lengths = Column(["abc", value, None]).lengths.numbers

    assert (lengths.ascending.tolist(), lengths.missing, lengths.wrong) == ([3.0], 1, 1)
