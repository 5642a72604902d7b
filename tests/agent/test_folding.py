"""What is exported of a window, held against a reference that keeps everything and adds it up anew."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import Metric, gpu
from agent.catalogue.window import (
    BUSY_TIME,
    MEMORY_USAGE_MAX,
    POWER_DISTRIBUTION,
    POWER_MAX,
    POWER_MIN,
    SHARE_BOUNDS,
    TEMPERATURE_MAX,
    UTILIZATION_DISTRIBUTION,
    UTILIZATION_MAX,
    UTILIZATION_MIN,
    WATT_BOUNDS,
)
from agent.folding import Folding
from agent.snapshot import Batch, Distribution, Reading, Train

NOON = 1_700_000_000.0
BUSY = ("GPU-1", "general")
POWER = ("GPU-1", "gpu")
Timed = tuple[tuple[float, float], ...]


def busy(at: float, share: float, samples: Timed = (), hw_id: str = "GPU-1") -> Batch:
    """Return a batch with the utilization of one GPU, ``at`` seconds after noon."""
    key = (hw_id, "general")
    trains = (Train(gpu.UTILIZATION, key, samples),) if samples else ()
    return Batch(NOON + at, (Reading(gpu.UTILIZATION, key, share),), trains=trains)


def value(batch: Batch, metric: Metric, *attributes: str) -> float | None:
    """Return the value of a series, or `None` where there is none."""
    found = [each.value for each in batch.readings if each[:2] == (metric, attributes)]
    assert len(found) <= 1
    assert not found or not isinstance(found[0], Distribution)
    return found[0] if found else None  # type: ignore[return-value]


def last(batches: Iterable[Batch], folding: Folding | None = None) -> Batch:
    """Fold batches and return what the last one became."""
    folding = folding or Folding(interval=1.0)
    return [folding.fold(batch) for batch in batches][-1]


def test_mean_extremes_and_busy_seconds_of_three_samples() -> None:
    """The first value stands for no time, the others for a second each."""
    folded = last([busy(0, 0.5), busy(1, 1.0), busy(2, 0.2)])

    assert value(folded, gpu.UTILIZATION, *BUSY) == pytest.approx(0.6)
    assert value(folded, UTILIZATION_MIN, *BUSY) == 0.2
    assert value(folded, UTILIZATION_MAX, *BUSY) == 1.0
    assert value(folded, BUSY_TIME, *BUSY) == pytest.approx(1.2)


def test_a_new_gpu_has_its_first_value_and_no_busy_time() -> None:
    """A single value is its own mean; nobody saw how long it held."""
    folded = last([busy(0, 0.7)])

    assert value(folded, gpu.UTILIZATION, *BUSY) == 0.7
    assert value(folded, BUSY_TIME, *BUSY) == 0


def test_what_is_older_than_the_window_is_forgotten() -> None:
    """A spike leaves the window fifteen seconds after it, and stays in the counter."""
    batches = [busy(0, 0.0), busy(1, 1.0), *(busy(at, 0.0) for at in range(2, 17))]

    before, after = last(batches[:-1]), last(batches)

    assert value(before, UTILIZATION_MAX, *BUSY) == 1.0
    assert value(before, gpu.UTILIZATION, *BUSY) == pytest.approx(1 / 15)
    assert value(after, UTILIZATION_MAX, *BUSY) == 0.0
    assert value(after, gpu.UTILIZATION, *BUSY) == 0.0
    assert value(after, BUSY_TIME, *BUSY) == 1.0


def test_a_spike_of_300_ms_between_two_samples_is_seen_fifteen_seconds_later() -> None:
    """The driver's own samples show what both ticks missed, in the maximum, the mean and the counter."""
    spike = ((0.1, 0.0),) * 4 + ((0.1, 1.0),) * 3 + ((0.1, 0.0),) * 3
    batches = [busy(0, 0.0), busy(1, 0.0, spike), *(busy(at, 0.0) for at in range(2, 16))]

    folded = last(batches)

    assert value(folded, UTILIZATION_MAX, *BUSY) == 1.0
    assert value(folded, gpu.UTILIZATION, *BUSY) == pytest.approx(0.3 / 15)
    assert value(folded, BUSY_TIME, *BUSY) == pytest.approx(0.3)


def test_samples_count_by_the_time_they_held() -> None:
    """A value of nine tenths of a second weighs nine times one of a tenth."""
    folded = last([busy(0, 0.0), busy(1, 1.0, ((0.9, 0.1), (0.1, 1.0)))])

    assert value(folded, gpu.UTILIZATION, *BUSY) == pytest.approx(0.19)


