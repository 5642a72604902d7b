"""GPUs that MIG divides, through the real binding on the simulated library."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent.catalogue import events, gpu, gpu_mig
from agent.snapshot import Batch
from tests.agent.collectors.nvml.node import Node, problems, uuid, value

MIB = 1024**2
GIB = 1024**3
Divide = Callable[[str], None]
FIRST, SECOND, THIRD = (f"MIG-aaaaaaaa-0000-0000-0000-00000000000{n}" for n in (1, 2, 3))
HALVES = f"""
    mode 0 1
    instance 0 1 0 3 3 40192 1000 {FIRST} 3g.40gb
    instance 0 2 0 3 3 40192 2000 {SECOND} 3g.40gb
"""
SHARED = f"""
    mode 0 1
    instance 0 2 1 2 1 20096 2100 {SECOND}
    instance 0 2 0 2 1 20096 2100 {FIRST}
"""


@pytest.fixture
def divide(node: Node) -> Iterator[Divide]:
    """Return a function that says how GPUs are divided; see tests/simulated_nvml/mig.c."""
    file = node.control.with_name("control.mig")

    def tell(lines: str) -> None:
        fresh = file.with_suffix(".new")
        fresh.write_text("\n".join(line.strip() for line in lines.splitlines()))
        fresh.replace(file)

    node.tell("devices 1")
    yield tell
    file.unlink(missing_ok=True)


def devices(batch: Batch) -> dict[str, tuple[str, ...]]:
    """Return the facts of each MIG device: GPU, profile, GPU instance, compute instance."""
    found = [one for one in batch.readings if one.metric == gpu_mig.MIG_INFO]
    assert all(one.value == 1 for one in found)
    return {one.attributes[0]: one.attributes[1:] for one in found}


def of_mig(batch: Batch) -> set[str]:
    """Return the names of the metrics of MIG devices that there are."""
    names = {one.metric.name for one in batch.readings}
    return {name for name in names if name in {metric.name for metric in gpu_mig.METRICS}}


def test_a_gpu_that_cannot_be_divided(node: Node) -> None:
    """A GPU without MIG has none of its metrics, and no problem."""
    batch = node.collect()

    assert of_mig(batch) == set()
    assert batch.problems == ()


def test_instances(node: Node, divide: Divide) -> None:
    """Each instance is an entity of its own, which knows its GPU, its size and its numbers."""
    divide(HALVES)

    batch = node.collect()

    assert devices(batch) == {
        FIRST: (uuid(0), "3g.40gb", "1", "0"),
        SECOND: (uuid(0), "3g.40gb", "2", "0"),
    }
    assert value(batch, gpu_mig.MIG_DEVICES, uuid(0)) == 2
    assert value(batch, gpu_mig.MIG_MEMORY_LIMIT, FIRST) == 40192 * MIB
    assert value(batch, gpu_mig.MIG_MEMORY_USAGE, SECOND) == 2000 * MIB
    assert value(batch, gpu_mig.MIG_MEMORY_FREE, SECOND) == 38192 * MIB
    assert batch.problems == ()


def test_nothing_is_counted_twice(node: Node, divide: Divide) -> None:
    """The GPU's own series speak of the whole board, once, and of no instance."""
    divide(HALVES)

    batch = node.collect()

    usage = [one for one in batch.readings if one.metric == gpu.MEMORY_USAGE]
    assert [one.attributes for one in usage] == [(uuid(0),)]
    assert value(batch, gpu.DEVICES) == 1


def test_a_divided_gpu_has_no_utilization(node: Node, divide: Divide) -> None:
    """What the driver does not tell of a divided GPU is absent and no problem."""
    divide(HALVES)

    batch = node.collect()

    assert value(batch, gpu.UTILIZATION, uuid(0), "general") is None
    assert value(batch, gpu.UTILIZATION, uuid(0), "encoder") is None
    assert value(batch, gpu.POWER, uuid(0), "gpu") == 300
    assert batch.problems == ()


def test_compute_instances_that_share(node: Node, divide: Divide) -> None:
    """What two compute instances share is told once, by the lower; their size is known by its parts."""
    divide(SHARED)

    batch = node.collect()

    assert devices(batch) == {
        FIRST: (uuid(0), "1c.2g.20gb", "2", "0"),
        SECOND: (uuid(0), "1c.2g.20gb", "2", "1"),
    }
    assert value(batch, gpu_mig.MIG_MEMORY_USAGE, FIRST) == 2100 * MIB
    assert value(batch, gpu_mig.MIG_MEMORY_USAGE, SECOND) is None


