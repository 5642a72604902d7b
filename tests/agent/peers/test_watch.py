"""Outliers over time: told once, when they last, and never of equal GPUs."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from agent.catalogue.events import GPU_OUTLIER, GPU_OUTLIER_OVER
from agent.catalogue.window import PEER_OUTLIER
from agent.collectors.nvml.collector import NvmlCollector
from agent.folding import Folding
from agent.peers.watch import PeerWatch
from agent.simulation.gpus import SimulatedGpus
from agent.simulation.scenario import Part
from agent.simulation.spec import parse_spec
from agent.snapshot import Event
from tests.agent.peers.standings import Figures, batch, node, noisy

NOON = 1_700_000_000.0
Change = Callable[[int, Figures], Figures]


def watched(
    seconds: int, change: Change, watch: PeerWatch | None = None, start: float = NOON
) -> list[tuple[int, Event]]:
    """Return the events of ``seconds`` of eight GPUs, each changed as it is at that second."""
    watch = watch or PeerWatch()
    told = []
    for second in range(seconds):
        gpus = [change(second, each) for each in node()]
        found = watch.observe(start + second, [batch(start + second, gpus)])
        told += [(second, event) for event in found.events]
    return told


def hot(hw_id: str, when: Callable[[int], bool]) -> Change:
    """Return the change that makes one GPU hot at some seconds."""
    return lambda second, each: (
        replace(each, temperature=80.0) if each.hw_id == hw_id and when(second) else each
    )


def test_an_outlier_is_an_event_after_a_minute_and_over_after_another() -> None:
    """One event when it has lasted, one when it is over, and nothing in between."""
    told = watched(400, hot("GPU-3", lambda second: second < 200))

    assert [(event.kind, dict(event.attributes)["hw.id"]) for _, event in told] == [
        (GPU_OUTLIER, "GPU-3"),
        (GPU_OUTLIER_OVER, "GPU-3"),
    ]
    assert [second for second, _ in told] == pytest.approx([60, 260], abs=5)
    assert "GPU 3 NVIDIA H100" in told[0][1].body
    assert "80 degrees Celsius" in told[0][1].body
    assert "58 degrees Celsius" in told[0][1].body


def test_what_lasts_less_than_a_minute_is_no_event() -> None:
    """Hot for fifty seconds, ordinary for ten, and again: nobody is told."""
    assert watched(600, hot("GPU-3", lambda second: second % 60 < 50)) == []


def test_a_pause_begins_the_minute_anew() -> None:
    """What nobody saw does not count as lasting."""
    watch = PeerWatch()
    always = hot("GPU-3", lambda _: True)

    before = watched(40, always, watch)
    after = watched(40, always, watch, NOON + 100)

    assert before == after == []


def test_a_clock_that_is_set_back_is_survived() -> None:
    """An outlier is still found after the clock jumped an hour back, and no score is of the future."""
    watch = PeerWatch()
    watched(30, hot("GPU-3", lambda _: False), watch)

    told = watched(90, hot("GPU-3", lambda _: True), watch, NOON - 3600)

    assert [event.kind for _, event in told] == [GPU_OUTLIER]
    assert watch.observe(NOON - 3600 + 90, [batch(0.0, node())]).taken_at <= NOON - 3600 + 90


def test_throttled_gpus_are_found() -> None:
    """A GPU whose clocks are held down a third of the time stands out; its power cap does not count."""
    told = watched(
        200,
        lambda second, each: replace(each, throttled=each.hw_id == "GPU-6" and second % 3 == 0),
    )

    assert [(event.kind, dict(event.attributes)["hw.gpu.peer.signal"]) for _, event in told] == [
        (GPU_OUTLIER, "throttle")
    ]


def test_erring_gpus_are_found_by_what_their_counters_grew() -> None:
    """An old count of thousands is no error now; twenty new ones on one GPU are."""
    told = watched(
        300,
        lambda second, each: replace(
            each,
            errors=5000 if each.hw_id == "GPU-1" else second // 10 if each.hw_id == "GPU-2" else 0,
        ),
    )

    assert [(event.kind, dict(event.attributes)["hw.id"]) for _, event in told] == [
        (GPU_OUTLIER, "GPU-2")
    ]


def test_counters_that_start_anew_are_no_errors() -> None:
    """A driver that is reloaded takes the counts back to 0; nothing is counted twice."""
    told = watched(300, lambda second, each: replace(each, errors=1000 if second < 150 else 5))

    assert told == []


def test_a_lost_gpu_has_no_score() -> None:
    """The moment that a GPU gives no values its scores are gone, before the next judgement."""
    watch = PeerWatch()
    gpus = node()
    watch.observe(NOON, [batch(NOON, gpus)])
    lost = batch(NOON + 1, gpus)
    kept = [each for each in lost.readings if each.attributes[0] != "GPU-4"]
    kept += [each for each in lost.readings if each.metric.name == "hw.gpu.info"][4:5]

    found = watch.observe(NOON + 1, [replace(lost, readings=tuple(kept))])

    assert {reading.metric for reading in found.readings} == {PEER_OUTLIER}
    assert {reading.attributes[0] for reading in found.readings} == {
        each.hw_id for each in gpus if each.hw_id != "GPU-4"
    }


@pytest.mark.parametrize("seed", range(3))
def test_equal_noisy_gpus_are_never_an_event(seed: int) -> None:
    """Two hours of boards that differ by noise alone, on one job: no event."""
    random, watch = Random(seed), PeerWatch()
    events: list[Event] = []

    for step in range(2 * 3600 // 5):
        now = NOON + 5 * step
        events += watch.observe(now, [batch(now, noisy(random, node()))]).events

    assert events == []


def test_what_is_gone_is_forgotten() -> None:
    """GPUs whose UUID changes each minute leave nothing behind after an hour."""
    watch = PeerWatch()

    for minute in range(200):
        now = NOON + 60 * minute
        gpus = [replace(each, hw_id=f"GPU-{minute}-{each.hw_id}") for each in node(4)]
        watch.observe(now, [batch(now, gpus)])

    assert len(watch._pasts) <= 62 * 4
    assert len(watch._runs) <= 62 * 4 * 5


async def test_the_overheating_gpu_of_the_play_is_found() -> None:
    """On the simulated node the GPU whose airflow fails is told of by what that does to its clocks.

    Idle GPUs are not, nor is the one that falls off the bus, nor those on other work.
    """
    now = 0.0
    driver = SimulatedGpus(parse_spec("8xH100"), clock=lambda: now)
    collector = NvmlCollector(driver, clock=lambda: NOON + now)
    folding, watch, told = Folding(interval=1.0), PeerWatch(), list[Event]()

    for second in range(1, 300):
        now = float(second)
        folded = folding.fold(await collector.collect())
        told += watch.observe(NOON + now, [folded]).events
    hot_one = driver.identity(driver.scenario.parts.index(Part.OVERHEATING)).uuid
    await collector.close()

    began = [event for event in told if event.kind is GPU_OUTLIER]
    assert {dict(event.attributes)["hw.id"] for event in began} == {hot_one}
    assert {dict(event.attributes)["hw.gpu.peer.signal"] for event in began} == {
        "clock",
        "throttle",
    }
