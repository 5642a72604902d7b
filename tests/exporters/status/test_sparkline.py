import re

from hypothesis import given
from hypothesis import strategies as st

from exporters.status.sparkline import HEIGHT, WIDTH, sparkline


def test_line_spans_two_minutes() -> None:
    """The oldest point is at the left, the newest at the right, high values at the top."""
    drawn = sparkline(tuple((age, 120.0 - age) for age in range(120, -3, -3)), 0, 120)

    assert drawn is not None
    assert drawn.line.startswith("M0.0 22.5L3.0 ")
    assert drawn.line.endswith("L120.0 1.5")
    assert drawn.under == f"{drawn.line}V24H0.0Z"


def test_holes_are_not_bridged() -> None:
    """Where nothing was read for a while, the line is interrupted."""
    trend = ((60.0, 1.0), (57.0, 1.0), (54.0, 1.0), (9.0, 1.0), (6.0, 1.0))

    drawn = sparkline(trend)

    assert drawn is not None
    assert drawn.line.count("M") == 2


def test_slow_source_has_no_holes() -> None:
    """Points every fifteen seconds are a line, since that is their usual distance."""
    drawn = sparkline(tuple((float(age), 1.0) for age in range(90, -1, -15)))

    assert drawn is not None
    assert drawn.line.count("M") == 1


def test_one_point_is_no_line() -> None:
    """With fewer than two points there is nothing to draw."""
    assert sparkline(()) is None
    assert sparkline(((3.0, 1.0),)) is None


@given(
    st.lists(
        st.tuples(st.floats(0, 200), st.floats(-1e300, 1e300)), min_size=2, unique_by=lambda p: p[0]
    )
)
def test_line_stays_in_its_box(points: list[tuple[float, float]]) -> None:
    """Whatever the values, every coordinate is a number inside the box."""
    drawn = sparkline(tuple(sorted(points, reverse=True)))

    assert drawn is not None
    for x, y in re.findall(r"([\d.]+) ([\d.]+)", drawn.line):
        assert 0 <= float(x) <= WIDTH
        assert 0 <= float(y) <= HEIGHT
    assert "nan" not in drawn.line
