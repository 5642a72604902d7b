from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.catalogue.attributes import PIPE, THROTTLE_REASON
from agent.collectors.nvml.driver import Sample
from agent.simulation.gpus import SimulatedGpus
from agent.simulation.scenario import PERIOD, Part
from agent.simulation.spec import MODELS, parse_spec

NEWER = ("H100", "H200", "B200", "H100-PCIE")
"""Models whose performance counters can be read."""


class Clock:
    """Seconds that pass when the test says so."""

    now = 1_000.0

    def __call__(self) -> float:
        """Return the time that the test set."""
        return self.now


def node(spec: str, seed: int = 0) -> tuple[SimulatedGpus, Clock]:
    """Return an open simulated node and the clock that moves it."""
    clock = Clock()
    gpus = SimulatedGpus(parse_spec(spec), seed=seed, clock=clock)
    gpus.open()
    return gpus, clock


def counters(sample: Sample) -> dict[tuple[str, object], float]:
    """Return everything in a sample and its condition that may never fall."""
    assert sample.condition is not None
    families: dict[str, Mapping[object, float] | None] = {
        "throttle_time": sample.throttle_time,  # type: ignore[dict-item]
        "pcie_bytes": sample.pcie_bytes,  # type: ignore[dict-item]
        "nvlink_bytes": sample.nvlink_bytes,  # type: ignore[dict-item]
        "ecc": sample.condition.ecc_errors,  # type: ignore[dict-item]
        "ecc_lifetime": sample.condition.ecc_lifetime_errors,  # type: ignore[dict-item]
        "nvlink_errors": sample.condition.nvlink_errors,  # type: ignore[dict-item]
        "replays": {None: sample.pcie_replays or 0},
        "energy": {None: sample.energy or 0.0},
    }
    return {
        (family, entry): number
        for family, entries in families.items()
        for entry, number in (entries or {}).items()
    }


def each_second(gpus: SimulatedGpus, clock: Clock, index: int, seconds: int) -> Iterator[Sample]:
    """Yield one sample a second, from now on."""
    start = clock.now
    for second in range(seconds):
        clock.now = start + second
        yield gpus.sample(index)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.floats(0, 100_000, allow_nan=False), min_size=1, max_size=20),
    model=st.sampled_from(["H100", "A100", "V100", "L40S"]),
    index=st.integers(0, 7),
)
def test_counters_never_fall_and_do_not_depend_on_who_samples(
    steps: list[float], model: str, index: int
) -> None:
    """Whatever the pattern of sampling, no counter falls, and each ends where it would have unsampled."""
    (sampled, clock), (unsampled, other) = node(f"8x{model}"), node(f"8x{model}")
    seen = [counters(sampled.sample(index))]

    for step in steps:
        clock.now += step
        if not sampled.scenario.lost(index, sampled.elapsed()):
            seen.append(counters(sampled.sample(index)))
            last = clock.now

    for before, after in pairwise(seen):
        assert before.keys() == after.keys()
        assert all(before[key] <= after[key] for key in before)
    if len(seen) > 1:
        other.now = last
        assert counters(unsampled.sample(index)) == seen[-1]


def test_throttle_time_grows_exactly_while_the_board_throttles() -> None:
    """Of the overheating GPU, each reason's time grows by half a second per half second that it is given."""
    gpus, clock = node("8xH100")
    hot = gpus.scenario.parts.index(Part.OVERHEATING)
    grown = dict.fromkeys(("sw_thermal", "hw_thermal"), 0.0)
    before = gpus.sample(hot)

    for _ in range(int(PERIOD) * 2):
        clock.now += 0.5
        after = gpus.sample(hot)
        assert before.throttle_time is not None
        assert after.throttle_time is not None
        assert before.throttle_reasons is not None
        for reason in grown:
            gain = after.throttle_time[reason] - before.throttle_time[reason]
            assert gain == pytest.approx(0.5 * (reason in before.throttle_reasons))
            grown[reason] += gain
        before = after

    assert grown["sw_thermal"] > 30
    assert grown["sw_thermal"] > grown["hw_thermal"] > 0


