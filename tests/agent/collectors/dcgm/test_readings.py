from pathlib import Path

import pytest

from agent.catalogue import Metric, gpu
from agent.collectors.dcgm.fields import FIELDS, NAMES, THROTTLE_BITS, is_blank
from agent.collectors.dcgm.readings import readings
from agent.collectors.exposition import Faults, Parser
from agent.snapshot import Batch, Problem, Reading
from agent.vetting import vet

FIXTURES = Path(__file__).parents[3] / "fixtures"
H100 = "synthetic/dcgm_exporter_post-4.8.2_hostname_synthetic.txt"
T4 = "dcgm/datadog_dcgm_t4_a10g.txt"
README = ("dcgm/readme_sample_grouped_types.txt", "dcgm/readme_sample_k8s.txt")
BUSY = "GPU-6cb8e5c8-0000-4b5a-9f01-000000000001"
IDLE = "GPU-6cb8e5c8-0000-4b5a-9f01-000000000002"
U = "GPU-1"


def read(text: str) -> tuple[dict[Metric, dict[tuple[str, ...], float]], tuple[Problem, ...]]:
    """Return the values of a page by metric and attributes, and its problems."""
    faults = Faults("dcgm")
    page = Parser(NAMES).parse(text)
    found: dict[Metric, dict[tuple[str, ...], float]] = {}
    for metric, attributes, value in readings(page, faults):
        assert isinstance(value, float)
        assert len(attributes) == len(metric.attributes)
        assert attributes not in found.setdefault(metric, {})
        found[metric][attributes] = value
    return found, faults.problems()


def row(field: str, value: object, labels: str = "") -> str:
    """Write a row of the GPU `U`."""
    return f'DCGM_FI_DEV_{field}{{gpu="0",UUID="{U}"{labels}}} {value}\n'


def reasons(problems: tuple[Problem, ...]) -> set[str]:
    """Return the words of the problems."""
    return {problem.reason for problem in problems}


def test_units_become_those_of_the_catalogue() -> None:
    """MiB, percent, millijoules and MHz are bytes, ratios, joules and Hz."""
    found, problems = read((FIXTURES / H100).read_text())

    assert problems == ()
    assert found[gpu.MEMORY_USAGE][(BUSY,)] == 74460 * 2**20
    assert found[gpu.MEMORY_FREE][(BUSY,)] == 6543 * 2**20
    assert found[gpu.MEMORY_RESERVED][(BUSY,)] == 556 * 2**20
    assert found[gpu.UTILIZATION] == {(BUSY, "general"): 0.93, (IDLE, "general"): 0.0}
    assert found[gpu.MEMORY_CONTROLLER][(BUSY,)] == 0.41
    assert found[gpu.TEMPERATURE][(BUSY, "gpu")] == 55
    assert found[gpu.TEMPERATURE][(BUSY, "memory")] == 61
    assert found[gpu.POWER][(BUSY, "gpu")] == 512.345
    assert found[gpu.ENERGY][(BUSY, "gpu")] == 912873645.123
    assert found[gpu.CLOCK_FREQUENCY][(BUSY, "sm")] == 1.98e9
    assert found[gpu.CLOCK_FREQUENCY][(BUSY, "memory")] == 2.619e9


def test_the_memory_there_is_follows_from_its_parts() -> None:
    """The default set of fields has no total: used, free and reserved make it."""
    found, _ = read((FIXTURES / H100).read_text())

    assert found[gpu.MEMORY_LIMIT] == {(BUSY,): 81559 * 2**20, (IDLE,): 81559 * 2**20}
    assert found[gpu.MEMORY_UTILIZATION][(BUSY,)] == 74460 / 81559


def test_a_missing_part_makes_no_total() -> None:
    """Without the reserved memory nobody knows how much there is."""
    found, _ = read(row("FB_USED", 1) + row("FB_FREE", 2))

    assert gpu.MEMORY_LIMIT not in found
    assert gpu.MEMORY_UTILIZATION not in found


def test_labels_tell_what_the_gpu_is() -> None:
    """Model, driver, CUDA, serial number, VBIOS and PCI address come from the labels of any row."""
    (h100, _), (t4, _) = (read((FIXTURES / name).read_text()) for name in (H100, T4))

    driver, pci = "570.133.20", "00000000:1B:00.0"
    assert (BUSY, "0", "NVIDIA H100 80GB HBM3", "NVIDIA", "", pci, driver, "", "") in h100[gpu.INFO]
    assert (
        "GPU-9ef1b6d0-3643-5dd7-b823-c0ec20dcf2d5",
        "0",
        "Tesla T4",
        "NVIDIA",
        "1565220008176",
        "",
        "470.182.03",
        "12.1",
        "90.04.96.00.02",
    ) in t4[gpu.INFO]


