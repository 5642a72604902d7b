import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.calibration import (
    Identity,
    Point,
    alerts_per_month,
    calibrate,
    episodes,
    measured_days,
)
from agent.drift.evidence import page
from agent.drift.thresholds import Threshold, ThresholdFile, from_json, to_json

WHO = Identity("churn", "3", "abc", "age")
STEP = 300.0
DAY = 86_400.0


def history(days: float, level: float = 0.02, *, start: float = 0.0) -> list[Point]:
    """Return a rank shift that swings with the day."""
    count = int(days * DAY / STEP)
    times = (start + number * STEP for number in range(count + 1))
    return [Point(time, level * math.sin(2 * math.pi * time / DAY)) for time in times]


def test_the_bound_is_a_third_above_the_largest_swing() -> None:
    """What the reference period did is normal; a third more is not."""
    found = calibrate(WHO, "rank_shift", "1h", history(15, 0.05), step=STEP)

    assert found.threshold is not None
    assert found.threshold.value == pytest.approx(0.065)
    assert found.threshold.days == 15
    assert found.threshold.alerts_per_month == 0


def test_a_bound_is_never_smaller_than_anybody_cares_for() -> None:
    """A feature that hardly moves gets the minimum effect."""
    found = calibrate(WHO, "rank_shift", "1h", history(15, 0.001), step=STEP)

    assert found.threshold is not None
    assert found.threshold.value == 0.03


def test_too_short_a_history_gives_no_bound() -> None:
    """Without two week-ends nothing is learned, and that is said."""
    found = calibrate(WHO, "psi", "1d", history(6), step=STEP)

    assert found.threshold is None
    assert found.why_not == "measured for 6.0 days of 14"


def test_time_without_scores_does_not_count() -> None:
    """A gap of a week is no history."""
    points = [*history(7), *history(7, start=21 * DAY)]

    assert measured_days(points, STEP) == pytest.approx(14)


def test_a_week_that_differs_would_have_alerted() -> None:
    """Each week is judged by what the others taught; the prediction is what it gives in a month."""
    calm = history(28, 0.01)
    odd = [
        Point(time, 0.2 if 10 * DAY <= time < 10 * DAY + 7_200 else value) for time, value in calm
    ]

    assert alerts_per_month(calm, "rank_shift", "1h", step=STEP) == 0
    assert alerts_per_month(odd, "rank_shift", "1h", step=STEP) == pytest.approx(30 / 28)


def test_what_is_left_of_a_week_is_no_week_of_its_own() -> None:
    """A shift in the last days would have alerted, also where the history ends a moment after the week."""
    shifted = [
        Point(time, value + 0.2 * (time > 19 * DAY)) for time, value in history(21 + 0.01, 0.02)
    ]

    assert alerts_per_month(shifted, "rank_shift", "1h", step=STEP) == pytest.approx(
        30 / 21, rel=0.01
    )


def test_less_than_two_weeks_cannot_tell_what_to_expect() -> None:
    """A bound may be asked for sooner; that it never alerts is not claimed then."""
    found = calibrate(WHO, "rank_shift", "1h", history(3, 0.05), step=STEP, days=2)

    assert found.threshold is not None
    assert found.threshold.alerts_per_month is None
    assert from_json(to_json([found.threshold], 0.0)) == (found.threshold,)
    assert "too short to tell" in page([found], 0.0)


def test_weeks_that_are_not_alike_are_in_doubt() -> None:
    """A change within the history is not normal just because it is in it."""
    alike = calibrate(WHO, "rank_shift", "1h", history(28, 0.05), step=STEP)
    small = calibrate(
        WHO,
        "rank_shift",
        "1h",
        [Point(time, value * (time > 20 * DAY)) for time, value in history(28, 0.02)],
        step=STEP,
    )
    drifted = calibrate(
        WHO,
        "rank_shift",
        "1h",
        [Point(time, value + 0.2 * (time > 20 * DAY)) for time, value in history(28, 0.05)],
        step=STEP,
    )

    assert (alike.doubt, small.doubt) == ("", "")
    assert "5.0 times as far" in drifted.doubt
    assert drifted.doubt in page([drifted], 0.0)


@pytest.mark.parametrize(
    ("values", "alerts"),
    [
        ([0, 0, 1, 1, 0, 0], 0),
        ([0, 0, 1, 1, 1, 0], 1),
        ([1, 1, 1, 1, 1, 1], 1),
        ([0, 1, 1, 1, 0, 0, 1, 1, 1], 2),
        ([0, -1, -1, -1], 1),
        ([0, 1, 1, None, None, None, None, 1, 1], 0),
    ],
)
def test_an_alert_takes_time_above_the_bound(values: list[float | None], alerts: int) -> None:
    """As the rules' hold time: short spikes and what is interrupted by a gap do not fire."""
    points = [Point(place * STEP, value) for place, value in enumerate(values) if value is not None]

    assert episodes(points, 0.5, hold=900, step=STEP) == alerts


@given(st.lists(st.tuples(st.floats(0, 1e7), st.floats(-1, 1)), max_size=80))
def test_any_history_is_judged(points: list[tuple[float, float]]) -> None:
    """Whatever order and gaps it has, calibration tells a bound or why there is none."""
    found = calibrate(
        WHO, "rank_shift", "1d", [Point(*each) for each in points], step=STEP, days=0.01
    )

    assert (found.threshold is None) == bool(found.why_not)
    if found.threshold:
        assert found.threshold.value > max(abs(value) for _, value in points)


LEARNED = Threshold(
    model="churn",
    model_version="3",
    reference="abc",
    feature="age",
    statistic="psi",
    window="1d",
    value=0.2,
    days=15,
    alerts_per_month=0.5,
)


def test_thresholds_survive_their_file_and_become_series(tmp_path: Path) -> None:
    """The process takes up a new file, and keeps the old bounds where the new one is damaged."""
    file = ThresholdFile(tmp_path / "thresholds.json")
    assert file.refresh() == ()
    assert list(file.thresholds) == []

    (tmp_path / "thresholds.json").write_text(to_json([LEARNED], 1.0))
    assert file.refresh() == ()
    assert list(file.thresholds) == [LEARNED]
    assert file.thresholds[0].reading[1:] == (("churn", "3", "abc", "age", "psi", "1d"), 0.2)

    (tmp_path / "thresholds.json").write_text("{damaged")
    (problem,) = file.refresh()
    assert problem.reason == "unusable_thresholds"
    assert file.refresh() == ()
    assert list(file.thresholds) == [LEARNED]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 1}',
        '{"format": 1, "thresholds": [1]}',
        '{"format": 1, "thresholds": [{"model": "m"}]}',
        to_json([LEARNED], 1.0).replace("0.2", "-1"),
        to_json([LEARNED], 1.0).replace('"1d"', '"7d"'),
        "[" * 100_000,
    ],
)
def test_what_is_no_file_of_thresholds_is_refused(text: str) -> None:
    """One kind of error, whatever it is."""
    with pytest.raises(ValueError):  # noqa: PT011 - any sentence
        from_json(text)
