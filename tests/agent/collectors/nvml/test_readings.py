from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import Metric, gpu, gpu_health, gpu_work
from agent.catalogue.attributes import CLOCK, GPU_TASK, SENSOR
from agent.collectors.nvml.condition import SLOW
from agent.collectors.nvml.decoding import THROTTLE_BITS
from agent.collectors.nvml.driver import (
    ALL_THROTTLE_REASONS,
    Condition,
    DriverInfo,
    Identity,
    Link,
    Sample,
)
from agent.collectors.nvml.families import OF_CONDITION, OF_SAMPLE, Entries, State
from agent.collectors.nvml.fields import QUICK, SLOW_FIELDS
from agent.collectors.nvml.probes import SELDOM, STATIC, UUID, Key
from agent.collectors.nvml.probes import moving as asked_at_every_sample
from agent.collectors.nvml.profiling import METRICS as PROFILED
from agent.collectors.nvml.readings import Series, limit_readings, temperature_margin
from agent.snapshot import Reading

DRIVER = DriverInfo("", "")
MAPPINGS = {row.field for row in OF_SAMPLE if isinstance(row, Entries)}
WORDS = {row.field for row in OF_SAMPLE if isinstance(row, State)}
NUMBERS = [
    field
    for field in Sample._fields
    if field not in {"throttle_reasons", "condition", "problems", *MAPPINGS, *WORDS}
]


def moving(
    sample: Sample, identity: Identity | None = None
) -> dict[tuple[Metric, tuple[str, ...]], object]:
    """Return the values of a sample by series."""
    series = Series(0, identity or Identity("u"), DRIVER)
    found = {reading[:2]: reading.value for reading in series.moving(sample)}
    assert all(key[1][0] == "u" for key in found)
    return {(metric, attributes[1:]): value for (metric, attributes), value in found.items()}


def test_absent_is_absent() -> None:
    """A sample that tells nothing makes no reading, and unknown facts are empty strings."""
    series = Series(4, Identity("u"), DRIVER)

    assert series.moving(Sample()) == []
    assert series.limits == ()
    assert series.info == Reading(gpu.INFO, ("u", "4", "", "NVIDIA", "", "", "", "", "", ""), 1)


@given(st.sets(st.sampled_from(NUMBERS)))
def test_each_value_stands_for_itself(told: set[str]) -> None:
    """Exactly the values that were told, and what follows from them, become readings."""
    sample = Sample(**dict.fromkeys(told, 1))  # type: ignore[arg-type]

    found = moving(sample)

    derived = 1 if {"memory_total", "memory_used"} <= told else 0  # the share in use
    assert len(found) == len(told) + derived
    assert set(found.values()) <= {1}


def test_every_value_of_a_closed_attribute_is_used() -> None:
    """All engines, sensors, clocks and reasons of the catalogue have their reading."""
    numbers: dict[str, Any] = dict.fromkeys(NUMBERS, 1)
    sample = Sample(**numbers, throttle_reasons=frozenset({"sync_boost"}))

    found = moving(sample)

    for metric, attribute in (
        (gpu.UTILIZATION, GPU_TASK),
        (gpu.TEMPERATURE, SENSOR),
        (gpu.CLOCK_FREQUENCY, CLOCK),
    ):
        assert {key[1][0] for key in found if key[0] == metric} == set(attribute.values)
    assert {key[1][0] for key in found if key[0] == gpu.THROTTLE} == ALL_THROTTLE_REASONS
    assert {key[1][0] for key, value in found.items() if key[0] == gpu.THROTTLE and value} == {
        "sync_boost"
    }


def test_reasons_that_a_gpu_cannot_report() -> None:
    """A reason that the GPU does not know is absent, not 0."""
    identity = Identity("u", throttle_reasons=frozenset({"sw_thermal"}))

    found = moving(Sample(throttle_reasons=frozenset()), identity)

    assert found == {(gpu.THROTTLE, ("sw_thermal",)): 0}


def test_margin() -> None:
    """NVML's own margin wins over the slowdown limit less the temperature; one of them must be there."""
    limited = Identity("u", slowdown_temperature=90)

    assert temperature_margin(limited, Sample(temperature=60, temperature_margin=-2)) == -2
    assert temperature_margin(limited, Sample(temperature=60)) == 30
    assert temperature_margin(limited, Sample()) is None
    assert temperature_margin(Identity("u"), Sample(temperature=60)) is None


def test_limits() -> None:
    """A GPU's limits name the sensor and what happens there."""
    identity = Identity(
        "u",
        slowdown_temperature=89,
        shutdown_temperature=92,
        maximum_temperature=87,
        maximum_memory_temperature=95,
    )

    assert {reading[1][1:]: reading.value for reading in limit_readings(identity)} == {
        ("gpu", "throttled"): 89,
        ("gpu", "high.critical"): 92,
        ("gpu", "high.degraded"): 87,
        ("memory", "high.degraded"): 95,
    }


def test_share_of_memory() -> None:
    """The share of memory in use needs a device that has memory."""
    half = moving(Sample(memory_total=80, memory_used=40))
    none = moving(Sample(memory_total=0, memory_used=0))

    assert half[gpu.MEMORY_UTILIZATION, ()] == 0.5
    assert (gpu.MEMORY_UTILIZATION, ()) not in none


