import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.catalogue import events
from agent.catalogue.attributes import THROTTLE_REASON
from agent.collectors.nvml.collector import NvmlCollector
from agent.collectors.nvml.driver import (
    DeviceError,
    DriverGone,
    GpuDriver,
    GpuLost,
    Sample,
    XidEvent,
)
from agent.collectors.nvml.oom import Watched, observe
from agent.simulation.gpus import SimulatedGpus
from agent.simulation.scenario import PERIOD, Part
from agent.simulation.spec import MODELS, parse_spec
from agent.snapshot import Event


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the time that the test set."""
        return self.now


def node(spec: str = "8xH100", seed: int = 0) -> tuple[SimulatedGpus, Clock]:
    """Return an open simulated node and the clock that moves it."""
    clock = Clock()
    gpus = SimulatedGpus(parse_spec(spec), seed=seed, clock=clock)
    gpus.open()
    return gpus, clock


def samples(gpus: SimulatedGpus, clock: Clock, index: int, seconds: int) -> list[Sample]:
    """Return one sample a second, from now on."""
    start = clock.now
    taken = []
    for second in range(seconds):
        clock.now = start + second
        taken.append(gpus.sample(index))
    return taken


def test_simulated_gpus_are_a_driver() -> None:
    """The simulated node fits the door that the collector uses."""
    driver: GpuDriver = SimulatedGpus(parse_spec("2xT4"))

    assert driver.open().driver_version
    assert driver.device_count() == 2


def test_same_seed_gives_the_same_values() -> None:
    """Two nodes of one seed agree in every value; another seed is another node."""
    (first, first_clock), (second, second_clock), (other, _) = node(), node(), node(seed=1)
    first_clock.now += 77.7
    first.sample(3)
    first_clock.now += 10
    second_clock.now += 87.7

    for gpu in range(8):
        assert first.identity(gpu) == second.identity(gpu)
        assert first.sample(gpu) == second.sample(gpu)
        assert first.processes(gpu) == second.processes(gpu)
        assert first.identity(gpu).uuid != other.identity(gpu).uuid


def test_uuids_have_the_form_of_nvidia_and_are_unique() -> None:
    """Every GPU has a UUID of its own, in NVIDIA's form, and a PCI address of its own."""
    gpus, _ = node("64xH100")

    identities = [gpus.identity(gpu) for gpu in range(64)]

    form = re.compile(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    assert all(form.fullmatch(identity.uuid) for identity in identities)
    assert len({identity.uuid for identity in identities}) == 64
    assert len({identity.pci_bus_id for identity in identities}) == 64


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(st.floats(0, 400, allow_nan=False), min_size=1, max_size=30),
    index=st.integers(0, 7),
)
def test_energy_does_not_depend_on_who_samples(steps: list[float], index: int) -> None:
    """Energy never falls, and ends where it would have ended unsampled."""
    sampled, sampled_clock = node()
    unsampled, unsampled_clock = node()

    energies = []
    for step in steps:
        sampled_clock.now += step
        if not sampled.scenario.lost(index, sampled.elapsed()):
            energies.append(sampled.sample(index).energy or 0.0)
    unsampled_clock.now = sampled_clock.now

    assert energies == sorted(energies)
    if not unsampled.scenario.lost(index, unsampled.elapsed()):
        assert unsampled.sample(index).energy == energies[-1]


def test_energy_is_the_integral_of_power() -> None:
    """Between two moments a GPU uses the power that it drew times the time, to the millijoule."""
    gpus, clock = node()
    begin = gpus.sample(0).energy
    joules = 0.0

    for _ in range(240):
        joules += (gpus.sample(0).power or 0.0) * 0.5
        clock.now += 0.5

    end = gpus.sample(0).energy
    assert begin is not None
    assert end is not None
    assert end - begin == pytest.approx(joules, abs=0.002)


