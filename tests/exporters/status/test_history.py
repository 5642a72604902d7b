from itertools import pairwise

from agent.catalogue import gpu, itself, serving
from agent.snapshot import Batch, Distribution, Reading, Snapshot
from exporters.status.history import (
    MOST_SERIES,
    SPACING,
    SPAN,
    History,
    baseline,
    gauge_trend,
    rate_trend,
)

NOON = 1_796_040_000.0
POWER = (gpu.POWER.name, ("GPU-1", "gpu"))


def power(now: float, watts: float, *, name: str = "GPU-1") -> Snapshot:
    """Return a snapshot of one GPU's power, ``now`` seconds after noon."""
    batch = Batch(NOON + now, (Reading(gpu.POWER, (name, "gpu"), watts),))
    return Snapshot(1, NOON + now, {"nvml": batch})


def test_points_are_spaced() -> None:
    """Snapshots twice a second give a point every three seconds."""
    history = History()

    for half in range(30):
        history.feed(power(half / 2, float(half)))

    times = [taken_at - NOON for taken_at, _ in history.points(POWER)]
    assert times[0] == 0
    assert all(SPACING - 0.5 <= b - a <= SPACING for a, b in pairwise(times))


def test_history_is_bounded_in_time_and_number() -> None:
    """However long it runs, two minutes are kept, of no more series than the limit."""
    history = History()
    readings = tuple(Reading(gpu.POWER, (f"GPU-{n}", "gpu"), 1.0) for n in range(MOST_SERIES + 100))

    for second in range(0, 600, 3):
        batch = Batch(NOON + second, readings)
        history.feed(Snapshot(1, NOON + second, {"nvml": batch}))

    assert len(history._timelines) == MOST_SERIES
    oldest = history.points(("hw.power", ("GPU-0", "gpu")))[0][0]
    assert NOON + 597 - oldest <= SPAN


def test_vanished_series_are_forgotten() -> None:
    """A series that is not seen for two minutes leaves nothing."""
    history = History()
    history.feed(power(0, 1.0, name="GPU-1"))

    for second in range(3, 200, 3):
        history.feed(power(second, 2.0, name="GPU-2"))

    assert history.points(POWER) == ()
    assert list(history._timelines) == [(gpu.POWER.name, ("GPU-2", "gpu"))]


def test_clock_set_back_begins_anew() -> None:
    """Points from a future that will not come are dropped."""
    history = History()
    history.feed(power(1000, 1.0))

    history.feed(power(0, 2.0))

    assert history.points(POWER) == ((NOON, 2.0),)


def test_only_followed_series_are_kept() -> None:
    """What the page does not draw is not remembered."""
    history = History()
    batch = Batch(NOON, (Reading(itself.PROCESS_CPU, (), 1.0),))

    history.feed(Snapshot(1, NOON, {"self": batch}))

    assert history._timelines == {}


def test_batch_seen_before_adds_no_point() -> None:
    """A slow collector's batch, which stays for several snapshots, counts once."""
    history = History()
    batch = Batch(NOON, (Reading(serving.REQUESTS_RUNNING, ("s", "", "", "", ""), 3),))

    for second in range(10):
        history.feed(Snapshot(second, NOON + second, {"serving/s": batch}))

    assert len(history.points((serving.REQUESTS_RUNNING.name, ("s", "", "", "", "")))) == 1


def test_baseline_is_the_oldest_point_of_the_window() -> None:
    """The comparison reaches back a minute and no further."""
    points = tuple((float(second), float(second)) for second in range(0, 120, 3))

    assert baseline(points, (120.0, 120.0), 0.0) == (57.0, 57.0)


def test_baseline_never_crosses_a_restart() -> None:
    """Points of the count before a restart, or larger than the count now, are left out."""
    points = ((60.0, 500.0), (90.0, 5.0), (100.0, 7.0))

    assert baseline(points, (110.0, 9.0), 0.0) == (90.0, 5.0)
    assert baseline(points, (110.0, 900.0), 95.0) == (100.0, 7.0)
    assert baseline(points, (110.0, 1.0), 0.0) is None


def test_baseline_needs_the_same_buckets() -> None:
    """Histograms with other bounds, or whose buckets fell, cannot be compared."""
    now = (110.0, Distribution((1.0,), (5, 5), 9.0))

    assert baseline(((100.0, Distribution((2.0,), (1, 1), 1.0)),), now, 0.0) is None
    assert baseline(((100.0, Distribution((1.0,), (6, 1), 1.0)),), now, 0.0) is None
    assert baseline(((100.0, 3.0),), now, 0.0) is None
    assert baseline(((100.0, Distribution((1.0,), (1, 1), 1.0)),), now, 0.0) is not None


def test_trends_tell_how_long_ago() -> None:
    """A trend is pairs of age and value; a rate is missing where the count fell."""
    points = ((100.0, 10.0), (103.0, 40.0), (106.0, 0.0), (109.0, 6.0))

    assert gauge_trend(points, 110.0) == ((10.0, 10.0), (7.0, 40.0), (4.0, 0.0), (1.0, 6.0))
    assert rate_trend(points, 110.0) == ((7.0, 10.0), (1.0, 2.0))