def test_temperature_and_memory_show_their_newest_value_and_their_maximum() -> None:
    """States have no mean: what is exported is what is, and the most that was."""
    states = [(60.0, 5 << 30), (90.0, 9 << 30), (70.0, 6 << 30)]
    batches = [
        Batch(
            NOON + at,
            (
                Reading(gpu.TEMPERATURE, ("GPU-1", "gpu"), celsius),
                Reading(gpu.MEMORY_USAGE, ("GPU-1",), used),
            ),
        )
        for at, (celsius, used) in enumerate(states)
    ]

    folded = last(batches)

    assert value(folded, gpu.TEMPERATURE, "GPU-1", "gpu") == 70
    assert value(folded, TEMPERATURE_MAX, "GPU-1", "gpu") == 90
    assert value(folded, gpu.MEMORY_USAGE, "GPU-1") == 6 << 30
    assert value(folded, MEMORY_USAGE_MAX, "GPU-1") == 9 << 30


def test_what_is_not_folded_passes_as_it_is() -> None:
    """Readings that have no window are the same objects, in their places, and so is the rest."""
    kept = Reading(gpu.POWER_LIMIT, ("GPU-1",), 700.0)
    batch = Batch(NOON, (kept, Reading(gpu.POWER, POWER, 300.0)))

    folded = last([batch])

    assert folded.readings[0] is kept
    assert folded.taken_at == batch.taken_at
    assert value(folded, POWER_MIN, *POWER) == value(folded, POWER_MAX, *POWER) == 300.0


def test_a_gpu_that_vanishes_takes_its_window_with_it() -> None:
    """Absent is absent at once; a GPU that comes back starts a new window and goes on counting."""
    folding = Folding(interval=1.0)
    folding.fold(busy(0, 1.0))
    folding.fold(busy(1, 1.0))

    gone = folding.fold(Batch(NOON + 2, (Reading(gpu.DEVICES, (), 1),)))
    back = folding.fold(busy(3, 0.25))

    assert {reading.metric for reading in gone.readings} == {gpu.DEVICES}
    assert value(back, gpu.UTILIZATION, *BUSY) == 0.25
    assert value(back, UTILIZATION_MAX, *BUSY) == 0.25
    assert value(back, BUSY_TIME, *BUSY) == 1.0


def test_a_pause_is_no_busy_time() -> None:
    """While the collector hangs nobody sees anything: not counted, and the window begins anew."""
    folding = Folding(interval=1.0)
    folding.fold(busy(0, 1.0))
    folding.fold(busy(1, 1.0))

    folding.lapse()
    folded = folding.fold(busy(100, 1.0))

    assert value(folded, BUSY_TIME, *BUSY) == 1.0


def test_a_pause_that_the_driver_saw_through_is_busy_time() -> None:
    """Where the driver's own samples cover a pause, what they say counts, and no more than went by."""
    folding = Folding(interval=1.0)
    folding.fold(busy(0, 1.0))
    folding.lapse()

    covered = folding.fold(busy(5, 1.0, ((0.5, 1.0),) * 8))
    folding.lapse()
    beyond = folding.fold(busy(6, 1.0, ((1.0, 1.0),) * 60))

    assert value(covered, BUSY_TIME, *BUSY) == pytest.approx(4.0)
    assert value(beyond, BUSY_TIME, *BUSY) == pytest.approx(5.0)


def test_a_late_sample_stands_for_two_intervals_at_most() -> None:
    """A hole between two samples was not seen: it does not count whole."""
    folded = last([busy(0, 1.0), busy(4.5, 1.0)])

    assert value(folded, BUSY_TIME, *BUSY) == 2.0


@pytest.mark.parametrize("step", [-3600.0, -0.5, 0.0, 3600.0])
def test_a_clock_that_jumps_corrupts_nothing(step: float) -> None:
    """Whatever the clock does, the mean is right and no more than two seconds are counted for it."""
    before = [busy(at, 1.0) for at in range(3)]
    after = [busy(2 + step + at, 0.5) for at in range(3)]

    folded = last([*before, *after])

    counted = value(folded, BUSY_TIME, *BUSY)
    mean = value(folded, gpu.UTILIZATION, *BUSY)
    assert counted is not None
    assert mean is not None
    assert 3.0 <= counted <= 2.0 + 1.0 + 1.0
    assert 0.5 <= mean <= 1.0
    assert value(last([*before, *after, busy(2 + step + 40, 0.5)]), UTILIZATION_MAX, *BUSY) == 0.5


@pytest.mark.parametrize(("interval", "folds"), [(7.5, True), (7.6, False), (15.0, False)])
def test_a_source_that_is_asked_too_rarely_is_not_folded(interval: float, folds: bool) -> None:
    """With fewer than two values a window there is nothing between them: no busy time is made up."""
    folding = Folding(interval=interval)
    batch = busy(0, 1.0)

    folded = folding.fold(batch)

    assert (folded is not batch) is folds
    assert (value(folded, BUSY_TIME, *BUSY) is not None) is folds
    assert bool(folding.keys) is folds