@pytest.mark.parametrize("model", [*MODELS, "Unheard-of"])
def test_heat_makes_the_clocks_drop_and_passes(model: str) -> None:
    """On every model a GPU reaches its limit before 90 s, is slowed down, and recovers."""
    gpus, clock = node(f"8x{model}")
    hot = gpus.scenario.parts.index(Part.OVERHEATING)
    limits = gpus.identity(hot)

    taken = samples(gpus, clock, hot, 300)

    throttled = [second for second, s in enumerate(taken) if s.throttle_reasons]
    assert 30 < throttled[0] < 90
    assert throttled[-1] < 200
    assert limits.slowdown_temperature is not None
    assert limits.shutdown_temperature is not None
    hottest = max(s.temperature or 0 for s in taken)
    assert limits.slowdown_temperature - 2 <= hottest < limits.shutdown_temperature
    for s in taken:
        held_down = (s.graphics_clock or 0) < (limits.graphics_clock_limit or 0)
        assert held_down == bool(s.throttle_reasons)
        assert s.throttle_reasons is not None
        assert s.throttle_reasons <= set(THROTTLE_REASON.values)


def test_other_gpus_stay_cool() -> None:
    """Only the GPU without air gets hot."""
    gpus, clock = node()

    for index, part in enumerate(gpus.scenario.parts):
        if part in (Part.OVERHEATING, Part.FALLING):
            continue
        clock.now = 1_000.0
        assert not any(s.throttle_reasons for s in samples(gpus, clock, index, 300))


def test_temperature_lags_behind_power() -> None:
    """When a checkpoint stops the work, power falls at once and temperature slowly."""
    gpus, clock = node()
    clock.now += 54.0

    working, _, stopped, *_, still_stopped = samples(gpus, clock, 0, 5)

    assert (stopped.power or 0) < 0.3 * (working.power or 0)
    assert (working.temperature or 0) - (stopped.temperature or 0) <= 4
    assert (still_stopped.temperature or 0) < (working.temperature or 0)


def test_oom_is_seen_within_110_seconds() -> None:
    """Memory grows until the device is nearly full, the process vanishes, and the memory is free."""
    gpus, clock = node("1xH100")

    seen = []
    for _ in range(110):
        held, sample = gpus.processes(0).compute, gpus.sample(0)
        assert held is not None
        pids = [who.pid for who in held if who.name == "python3"]
        seen.append(((sample.memory_used or 0) / (sample.memory_total or 1), pids))
        clock.now += 1.0

    deaths = [(before, after) for before, after in pairwise(seen) if before[1] and not after[1]]
    ((before, after),) = deaths
    assert before[0] > 0.97
    assert after[0] == 0.0
    assert seen[-1][1] not in ([], before[1])


@pytest.mark.parametrize("interval", [0.5, 1.0, 5.0])
@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_only_the_leak_is_inferred_to_be_out_of_memory(count: int, interval: float) -> None:
    """The agent's own inference finds each death of the leak, surely, and no other in two periods."""
    gpus, clock = node(f"{count}xH100")
    leak = gpus.scenario.parts.index(Part.LEAK)
    watched: list[Watched | None] = [None] * count

    found = []
    while gpus.elapsed() <= 2 * PERIOD:
        for index in range(count):
            try:
                sample, processes = gpus.sample(index), gpus.processes(index)
            except GpuLost:
                watched[index] = None
                continue
            watched[index], deaths = observe(watched[index], clock.now, sample, processes)
            found += [(gpus.elapsed(), index, death.confidence) for death in deaths]
        clock.now += interval

    assert [(index, confidence) for _, index, confidence in found] == [(leak, "high")] * 6
    times = [second for second, _, _ in found]
    assert times[0] < 110
    assert times == pytest.approx([96, 196, 296, 396, 496, 596], abs=interval)


