import random
from pathlib import Path

import pytest

from agent.config.drift import DriftModel
from agent.drift.models import Models
from agent.drift.rows import Rows
from agent.drift.selection import EVERYTHING, Selection, selection_of
from agent.drift_app import selection

CHANCE = random.Random(1)
ROWS = Rows(
    "churn",
    "3",
    {
        "user.age": [30, 40],
        "user.email": ["ann@example.org", None],
        "plan": ["free", ["x"]],
        "y": [1, 0],
        "latency": [0.1, 0.2],
    },
    0.0,
)


@pytest.mark.parametrize(
    ("chosen", "columns"),
    [
        (Selection(), {"user.age", "user.email", "plan", "y", "latency"}),
        (Selection(include=("user.*",)), {"user.age", "user.email", "latency"}),
        (Selection(exclude=("*.email",)), {"user.age", "plan", "y", "latency"}),
        (Selection(include=("user.*",), exclude=("*.email",)), {"user.age", "latency"}),
        (
            Selection(include=("plan",), roles={"prediction": "y"}),
            {"plan", "prediction", "latency"},
        ),
    ],
)
def test_fields_are_selected_by_pattern(chosen: Selection, columns: set[str]) -> None:
    """What is left out is gone; reserved columns and those with a role stay."""
    assert set(chosen.apply(ROWS, CHANCE).columns) == columns


def test_hashed_values_cannot_be_read() -> None:
    """The same value has the same hash with the same key alone; what is no value stays as it is."""
    one = Selection(hashed=("*.email", "plan"), key=b"a").apply(ROWS, CHANCE).columns
    again = Selection(hashed=("*.email",), key=b"a").apply(ROWS, CHANCE).columns
    other = Selection(hashed=("*.email",), key=b"b").apply(ROWS, CHANCE).columns

    assert "ann" not in str(one)
    assert one["user.email"] == again["user.email"]
    assert one["user.email"] != other["user.email"]
    assert one["user.email"][1] is None
    assert one["plan"][1] == ["x"]


def test_a_share_of_rows_is_looked_at() -> None:
    """Rows are chosen whole: the columns stay together."""
    rows = Rows("m", "", {"a": list(range(10_000)), "b": list(range(10_000))}, 0.0)

    found = Selection(share=0.1).apply(rows, random.Random(1))

    assert 800 < found.size < 1_200
    assert list(found.columns["a"]) == list(found.columns["b"])


def test_the_first_selection_that_fits_is_taken() -> None:
    """Patterns of models are tried in order, and a model without one is looked at whole."""
    first, second = Selection(model="churn*", share=0.5), Selection(model="*", share=0.1)

    assert selection_of("churn-eu", (first, second)) is first
    assert selection_of("fraud", (first, second)) is second
    assert selection_of("fraud", (first,)) is EVERYTHING


def test_a_reservoir_holds_few_rows_and_only_what_is_selected() -> None:
    """Rows are kept where that is asked for, without the fields that are left out."""
    chosen = Selection(model="churn", exclude=("*.email",), reservoir=50)
    models = Models(clock=lambda: 0.0, selections=(chosen,))

    for _ in range(200):
        models.add(ROWS)
    models.add(ROWS._replace(model="fraud"))

    kept = models.sample("churn", "3")
    assert len(kept) == 50
    assert all(set(row) == {"user.age", "plan", "y", "latency"} for row in kept)
    assert models.sample("fraud", "3") == []


def test_a_reservoir_holds_no_labels_that_came_late_and_nothing_nested() -> None:
    """A label is no row, an id is no feature, and what is nested is of no use to a report."""
    models = Models(clock=lambda: 0.0, selections=(Selection(reservoir=50),))
    deep: list[object] = []
    deep.append([deep])
    columns: dict[str, list[object]] = {
        "a": [1.0],
        "v": [[1.0, 2.0]],
        "deep": [deep],
        "o": [{"x": 1}],
        "row_id": ["7"],
    }

    models.add(Rows("m", "", columns, 0.0))
    models.label(Rows("m", "", {"row_id": ["7"], "label": ["x"]}, 0.0, whole=False))

    assert models.sample("m", "") == [{"a": 1.0, "v": [1.0, 2.0], "deep": None, "o": None}]


def test_what_is_left_out_is_in_no_reference() -> None:
    """A field that is excluded is not learned."""
    models = Models(clock=lambda: 0.0, selections=(Selection(exclude=("*.email",)),))
    models.add(ROWS)

    reference = models.freeze("churn", "3")

    assert reference is not None
    assert "ann" not in reference.to_json()
    assert "user.email" not in reference.by_name


def test_a_hash_key_is_read_from_its_file(tmp_path: Path) -> None:
    """A missing or empty file is said before anything is hashed without a key."""
    file = tmp_path / "key"
    file.write_text("secret\n")
    configured = DriftModel(model="m", hashed=("a",), hash_key_file=str(file), score="p")

    found = selection(configured)

    assert (found.key, found.roles) == (b"secret", {"score": "p"})
    file.write_text("")
    with pytest.raises(ValueError, match="is empty"):
        selection(configured)
    file.unlink()
    with pytest.raises(ValueError, match="No such file"):
        selection(configured)
