"""Judging looks at what moved alone, and comes to what looking at everything comes to."""

from collections.abc import Iterator
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import Metric, gpu, gpu_work
from agent.cumulative import Count, follow
from agent.folding import Folding
from agent.judging import Judging
from agent.snapshot import Batch, Reading, SeriesKey, Train
from agent.vetting import vet

NOON = 1_700_000_000.0
CARDS = ("GPU-1", "GPU-2")
SERIES: tuple[SeriesKey, ...] = tuple(
    (metric, (hw_id, *more))
    for hw_id in CARDS
    for metric, more in (
        (gpu.UTILIZATION, ("general",)),
        (gpu.UTILIZATION, ("encoder",)),
        (gpu.MEMORY_CONTROLLER, ()),
        (gpu.POWER_LIMIT, ()),
        (gpu_work.PCIE_REPLAYS, ()),
    )
)
"""Folded with all that is made of it, folded to a mean, not folded, and cumulative."""

Values = dict[SeriesKey, float]

Turn = tuple[float, Values, tuple[tuple[float, float], ...], Metric | None]


def _value(metric: Metric, random: Random) -> float:
    return random.choice(
        (0.0, 1.0, 2.0, 7.0) if metric is gpu_work.PCIE_REPLAYS else (0.0, 0.5, 1.0)
    )


def play(random: Random) -> Iterator[Turn | None]:
    """Yield a minute: mostly the same series, few of which move; `None` where the collector fails."""
    told = {key: _value(key[0], random) for key in SERIES}
    for _ in range(60):
        if random.random() < 0.03:
            yield None
        for key in random.sample(SERIES, random.choice((0, 0, 1, 3))):
            told[key] = _value(key[0], random)
        shown = told
        if random.random() < 0.05:
            shown = dict(random.sample(sorted(told.items(), key=str), random.randrange(len(told))))
        yield (
            random.choice((1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 6.0, 30.0, -3.0)),
            dict(shown),
            random.choice(((), (), (), ((0.5, 1.0), (0.5, 0.0)))),
            gpu.POWER_LIMIT if random.random() < 0.03 else None,
        )


class Teller:
    """Makes batches as collectors do: what did not change is the same reading again."""

    def __init__(self) -> None:
        self.at = NOON
        self._kept: dict[SeriesKey, Reading] = {}

    def batch(self, turn: Turn) -> Batch:
        """Return the next batch."""
        step, told, train, refused = turn
        self.at += step
        readings = []
        for (metric, attributes), value in told.items():
            said = -1.0 if metric is refused else value
            kept = self._kept.get((metric, attributes))
            if kept is None or kept.value != said:
                kept = Reading(metric, attributes, said)
                self._kept[metric, attributes] = kept
            readings.append(kept)
        trains = [Train(gpu.UTILIZATION, (hw_id, "general"), train) for hw_id in CARDS]
        return Batch(self.at, tuple(readings), trains=tuple(trains) if train else ())


@given(random=st.randoms(use_true_random=False))
def test_what_moved_is_enough(random: Random) -> None:
    """Batches that repeat, change, lose series, are refused in part or fail come to the same either way."""
    judging, folding, teller = Judging(Folding(interval=1.0)), Folding(interval=1.0), Teller()
    counts: dict[SeriesKey, Count] = {}

    for turn in play(random):
        if turn is None:
            judging.drop()
            folding.lapse()
            continue
        batch = teller.batch(turn)
        believed, _ = vet(batch)
        expected = folding.fold(believed)
        counts = follow(counts, expected)

        told = judging.take(batch)

        assert judging.folded is not None
        assert told.readings == believed.readings
        assert judging.folded.readings == expected.readings
        assert judging.starts == {key: count.start for key, count in counts.items()}
