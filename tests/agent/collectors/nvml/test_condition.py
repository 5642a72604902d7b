"""What moves slowly, through the real binding: memory errors, modes, fabric, fans, BAR1."""

from collections.abc import Callable

import pytest

from agent.catalogue import Metric, gpu_health, gpu_work
from agent.catalogue.attributes import RECOVERY_ACTION
from agent.snapshot import Batch
from tests.agent.collectors.nvml.node import Node, problems, uuid, value

GIB = 1024**3
Start = Callable[..., Node]


def entries(batch: Batch, metric: Metric, index: int) -> dict[tuple[str, ...], object]:
    """Return the values of a metric of one GPU, by its attributes but for the GPU."""
    return {
        reading.attributes[1:]: reading.value
        for reading in batch.readings
        if reading.metric == metric and reading.attributes[0] == uuid(index)
    }


def test_memory_errors_of_hopper(node: Node) -> None:
    """ECC errors come by memory and kind, those of this driver and those of the board's life."""
    batch = node.collect()

    assert entries(batch, gpu_health.ECC_ERRORS, 2) == {
        ("gpu", "corrected", "dram"): 5,
        ("gpu", "uncorrected", "dram"): 0,
        ("gpu", "corrected", "sram"): 700,
        ("gpu", "uncorrected", "sram"): 701,
    }
    assert entries(batch, gpu_health.ECC_LIFETIME_ERRORS, 2) == {
        ("corrected", "dram"): 15,
        ("uncorrected", "dram"): 1,
        ("corrected", "sram"): 710,
        ("uncorrected", "sram"): 711,
    }
    assert value(batch, gpu_health.SRAM_THRESHOLD, uuid(2)) == 0
    assert value(batch, gpu_health.ECC_ENABLED, uuid(2)) == 1
    assert value(batch, gpu_health.ECC_ENABLED_PENDING, uuid(2)) == 1
    assert entries(batch, gpu_health.RETIRED_PAGES, 2) == {}


def test_rows(node: Node) -> None:
    """Replaced rows, what waits, what failed, and how many banks have how many spares left."""
    node.tell("rule field:144 0 value 1 1\nrule field:145 1 value 1 1")

    batch = node.collect()

    assert entries(batch, gpu_health.REMAPPED_ROWS, 0) == {("corrected",): 4, ("uncorrected",): 1}
    assert entries(batch, gpu_health.ROW_REMAP_BANKS, 0) == {
        ("max",): 637,
        ("high",): 2,
        ("partial",): 1,
    }
    pending = [value(batch, gpu_health.ROW_REMAP_PENDING, uuid(index)) for index in (0, 1)]
    failure = [value(batch, gpu_health.ROW_REMAP_FAILURE, uuid(index)) for index in (0, 1)]
    assert (pending, failure) == ([1, 0], [0, 1])


def test_pages_of_turing(node: Node) -> None:
    """A GPU before Ampere retires pages, and has no rows to replace."""
    node.tell("model t4 *")

    batch = node.collect()

    assert entries(batch, gpu_health.RETIRED_PAGES, 0) == {
        ("single_bit_ecc",): 2,
        ("double_bit_ecc",): 1,
    }
    assert value(batch, gpu_health.RETIRED_PAGES_PENDING, uuid(0)) == 0
    assert entries(batch, gpu_health.REMAPPED_ROWS, 0) == {}
    assert entries(batch, gpu_health.ROW_REMAP_BANKS, 0) == {}
    assert batch.problems == ()


def test_a_driver_without_field_values(start: Start) -> None:
    """What has a field is asked by the older calls where the driver has no fields at all."""
    node = start(["nvmlDeviceGetFieldValues"])
    node.tell("model everything *")

    batch = node.collect()

    assert entries(batch, gpu_health.REMAPPED_ROWS, 0) == {("corrected",): 6, ("uncorrected",): 2}
    assert value(batch, gpu_health.ROW_REMAP_PENDING, uuid(0)) == 1
    assert entries(batch, gpu_health.RETIRED_PAGES, 0) == {
        ("single_bit_ecc",): 5,
        ("double_bit_ecc",): 6,
    }
    assert value(batch, gpu_health.RETIRED_PAGES_PENDING, uuid(0)) == 1
    assert entries(batch, gpu_health.ECC_ERRORS, 0)["gpu", "corrected", "register_file"] == 300
    assert value(batch, gpu_health.ECC_ENABLED_PENDING, uuid(0)) == 0
    assert value(batch, gpu_work.PCIE_REPLAYS, uuid(0)) == 9
    assert entries(batch, gpu_health.THROTTLE_TIME, 0) == {
        ("sw_power_cap",): 1,
        ("sw_thermal",): 2,
        ("sync_boost",): 3,
        ("board_limit",): 4,
        ("low_utilization",): 5,
        ("reliability",): 6,
    }
    assert batch.problems == ()


