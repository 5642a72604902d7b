"""The real binding on a simulated library that fails: GPUs, calls and the driver."""

import pytest

from agent.catalogue import events, gpu, gpu_errors
from agent.snapshot import Batch
from tests.agent.collectors.nvml.node import Node, problems, uuid, value

GIB = 1024**3


def told(batch: Batch) -> list[tuple[str, str]]:
    """Return the kind and the GPU of each event."""
    return [
        (event.kind.name, str(dict(event.attributes).get("hw.id", ""))) for event in batch.events
    ]


def of(batch: Batch, index: int) -> set[tuple[object, ...]]:
    """Return what a GPU has beyond what every GPU ever met has."""
    always = {gpu.INFO, gpu.LOST, gpu.XID_EVENTS, gpu_errors.XID_FAULTS, gpu.OOM_EVENTS}
    return {
        (one.metric, *one.attributes[1:])
        for one in batch.readings
        if one.attributes[:1] == (uuid(index),) and one.metric not in always
    }


def test_one_lost_of_eight(node: Node) -> None:
    """A lost GPU is a reading and one event; the other seven stay complete, and it heals by itself."""
    node.collect()
    before = node.collect()
    node.tell("lost 3")

    lost, still = node.collect(), node.collect()
    node.tell("")
    healed, later = node.collect(), node.collect()

    assert told(before) == []
    assert told(lost) == [(events.GPU_LOST.name, uuid(3))]
    assert told(still) == told(later) == []
    assert told(healed) == [(events.GPU_FOUND.name, uuid(3))]
    for batch in (lost, still):
        assert of(batch, 3) == set()
        assert [value(batch, gpu.LOST, uuid(index)) for index in range(8)] == [
            0,
            0,
            0,
            1,
            0,
            0,
            0,
            0,
        ]
        assert value(batch, gpu.XID_EVENTS, uuid(3), "79") == 0
        assert value(batch, gpu.DEVICES) == 8
        assert any(
            one.metric == gpu.INFO and one.attributes[0] == uuid(3) for one in batch.readings
        )
        assert all(of(batch, index) == of(before, index) for index in (0, 1, 2, 4, 5, 6, 7))
        assert batch.problems == ()
    assert of(later, 3) == of(before, 3)
    assert value(healed, gpu.LOST, uuid(3)) == 0


@pytest.mark.parametrize(
    "directive",
    [
        "rule * 3 error 15",
        "rule * 3 error 16",
        "rule * 3 error 999",
        "rule nvmlDeviceGetPowerUsage 3 error 15",
        "rule field:83 3 error 15",
        "rule nvmlDeviceGetFieldValues 3 error 15",
        "rule nvmlDeviceGetComputeRunningProcesses 3 error 15",
    ],
)
def test_ways_to_be_lost(node: Node, directive: str) -> None:
    """A GPU is lost by whatever call says so, in need of a reset, or when nothing of it answers."""
    node.collect()
    node.tell(directive)

    batch = node.collect()

    assert told(batch) == [(events.GPU_LOST.name, uuid(3))]
    assert of(batch, 3) == set()
    assert value(batch, gpu.POWER, uuid(4), "gpu") == 304


def test_gpu_vanishes_from_the_list(node: Node) -> None:
    """A GPU that the driver does not list any more is lost, and found when it is listed again."""
    node.collect()
    node.tell("devices 6")

    vanished = node.collect()
    node.tell("")
    back = node.collect()

    assert told(vanished) == [(events.GPU_LOST.name, uuid(6)), (events.GPU_LOST.name, uuid(7))]
    assert value(vanished, gpu.DEVICES) == 8
    assert of(vanished, 7) == set()
    assert told(back) == [(events.GPU_FOUND.name, uuid(6)), (events.GPU_FOUND.name, uuid(7))]


