"""What the simulated driver samples by itself: fine, and one with what it says at each tick."""

from statistics import fmean

import pytest

from agent.collectors.nvml.driver import GpuLost, RecentSamples
from agent.simulation.gpus import SAMPLE_RATE, SAMPLES_KEPT, SimulatedGpus
from agent.simulation.scenario import FOUND, LOST, Part
from agent.simulation.spec import parse_spec


class Play:
    """A node whose time the test moves."""

    def __init__(self, spec: str = "8xH100") -> None:
        self.now = 0.0
        self.gpus = SimulatedGpus(parse_spec(spec), clock=lambda: self.now)
        self.gpus.open()

    def at(self, part: Part) -> int:
        """Return the first GPU with this part."""
        return self.gpus.scenario.parts.index(part)


def test_the_first_call_has_no_history() -> None:
    """As with the real driver, what was before the agent looked is not told."""
    play = Play()
    play.now = 100.0

    assert play.gpus.recent(0) == RecentSamples()


def test_samples_come_ten_a_second_and_once() -> None:
    """Each second brings ten samples of a tenth of a second each, and asking again none."""
    play = Play()
    play.gpus.recent(0)
    play.now = 1.0

    told, again = play.gpus.recent(0), play.gpus.recent(0)

    assert len(told.power) == len(told.utilization) == SAMPLE_RATE
    assert sum(seconds for seconds, _ in told.power) == pytest.approx(1.0)
    assert again == RecentSamples()


@pytest.mark.parametrize("part", [Part.TRAINING, Part.SERVING, Part.LEAK, Part.IDLE])
def test_samples_add_up_to_what_the_ticks_and_the_energy_say(part: Part) -> None:
    """The power of the samples over ten seconds is the energy that the counter grew by."""
    play = Play()
    index = play.at(part)
    play.gpus.recent(index)
    before = play.gpus.sample(index).energy
    play.now = 10.0

    after, told = play.gpus.sample(index).energy, play.gpus.recent(index)

    assert before is not None
    assert after is not None
    spent = sum(seconds * watts for seconds, watts in told.power)
    assert spent == pytest.approx(after - before, rel=1e-3)
    assert all(0 <= share <= 1 for _, share in told.utilization)


def test_work_comes_in_bursts_that_no_tick_shows() -> None:
    """A serving GPU's samples reach higher than its ticks do, and lower."""
    play = Play()
    index = play.at(Part.SERVING)
    play.gpus.recent(index)
    ticks, samples = [], []
    for second in range(1, 31):
        play.now = float(second)
        ticks.append(play.gpus.sample(index).utilization or 0.0)
        samples += [share for _, share in play.gpus.recent(index).utilization]

    assert max(samples) > max(ticks) + 0.05
    assert min(samples) < min(ticks) - 0.05
    assert fmean(samples) == pytest.approx(fmean(ticks), abs=0.03)


def test_the_buffer_is_finite() -> None:
    """Who asks after a minute gets the last twelve seconds, the first of which stand for no hole."""
    play = Play()
    play.gpus.recent(0)
    play.now = 60.0

    told = play.gpus.recent(0)

    assert len(told.power) == SAMPLES_KEPT
    assert told.power[0][0] == 0.0
    assert told.power[1][0] == pytest.approx(0.1)


def test_the_samples_do_not_depend_on_who_asks_when() -> None:
    """Asked each second or each tenth second, the play is the same."""
    seldom, often = Play(), Play()
    for play in (seldom, often):
        play.gpus.recent(3)

    told = list[tuple[float, float]]()
    for tenth in range(1, 101):
        often.now = tenth / 10 + 0.05
        told += often.gpus.recent(3).power
    seldom.now = 10.05

    assert list(seldom.gpus.recent(3).power) == told


def test_a_lost_gpu_has_no_samples() -> None:
    """Off the bus the buffers are gone too, and come back with the GPU."""
    play = Play()
    index = play.at(Part.FALLING)
    play.gpus.recent(index)
    play.now = LOST + 1

    with pytest.raises(GpuLost):
        play.gpus.recent(index)

    play.now = FOUND + 1
    assert play.gpus.recent(index).power[0][0] == 0.0
