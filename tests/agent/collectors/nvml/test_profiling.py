"""Performance counters through the real binding: what they say, and when they are left alone."""

import pytest

from agent.catalogue import gpu, gpu_work
from agent.snapshot import Batch
from tests.agent.collectors.nvml.node import Node, problems, uuid, value

MIB = 1024 * 1024


def samples(node: Node) -> int:
    """Return how many samples the library holds for the agent."""
    held: int = node.ask("simulated", "nvmlSimulatedGpmSamples")
    return held


def asked(node: Node) -> list[str]:
    """Return the calls to the profiler since the last time."""
    log: bytes = node.ask("simulated", "nvmlSimulatedLog")
    return [line for line in log.decode().splitlines() if line.startswith("nvmlGpm")]


def test_what_the_counters_say(node: Node) -> None:
    """From the second sample on there are shares of 1 and bytes per second, each GPU its own."""
    first, second = node.collect(), node.collect()

    assert value(first, gpu_work.SM_ACTIVE, uuid(2)) is None
    assert value(second, gpu_work.SM_ACTIVE, uuid(2)) == 0.82
    assert value(second, gpu_work.SM_OCCUPANCY, uuid(2)) == 0.42
    assert value(second, gpu_work.MEMORY_BANDWIDTH, uuid(2)) == 0.61
    pipes = {
        pipe: value(second, gpu_work.PIPE_ACTIVE, uuid(2), pipe)
        for pipe in ("tensor", "fp64", "fp32", "fp16", "integer")
    }
    assert pipes == {"tensor": 0.55, "fp64": 0, "fp32": 0.2, "fp16": 0.05, "integer": 0.12}
    traffic = [
        value(second, metric, uuid(2), direction)
        for metric in (gpu_work.PCIE_THROUGHPUT, gpu_work.NVLINK_THROUGHPUT)
        for direction in ("transmit", "receive")
    ]
    assert traffic == [100 * MIB, 200 * MIB, 400 * MIB, 300 * MIB]
    assert first.problems == second.problems == ()


def test_counters_are_means_of_all_the_time_and_so_asked_seldom(node: Node) -> None:
    """Each GPU is asked every five seconds, by turns, and what was said is told in between."""
    for _ in range(10):
        node.collect()
    node.tell("log 1")

    batches, turns = list[Batch](), list[str]()
    for _ in range(10):
        batches.append(node.collect())
        turn = [line for line in asked(node) if line.startswith("nvmlGpmSampleGet")]
        assert turn
        turns += turn

    assert sorted(turns) == sorted(f"nvmlGpmSampleGet {n}" for n in range(8) for _ in "ab")
    for batch in batches:
        assert value(batch, gpu_work.SM_ACTIVE, uuid(2)) == 0.82


def test_what_was_said_seconds_ago_is_no_answer(node: Node) -> None:
    """A GPU that answers nothing any more is lost at once, though its counters were not due."""
    for _ in range(12):
        node.collect()
    node.tell("rule * 3 error 999")

    silent = node.collect()

    assert value(silent, gpu.LOST, uuid(3)) == 1
    assert value(silent, gpu_work.SM_ACTIVE, uuid(3)) is None
    assert value(silent, gpu.LOST, uuid(2)) == 0


def test_older_gpus_have_none(node: Node) -> None:
    """A GPU without performance counters is asked once whether it has them, and never again."""
    node.tell("devices 2\nmodel t4 *\nlog 1")
    node.collect()

    first, later = asked(node), (node.collect(), asked(node))[1]

    assert sorted(first) == ["nvmlGpmQueryDeviceSupport 0", "nvmlGpmQueryDeviceSupport 1"]
    assert later == []
    assert samples(node) == 0


def test_samples_too_close_to_each_other(node: Node) -> None:
    """The GPU renews its counters each 100 ms at most: an earlier sample would say nothing."""
    node.collect()

    early = node.collect(0.05)
    in_time = node.collect(0.06)

    assert value(early, gpu_work.SM_ACTIVE, uuid(0)) is None
    assert value(in_time, gpu_work.SM_ACTIVE, uuid(0)) == 0.8
    assert early.problems == ()