def test_gpu_is_added(node: Node) -> None:
    """A GPU that appears while the agent runs is an event."""
    node.tell("devices 2")
    node.collect()

    node.tell("devices 3")
    batch = node.collect()

    assert told(batch) == [(events.GPU_FOUND.name, uuid(2))]
    assert value(batch, gpu.DEVICES) == 3


def test_lost_before_the_agent_began(node: Node) -> None:
    """A GPU that nobody could ask for its UUID is lost by its index, until it says who it is."""
    node.tell("lost 5")

    first = node.collect()
    node.tell("")
    healed = node.collect()

    assert value(first, gpu.LOST, "index:5") == 1
    known = ("index:5", "5", "", "NVIDIA", "", "", "550.54.15", "12.4", "", "")
    assert value(first, gpu.INFO, *known) == 1
    assert value(first, gpu.DEVICES) == 8
    assert told(first) == []
    assert value(healed, gpu.LOST, "index:5") is None
    assert value(healed, gpu.LOST, uuid(5)) == 0
    assert told(healed) == [(events.GPU_FOUND.name, uuid(5))]


def test_gpu_of_somebody_else(node: Node) -> None:
    """A GPU that the agent may not use is a problem, and neither lost nor in the way of the others."""
    node.tell("rule nvmlDeviceGetHandleByIndex 1 error 4")

    batch = node.collect()

    assert [one.reason for one in batch.problems] == ["no_permission"]
    assert value(batch, gpu.LOST, uuid(1)) is None
    assert value(batch, gpu.POWER, uuid(2), "gpu") == 302


def test_process_list_fails(node: Node) -> None:
    """A process list that fails is a problem by itself: the other list and the values stay."""
    node.tell("rule nvmlDeviceGetComputeRunningProcesses 0 error 999")

    batch = node.collect()

    assert problems(batch) == {("unknown_error", uuid(0), "compute")}
    assert value(batch, gpu.PROCESSES, uuid(0), "compute") is None
    assert value(batch, gpu.PROCESSES, uuid(0), "graphics") == 0


def test_driver_reloaded(node: Node) -> None:
    """A reloaded driver is met again within the same run."""
    before = node.collect()
    node.tell("generation 2")

    batch = node.collect()

    assert {one[:2] for one in batch.readings} == {one[:2] for one in before.readings}
    assert told(batch) == []


def test_driver_unloaded_and_loaded(node: Node) -> None:
    """A driver that goes away while GPUs are known is a failure, and heals when it is back."""
    node.collect()
    node.tell("generation 2\ninit 9")

    first, second = node.try_("collect", 2.0), node.try_("collect", 3.0)
    node.tell("generation 3")
    healed = node.collect()

    assert first[0] == second[0] == "DriverGone"
    assert "modprobe nvidia" in first[1]
    assert value(healed, gpu.POWER, uuid(7), "gpu") == 307
    assert told(healed) == []


def test_reordered_after_a_reload(node: Node) -> None:
    """A GPU keeps its identity when a reload gives its index to another."""
    node.collect()
    swap = "rule nvmlDeviceGetUUID 0 text {1}\nrule nvmlDeviceGetUUID 1 text {0}"
    node.tell("generation 2\n" + swap.format(uuid(0), uuid(1)))

    batch = node.collect()

    assert value(batch, gpu.POWER, uuid(1), "gpu") == 300
    assert value(batch, gpu.POWER, uuid(0), "gpu") == 301
    assert told(batch) == []


def test_two_gpus_of_one_name(node: Node) -> None:
    """Of two GPUs with the same UUID the second is a problem, and no series comes twice."""
    node.tell(f"rule nvmlDeviceGetUUID 1 text {uuid(0)}")

    batch = node.collect()

    keys = [one[:2] for one in batch.readings]
    assert len(keys) == len(set(keys))
    assert [(one.reason, one.subject) for one in batch.problems] == [("duplicate_uuid", uuid(0))]