def test_keys_name_what_was_added() -> None:
    """The series that folding makes are known, so that two sources of one GPU do not give them twice."""
    folding = Folding(interval=1.0, distributions=True)
    batch = busy(0, 1.0)

    folded = folding.fold(batch)

    added = {reading[:2] for reading in folded.readings} - {each[:2] for each in batch.readings}
    assert folding.keys == added


def test_distributions_count_every_sample_once() -> None:
    """A histogram holds the driver's samples where there are any, else the values themselves."""
    folding = Folding(interval=1.0, distributions=True)
    folding.fold(busy(0, 0.0))
    folded = folding.fold(busy(1, 0.5, ((0.5, 1.0), (0.5, 0.005))))

    (told,) = (each.value for each in folded.readings if each.metric is UTILIZATION_DISTRIBUTION)
    assert isinstance(told, Distribution)
    assert told.bounds == SHARE_BOUNDS
    assert told.observations == 3
    assert told.counts[0] == 2
    assert told.counts[-1] == 1
    assert told.sum == pytest.approx(1.005)


def test_distributions_are_off_unless_asked_for() -> None:
    """Without the option no histogram is made; with it a value on a bound is below it."""
    batch = Batch(NOON, (Reading(gpu.POWER, POWER, 700.0),))

    plain = last([batch])
    folded = last([batch], Folding(interval=1.0, distributions=True))

    assert POWER_DISTRIBUTION not in {reading.metric for reading in plain.readings}
    (told,) = (each.value for each in folded.readings if each.metric is POWER_DISTRIBUTION)
    assert isinstance(told, Distribution)
    assert told.counts[WATT_BOUNDS.index(700.0)] == 1


def test_memory_of_what_is_gone_is_bounded() -> None:
    """GPUs whose UUID changes at every batch leave no more than the bound behind."""
    folding = Folding(interval=1.0)

    for at in range(5000):
        folding.fold(busy(at, 1.0, hw_id=f"GPU-{at}"))

    assert len(folding._counters) <= 4097
    assert len(folding._plan) == 1


@dataclass
class Reference:
    """The same rules, word by word: keeps every cell for ever and adds up what is in the window."""

    interval: float
    window: float
    cells: dict[str, list[tuple[float, float, float, float, float]]] = field(default_factory=dict)
    total: dict[str, float] = field(default_factory=dict)
    before: float | None = None
    paused: bool = True
    waiting: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    """Seconds seen, seconds gone by and value of what waits for samples, of series that have them."""
    told: dict[str, list[float]] = field(default_factory=dict)

    def fold(self, at: float, values: dict[str, tuple[float, Timed]]) -> dict[str, list[float]]:
        """Return mean, least, greatest and integral of each series."""
        if self.before is not None and at < self.before:
            self.lapse()
        elapsed = 0.0 if self.before is None else max(0.0, at - self.before)
        seen = 0.0 if self.paused else min(elapsed, 2 * self.interval)
        self.before, self.paused = at, False
        self.cells = {name: cells for name, cells in self.cells.items() if name in values}
        self.waiting = {name: each for name, each in self.waiting.items() if name in values}
        return {name: self._one(name, at, elapsed, seen, *each) for name, each in values.items()}

    def lapse(self) -> None:
        """Forget the windows."""
        self.cells, self.paused, self.waiting = {}, True, {}

    def _one(
        self, name: str, at: float, elapsed: float, seen: float, now: float, train: Timed
    ) -> list[float]:
        if name in self.waiting and not train:
            gone = sum(each[1] for each in self.waiting[name]) + elapsed
            if gone <= min(10.0, self.window):
                self.waiting[name].append((seen, elapsed, now))
                return self.told[name]
        waited = self.waiting.pop(name, [])
        if train:
            self.waiting[name] = []
        covered = sum(seconds for seconds, _ in train)
        weight = seen if name in self.cells else 0.0
        if waited:
            weight += sum(each[0] for each in waited)
            elapsed += sum(each[1] for each in waited)
        mean = now
        if train:
            weight = min(elapsed, max(weight, covered))
        if covered:
            mean = sum(seconds * each for seconds, each in train) / covered
        every = [now, *(each[2] for each in waited), *(each for _, each in train)]
        kept = self.cells.setdefault(name, [])
        kept.append((at, weight, mean, min(every), max(every)))
        self.total[name] = self.total.get(name, 0.0) + mean * weight
        live = [cell for cell in kept if cell[0] > at - self.window]
        weights = sum(cell[1] for cell in live)
        folded = sum(cell[1] * cell[2] for cell in live) / weights if weights else now
        extremes = min(c[3] for c in live), max(c[4] for c in live)
        self.told[name] = [folded, *extremes, self.total[name]]
        return self.told[name]


