import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.calibration import (
    HOLD,
    Identity,
    Point,
    calibrate,
    episodes,
    expected_alerts,
    measured_days,
    without,
)
from agent.drift.evidence import page, thinned
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

    assert expected_alerts(calm, "rank_shift", "1h", step=STEP) == []
    found = calibrate(WHO, "rank_shift", "1h", odd, step=STEP)
    assert found.threshold is not None
    assert found.threshold.alerts_per_month == pytest.approx(30 / 28, abs=0.001)
    assert found.alerts == (10 * DAY + HOLD["1h"] - STEP,)


def test_one_time_has_one_value() -> None:
    """Where two clusters tell the same score, the one that is farther off counts, and time counts once."""
    calm, wild = history(15, 0.02), history(15, 0.1)

    found = calibrate(WHO, "rank_shift", "1h", [*calm, *wild], step=STEP)

    assert found.points == tuple(wild)
    assert found.days == pytest.approx(15)


def test_as_many_days_as_were_asked_for_are_enough() -> None:
    """The last point is up to a step away from the end of the time; that is no lack of history."""
    points = history(14, 0.05)[1:]

    assert calibrate(WHO, "rank_shift", "1h", points, step=STEP).threshold is not None
    assert calibrate(WHO, "rank_shift", "1h", points[2:], step=STEP).threshold is None


@pytest.mark.parametrize(("window", "until"), [("1h", 3 * DAY + 3_600), ("1d", 4 * DAY)])
def test_a_time_that_was_not_normal_is_left_out(window: str, until: float) -> None:
    """With it go the windows that reach into it."""
    points = [Point(number * 3_600.0, 0.1) for number in range(10 * 24)]

    kept = without(points, [(2 * DAY, 3 * DAY)], window)

    gone = sorted(set(points) - set(kept))
    assert (gone[0].time, gone[-1].time) == (2 * DAY, until)


def test_the_page_shows_gaps_and_when_it_would_have_alerted() -> None:
    """No line crosses what was not measured, and each alert that is predicted has its mark."""
    odd = [
        Point(time, 0.2 if 10 * DAY <= time < 10 * DAY + 7_200 else value)
        for time, value in history(30, 0.01)
        if not 15 * DAY < time < 20 * DAY
    ]

    found = calibrate(WHO, "rank_shift", "1h", odd, step=STEP)
    text = page([found], 30 * DAY)

    (path,) = re.findall(r'class="line" d="([^"]*)"', text)
    assert path.count("M") == 2
    assert text.count('class="alert"') == len(found.alerts) == 1
    assert "1970-01-01" in text
    assert "1970-01-31" in text


def test_the_page_says_of_how_many_it_does_not_know() -> None:
    """What has no value any more, and what is too short to tell, is not added up as quiet."""
    gone = calibrate(WHO, "rank_shift", "1h", history(15), step=STEP)
    short = calibrate(WHO, "rank_shift", "1h", history(3, start=27 * DAY), step=STEP, days=2)

    text = page([gone, short], 30 * DAY)

    assert "Of 1 the history is too short to tell. 1 had no value within the last day" in text
    assert "alerts a month are to be expected" not in text


def test_what_is_kept_for_the_page_is_enough_for_it() -> None:
    """Of weeks a point a pixel is kept, the extreme ones among them, and the gaps stay."""
    points = [
        Point(time, 0.5 if time == 40 * STEP else value)
        for time, value in history(28, 0.01)
        if not 15 * DAY < time < 20 * DAY
    ]
    found = calibrate(WHO, "rank_shift", "1h", points, step=STEP)

    few = thinned(found)

    assert len(few.points) < 800
    assert Point(40 * STEP, 0.5) in few.points
    assert (few.days, few.threshold, few.alerts) == (found.days, found.threshold, found.alerts)
    (path,) = re.findall(r'class="line" d="([^"]*)"', page([few], 0.0))
    assert path.count("M") == 2
    assert thinned(few).points == few.points
    assert thinned(calibrate(WHO, "psi", "1d", [], step=STEP)).points == ()


def test_what_is_left_of_a_week_is_no_week_of_its_own() -> None:
    """A shift in the last days would have alerted, also where the history ends a moment after the week."""
    shifted = [
        Point(time, value + 0.2 * (time > 19 * DAY)) for time, value in history(21 + 0.01, 0.02)
    ]

    alerts = expected_alerts(shifted, "rank_shift", "1h", step=STEP)

    assert alerts is not None
    assert len(alerts) == 1
    assert alerts[0] == pytest.approx(19 * DAY + HOLD["1h"], abs=STEP)


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
        '{"format": 1, "thresholds": {}}',
        '{"format": 1, "thresholds": [1]}',
        '{"format": 1, "thresholds": [{"model": "m"}]}',
        to_json([LEARNED], 1.0).replace("0.2", "-1"),
        to_json([LEARNED], 1.0).replace('"1d"', '"7d"'),
        to_json([LEARNED], 1.0).replace("0.2", "true"),
        to_json([LEARNED], 1.0).replace("0.2", '"0.2"'),
        to_json([LEARNED], 1.0).replace("0.2", "NaN"),
        to_json([LEARNED], 1.0).replace('"age"', '"a\\ud800"'),
        to_json([LEARNED], 1.0).replace('"age"', f'"{"x" * 200}"'),
        to_json([LEARNED], 1.0).replace('"age"', "7"),
        to_json([LEARNED, LEARNED], 1.0),
        "[" * 100_000,
    ],
)
def test_what_is_no_file_of_thresholds_is_refused(text: str) -> None:
    """One kind of error, whatever it is."""
    with pytest.raises(ValueError):  # noqa: PT011 - any sentence
        from_json(text)