def test_xids(node: Node) -> None:
    """Each XID is an event and a count by code; fatal codes were there at 0."""
    before = node.collect()
    node.tell("xid 2 79\nxid 2 31\nxid 2 31\nxid -1 62\nxid 4 123456789")

    batch, after = node.collect(), node.collect()

    assert value(before, gpu.XID_EVENTS, uuid(2), "79") == 0
    assert value(before, gpu.XID_EVENTS, uuid(2), "31") is None
    assert value(after, gpu.XID_EVENTS, uuid(2), "79") == 1
    assert value(after, gpu.XID_EVENTS, uuid(2), "31") == 2
    assert value(after, gpu.XID_EVENTS, "", "62") == 1
    assert told(batch) == [
        (events.GPU_XID_FATAL.name, uuid(2)),
        (events.GPU_XID.name, uuid(2)),
        (events.GPU_XID.name, uuid(2)),
        (events.GPU_XID_FATAL.name, ""),
    ]
    assert problems(batch) == {("out_of_range", "xid_events", "123456789")}
    assert told(after) == []


def test_a_storm_of_xids(node: Node) -> None:
    """A storm is counted to the last, though not in one run."""
    node.collect()
    node.tell("xid 0 13\n" * 2500)

    counts = [value(node.collect(), gpu.XID_EVENTS, uuid(0), "13") for _ in range(3)]

    assert counts == [1000, 2000, 2500]


def test_what_else_the_driver_announces(node: Node) -> None:
    """What a GPU can announce beside XIDs is counted from 0 and told, and nothing else is asked for."""
    node.tell("rule nvmlDeviceGetSupportedEventTypes 2 value 33288")
    before = node.collect()
    node.tell(
        "rule nvmlDeviceGetSupportedEventTypes 2 value 33288\n"
        "xid 2 0 512\nxid 2 2 32768\nxid 3 0 512\nxid 2 31"
    )

    batch = node.collect()
    after = node.collect()

    assert value(before, gpu_errors.DRIVER_EVENTS, uuid(2), "ecc_storm") == 0
    assert value(before, gpu_errors.DRIVER_EVENTS, uuid(3), "ecc_storm") is None
    assert value(before, gpu_errors.DRIVER_EVENTS, uuid(2), "poison") is None
    assert value(after, gpu_errors.DRIVER_EVENTS, uuid(2), "ecc_storm") == 1
    assert value(after, gpu_errors.DRIVER_EVENTS, uuid(2), "recovery_action") == 1
    assert told(batch) == [
        (events.GPU_DRIVER_EVENT.name, uuid(2)),
        (events.GPU_DRIVER_EVENT.name, uuid(2)),
        (events.GPU_XID.name, uuid(2)),
    ]
    assert batch.problems == ()


def test_no_xids_from_this_driver(node: Node) -> None:
    """Where a GPU's XIDs cannot be heard there is no count that would stay at 0 for ever."""
    node.tell("rule nvmlDeviceRegisterEvents 0 error 3")

    batch = node.collect()

    assert value(batch, gpu.XID_EVENTS, uuid(0), "79") is None
    assert value(batch, gpu.XID_EVENTS, uuid(1), "79") == 0
    assert batch.problems == ()


def test_events_heal(node: Node) -> None:
    """An event set that fails is a problem, and made anew: the next XID is heard."""
    node.collect()
    node.tell("rule nvmlEventSetWait -1 error 999")
    failing = node.collect()

    node.tell("")
    node.collect()
    node.tell("xid 1 48")
    batch = node.collect()

    assert [one.reason for one in failing.problems] == ["unknown_error"]
    assert value(failing, gpu.POWER, uuid(0), "gpu") == 300
    assert value(batch, gpu.XID_EVENTS, uuid(1), "48") == 1


def test_event_set_with_a_lost_gpu(node: Node) -> None:
    """A lost GPU that breaks the event set is no problem of its own, and the others are heard again."""
    node.collect()
    node.tell("lost 0\nrule nvmlEventSetWait -1 error 15")
    broken = node.collect()

    node.tell("lost 0")
    node.collect()
    node.tell("lost 0\nxid 1 48")
    batch = node.collect()

    assert broken.problems == ()
    assert value(batch, gpu.XID_EVENTS, uuid(1), "48") == 1