def test_every_memory(node: Node) -> None:
    """A GPU that tells of every memory has two series for each, but for one that corrects nothing."""
    node.tell("devices 1\nmodel everything *")

    found = entries(node.collect(), gpu_health.ECC_ERRORS, 0)

    memories = {location for _, _, location in found}
    assert len(memories) == 8
    assert len(found) == 15
    assert ("gpu", "corrected", "cbu") not in found


def test_modes_and_limits(node: Node) -> None:
    """A mode is the word that is set; BAR1, fans and power limits are in base units."""
    node.tell("model everything *")

    batch = node.collect()

    assert entries(batch, gpu_health.COMPUTE, 0) == {
        ("exclusive_process",): 1,
    }
    assert value(batch, gpu_health.PERSISTENCE, uuid(0)) == 1
    assert value(batch, gpu_health.BAR1_LIMIT, uuid(0)) == 128 * GIB
    assert value(batch, gpu_health.BAR1_USAGE, uuid(0)) == 3 * GIB
    assert entries(batch, gpu_health.FAN_SPEED, 0) == {("0",): 0.3, ("1",): 0.31}
    limits = (
        gpu_health.POWER_DEFAULT_LIMIT,
        gpu_health.POWER_MINIMUM_LIMIT,
        gpu_health.POWER_MAXIMUM_LIMIT,
    )
    assert [value(batch, metric, uuid(0)) for metric in limits] == [700, 200, 700]
    assert (
        value(batch, gpu_health.POWER_INSTANT, uuid(1)),
        value(batch, gpu_health.POWER_AVERAGE, uuid(1)),
    ) == (303, 302)


def test_mig_mode(node: Node) -> None:
    """Whether MIG is on, and will be, is a truth each."""
    told = node.control.with_suffix(".mig")
    told.write_text("mode 3 1 0\n")

    batch = node.collect()
    told.unlink()

    assert value(batch, gpu_health.MIG_ENABLED, uuid(3)) == 1
    assert value(batch, gpu_health.MIG_ENABLED_PENDING, uuid(3)) == 0
    assert value(batch, gpu_health.MIG_ENABLED, uuid(0)) is None


def test_fabric(node: Node) -> None:
    """A registered GPU has one state, a verdict and the faults that the driver can report."""
    batch = node.collect()

    assert entries(batch, gpu_work.FABRIC_REGISTRATION, 0) == {("completed",): 1}
    assert value(batch, gpu_work.FABRIC_FAILED, uuid(0)) == 0
    assert entries(batch, gpu_work.FABRIC_SUMMARY, 0) == {("healthy",): 1}
    assert set(entries(batch, gpu_work.FABRIC_FAULTS, 0).values()) == {0}
    assert len(entries(batch, gpu_work.FABRIC_FAULTS, 0)) == 5


def test_fabric_in_trouble(node: Node) -> None:
    """An error ends a registration; degraded links and a wrong configuration are faults of their own."""
    node.tell(
        """
        rule nvmlDeviceGetGpuFabricInfo:status 0 value 999
        rule nvmlDeviceGetGpuFabricInfo:health 0 value 1281
        rule nvmlDeviceGetGpuFabricInfo:summary 0 value 2
        rule nvmlDeviceGetGpuFabricInfoV 1 value 2
        rule nvmlDeviceGetGpuFabricInfoV 2 value 0
        rule nvmlDeviceGetGpuFabricInfoV 3 value 9
        """
    )

    batch = node.collect()

    assert value(batch, gpu_work.FABRIC_FAILED, uuid(0)) == 1
    assert value(batch, gpu_work.FABRIC_SUMMARY, uuid(0), "unhealthy") == 1
    assert entries(batch, gpu_work.FABRIC_FAULTS, 0) == {
        ("degraded_bandwidth",): 1,
        ("incorrect_configuration",): 1,
    }
    assert value(batch, gpu_work.FABRIC_REGISTRATION, uuid(1), "in_progress") == 1
    assert value(batch, gpu_work.FABRIC_FAILED, uuid(1)) is None
    assert entries(batch, gpu_work.FABRIC_REGISTRATION, 2) == {}
    assert entries(batch, gpu_work.FABRIC_REGISTRATION, 3) == {}
    assert problems(batch) == {("out_of_range", uuid(3), "fabric_state")}


def test_fabric_of_an_older_driver(start: Start) -> None:
    """A driver that has only the first fabric call gives the state, and neither verdict nor faults."""
    node = start(["nvmlDeviceGetGpuFabricInfoV"])

    batch = node.collect()

    assert value(batch, gpu_work.FABRIC_REGISTRATION, uuid(0), "in_progress") == 1
    assert entries(batch, gpu_work.FABRIC_SUMMARY, 0) == {}
    assert entries(batch, gpu_work.FABRIC_FAULTS, 0) == {}
    assert batch.problems == ()


