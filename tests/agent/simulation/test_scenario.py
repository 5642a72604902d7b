from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulation.scenario import (
    LEAK_DEATH,
    LEAK_PERIOD,
    PERIOD,
    Part,
    Scenario,
    Xid,
    deal,
    wave,
)

GIB = 1 << 30
LENGTHS = st.floats(0, 5_000, allow_nan=False)


def one_gpu(part: Part, count: int = 8) -> tuple[Scenario, int]:
    """Return a node and the GPU that plays the part."""
    scenario = Scenario(count, capacity=80 * GIB)
    return scenario, scenario.parts.index(part)


@pytest.mark.parametrize("count", range(1, 65))
def test_every_fault_strikes_once(count: int) -> None:
    """However many GPUs there are: one leaks, and from two on, one falls off the bus."""
    parts = Counter(deal(count))

    assert parts.total() == count
    assert parts[Part.LEAK] == 1
    assert parts[Part.FALLING] == (1 if count >= 2 else 0)
    assert parts[Part.OVERHEATING] == (1 if count >= 3 else 0)


def test_eight_gpus_show_the_whole_play() -> None:
    """Eight GPUs are enough for every part."""
    assert set(deal(8)) == set(Part)


def test_leak_fills_the_gpu_and_its_process_vanishes() -> None:
    """The leaking process grows, never shrinks, to nearly all there is, and is gone; another begins."""
    scenario, gpu = one_gpu(Part.LEAK)

    sizes = [scenario.occupants(gpu, second)[0].memory for second in range(int(LEAK_DEATH))]
    first = scenario.occupants(gpu, LEAK_DEATH - 0.001)[0]
    after = scenario.occupants(gpu, LEAK_DEATH)
    second = scenario.occupants(gpu, LEAK_PERIOD)[0]

    assert sizes == sorted(sizes)
    assert sizes[-1] > 0.98 * scenario.capacity
    assert after == ()
    assert second.pid != first.pid
    assert second.memory < 0.3 * scenario.capacity


def test_idle_gpu_holds_memory_and_does_nothing() -> None:
    """The idle GPU is allocated all the time and never works."""
    scenario, gpu = one_gpu(Part.IDLE)

    loads = {scenario.load(gpu, second).utilization for second in range(int(PERIOD))}
    memory = {scenario.occupants(gpu, second)[0].memory for second in range(int(PERIOD))}

    assert loads == {0.0}
    assert min(memory) > scenario.capacity // 2


def test_only_the_falling_gpu_is_ever_lost() -> None:
    """One GPU is off the bus for a while, with nothing running on it, and comes back with a new process."""
    scenario, falling = one_gpu(Part.FALLING)

    lost = [s for s in range(int(PERIOD)) if scenario.lost(falling, s)]
    others = [scenario.lost(gpu, s) for s in lost for gpu in range(8) if gpu != falling]
    before = scenario.occupants(falling, lost[0] - 1)
    after = scenario.occupants(falling, lost[-1] + 1)

    assert lost == list(range(150, 240))
    assert not any(others)
    assert scenario.occupants(falling, lost[0]) == ()
    assert before[0].pid != after[0].pid


@given(count=st.integers(1, 64), elapsed=LENGTHS, seed=st.integers(0, 5))
def test_memory_always_fits(count: int, elapsed: float, seed: int) -> None:
    """Processes never hold more than there is, and no two share a pid."""
    scenario = Scenario(count, capacity=80 * GIB, seed=seed)

    occupants = [scenario.occupants(gpu, elapsed) for gpu in range(count)]

    assert all(sum(who.memory for who in gpu) <= scenario.capacity for gpu in occupants)
    pids = [who.pid for gpu in occupants for who in gpu]
    assert len(pids) == len(set(pids))


def test_a_test_job_crashes_where_the_device_is_not_full() -> None:
    """The process that dies of XID 13 leaves a GPU that was far from full: that is no lack of memory."""
    scenario = Scenario(8, capacity=80 * GIB)
    (crash, *_) = scenario.xids(0.0, PERIOD)

    before = scenario.occupants(crash.gpu_index, crash.second - 0.01)
    after = scenario.occupants(crash.gpu_index, crash.second)

    assert crash.code == 13
    assert len(before) == len(after) + 1
    assert sum(who.memory for who in before) < 0.9 * scenario.capacity


def test_fatal_xid_comes_as_the_gpu_falls() -> None:
    """XID 79 is reported at the moment from which the GPU is lost."""
    scenario, falling = one_gpu(Part.FALLING)

    assert scenario.xids(0.0, PERIOD)[1] == Xid(150.0, falling, 79)
    assert scenario.lost(falling, 150.0)
    assert not scenario.lost(falling, 149.999)


@given(cuts=st.lists(LENGTHS, max_size=20), count=st.integers(1, 8))
def test_every_xid_is_reported_once_however_often_it_is_asked(
    cuts: list[float], count: int
) -> None:
    """Cutting time into any intervals neither loses nor doubles an error."""
    scenario = Scenario(count, capacity=GIB)
    moments = sorted([0.0, *cuts, 5_000.0])

    pieces = [scenario.xids(*pair) for pair in pairwise(moments)]

    assert tuple(xid for piece in pieces for xid in piece) == scenario.xids(0.0, 5_000.0)


@given(seed=st.integers(), elapsed=LENGTHS)
def test_traffic_is_a_share_that_repeats(seed: int, elapsed: float) -> None:
    """Traffic stays within 0 and 1 and is the same one period later."""
    now = wave(seed, "vllm", elapsed)

    assert 0.0 < now < 1.0
    assert wave(seed, "vllm", elapsed + PERIOD) == pytest.approx(now, abs=1e-9)