def test_processes_of_an_instance(node: Node, divide: Divide) -> None:
    """Processes are counted where they run."""
    divide(f"{SHARED}\ntenant 10 2 0\ntenant 11 2 1\ntenant 12 2 1")
    node.tell(
        "devices 1\n" + "\n".join(f"process 0 compute {pid} {GIB} /bin/x" for pid in (10, 11, 12))
    )

    batch = node.collect()

    assert value(batch, gpu_mig.MIG_PROCESSES, FIRST) == 1
    assert value(batch, gpu_mig.MIG_PROCESSES, SECOND) == 2
    assert value(batch, gpu_mig.MIG_PROCESS_MEMORY, SECOND) == 2 * GIB
    assert value(batch, gpu.PROCESSES, uuid(0), "compute") == 3


DENIED = "rule nvmlDeviceGetComputeRunningProcesses * error 4"


def test_processes_without_privileges(node: Node, divide: Divide) -> None:
    """Where the driver lists the processes of the whole GPU to nobody like us, it does so part by part."""
    divide(f"{SHARED}\ntenant 10 2 0\ntenant 11 2 1\ntenant 12 2 1")
    users = [f"process 0 compute {pid} {GIB} /bin/x" for pid in (10, 11, 12)]
    node.tell("\n".join(["devices 1", DENIED, *users]))
    node.collect()

    batch = node.collect()

    assert value(batch, gpu_mig.MIG_PROCESSES, FIRST) == 1
    assert value(batch, gpu_mig.MIG_PROCESSES, SECOND) == 2
    assert value(batch, gpu_mig.MIG_PROCESS_MEMORY, SECOND) == 2 * GIB
    assert value(batch, gpu.PROCESSES, uuid(0), "compute") == 3
    assert problems(batch) == set()


def test_a_part_that_refuses(node: Node, divide: Divide) -> None:
    """Where a part does not list its processes either, there is no count at all, and it is said why."""
    divide(f"{SHARED}\ntenant 10 2 0")
    refused = "rule nvmlDeviceGetComputeRunningProcesses:mig * error 4"
    node.tell(f"devices 1\n{DENIED}\n{refused}\nprocess 0 compute 10 {GIB} /bin/x")
    first = node.collect()

    batch = node.collect()

    assert value(batch, gpu_mig.MIG_PROCESSES, FIRST) is None
    assert value(batch, gpu.PROCESSES, uuid(0), "compute") is None
    assert {reason for reason, _, _ in problems(first)} == {"no_permission"}
    assert problems(batch) == set()


def test_a_part_that_goes_while_it_is_asked(node: Node, divide: Divide) -> None:
    """A part that has just been destroyed has no processes, and is no problem."""
    divide(f"{HALVES}\ntenant 10 1 0")
    node.tell(f"devices 1\n{DENIED}\nprocess 0 compute 10 {GIB} /bin/x")
    node.collect()
    first, _ = HALVES.strip().rsplit("\n", 1)
    divide(f"{first}\ntenant 10 1 0")

    batch = node.collect()

    assert value(batch, gpu_mig.MIG_PROCESSES, FIRST) == 1
    assert problems(batch) == set()


def collected_twice(node: Node) -> Batch:
    """Run the collector twice: what the counters say is the difference of two samples."""
    node.collect()
    return node.collect()


def test_utilization_from_the_counters(node: Node, divide: Divide) -> None:
    """What the performance counters say of an instance is told from the second sample on."""
    divide(f"{HALVES}\nactivity 0 1 1 60\nactivity 0 1 2 40\nactivity 0 2 1 5\nactivity 0 2 5 2.5")

    batch = collected_twice(node)

    assert value(batch, gpu_mig.MIG_UTILIZATION, FIRST) == pytest.approx(0.6)
    assert value(batch, gpu_mig.MIG_SM_ACTIVE, FIRST) == pytest.approx(0.4)
    assert value(batch, gpu_mig.MIG_UTILIZATION, SECOND) == pytest.approx(0.05)
    assert value(batch, gpu_mig.MIG_PIPE_ACTIVE, SECOND, "tensor") == pytest.approx(0.025)
    assert value(batch, gpu_mig.MIG_SM_ACTIVE, SECOND) is None
    assert batch.problems == ()


def test_impossible_utilization(node: Node, divide: Divide) -> None:
    """More than all of an instance is refused, with the name of the instance."""
    divide(f"{HALVES}\nactivity 0 1 1 160\nactivity 0 2 1 5")

    batch = collected_twice(node)

    assert value(batch, gpu_mig.MIG_UTILIZATION, FIRST) is None
    assert value(batch, gpu_mig.MIG_UTILIZATION, SECOND) == pytest.approx(0.05)
    assert problems(batch) == {("out_of_range", uuid(0), "mig_utilization")}
    assert batch.problems[0].detail == "mig_utilization: GPU instance 1: 160.0"