Tick = tuple[float, dict[str, tuple[float, Timed]]]
"""Seconds since the tick before, and by GPU the value and the driver's samples."""

shares = st.floats(0.0, 1.0)
seconds = st.one_of(st.just(0.0), st.floats(0.001, 3.0))
trains = st.lists(st.tuples(seconds, shares), max_size=12).map(tuple)
ticks = st.lists(
    st.one_of(
        st.none(),
        st.tuples(
            st.one_of(seconds, st.integers(-50, 50)),
            st.dictionaries(
                st.sampled_from(["GPU-1", "GPU-2", "GPU-3"]), st.tuples(shares, trains), max_size=3
            ),
        ),
    ),
    max_size=40,
)


@given(ticks=ticks, window=st.sampled_from([2.0, 5.0, 15.0]))
def test_folding_equals_the_reference(ticks: list[Tick | None], window: float) -> None:
    """Over any train of samples, with pauses, jumps of the clock and GPUs that come and go."""
    folding, reference = Folding(interval=1.0, window=window), Reference(1.0, window)
    at, forward = NOON, 0.0

    for tick in ticks:
        if tick is None:
            folding.lapse()
            reference.lapse()
            continue
        step, values = tick
        at, forward = at + step, forward + max(0.0, step)
        if not values:
            reference.lapse()
        batch = Batch(
            at,
            tuple(
                Reading(gpu.UTILIZATION, (hw_id, "general"), now)
                for hw_id, (now, _) in values.items()
            ),
            trains=tuple(
                Train(gpu.UTILIZATION, (hw_id, "general"), train)
                for hw_id, (_, train) in values.items()
                if train
            ),
        )

        folded = folding.fold(batch)

        for hw_id, expected in (reference.fold(at, values) if values else {}).items():
            key = (hw_id, "general")
            made = (gpu.UTILIZATION, UTILIZATION_MIN, UTILIZATION_MAX, BUSY_TIME)
            mean, low, high, total = (value(folded, metric, *key) for metric in made)
            assert [mean, low, high, total] == pytest.approx(expected, abs=1e-9)
            assert low <= mean <= high  # type: ignore[operator]
            assert 0 <= total <= forward + 1e-6  # type: ignore[operator]


steps = st.one_of(st.just(1.0), st.sampled_from([0.5, 3.0, 40.0, -2.0]))
coarse = st.dictionaries(
    st.sampled_from(["GPU-1", "GPU-2"]),
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0]),
        st.sampled_from([(), (), (), ((0.5, 1.0),), ((0.5, 0.5), (0.5, 0.5))]),
    ),
    max_size=2,
)


@given(
    ticks=st.lists(st.tuples(steps, coarse), max_size=40), window=st.sampled_from([2.0, 5.0, 15.0])
)
def test_series_that_stand_still_equal_the_reference(
    ticks: list[tuple[float, dict[str, tuple[float, Timed]]]], window: float
) -> None:
    """Values that repeat for seconds or for ever, then move, with and without samples of the driver."""
    folding, reference = Folding(interval=1.0, window=window), Reference(1.0, window)
    at, layouts = NOON, dict[tuple[str, ...], object]()

    for step, values in ticks:
        at += step
        if not values:
            reference.lapse()
        batch = Batch(
            at,
            tuple(
                Reading(gpu.MEMORY_CONTROLLER, (hw_id,), now) for hw_id, (now, _) in values.items()
            ),
            trains=tuple(
                Train(gpu.MEMORY_CONTROLLER, (hw_id,), train)
                for hw_id, (_, train) in values.items()
                if train
            ),
        )

        folded = folding.fold(batch, layouts.setdefault(tuple(values), object()))

        for hw_id, expected in (reference.fold(at, values) if values else {}).items():
            mean = value(folded, gpu.MEMORY_CONTROLLER, hw_id)
            assert mean == pytest.approx(expected[0], abs=1e-9)


def test_a_series_that_stands_still_costs_no_memory_of_its_own() -> None:
    """A value that holds for a window is exported as it came, and its mean moves when it moves."""
    folding = Folding(interval=1.0)
    still = [Reading(gpu.CLOCK_FREQUENCY, (hw_id, "sm"), 1e9) for hw_id in ("GPU-1", "GPU-2")]

    for at in range(20):
        folded = folding.fold(Batch(NOON + at, tuple(still)))
    moved = folding.fold(Batch(NOON + 20, (still[0]._replace(value=4e9), still[1])))

    assert all(one is other for one, other in zip(folded.readings, still, strict=True))
    assert value(moved, gpu.CLOCK_FREQUENCY, "GPU-1", "sm") == pytest.approx((14e9 + 4e9) / 15)
    assert moved.readings[1] is still[1]