@pytest.mark.parametrize("directive", ["error 999", "text [N/A]"])
def test_no_uuid(node: Node, directive: str) -> None:
    """A GPU without a UUID has no series, since nothing could tell them from another's."""
    node.tell(f"rule nvmlDeviceGetUUID 0 {directive}")

    batch = node.collect()

    assert [(one.reason, one.subject) for one in batch.problems] == [("no_uuid", "GPU 0")]
    assert value(batch, gpu.DEVICES) == 7


def test_event_set_that_cannot_be_made(node: Node) -> None:
    """Without an event set there are no counts of XIDs; an error is a problem, and is tried again."""
    node.tell("rule nvmlEventSetCreate -1 error 3")
    lacking = node.collect()
    node.renew()
    node.tell("rule nvmlEventSetCreate -1 error 20")
    failing = node.collect()

    node.tell("")
    node.collect()
    healed = node.collect()

    assert lacking.problems == healed.problems == ()
    assert problems(failing) == {
        ("out_of_host_memory", "xid_events", "Insufficient Memory (NVML 20)")
    }
    counts = [value(batch, gpu.XID_EVENTS, uuid(0), "79") for batch in (lacking, failing, healed)]
    assert counts == [None, None, 0]


def test_out_of_memory(node: Node) -> None:
    """A leak that fills the device and dies is one event and one count of high confidence."""
    for held in (60, 70, 77.9):
        node.tell(f"process 6 compute 4242 {int(held * GIB)} /usr/bin/python3")
        growing = node.collect()
    node.tell("")

    batch, after = node.collect(), node.collect()

    assert value(growing, gpu.OOM_EVENTS, uuid(6), "high") == 0
    assert value(after, gpu.OOM_EVENTS, uuid(6), "high") == 1
    assert told(batch) == [(events.GPU_OOM.name, uuid(6))]
    attributes = dict(batch.events[0].attributes)
    assert attributes["process.pid"] == 4242
    assert attributes["process.executable.name"] == "python3"
    assert growing.holders[0].memory_bytes == int(77.9 * GIB)
    assert set(growing.holders[0]) >= {uuid(6), 4242, "python3"}
    assert told(after) == []


def test_died_of_an_xid(node: Node) -> None:
    """A process that dies with an XID on its GPU did not run out of memory."""
    for held in (60, 70, 77.9):
        node.tell(f"process 6 compute 4242 {int(held * GIB)} /usr/bin/python3")
        node.collect()
    node.tell("xid 6 13")

    batch = node.collect()

    assert told(batch) == [(events.GPU_XID.name, uuid(6))]


def test_a_call_that_hangs(node: Node) -> None:
    """A call that hangs stalls the GPUs alone, and they come back when it does."""
    node.tell("rule nvmlDeviceGetPowerUsage 3 hang 500")

    states, beats, series = node.ask("through_a_hang")

    assert states == ["unavailable", "stalled", "ok"]
    assert beats > 5
    assert series > 400


def test_gpu_is_replaced(node: Node) -> None:
    """Where another GPU answers in the place of one, that one is gone and not lost, which is told once."""
    node.tell("devices 4")
    node.collect()
    node.tell("devices 4\ngeneration 2\nrule nvmlDeviceGetUUID 3 text GPU-new")

    changed, later = node.collect(), node.collect()

    assert (events.GPU_REPLACED.name, uuid(3)) in told(changed)
    assert (events.GPU_FOUND.name, "GPU-new") in told(changed)
    assert problems(changed) == {("uuid_changed", uuid(3), "GPU 3 NVIDIA H100 80GB HBM3 00000000")}
    assert told(later) == []
    assert problems(later) == set()
    for batch in (changed, later):
        assert value(batch, gpu.DEVICES) == 4
        assert value(batch, gpu.LOST, "GPU-new") == 0
        assert value(batch, gpu.POWER, "GPU-new", "gpu") == 303
        assert not [one for one in batch.readings if uuid(3) in one.attributes]