def test_cool_gpus_are_not_held_down() -> None:
    """A training GPU is held down by nothing, and has the time of every reason that is counted."""
    gpus, clock = node("8xH100")
    clock.now += 10 * PERIOD

    told = gpus.sample(0).throttle_time

    assert told is not None
    assert set(told) == set(THROTTLE_REASON.values) - {"hw_slowdown"}
    assert {reason for reason, seconds in told.items() if seconds} <= {"low_utilization"}


@pytest.mark.parametrize(
    ("total", "rate"), [("pcie_bytes", "pcie_throughput"), ("nvlink_bytes", "nvlink_throughput")]
)
def test_bytes_are_the_integral_of_throughput(total: str, rate: str) -> None:
    """Over a minute the counters gain what the throughput amounts to, in each direction."""
    gpus, clock = node("8xH100")
    begin = getattr(gpus.sample(0), total)
    moved = dict.fromkeys(begin, 0.0)

    for _ in range(120):
        for direction, speed in getattr(gpus.sample(0), rate).items():
            moved[direction] += speed / 2
        clock.now += 0.5

    end = getattr(gpus.sample(0), total)
    for direction, count in moved.items():
        assert count > 0
        assert end[direction] - begin[direction] == pytest.approx(count, rel=1e-4)


def test_idle_links_carry_nothing() -> None:
    """A GPU without work moves no bytes, and its units rest."""
    gpus, clock = node("8xH100")
    idle = gpus.scenario.parts.index(Part.IDLE)
    before = gpus.sample(idle)
    clock.now += 100

    after = gpus.sample(idle)

    assert (after.pcie_bytes, after.nvlink_bytes) == (before.pcie_bytes, before.nvlink_bytes)
    assert (after.sm_active, after.sm_occupancy) == (0.0, 0.0)
    assert after.pipe_active == dict.fromkeys(PIPE.values, 0.0)


@pytest.mark.parametrize("model", NEWER)
def test_profiling_follows_utilization(model: str) -> None:
    """Multiprocessors are active a little less than a kernel runs, and of the units most the tensor cores."""
    gpus, clock = node(f"8x{model}")

    for sample in each_second(gpus, clock, 0, 120):
        assert sample.sm_active is not None
        assert sample.sm_occupancy is not None
        assert sample.pipe_active is not None
        assert sample.memory_bandwidth_utilization is not None
        assert sample.sm_occupancy <= sample.sm_active <= (sample.utilization or 0.0) + 0.01
        assert set(sample.pipe_active) == set(PIPE.values)
        assert all(0.0 <= share <= sample.sm_active for share in sample.pipe_active.values())
        assert max(sample.pipe_active, key=lambda pipe: sample.pipe_active[pipe]) == "tensor"  # type: ignore[index]
        assert 0.0 <= sample.memory_bandwidth_utilization <= 1.0


@pytest.mark.parametrize("model", MODELS)
def test_only_newer_models_profile(model: str) -> None:
    """Performance counters are told by Hopper and newer, and absent elsewhere."""
    gpus, _ = node(f"1x{model}")

    sample = gpus.sample(0)

    told: list[Callable[[Sample], object]] = [
        lambda s: s.sm_active,
        lambda s: s.sm_occupancy,
        lambda s: s.pipe_active,
        lambda s: s.memory_bandwidth_utilization,
    ]
    assert [of(sample) is not None for of in told] == [model in NEWER] * 4


def test_average_power_is_that_of_the_last_second() -> None:
    """The average is the energy of the last second; the instant is the power of the moment."""
    gpus, clock = node("8xH100")
    clock.now += 55.5
    before = gpus.sample(0)
    clock.now += 1.0

    after = gpus.sample(0)

    assert after.power_instant == after.power
    assert after.power_average == pytest.approx(
        (after.energy or 0) - (before.energy or 0), abs=0.01
    )
    assert after.power_average != after.power_instant


def test_returned_gpu_asks_for_nothing() -> None:
    """A GPU that was reset and is back needs no further action, and its counters went on."""
    gpus, clock = node("8xH100")
    falling = gpus.scenario.parts.index(Part.FALLING)
    clock.now += 140
    before = counters(gpus.sample(falling))
    clock.now += 110

    after = gpus.sample(falling)

    assert after.recovery_action == "none"
    assert all(before[key] <= number for key, number in counters(after).items())
