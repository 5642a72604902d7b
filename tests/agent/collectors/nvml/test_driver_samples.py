"""The driver's sample buffers, read through the real binding from the simulated library."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.catalogue import gpu
from agent.collectors.nvml.driver import RecentSamples
from agent.folding import Folding
from agent.snapshot import Snapshot
from agent.vetting import vet
from exporters.prometheus import Exposition
from tests.agent.collectors.nvml.node import Node, problems, uuid, value

POWER, UTILIZATION, MEMORY = 0, 1, 2
START = 1_700_000_000_000_000
"""A timestamp of the driver's, microseconds."""
TENTH = 100_000
Line = tuple[int, int, float] | tuple[int, int, float, int]


def buffers_of(node: Node) -> Path:
    """Return the file that the simulated library reads its buffers from."""
    return node.control.with_name(f"{node.control.name}.samples")


@pytest.fixture(autouse=True)
def _emptied(node: Node) -> Iterator[None]:
    """Leave no samples to other tests, which share the node."""
    yield
    buffers_of(node).unlink(missing_ok=True)


def hold(node: Node, lines: Iterable[Line], device: int = 0) -> None:
    """Replace what the buffers hold: kind, timestamp less `START`, value and its type."""
    path = buffers_of(node)
    fresh = path.with_suffix(".new")
    fresh.write_text(
        "".join(
            f"{device} {kind} {START + at} {' '.join(map(str, rest))}\n"
            for kind, at, *rest in lines
        )
    )
    fresh.replace(path)


@pytest.fixture
def gpus(node: Node) -> Node:
    """Return a connected node whose buffers hold one old sample of each kind."""
    hold(node, [(kind, 0, 7) for kind in (POWER, UTILIZATION, MEMORY)])
    node.ask("ask", "open")
    node.ask("ask", "device_count")
    assert recent(node) == RecentSamples()
    return node


def recent(node: Node, device: int = 0, wait: float = 0.0) -> RecentSamples:
    """Return what the driver sampled since the last call, ``wait`` seconds later."""
    node.ask("wait", wait)
    told: RecentSamples = node.ask("ask", "recent", device)
    return told


def test_the_first_call_takes_no_history(node: Node) -> None:
    """Minutes of samples from before the agent looked are nobody's busy time."""
    hold(node, [(UTILIZATION, n * TENTH, 100) for n in range(120)])
    node.ask("ask", "open")

    first, second = recent(node), recent(node)

    assert first == second == RecentSamples()


def test_new_samples_come_once_with_the_time_they_held(gpus: Node) -> None:
    """Each kind in the catalogue's units, oldest first, with the seconds since the one before."""
    hold(
        gpus,
        [
            *((POWER, n * TENTH, watts * 1000) for n, watts in enumerate((7, 300, 650, 310))),
            *((UTILIZATION, n * TENTH * 2, percent) for n, percent in enumerate((7, 0, 100))),
            (MEMORY, 0, 7),
        ],
    )

    told = recent(gpus)

    assert told.power == ((0.1, 300.0), (0.1, 650.0), (0.1, 310.0))
    assert told.utilization == ((0.2, 0.0), (0.2, 1.0))
    assert told.memory_controller_utilization == ()
    assert told.problems == ()
    assert recent(gpus) == RecentSamples()


def test_samples_in_disorder_are_put_in_order(gpus: Node) -> None:
    """A ring that is handed out from its middle gives the same, and a sample of no time nothing."""
    hold(gpus, [(POWER, 2 * TENTH, 2000), (POWER, -START, 9000), (POWER, TENTH, 1000)])

    assert recent(gpus).power == ((0.1, 1.0), (0.1, 2.0))


def test_a_hole_between_samples_is_no_time(gpus: Node) -> None:
    """Where the buffer was overrun while nobody asked, the first sample after it tells a value only."""
    hold(gpus, [(UTILIZATION, 60_000_000, 50), (UTILIZATION, 60_000_000 + TENTH, 60)])

    assert recent(gpus).utilization == ((0.0, 0.5), (0.1, 0.6))