def field_of(key: Key) -> str:
    """Return the record's field that a key fills."""
    return key if isinstance(key, str) else key[0]


def test_the_tables_ask_for_everything() -> None:
    """Every field of a record is asked of the library, and every reason has its bit."""
    moving_fields = {
        field_of(key) for probe in (*asked_at_every_sample(), *SELDOM) for key in probe.fields
    }
    static_fields = {field for probe in (UUID, *STATIC) for field in probe.fields}
    slow_fields = {field_of(key) for probe in SLOW for key in probe.fields}
    profiled = {field_of(one.key) for one in PROFILED}
    links = {"nvlinks", "nvlink_bandwidth", "nvlink_errors", "nvlink_bytes", "links"}

    quick = {field_of(one.key) for one in QUICK}
    assert moving_fields | quick | profiled == set(Sample._fields) - {"problems", "condition"}
    assert slow_fields | {field_of(one.key) for one in SLOW_FIELDS} | links == set(
        Condition._fields
    )
    assert static_fields == set(Identity._fields) - {"problems", "reports_xids", "announces"}
    assert {reason for _, reason in THROTTLE_BITS} == ALL_THROTTLE_REASONS


def test_every_field_has_its_readings() -> None:
    """No field of a condition is read and then told to nobody."""
    assert {row.field for row in OF_CONDITION} == set(Condition._fields) - {"links"}


def test_truths_and_states_are_numbers() -> None:
    """A truth is 0 or 1; a state is a series for the word that is so, a mapping one per entry."""
    condition = Condition(
        mig_enabled=True,
        fabric_state="in_progress",
        ecc_errors={("corrected", "dram"): 7, ("uncorrected", "dram"): 0},
    )

    found = moving(Sample(condition=condition))

    assert found == {
        (gpu_health.MIG_ENABLED, ()): 1,
        (gpu_work.FABRIC_REGISTRATION, ("in_progress",)): 1,
        (gpu_health.ECC_ERRORS, ("gpu", "corrected", "dram")): 7,
        (gpu_health.ECC_ERRORS, ("gpu", "uncorrected", "dram")): 0,
    }
    assert all(type(value) is int for value in found.values())


def test_a_link_by_itself() -> None:
    """What a link did not tell is absent; its series carry its number."""
    link = Link(3, state="sleep", bandwidth=25e9, received=5, errors={"crc": 2})

    found = moving(Sample(condition=Condition(links=(link,))))

    assert found == {
        (gpu_work.NVLINK_LINK_STATE, ("3", "active")): 0,
        (gpu_work.NVLINK_LINK_STATE, ("3", "inactive")): 0,
        (gpu_work.NVLINK_LINK_STATE, ("3", "sleep")): 1,
        (gpu_work.NVLINK_LINK_STATE, ("3", "traffic_disabled")): 0,
        (gpu_work.NVLINK_LINK_BANDWIDTH, ("3",)): 25e9,
        (gpu_work.NVLINK_LINK_IO, ("3", "receive")): 5,
        (gpu_work.NVLINK_LINK_ERRORS, ("3", "crc")): 2,
    }


def test_what_did_not_change_is_the_same_reading() -> None:
    """A condition that was not asked anew costs nothing: its readings are the same objects."""
    series = Series(0, Identity("u"), DRIVER)
    condition = Condition(compute_mode="default", bar1_used=5)

    first, second = (series.moving(Sample(condition=condition)) for _ in range(2))
    changed = series.moving(Sample(condition=condition._replace(bar1_used=6)))

    assert all(one is other for one, other in zip(first, second, strict=True))
    assert [reading.value for reading in changed] == [6, 1]


def test_a_state_that_was_left_is_told_as_left() -> None:
    """What was so once stays at 0, so that nobody goes on seeing the 1; what never was has no series."""
    series = Series(0, Identity("u"), DRIVER)
    seen = [
        {
            reading.attributes[1]: reading.value
            for reading in series.moving(Sample(recovery_action=word))
        }
        for word in ("none", "gpu_reset", "gpu_reset", "none")
    ]
    absent = series.moving(Sample())

    assert seen == [
        {"none": 1},
        {"none": 0, "gpu_reset": 1},
        {"none": 0, "gpu_reset": 1},
        {"none": 1, "gpu_reset": 0},
    ]
    assert absent == []


def test_banks_without_a_share_are_not_told() -> None:
    """Of the banks only the kinds that there are, or were, have a series."""
    series = Series(0, Identity("u"), DRIVER)
    banks = [{"max": 640, "low": 0}, {"max": 639, "low": 1}, {"max": 640, "low": 0}]

    told = [
        [
            reading[1:]
            for reading in series.moving(Sample(condition=Condition(row_remap_banks=each)))
        ]
        for each in banks
    ]

    assert told == [
        [(("u", "max"), 640)],
        [(("u", "max"), 639), (("u", "low"), 1)],
        [(("u", "max"), 640), (("u", "low"), 0)],
    ]