def test_slow_things_are_asked_seldom(node: Node) -> None:
    """A value is kept until it is asked again, which is once in ten seconds for every GPU."""
    for _ in range(15):
        node.collect()
    node.tell("rule field:11 * value 77 3\nlog 1")

    seen = [node.collect() for _ in range(10)]

    first_seen = [
        [entries(batch, gpu_health.ECC_ERRORS, index)["gpu", "corrected", "dram"] for batch in seen]
        for index in range(8)
    ]
    assert all(values[-1] == 77 for values in first_seen)
    changes = [values.index(77) for values in first_seen]
    assert len(set(changes)) == 8, "each GPU in a run of its own"
    log = node.ask("simulated", "nvmlSimulatedLog").decode().splitlines()
    assert all(log.count(f"nvmlDeviceGetComputeMode {index}") == 1 for index in range(8))


def test_slow_values_go_with_their_gpu(node: Node) -> None:
    """A GPU that is lost has no kept values either."""
    node.collect()
    node.tell("lost 1")

    batch = node.collect()

    assert value(batch, gpu_health.PERSISTENCE, uuid(1)) is None
    assert value(batch, gpu_health.PERSISTENCE, uuid(0)) == 1


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ("field:11 0 value -1 3", "ecc_errors corrected dram"),
        ("field:1 0 value 2 1", "ecc_enabled"),
        ("field:142 0 value -1 1", "remapped_rows corrected"),
        ("nvmlDeviceGetComputeMode 0 value 4", "compute_mode"),
        ("nvmlDeviceGetPersistenceMode 0 value 7", "persistence_mode"),
        (f"nvmlDeviceGetBAR1MemoryInfo 0 value {129 * GIB}", "bar1_used"),
        ("nvmlDeviceGetFanSpeed 0 value 150", "fan_speeds"),
        ("nvmlDeviceGetRowRemapperHistogram 0 value -1", "row_remap_banks"),
        ("nvmlDeviceGetSramEccErrorStatus 0 value 3", "sram_threshold_exceeded"),
        ("field:230 0 value 8 1", "recovery_action"),
        ("field:186 0 value -1 1", "power_instant"),
        ("field:74 0 value -1 3", "throttle_time sw_power_cap"),
        ("field:94 0 value -1 1", "pcie_replays"),
    ],
)
def test_garbage(node: Node, rule: str, field: str) -> None:
    """A value that cannot be true is refused, by its name, and nothing else goes with it."""
    node.tell(f"model everything *\nrule {rule}")

    batch = node.collect()

    assert problems(batch) == {("out_of_range", uuid(0), field)}


def test_an_error_of_a_slow_value(node: Node) -> None:
    """A slow value that fails is one problem when it is asked, and comes back when asked again."""
    node.tell("rule nvmlDeviceGetSramEccErrorStatus 0 error 999")
    failing, kept = node.collect(), node.collect(0.5)
    node.tell("")

    healed = node.collect(10)

    assert problems(failing) == {("unknown_error", uuid(0), "sram_threshold_exceeded")}
    assert value(kept, gpu_health.SRAM_THRESHOLD, uuid(0)) is None
    assert value(healed, gpu_health.SRAM_THRESHOLD, uuid(0)) == 0
    assert healed.problems == ()


def test_a_counter_that_falls(node: Node) -> None:
    """A counter that falls is refused once, and believed when it stays low."""
    node.collect()
    node.tell("rule field:271 0 value 1e9 3")

    refused, believed = node.collect(), node.collect()

    assert problems(refused) == {("ran_backwards", uuid(0), "throttle_time hw_power_brake")}
    assert value(refused, gpu_health.THROTTLE_TIME, uuid(0), "hw_power_brake") is None
    assert value(believed, gpu_health.THROTTLE_TIME, uuid(0), "hw_power_brake") == 1


def test_a_reloaded_driver_begins_anew(node: Node) -> None:
    """After a reload counters may be lower: that is no fault."""
    node.collect()
    node.tell("generation 2\nrule field:83 * value 5000 3\nrule field:271 * value 0 3")

    batch = node.collect()

    assert batch.problems == ()
    assert value(batch, gpu_health.THROTTLE_TIME, uuid(0), "hw_power_brake") == 0


@pytest.mark.parametrize(("number", "action"), list(enumerate(RECOVERY_ACTION.values)))
def test_what_the_driver_asks_for(node: Node, number: int, action: str) -> None:
    """The driver's verdict is 1 for one action; what it asked for before is at 0."""
    node.tell(f"rule field:230 6 value {number} 1")

    asked = entries(node.collect(), gpu_health.RECOVERY, 6)
    node.tell("rule field:230 6 value 0 1")
    later = entries(node.collect(), gpu_health.RECOVERY, 6)

    assert asked == {(action,): 1}
    assert later == {("none",): 1} | ({(action,): 0} if number else {})
