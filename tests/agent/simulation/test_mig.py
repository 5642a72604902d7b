"""Simulated GPUs that MIG divides, as the collector sees them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import gpu, gpu_mig, gpu_work
from agent.collectors.nvml.collector import NvmlCollector
from agent.collectors.nvml.driver import MigDevice
from agent.simulation.gpus import SimulatedGpus
from agent.simulation.layout import parse_layout
from agent.simulation.scenario import LOST
from agent.simulation.spec import MODELS, parse_spec
from agent.snapshot import Batch

SIZES = (10, 20, 40, 80)
EIGHTY = 80 << 30


class Play:
    """Divided GPUs at a moment that a test sets."""

    def __init__(self, spec: str, *, nvlink_links: bool = False) -> None:
        self.now = 0.0
        self.gpus = SimulatedGpus(
            parse_spec(spec), nvlink_links=nvlink_links, clock=lambda: self.now
        )
        self.gpus.open()

    def parts(self, index: int = 0) -> tuple[MigDevice, ...]:
        """Return the parts of a GPU."""
        return self.gpus.mig(index).devices

    async def collect(self) -> Batch:
        """Read all GPUs as the agent does."""
        collector = NvmlCollector(self.gpus, clock=lambda: self.now)
        batch = await collector.collect()
        await collector.close()
        return batch


@pytest.mark.parametrize(
    ("layout", "numbers"),
    [
        ("7x1g.10gb", (7, 8, 9, 10, 11, 12, 13)),
        ("3g.40gb+2x2g.20gb", (1, 3, 4)),
        ("1g.10gb + 4G.40GB", (1, 7)),
        ("2 x 3g.40gb", (1, 2)),
        ("7g.80gb", (0,)),
        ("4x1g.20gb", (7, 8, 9, 10)),
    ],
)
def test_layout(layout: str, numbers: tuple[int, ...]) -> None:
    """A layout is profiles joined by +, each with a count where there are several."""
    assert tuple(one.number for one in parse_layout(layout, EIGHTY, SIZES)) == numbers


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("1xH100/", "this GPU has 1g.10gb, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb"),
        ("1xH100/1g.5gb", "this GPU has 1g.10gb"),
        ("1xH100/mig", "join profiles with [+], such as 7x1g.10gb"),
        ("1xH100/7x1g.10gb/1g.10gb", "cannot divide a GPU into"),
        ("1xH100/8x1g.10gb", "needs 8 of 7 slices"),
        ("1xH100/0x1g.10gb", "does not fit"),
        ("1xH100/3x3g.40gb", "12 of 8 eighths"),
        ("1xH100/5x1g.20gb", "10 of 8 eighths"),
        ("1xT4/7x1g.10gb", "has no MIG; these have: A100, A100-40GB, A100-80GB, B200, H100"),
        ("0xH100/7x1g.10gb", "write COUNTxMODEL"),
    ],
)
def test_bad_layout_names_the_fix(spec: str, said: str) -> None:
    """What cannot be, is refused with what can."""
    with pytest.raises(ValueError, match=said):
        parse_spec(spec)


@given(st.text(alphabet="0123457xg.b+ Mm", max_size=30))
def test_any_layout_is_one_or_a_value_error(text: str) -> None:
    """No text crashes the parser, and parts that it returns fit on the GPU."""
    try:
        parts = parse_layout(text, EIGHTY, SIZES)
    except ValueError:
        return

    assert sum(one.slices for one in parts) <= 7
    assert sum(one.memory for one in parts) <= EIGHTY
    assert len({one.number for one in parts}) == len(parts) > 0


@pytest.mark.parametrize("model", [name for name, one in MODELS.items() if one.mig_sizes])
def test_smallest_parts_fill_every_model(model: str) -> None:
    """Each model that has MIG can be divided into seven of its smallest part."""
    sizes = MODELS[model].mig_sizes or SIZES

    spec = parse_spec(f"1x{model}/7x1g.{sizes[0]}gb")

    assert len(spec.layout) == 7
    assert sum(one.memory for one in spec.layout) <= spec.model.memory


def test_parts_hold_what_their_processes_hold() -> None:
    """Memory of parts, of their processes and of the whole GPU agree, at every moment of the play."""
    play = Play("4xH100/3g.40gb+4x1g.10gb")

    for second in range(0, 300, 7):
        play.now = float(second)
        for index in range(4):
            if play.gpus.scenario.lost(index, play.now):
                continue
            parts, users = play.parts(index), play.gpus.processes(index).compute or ()
            for part in parts:
                held = [one.memory or 0 for one in users if one.gpu_instance == part.gpu_instance]
                assert part.memory_used == sum(held) <= (part.memory_total or 0)
            assert play.gpus.sample(index).memory_used == sum(one.memory or 0 for one in users)
            assert len({one.pid for one in users}) == len(users)


def test_last_part_is_idle() -> None:
    """One of several parts is given out and used by nobody."""
    play = Play("1xH100/7x1g.10gb")
    play.now = 50.0

    *busy, idle = play.parts()

    assert all(one.memory_used and one.utilization for one in busy)
    assert (idle.memory_used, idle.utilization, idle.sm_active) == (0, 0.0, 0.0)


def test_counters_are_hoppers() -> None:
    """Before Hopper a part has memory and processes, and no utilization."""
    play = Play("1xA100/2x3g.40gb")
    play.now = 50.0

    busy = play.parts()[0]

    assert busy.memory_used
    assert (busy.utilization, busy.sm_active, busy.pipe_active) == (None, None, None)


async def test_every_metric_of_mig_is_there() -> None:
    """The collector gives every metric of MIG, and none of the whole GPU that the driver lacks then."""
    play = Play("2xH100/7x1g.10gb")
    play.now = 50.0

    batch = await play.collect()

    metrics = {one.metric for one in batch.readings}
    assert set(gpu_mig.METRICS) <= metrics
    assert gpu.UTILIZATION not in metrics
    assert gpu_work.SM_ACTIVE not in metrics
    assert gpu.MEMORY_USAGE in metrics
    assert batch.problems == ()


def test_lost_with_its_parts() -> None:
    """A GPU off the bus takes its parts with it."""
    play = Play("8xH100/7x1g.10gb")
    play.now = LOST + 1
    lost = [index for index in range(8) if play.gpus.scenario.lost(index, play.now)]

    assert lost
    with pytest.raises(Exception, match="lost"):
        play.parts(lost[0])


def test_links_by_themselves() -> None:
    """Asked for, each NVLink is told, and together they are what the GPU tells in sum."""
    play = Play("1xH100", nvlink_links=True)
    play.now = 40.0

    sample = play.gpus.sample(0)

    assert sample.condition
    links = sample.condition.links or ()
    assert [one.number for one in links] == list(range(18))
    assert sum(one.bandwidth or 0 for one in links) == sample.condition.nvlink_bandwidth
    for kind, count in (sample.condition.nvlink_errors or {}).items():
        assert sum((one.errors or {})[kind] for one in links) == count
    together = sum(one.transmitted or 0 for one in links)
    assert 0 <= (sample.nvlink_bytes or {})["transmit"] - together < 18


def test_links_are_not_asked_for() -> None:
    """By default there are sums alone."""
    sample = Play("1xH100").gpus.sample(0)

    assert sample.condition
    assert sample.condition.links is None
