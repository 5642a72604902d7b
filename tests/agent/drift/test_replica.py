"""What one process says of itself: the PSI of its own last hour and day."""

from collections.abc import Mapping, Sequence
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue.drift import REPLICA_PSI
from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.collector import DriftCollector
from agent.drift.column import Column
from agent.drift.counting import counter
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models
from agent.drift.reference import FeatureReference
from agent.drift.replica import SPANS, ReplicaWindows
from agent.drift.rows import Rows
from agent.drift.traffic import Learning

AGE = FeatureReference("age", NumericBins((18.0, 40.0)), (900, 4_000, 3_100, 50, 0))
PLAN = FeatureReference("plan", CategoryBins(("free", "pro")), (6_000, 2_000, 10, 40))
VALUES: Mapping[str, Sequence[object]] = {
    "age": (5.0, 30.0, 60.0, None, "word"),
    "plan": ("free", "pro", None, "other"),
}
MINUTE = 60.0


def psi(reference: FeatureReference, counts: Sequence[int]) -> float:
    """Return the index by its formula, each bin with half a value more."""
    whole = sum(counts) + 0.5 * len(counts)
    shares = [(count + 0.5) / whole for count in counts]
    pairs = zip(shares, reference.proportions, strict=True)
    return sum((share - before) * log(share / before) for share, before in pairs)


class Replica:
    """A process that counts two features; ``clock`` starts anywhere, as a monotonic one does."""

    def __init__(self) -> None:
        self.counters = {each.name: counter(each) for each in (AGE, PLAN)}
        self.windows = ReplicaWindows(tuple(self.counters.values()))
        self.clock = 12_345.0

    def sees(self, feature: str, counts: Sequence[int]) -> None:
        """Count so many values of each bin."""
        for value, count in zip(VALUES[feature], counts, strict=True):
            self.counters[feature].add(Column([value] * count))

    def scores(self) -> dict[tuple[str, str], float]:
        """Return what it says now."""
        return {(name, window): score for name, window, score in self.windows.scores(self.clock)}


def test_score_is_the_formula_s() -> None:
    """Each feature has its own score, by the same formula as the recording rules."""
    replica = Replica()
    assert replica.scores() == {}
    replica.sees("age", (40, 300, 250, 10, 1))
    replica.sees("plan", (100, 600, 2, 4))

    said = replica.scores()

    assert said["age", "1h"] == pytest.approx(psi(AGE, (40, 300, 250, 10, 1)), abs=1e-12)
    assert said["plan", "1h"] == pytest.approx(psi(PLAN, (100, 600, 2, 4)), abs=1e-12)
    assert said["age", "1d"] == said["age", "1h"]


def test_too_few_values_have_no_score() -> None:
    """Below 500 values there is none, and the other features have theirs."""
    replica = Replica()
    replica.scores()
    replica.sees("age", (0, 499, 0, 0, 0))
    replica.sees("plan", (500, 0, 0, 0))

    assert {name for name, _ in replica.scores()} == {"plan"}


def test_hour_forgets_what_is_older() -> None:
    """What came more than a window and one part of it ago is in the day's score alone."""
    replica = Replica()
    before, since = (0, 0, 900, 0, 0), (100, 400, 300, 5, 0)
    replica.scores()
    replica.sees("age", before)
    for _ in range(66):
        replica.scores()
        replica.clock += MINUTE
    replica.sees("age", since)

    said = replica.scores()

    assert said["age", "1h"] == pytest.approx(psi(AGE, since), abs=1e-12)
    both = [old + new for old, new in zip(before, since, strict=True)]
    assert said["age", "1d"] == pytest.approx(psi(AGE, both), abs=1e-12)


def test_replica_that_stood_still_has_no_score() -> None:
    """After an hour without values there is no hour's score, after a day no day's."""
    replica = Replica()
    replica.scores()
    replica.sees("plan", (500, 500, 0, 0))
    assert len(replica.scores()) == 2

    replica.clock += 66 * MINUTE
    replica.scores()
    replica.clock += 66 * MINUTE
    assert set(replica.scores()) == {("plan", "1d")}

    for _ in range(26):
        replica.clock += 60 * MINUTE
        replica.scores()
    assert replica.scores() == {}


@given(
    steps=st.lists(
        st.tuples(st.floats(0.5, 2_000.0), st.lists(st.integers(0, 900), min_size=4, max_size=4)),
        min_size=1,
        max_size=60,
    )
)
def test_window_is_as_long_as_it_says(
    steps: list[tuple[float, list[int]]],
) -> None:
    """However irregularly it is asked, a score is of at least the window and no value before is in it.

    The window begins at a moment at which it was asked: the last one that is old enough, of those kept.
    """
    replica = Replica()
    replica.scores()
    begin = replica.clock
    asked = [(begin, [0, 0, 0, 0])]
    total = [0, 0, 0, 0]
    for seconds, counts in steps:
        replica.clock += seconds
        replica.sees("plan", counts)
        total = [before + more for before, more in zip(total, counts, strict=True)]
        said = replica.scores()
        asked.append((replica.clock, total))
        for window, (span, parts) in SPANS.items():
            slack = span / parts + max(each for each, _ in steps)
            possible = [
                [now - then for now, then in zip(total, at, strict=True)]
                for time, at in asked
                if time == begin or replica.clock - time >= span
                if time == begin or replica.clock - time <= span + slack
            ]
            if ("plan", window) in said:
                expected = [psi(PLAN, each) for each in possible if sum(each) >= 500]
                assert said["plan", window] == pytest.approx(
                    min(expected, key=lambda score: abs(score - said["plan", window])), abs=1e-9
                )
            else:
                assert any(sum(each) < 500 for each in possible)


async def test_collector_tells_the_scores() -> None:
    """Every second, a model's process tells what it makes of its own traffic, by window."""
    models = Models(clock=lambda: 0.0, learning=Learning(rows=100, seconds=0))
    collector = DriftCollector(models, IntakeTally(), lambda: 0.0, uptime=lambda: 7.0)
    models.add(Rows("m", "1", {"age": [float(age) for age in range(200)]}, 0.0))
    await collector.collect()
    models.add(Rows("m", "1", {"age": [190.0] * 600}, 0.0))

    batch = await collector.collect()

    told = {
        each.attributes[3:]: each.value for each in batch.readings if each.metric is REPLICA_PSI
    }
    assert set(told) == {("age", "1h"), ("age", "1d")}
    assert all(isinstance(score, float) and score > 3.0 for score in told.values())
