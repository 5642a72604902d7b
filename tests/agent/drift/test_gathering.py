"""Rows wait for a batch, within bounds; none is lost, and none lacks what it could not have."""

from hypothesis import given
from hypothesis import strategies as st

from agent.drift.gathering import BATCH, MOST_CELLS, Gathering
from agent.drift.rows import Rows

KEY = ("m", "")


def rows(size: int, *names: str, whole: bool = True) -> Rows:
    """Return rows with these columns, of ones."""
    return Rows(*KEY, {name: [1] * size for name in names}, 0.0, whole, size)


def test_whole_rows_lack_what_others_have() -> None:
    """They are one batch, in which what is not there is missing, rows of nothing included."""
    gathering = Gathering()

    for each in (rows(1, "a"), rows(2, "b"), rows(1), rows(1, "a", "b")):
        assert gathering.add(each) == []

    (batch,) = gathering.take(KEY)
    assert batch.columns == {"a": [1, None, None, None, 1], "b": [None, 1, 1, None, 1]}
    assert (batch.size, batch.whole) == (5, True)
    assert gathering.take(KEY) == []


def test_sides_lack_nothing_of_each_other() -> None:
    """Requests alone, answers alone and labels are batches of their own: nothing in them is missing."""
    gathering = Gathering()

    for _ in range(3):
        for names in (("x", "row_id"), ("prediction", "row_id"), ("row_id", "label"), ("label",)):
            gathering.add(rows(2, *names, whole=False))
    gathering.add(rows(1, "x"))

    whole, *partly = gathering.take(KEY)
    assert whole.whole
    assert len(partly) == 4
    assert all(batch.size == 6 for batch in partly)
    assert not any(None in column for batch in partly for column in batch.columns.values())


@given(st.lists(st.tuples(st.integers(0, 900), st.sets(st.sampled_from("abcde")), st.booleans())))
def test_every_row_comes_out_once(sent: list[tuple[int, set[str], bool]]) -> None:
    """In whatever order they come, with whatever columns; few wait."""
    gathering, found = Gathering(), []

    for size, names, whole in sent:
        found += gathering.add(rows(size, *(sorted(names) or ["a"]), whole=whole))
        waiting = gathering._waiting.get(KEY, {})
        assert len(waiting) <= 8
        assert all(batch.size < BATCH for batch in waiting.values())
    found += gathering.take(KEY)

    assert sum(batch.size for batch in found) == sum(size for size, _, _ in sent)
    assert all(batch.size for batch in found)


def test_rows_with_many_columns_wait_for_less() -> None:
    """A model's values that wait are bounded, whatever shape they have."""
    gathering, full = Gathering(), []

    for number in range(20):
        names = [f"c{number}_{n}" for n in range(1_000)]
        full += gathering.add(rows(100, *names, whole=number % 2 == 0))
        waiting = gathering._waiting[KEY].values()
        assert sum(batch.size * len(batch.columns) for batch in waiting) < MOST_CELLS

    assert sum(batch.size for batch in [*full, *gathering.take(KEY)]) == 2_000