def test_more_fields_than_the_default_ones() -> None:
    """Limits, P-state, PCIe link and throttling are read where the exporter is configured for them."""
    found, problems = read(
        row("SLOWDOWN_TEMP", 93)
        + row("SHUTDOWN_TEMP", 96)
        + row("GPU_MAX_OP_TEMP", 85)
        + row("GPU_TEMP", 60)
        + row("POWER_MGMT_LIMIT", 300)
        + row("PSTATE", 8)
        + row("PCIE_LINK_GEN", 4)
        + row("PCIE_MAX_LINK_GEN", 5)
        + row("PCIE_LINK_WIDTH", 8)
        + row("PCIE_MAX_LINK_WIDTH", 16)
        + row("MAX_SM_CLOCK", 1980)
        + row("ENC_UTIL", 7)
    )

    assert problems == ()
    assert found[gpu.TEMPERATURE_LIMIT] == {
        (U, "gpu", "throttled"): 93,
        (U, "gpu", "high.critical"): 96,
        (U, "gpu", "high.degraded"): 85,
    }
    assert found[gpu.TEMPERATURE_MARGIN] == {(U,): 33}
    assert found[gpu.POWER_LIMIT] == {(U,): 300}
    assert found[gpu.PERFORMANCE_STATE] == {(U,): 8}
    assert found[gpu.PCIE_GENERATION] == {(U,): 4}
    assert found[gpu.PCIE_GENERATION_LIMIT] == {(U,): 5}
    assert found[gpu.PCIE_WIDTH] == {(U,): 8}
    assert found[gpu.PCIE_WIDTH_LIMIT] == {(U,): 16}
    assert found[gpu.CLOCK_LIMIT] == {(U, "sm"): 1.98e9}
    assert found[gpu.UTILIZATION] == {(U, "encoder"): 0.07}


def test_the_enforced_limit_wins() -> None:
    """What the board holds to may be lower than what was asked for."""
    found, _ = read(row("POWER_MGMT_LIMIT", 700) + row("ENFORCED_POWER_LIMIT", 650))

    assert found[gpu.POWER_LIMIT] == {(U,): 650}


@pytest.mark.parametrize("field", ["CLOCK_THROTTLE_REASONS", "CLOCKS_EVENT_REASONS"])
def test_a_mask_of_reasons_is_one_series_per_reason(field: str) -> None:
    """Each bit is 0 or 1 under both names of the field; idle is no throttling."""
    found, _ = read(row(field, 0x01 | 0x04 | 0x40))

    assert found[gpu.THROTTLE] == {
        (U, reason): float(reason in {"sw_power_cap", "hw_thermal"}) for _, reason in THROTTLE_BITS
    }


@pytest.mark.parametrize("mask", [-1, 0.5])
def test_a_mask_that_is_none_is_refused(mask: float) -> None:
    """A negative number or a fraction has no bits."""
    found, problems = read(row("CLOCK_THROTTLE_REASONS", mask))

    assert gpu.THROTTLE not in found
    assert reasons(problems) == {"out_of_range"}


@pytest.mark.parametrize("name", README)
def test_types_and_blanks_of_the_readme(name: str) -> None:
    """Types grouped before the samples lose nothing, and a blank is absent and counted."""
    found, problems = read((FIXTURES / name).read_text())

    uuid = "GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52"
    assert found[gpu.CLOCK_FREQUENCY] == {(uuid, "sm"): 139e6, (uuid, "memory"): 405e6}
    assert gpu.TEMPERATURE not in found
    assert reasons(problems) == {"blank"}


@pytest.mark.parametrize(
    "value",
    [
        *range(9223372036854775792, 9223372036854775796),
        *range(2147483632, 2147483636),
        "140737488355328.0",
        "140737488355331.000000",
        "9.223372036854775794e+18",
    ],
)
def test_every_blank_of_dcgm_is_absent(value: object) -> None:
    """Whatever its width, a blank is not a temperature, and not 8 exabytes of memory."""
    found, problems = read(row("GPU_TEMP", value) + row("FB_USED", value) + row("SM_CLOCK", 5))

    assert set(found) == {gpu.INFO, gpu.CLOCK_FREQUENCY}
    assert reasons(problems) == {"blank"}