def test_impossible_samples_are_refused_and_the_others_kept(gpus: Node) -> None:
    """Over 100 % is a problem, told once a call; the time of such a sample is not covered by another."""
    hold(gpus, [(UTILIZATION, n * TENTH, percent) for n, percent in ((1, 50), (2, 4_000), (3, 60))])

    told = recent(gpus)

    assert told.utilization == ((0.1, 0.5), (0.1, 0.6))
    assert [(one.field, one.reason) for one in told.problems] == [("utilization", "out_of_range")]
    assert "1 of 3 samples, such as 4000" in told.problems[0].detail


@pytest.mark.parametrize(("value_type", "watts"), [(0, 300.5), (3, 300.0)])
def test_the_union_is_read_by_its_type(gpus: Node, value_type: int, watts: float) -> None:
    """A driver that answers with a double or a long is read as such."""
    hold(gpus, [(POWER, TENTH, watts * 1000, value_type)])

    assert recent(gpus).power == ((0.1, watts),)


def test_a_type_that_is_not_known_is_refused(gpus: Node) -> None:
    """What cannot be read is a problem, and no number."""
    hold(gpus, [(POWER, TENTH, 300_000, 99)])

    told = recent(gpus)

    assert told.power == ()
    assert [(one.field, one.reason) for one in told.problems] == [("power", "out_of_range")]


def test_a_clock_that_was_set_back_is_found_out(gpus: Node) -> None:
    """Timestamps that are all older than the last one seen are followed after ten quiet seconds."""
    hour = 3_600_000_000
    hold(gpus, [(POWER, -hour, 100_000)])

    quiet = [recent(gpus, wait=1.0).power for _ in range(11)]
    hold(gpus, [(POWER, -hour, 100_000), (POWER, TENTH - hour, 200_000)])

    assert set(quiet) == {()}
    assert recent(gpus).power == ((0.1, 200.0),)


def ring(now: int, kept: int) -> list[Line]:
    """Return the last ``kept`` samples of a driver that samples each tenth of a second."""
    return [(POWER, n * TENTH, n * 1000) for n in range(now - kept, now)]


@pytest.mark.parametrize(("kept", "reads"), [(120, 16), (30, 61)])
def test_a_buffer_is_read_before_a_third_of_it_is_overwritten(
    node: Node, kept: int, reads: int
) -> None:
    """A buffer of 12 s is read each 4 to 5 s, one of 3 s each second; both give every sample once."""
    hold(node, ring(kept, kept))
    node.tell("log 1")
    node.ask("ask", "open")
    node.ask("ask", "device_count")
    recent(node)
    calls(node)

    told: list[tuple[float, float]] = []
    for second in range(1, 61):
        hold(node, ring(kept + 10 * second, kept))
        told += recent(node, wait=1.0).power

    assert len(calls(node)) <= reads
    assert [watts for _, watts in told] == list(range(kept, kept + len(told)))
    assert len(told) >= 10 * 55


def test_a_buffer_that_was_young_is_measured_again(node: Node) -> None:
    """Where the driver had just begun, its buffer held little, and is found to hold more a minute later."""
    hold(node, ring(5, 5))
    node.tell("log 1")
    node.ask("ask", "open")
    node.ask("ask", "device_count")
    for second in range(1, 70):
        hold(node, ring(5 + 10 * second, 120))
        recent(node, wait=1.0)
    calls(node)

    told: list[tuple[float, float]] = []
    for second in range(70, 90):
        hold(node, ring(5 + 10 * second, 120))
        told += recent(node, wait=1.0).power

    assert len(calls(node)) <= 6
    assert len(told) >= 10 * 15


def calls(node: Node) -> list[str]:
    """Return the reads of the buffer of power since the last time."""
    log: bytes = node.ask("simulated", "nvmlSimulatedLog")
    lines = log.decode().splitlines()
    return [line for line in lines if line.startswith("nvmlDeviceGetSamples:0 ")]