def test_reconfiguration(node: Node, divide: Divide) -> None:
    """Instances come, go and change behind the same handles while the agent runs."""
    divide(HALVES)
    node.collect()
    divide(f"mode 0 1\ninstance 0 9 0 1 1 9856 10 {THIRD} 1g.10gb")

    fewer = node.collect()
    divide(HALVES)
    again = node.collect()

    assert devices(fewer) == {THIRD: (uuid(0), "1g.10gb", "9", "0")}
    assert value(fewer, gpu_mig.MIG_MEMORY_LIMIT, THIRD) == 9856 * MIB
    assert value(fewer, gpu_mig.MIG_MEMORY_LIMIT, FIRST) is None
    assert set(devices(again)) == {FIRST, SECOND}
    assert fewer.problems == again.problems == ()


def test_another_instance_under_the_same_uuid(node: Node, divide: Divide) -> None:
    """An instance of another size that got the old one's UUID is told with its own size."""
    divide(f"mode 0 1\ninstance 0 1 0 1 1 9856 10 {FIRST} 1g.10gb")
    node.collect()
    divide(f"mode 0 1\ninstance 0 1 0 1 1 20096 10 {FIRST} 1g.20gb")

    batch = node.collect()

    assert devices(batch) == {FIRST: (uuid(0), "1g.20gb", "1", "0")}


def test_switched_on_and_off(node: Node, divide: Divide) -> None:
    """When MIG is switched, what the GPU lacked before is asked again; nothing is restarted."""
    divide("mode 0 0")
    whole = node.collect()
    divide(HALVES)
    node.collect()
    divided = node.collect()
    divide("mode 0 0")
    node.collect()
    again = node.collect()

    assert value(whole, gpu.UTILIZATION, uuid(0), "general") == 0.97
    assert value(divided, gpu.UTILIZATION, uuid(0), "general") is None
    assert len(devices(divided)) == 2
    assert value(again, gpu.UTILIZATION, uuid(0), "general") == 0.97
    assert of_mig(again) == set()
    assert whole.problems == divided.problems == again.problems == ()


def test_driver_upgraded_while_divided(node: Node, divide: Divide) -> None:
    """After an upgrade of the driver the instances are met anew."""
    divide(HALVES)
    node.tell("devices 1\ngeneration 1\ndriver 550.54.15")
    node.collect()
    node.tell("devices 1\ngeneration 2\ndriver 580.65.06")

    batch = node.collect()

    assert set(devices(batch)) == {FIRST, SECOND}
    assert batch.problems == ()


def test_an_instance_destroyed_between_two_questions(node: Node, divide: Divide) -> None:
    """An instance that vanishes while it is asked is not there, and that is no problem."""
    divide(HALVES)
    node.tell("devices 1\nrule nvmlDeviceGetMemoryInfo_v2:mig 0 error 6")

    batch = node.collect()

    assert devices(batch) == {}
    assert value(batch, gpu_mig.MIG_DEVICES, uuid(0)) == 0
    assert batch.problems == ()


@pytest.mark.parametrize(
    ("rule", "field", "left"),
    [
        ("nvmlDeviceGetMigMode 0 error 999", "mig_mode", 0),
        ("nvmlDeviceGetMaxMigDeviceCount 0 error 999", "mig_devices", 0),
        ("nvmlDeviceGetMigDeviceHandleByIndex 0 error 999", "mig_devices", 0),
        ("nvmlDeviceGetUUID:mig 0 error 999", "mig_devices", 0),
        ("nvmlDeviceGetMemoryInfo_v2:mig 0 error 999", "mig_memory", 2),
    ],
)
def test_a_call_that_fails(node: Node, divide: Divide, rule: str, field: str, left: int) -> None:
    """A failing call costs what it tells and a problem; the GPU and what else is known stay."""
    divide(HALVES)
    node.tell(f"devices 1\nrule {rule}")

    batch = node.collect()

    assert {(one.reason, one.subject) for one in batch.problems} == {("unknown_error", uuid(0))}
    assert {one.detail.partition(":")[0] for one in batch.problems} >= {field}
    assert len(devices(batch)) == left
    assert value(batch, gpu.POWER, uuid(0), "gpu") == 300