def test_large_values_that_are_none_of_the_blanks() -> None:
    """A year of a busy GPU in millijoules is no blank."""
    assert not is_blank(2.2e13)
    assert not is_blank(143_771.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("GPU_UTIL", 808334905),
        ("GPU_UTIL", -1),
        ("GPU_TEMP", 4000),
        ("POWER_USAGE", -5),
        ("PSTATE", 32),
        ("PCIE_LINK_WIDTH", 1000),
    ],
)
def test_impossible_values_are_refused(field: str, value: int) -> None:
    """Seen in the field: 808,334,905 % utilization. It is absent and counted."""
    found, problems = read(row(field, value))

    assert set(found) == {gpu.INFO}
    assert reasons(problems) == {"out_of_range"}


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
def test_what_is_no_number_is_refused(value: str) -> None:
    """NaN reaches nobody."""
    found, problems = read(row("GPU_TEMP", value))

    assert set(found) == {gpu.INFO}
    assert reasons(problems) == {"not_finite"}


def test_a_board_without_memory_sensor_has_no_memory_temperature() -> None:
    """DCGM says 0 there; that is neither a temperature nor a problem."""
    found, problems = read(row("MEMORY_TEMP", 0) + row("GPU_TEMP", 0))

    assert found[gpu.TEMPERATURE] == {(U, "gpu"): 0}
    assert problems == ()


def test_a_gpu_that_pods_share_is_there_once() -> None:
    """A row per pod with the same value is one value, and no problem."""
    pods = "".join(row("GPU_UTIL", 40, f',pod="p{number}",namespace="n"') for number in range(3))

    found, problems = read(pods)

    assert found[gpu.UTILIZATION] == {(U, "general"): 0.4}
    assert problems == ()


def test_rows_that_disagree_are_not_about_the_gpu() -> None:
    """A utilization per pod is not the GPU's: it is absent and counted."""
    pods = "".join(row("GPU_UTIL", 10 * number, f',pod="p{number}"') for number in range(3))

    found, problems = read(pods + row("GPU_TEMP", 50))

    assert gpu.UTILIZATION not in found
    assert found[gpu.TEMPERATURE] == {(U, "gpu"): 50}
    assert reasons(problems) == {"ambiguous_series"}


def test_a_mig_instance_is_not_the_gpu() -> None:
    """Rows of instances are left out and counted once; those of the whole GPU are read."""
    mig = ',GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"'
    text = row("FB_USED", 100, mig) + row("FB_FREE", 5, mig) + row("GPU_TEMP", 50)

    found, problems = read(text + row("SM_CLOCK", 900, ',GPU_I_PROFILE="",GPU_I_ID=""'))

    assert set(found) == {gpu.INFO, gpu.TEMPERATURE, gpu.CLOCK_FREQUENCY}
    assert [problem.reason for problem in problems] == ["mig_instance"]


def test_a_row_of_nobody_is_counted() -> None:
    """Without a UUID no value can be given to a GPU."""
    found, problems = read("DCGM_FI_DEV_GPU_TEMP 50\n")

    assert found == {}
    assert reasons(problems) == {"no_uuid"}


@pytest.mark.parametrize("label", ["Hostname", "hostname"])
def test_the_name_of_the_host_is_spelled_either_way(label: str) -> None:
    """Releases differ in one letter, and nothing depends on it."""
    found, problems = read(row("GPU_TEMP", 50, f',{label}="node-1"'))

    assert found[gpu.TEMPERATURE] == {(U, "gpu"): 50}
    assert problems == ()


def test_the_last_xid_makes_no_counter() -> None:
    """A gauge that keeps the last XID says nothing about how often or when."""
    found, _ = read((FIXTURES / H100).read_text())

    assert gpu.XID_EVENTS not in found
    assert "DCGM_FI_DEV_XID_ERRORS" not in NAMES


def test_cuda_versions_that_are_none_are_absent() -> None:
    """Only the driver's number has the form that can be spelled out."""
    found, _ = read(row("GPU_TEMP", 50, ',DCGM_FI_CUDA_DRIVER_VERSION="?"'))

    ((info, _),) = found[gpu.INFO].items()
    assert info[7] == ""


@pytest.mark.parametrize("name", [H100, T4])
def test_nothing_is_refused_by_the_sampler(name: str) -> None:
    """Every reading of a captured page passes the vetting."""
    faults = Faults("dcgm")
    page = Parser(NAMES).parse((FIXTURES / name).read_text())
    batch = Batch(0.0, tuple(readings(page, faults)))

    assert vet(batch)[0] is batch


def test_every_field_fits_its_metric() -> None:
    """A field has as many attributes as its metric, and values that the catalogue lists."""
    for field in FIELDS:
        reading = Reading(field.metric, (U, *field.attributes), 0.0)
        assert len(reading.attributes) == len(field.metric.attributes)
        for attribute, value in zip(field.metric.attributes[1:], field.attributes, strict=True):
            assert value in attribute.values