@pytest.mark.parametrize("code", [2, 3, 13])
def test_a_gpu_without_buffers_is_asked_once(gpus: Node, code: int) -> None:
    """Not supported, not known or not in the library: no problem, and not asked again."""
    gpus.tell(f"rule nvmlDeviceGetSamples 0 error {code}")
    lacking = recent(gpus)
    gpus.tell("")
    hold(gpus, [(POWER, TENTH, 100_000)])

    assert lacking == recent(gpus) == RecentSamples()


def test_a_failure_is_a_problem_of_each_kind_and_passes(gpus: Node) -> None:
    """An error that may pass is counted, and the next call goes on where the last good one was."""
    gpus.tell("rule nvmlDeviceGetSamples 0 error 999")
    failed = recent(gpus)
    gpus.tell("")
    hold(gpus, [(POWER, TENTH, 100_000)])

    assert {one.reason for one in failed.problems} == {"unknown_error"}
    assert len(failed.problems) == 2
    assert recent(gpus).power == ((0.1, 100.0),)


def test_a_library_without_the_function_has_no_samples(start: Callable[..., Node]) -> None:
    """An older library lacks the symbol: values come as ever, and no problem is told."""
    node = start(without=["nvmlDeviceGetSamples"])

    batch = node.collect()

    assert batch.trains == ()
    assert value(batch, gpu.POWER, uuid(0), "gpu") is not None
    assert not [one for one in problems(batch) if one[2] in RecentSamples._fields]


def test_samples_reach_the_batch_with_the_series_they_are_of(gpus: Node) -> None:
    """A collected batch carries the trains of the GPU that has them, beside its readings."""
    gpus.collect()
    hold(gpus, [(POWER, TENTH, 700_000), (UTILIZATION, TENTH, 100)])

    batch = gpus.collect()

    told: dict[Any, Any] = {each[:2]: each.samples for each in batch.trains}
    assert told == {
        (gpu.POWER, (uuid(0), "gpu")): ((0.1, 700.0),),
        (gpu.UTILIZATION, (uuid(0), "general")): ((0.1, 1.0),),
    }
    assert {each[:2] for each in batch.readings} >= set(told)


def test_a_lost_gpu_is_lost_to_its_buffers_too(gpus: Node) -> None:
    """Off the bus, the call says so, and the others go on."""
    gpus.tell("lost 0")

    assert gpus.try_("ask", "recent", 0)[0] == "GpuLost"
    assert recent(gpus, 1) == RecentSamples()


def test_a_spike_of_300_ms_shows_in_an_export_fifteen_seconds_later(gpus: Node) -> None:
    """From the driver's buffer to the exported text: the peak, the busy time, and the mean."""
    folding = Folding(interval=1.0)
    folding.fold(vet(gpus.collect())[0])
    idle = [(UTILIZATION, n * TENTH, 0) for n in range(1, 5)]
    busy = [(UTILIZATION, n * TENTH, 100) for n in range(5, 8)]
    quiet = [(UTILIZATION, n * TENTH, 0) for n in range(8, 151)]
    hold(gpus, [*idle, *busy, *quiet[:3], *[(POWER, n * TENTH, 690_000) for n in range(5, 8)]])
    folding.fold(vet(gpus.collect())[0])

    for second in range(2, 16):
        hold(gpus, [*quiet[: 10 * second - 7]])
        folded = folding.fold(vet(gpus.collect())[0])

    text = Exposition("", "").text(Snapshot(1, folded.taken_at, {"nvml": folded})).decode()
    said = {
        line.split("{")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if f'"{uuid(0)}"' in line and ('task="general"' in line or line.startswith("hw_power_"))
    }
    assert said["hw_gpu_utilization_max_ratio"] == 1.0
    assert said["hw_gpu_utilization_min_ratio"] == 0.0
    assert said["hw_gpu_busy_time_seconds_total"] == pytest.approx(0.3)
    assert said["hw_power_max_watts"] == 690.0
