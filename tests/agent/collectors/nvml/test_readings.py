from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import Metric, gpu
from agent.catalogue.attributes import CLOCK, GPU_TASK, SENSOR, THROTTLE_REASON
from agent.collectors.nvml.driver import ALL_THROTTLE_REASONS, DriverInfo, Identity, Sample
from agent.collectors.nvml.probes import BATCH, MOVING, STATIC, THROTTLE_BITS, UUID
from agent.collectors.nvml.readings import Series, limit_readings, temperature_margin
from agent.snapshot import Reading

DRIVER = DriverInfo("", "")
NUMBERS = [field for field in Sample._fields if field not in {"throttle_reasons", "problems"}]


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
    assert series.info == Reading(gpu.INFO, ("u", "4", "", "NVIDIA", "", "", "", "", ""), 1)


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
    sample = Sample._make([*[1] * len(NUMBERS), frozenset({"sync_boost"}), ()])

    found = moving(sample)

    for metric, attribute in (
        (gpu.UTILIZATION, GPU_TASK),
        (gpu.TEMPERATURE, SENSOR),
        (gpu.CLOCK_FREQUENCY, CLOCK),
        (gpu.THROTTLE, THROTTLE_REASON),
    ):
        assert {key[1][0] for key in found if key[0] == metric} == set(attribute.values)
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


def test_the_tables_ask_for_everything() -> None:
    """Every field of a sample and of an identity is asked of the library, and every reason has its bit."""
    moving_fields = {field for probe in MOVING for field in probe.fields}
    static_fields = {field for probe in (UUID, *STATIC) for field in probe.fields}

    assert moving_fields | {one.field for one in BATCH} == set(Sample._fields) - {"problems"}
    assert static_fields == set(Identity._fields) - {"problems", "reports_xids"}
    assert {reason for _, reason in THROTTLE_BITS} == ALL_THROTTLE_REASONS