def test_lost_gpu_is_replaced(node: Node) -> None:
    """A GPU that fell off the bus is lost until another one answers in its place."""
    node.collect()
    node.tell("lost 3")
    lost = node.collect()
    node.tell("generation 2\nrule nvmlDeviceGetUUID 3 text GPU-new")

    batch = node.collect()

    assert value(lost, gpu.LOST, uuid(3)) == 1
    assert value(batch, gpu.LOST, uuid(3)) is None
    assert value(batch, gpu.LOST, "GPU-new") == 0
    assert value(batch, gpu.DEVICES) == 8


def test_uuids_that_change_for_ever(node: Node) -> None:
    """A GPU with another UUID after each reload leaves nothing behind."""
    for generation in range(1, 20):
        node.tell(
            f"devices 2\ngeneration {generation}\nrule nvmlDeviceGetUUID 1 text GPU-{generation}"
        )
        batch = node.collect()

    assert {one.attributes[0] for one in batch.readings if one.metric == gpu.INFO} == {
        uuid(0),
        "GPU-19",
    }
    assert {one.attributes[0] for one in batch.readings if one.metric == gpu.XID_EVENTS} == {
        uuid(0),
        "GPU-19",
    }
    assert value(batch, gpu.DEVICES) == 2


def test_what_is_not_allowed_is_told_once(node: Node) -> None:
    """What the driver refuses is told once, absent while it is refused, and told and asked again later."""
    refused = ("PowerUsage", "ComputeRunningProcesses", "ProcessUtilization", "Serial")
    rules = "\n".join(f"rule nvmlDeviceGet{name} 3 error 4" for name in refused)
    node.tell(
        f"{rules}\nrule nvmlDeviceGetProcessesUtilizationInfo 3 error 4\nrule field:82 3 error 4"
    )
    first = node.collect()

    later = [node.collect() for _ in range(5)]
    again = node.collect(601)
    node.tell("")
    allowed = [node.collect(), node.collect(601), node.collect()][-1]

    fields = {"power", "compute", "process_utilization", "serial", "memory_temperature"}
    assert problems(first) == {("no_permission", uuid(3), field) for field in fields}
    assert [problems(batch) for batch in later] == [set()] * 5
    assert problems(again) == problems(first)
    for batch in (first, *later, again):
        assert value(batch, gpu.POWER, uuid(3), "gpu") is None
        assert value(batch, gpu.PROCESSES, uuid(3), "compute") is None
        assert value(batch, gpu.POWER, uuid(4), "gpu") == 304
    assert value(allowed, gpu.POWER, uuid(3), "gpu") == 303
    assert value(allowed, gpu.PROCESSES, uuid(3), "compute") == 0


def test_what_is_not_allowed_is_asked_seldom(node: Node) -> None:
    """A call that is refused is not made again each second."""
    node.tell("devices 1\nlog 1\nrule nvmlDeviceGetPowerUsage 0 error 4")
    for _ in range(5):
        node.collect()

    asked = node.ask("simulated", "nvmlSimulatedLog").decode()

    assert asked.count("nvmlDeviceGetPowerUsage") == 1


def test_another_driver_may_allow_more(node: Node) -> None:
    """After a reload what was refused is asked at once."""
    node.tell("rule nvmlDeviceGetPowerUsage 3 error 4")
    node.collect()
    node.tell("generation 2")

    batch = node.collect()

    assert value(batch, gpu.POWER, uuid(3), "gpu") == 303


def test_gpu_of_somebody_else_is_told_once(node: Node) -> None:
    """A GPU that the agent may not use is no problem anew each second."""
    node.tell("rule nvmlDeviceGetHandleByIndex 1 error 4")

    batches = [node.collect() for _ in range(3)]

    assert [len(batch.problems) for batch in batches] == [1, 0, 0]