def test_lost_gpu_raises_and_the_others_answer() -> None:
    """From 150 s to 240 s one GPU is lost in every call but still listed; the others are well."""
    gpus, clock = node()
    falling = gpus.scenario.parts.index(Part.FALLING)
    identity = gpus.identity(falling)
    clock.now += 151.0

    for call in (gpus.identity, gpus.sample, gpus.processes):
        with pytest.raises(GpuLost):
            call(falling)
    others = [gpus.sample(gpu) for gpu in range(8) if gpu != falling]
    listed = gpus.device_count()
    clock.now += 90.0

    assert len(others) == 7
    assert listed == 8
    assert gpus.identity(falling) == identity
    assert gpus.sample(falling).power


def test_xids_are_told_once() -> None:
    """An XID is told by the first call after it, and never again; the play tells both in a period."""
    gpus, clock = node()
    falling = gpus.scenario.parts.index(Part.FALLING)

    told = []
    for _ in range(int(PERIOD)):
        clock.now += 1.0
        told.append(gpus.xid_events())

    at = {second: events for second, events in enumerate(told, start=1) if events}
    assert at == {45: (XidEvent(0, 13),), 150: (XidEvent(falling, 79),)}


def test_errors_before_opening_are_not_told() -> None:
    """Like a driver, the simulation tells only of errors since it was opened."""
    gpus, clock = node()
    gpus.close()
    clock.now += 60.0

    gpus.open()

    assert gpus.xid_events() == ()


def test_closed_driver_answers_nothing() -> None:
    """After `close`, which may come twice, every call says that the driver is gone."""
    gpus, _ = node()
    gpus.close()
    gpus.close()

    for call in (gpus.device_count, gpus.xid_events, lambda: gpus.sample(0)):
        with pytest.raises(DriverGone):
            call()


@pytest.mark.parametrize("index", [-1, 8])
def test_no_such_gpu_is_an_error_of_the_device(index: int) -> None:
    """An index that is not on the node is refused."""
    gpus, _ = node()

    with pytest.raises(DeviceError) as caught:
        gpus.sample(index)

    assert caught.value.reason == "invalid_argument"


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from([*MODELS]),
    elapsed=st.floats(0, 2_000, allow_nan=False),
    index=st.integers(0, 7),
)
def test_every_value_is_possible(model: str, elapsed: float, index: int) -> None:
    """At any moment, values are within what the board can do, and memory adds up."""
    gpus, clock = node(f"8x{model}")
    clock.now += elapsed
    if gpus.scenario.lost(index, elapsed):
        return

    s, identity = gpus.sample(index), gpus.identity(index)

    assert s.memory_used is not None
    assert s.memory_free is not None
    assert s.memory_reserved is not None
    assert s.memory_free >= 0
    assert s.memory_used + s.memory_free + s.memory_reserved == s.memory_total
    for share in (s.utilization, s.memory_controller_utilization):
        assert share is not None
        assert 0.0 <= share <= 1.0
    assert 0 < (s.power or 0) <= (s.power_limit or 0)
    assert 0 < (s.graphics_clock or 0) <= (identity.graphics_clock_limit or 0)
    assert 20 < (s.temperature or 0) < (identity.shutdown_temperature or 0)


async def test_parts_run_out_of_memory_one_by_one() -> None:
    """On a node divided by MIG the play's leak ends in each part that has a tenant, and nowhere else."""
    gpus, clock = node("2xH100/3g.40gb+4x1g.10gb")
    collector = NvmlCollector(gpus, clock=lambda: clock.now)
    told: list[Event] = []

    for _ in range(120):
        clock.now += 1
        told += (await collector.collect()).events
    await collector.close()

    deaths = [dict(event.attributes) for event in told if event.kind is events.GPU_OOM]
    assert sorted(str(one["hw.gpu.mig.profile"]) for one in deaths) == [*["1g.10gb"] * 3, "3g.40gb"]
    assert len({one["hw.gpu.mig.gpu_instance.id"] for one in deaths}) == len(deaths)
    assert {one["warpwatch.confidence"] for one in deaths} == {"high"}
