"""What becomes a label is short, and never two things under one name."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.intake.flatten import flatten
from agent.drift.intake.names import MAX_NAME, bounded


@given(st.text(), st.integers(20, 200))
def test_short_names_are_as_they_are(name: str, most: int) -> None:
    """Longer ones are cut to what there is room for."""
    assert bounded(name, most) == name if len(name) <= most else len(bounded(name, most)) == most


def test_long_names_stay_apart() -> None:
    """What differs behind the cut differs in the hash, features of one row included."""
    long = "k" * 500

    row = flatten({f"{long}1": 1, f"{long}2": 2, long: {"a": 3, "b": 4}})

    assert sorted(row.values(), key=str) == [1, 2, 3, 4]
    assert all(len(name) == MAX_NAME and name.startswith("k" * 100) for name in row)


@pytest.mark.parametrize("inner", [9_000])
def test_a_long_name_is_not_copied_for_all_that_is_below_it(inner: int) -> None:
    """A body of megabytes that is a name does not keep the process busy."""
    began = time.process_time()

    flatten({"k" * 4_000_000: {f"{number}": number for number in range(inner)}})

    assert time.process_time() - began < 5