@pytest.mark.parametrize(("code", "reason"), [(19, "in_use"), (4, "no_permission")])
def test_a_profiler_has_the_right_of_way(node: Node, code: int, reason: str) -> None:
    """Counters that somebody holds are let go and left alone for a minute, with one problem."""
    node.collect()
    node.tell(f"devices 8\nlog 1\nrule nvmlGpmSampleGet 1 error {code}")
    refused = node.collect()
    asked(node)

    minute = [node.collect(5) for _ in range(11)]
    kept_away = [line for line in asked(node) if line.endswith(" 1")]
    node.tell("log 1")
    back = [node.collect(6), node.collect()]

    assert problems(refused) == {(reason, uuid(1), "profiling")}
    assert value(refused, gpu_work.SM_ACTIVE, uuid(1)) is None
    assert value(refused, gpu_work.SM_ACTIVE, uuid(0)) == 0.8
    assert value(refused, gpu.UTILIZATION, uuid(1), "general") == 0.97
    assert all(batch.problems == () for batch in minute)
    assert kept_away == []
    assert [value(batch, gpu_work.SM_ACTIVE, uuid(1)) for batch in back] == [None, 0.81]
    assert samples(node) == 16


def test_one_metric_that_fails(node: Node) -> None:
    """A metric that fails is its own problem; one that the GPU lacks is asked no more."""
    node.tell("rule gpm:3 0 error 999\nrule gpm:11 0 error 3")
    node.collect()

    failing, again = node.collect(), node.collect()
    node.tell("")
    healed = node.collect()

    for batch in (failing, again):
        assert problems(batch) == {("unknown_error", uuid(0), "sm_occupancy")}
        assert value(batch, gpu_work.SM_ACTIVE, uuid(0)) == 0.8
    assert value(healed, gpu_work.SM_OCCUPANCY, uuid(0)) == 0.4
    assert value(healed, gpu_work.PIPE_ACTIVE, uuid(0), "fp64") is None


@pytest.mark.parametrize("said", ["nan", "-1", "101", "1e300"])
def test_garbage(node: Node, said: str) -> None:
    """A share that cannot be true is refused."""
    node.tell(f"rule gpm:2 0 value {said}")
    node.collect()

    batch = node.collect()

    assert problems(batch) == {("out_of_range", uuid(0), "sm_active")}
    assert value(batch, gpu_work.SM_ACTIVE, uuid(0)) is None


def test_a_hair_over_all(node: Node) -> None:
    """Two samples are not taken at one instant: a hair over 100 % is 100 %."""
    node.tell("rule gpm:2 0 value 100.2")
    node.collect()

    batch = node.collect()

    assert value(batch, gpu_work.SM_ACTIVE, uuid(0)) == 1
    assert batch.problems == ()


def test_contradiction(node: Node) -> None:
    """All the time busy with nothing active is said by one counter that lies: it is refused."""
    node.tell("rule nvmlDeviceGetUtilizationRates 4 value 99\nrule gpm:2 4 value 0")
    node.collect()

    batches = [node.collect(each) for each in (1, 5, 1, 5)]

    active = [value(batch, gpu_work.SM_ACTIVE, uuid(4)) for batch in batches]
    assert active == [0, None, None, None]
    assert [problems(batch) for batch in batches] == [
        set(),
        {("contradiction", uuid(4), "sm_active")},
        set(),
        {("contradiction", uuid(4), "sm_active")},
    ]
    assert value(batches[-1], gpu.UTILIZATION, uuid(4), "general") == 0.99


def test_samples_are_freed(node: Node) -> None:
    """No sample outlives its GPU, the driver or the agent."""
    node.collect()
    held = samples(node)

    node.tell("lost 0")
    node.collect()
    one_lost = samples(node)
    node.tell("generation 2")
    node.collect()
    reloaded = samples(node)
    node.ask("renew")

    assert (held, one_lost, reloaded, samples(node)) == (16, 14, 16, 0)
