"""A small part of the evaluation, so that what its document claims stays true."""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.estimated import PUBLISHED_JS
from tests.evaluation.simulated import Cell, Traffic
from tests.real_parts.command import run

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "drift-evaluation.md"
PUBLISHED_AUC = (
    *(0.970744, 0.971011, 0.971407, 0.971091, 0.971123),
    *(0.961090, 0.961825, 0.961073, 0.962533, 0.961316),
)
"""ROC AUC that NannyML's documents estimate (CBPE) for the chunks of the later car loans."""
OURS = "Warpwatch, calibrated"

pytestmark = pytest.mark.timeout(600)  # the environment may have to be made first


@cache
def found() -> dict[str, Any]:
    """Return what the quick evaluation prints, run once in its own environment."""
    said = run(sys.executable, "-m", "tests.evaluation", "--quick")
    told: dict[str, Any] = json.loads(said[said.index("{\n") :])
    return told


def test_distances_are_those_that_nannyml_publishes() -> None:
    """All seven published Jensen-Shannon distances, to the last printed digit."""
    assert found()["js"] == pytest.approx(PUBLISHED_JS, abs=1e-6)


def test_the_formula_is_that_of_nannyml() -> None:
    """Of every row, the estimate is NannyML's own on census and loans, and the published one."""
    assert found()["auc"] == pytest.approx(PUBLISHED_AUC, abs=1e-6)
    for data in ("census", "car_loan"):
        errors = found()["performance"][data]["the formula on every row to NannyML"]
        assert max(errors) < 1e-8


@pytest.mark.parametrize("data", ["census", "car_loan"])
def test_counts_estimate_as_well_as_rows(data: str) -> None:
    """Twenty counts are as near to the truth as every row: within half a thousandth, and within a percent."""
    errors = found()["performance"][data]
    ours = errors["Warpwatch, of 20 counts, to the truth"]
    theirs = errors["NannyML, of every row, to the truth"]

    for mine, other in zip(ours, theirs, strict=True):
        assert mine < 0.01
        assert mine < other + 0.0005


def test_nothing_fires_in_the_census_but_for_its_order() -> None:
    """Shuffled, a calibrated detector is silent; in the file's order every one is fooled."""
    shuffled, stored = found()["census"]["shuffled"], found()["census"]["in the file's order"]

    assert shuffled[OURS] == 0
    assert shuffled["KS / chi-square p < 0.05"] > 5
    assert min(stored.values()) > 20


def test_all_that_changed_in_the_loans_is_found() -> None:
    """Every feature-chunk that drifted fires, and none that did not."""
    assert found()["car_loan"]["where something did"][OURS] == 100
    assert found()["car_loan"]["where nothing changed"][OURS] == 0


def test_simulated_traffic_is_the_same_for_the_same_seed() -> None:
    """A rerun evaluates the same requests."""
    cell = Cell("x", 1.0, 0.1, 0.1)
    first, second = (Traffic(cell, 3).take(5) for _ in range(2))

    assert [minute.tolist() for minute in first] == [minute.tolist() for minute in second]


def test_the_document_is_there_and_says_where_others_are_better() -> None:
    """The committed results have every part, the trap of the row order and the limits included."""
    text = DOCUMENT.read_text(encoding="utf-8")

    for part in ("Simulated traffic", "US Census", "US flights", "Car loans", "change points"):
        assert f"## {part}" in text or part in text
    for said in ("row order", "Others are better", "## Limits", "NannyML", "Evidently default"):
        assert said in text