def test_no_permission_is_one_problem(node: Node, divide: Divide) -> None:
    """An agent that may not see the instances says so once a run, not once for each of seven."""
    divide(HALVES)
    node.tell("devices 1\nrule nvmlDeviceGetMigDeviceHandleByIndex 0 error 4")

    batch = node.collect()

    assert problems(batch) == {("no_permission", uuid(0), "mig_devices")}


def test_older_driver(start: Callable[..., Node]) -> None:
    """A driver without the newer call for memory is asked in the older way."""
    node = start(["nvmlDeviceGetMemoryInfo_v2"])
    node.tell("devices 1")
    node.control.with_name("control.mig").write_text(
        "\n".join(line.strip() for line in HALVES.splitlines())
    )

    batch: Any = node.collect()

    assert value(batch, gpu_mig.MIG_MEMORY_USAGE, FIRST) == 1000 * MIB
    assert batch.problems == ()


def test_released_when_asked(node: Node, divide: Divide) -> None:
    """Let go of, the driver has no user left until the time is over; then all is told again."""
    divide(HALVES)
    node.collect()

    before = node.ask("simulated", "nvmlSimulatedUsers")
    node.ask("release", 30.0)
    users, samples = (
        node.ask("simulated", name) for name in ("nvmlSimulatedUsers", "nvmlSimulatedGpmSamples")
    )
    until = time.strftime("%H:%M:%S", time.gmtime(node.now + 30))
    how, said = node.try_("collect", node.now + 29)
    again = node.collect(31)

    assert (before, users, samples) == (1, 0, 0)
    assert how == "Unavailable"
    assert said == f"the driver was released on request; it is opened again at {until} UTC"
    assert set(devices(again)) == {FIRST, SECOND}
    assert again.events == ()


SMALL = f"""
    mode 0 1
    instance 0 1 0 3 3 40192 {{used}} {FIRST} 3g.40gb
    instance 0 7 0 1 1 9856 {{small}} {SECOND} 1g.10gb
    tenant 10 1 0
    tenant 11 7 0
"""


def fill(node: Node, divide: Divide, small: int, *, there: bool = True) -> Batch:
    """Let process 11 hold so many MiB of the small instance, and 10 always the same of the large one."""
    divide(SMALL.format(used=20_000, small=small))
    users = [f"process 0 compute 10 {20_000 * MIB} /bin/large"]
    if there:
        users.append(f"process 0 compute 11 {small * MIB} /bin/small")
    node.tell("\n".join(["devices 1", *users]))
    return node.collect()


def test_out_of_memory_within_an_instance(node: Node, divide: Divide) -> None:
    """A process that dies where its instance is full ran out of memory, though the board has plenty."""
    for small in range(9_000, 9_801, 100):
        quiet = fill(node, divide, small)

    batch = fill(node, divide, 10, there=False)

    assert quiet.events == ()
    (event,) = batch.events
    told = dict(event.attributes)
    assert event.kind.name == events.GPU_OOM.name
    assert "part 7 (1g.10gb) of GPU 0" in event.body
    assert told["hw.id"] == uuid(0)
    assert (told["hw.gpu.mig.gpu_instance.id"], told["hw.gpu.mig.profile"]) == ("7", "1g.10gb")
    assert told["process.pid"] == 11
    assert value(batch, gpu.OOM_EVENTS, uuid(0), "high") == 1


def test_an_instance_with_room_has_no_death(node: Node, divide: Divide) -> None:
    """Who leaves an instance that has room was stopped, as was who leaves with its instance."""
    for small in range(1_000, 5_001, 500):
        fill(node, divide, small)
    left = fill(node, divide, 10, there=False)
    for small in range(9_000, 9_801, 100):
        fill(node, divide, small)
    divide(HALVES)
    node.tell("devices 1")

    taken = node.collect()

    assert left.events == taken.events == ()


def test_refusals_of_a_divided_gpu_are_told_once(node: Node, divide: Divide) -> None:
    """What an agent without privileges may not see of a divided GPU is not counted anew each second."""
    divide(HALVES)
    names = """nvmlDeviceGetMemoryInfo nvmlDeviceGetComputeRunningProcesses nvmlDeviceGetSamples
        nvmlDeviceGetComputeRunningProcesses:mig nvmlDeviceGetGraphicsRunningProcesses nvmlDeviceGetFanSpeed
        nvmlDeviceGetGraphicsRunningProcesses:mig nvmlGpmMigSampleGet nvmlGpmSampleGet"""
    node.tell("\n".join(["devices 1", *(f"rule {name} * error 4" for name in names.split())]))
    first = node.collect()

    later = [problem for _ in range(120) for problem in node.collect().problems]

    assert {one.reason for one in first.problems} == {"no_permission"}
    assert len(first.problems) > 4
    assert later == []
