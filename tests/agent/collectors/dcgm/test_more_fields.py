import re
from pathlib import Path

import pytest

from agent.catalogue import Metric, gpu, gpu_health, gpu_work
from agent.collectors.dcgm.fields import FIELDS, NAMES, STATES
from agent.collectors.dcgm.readings import readings
from agent.collectors.exposition import Faults, Parser
from agent.snapshot import Problem

FIXTURES = Path(__file__).parents[3] / "fixtures"
U = "GPU-1"
Found = dict[Metric, dict[tuple[str, ...], float]]

NOT_READ = {
    *("DCGM_FI_DEV_XID_ERRORS", "DCGM_EXP_XID_ERRORS_COUNT", "DCGM_EXP_CLOCK_EVENTS_COUNT"),
    *("DCGM_EXP_GPU_HEALTH_STATUS", "DCGM_EXP_P2P_STATUS", "DCGM_FI_DEV_VGPU_LICENSE_STATUS"),
    *("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "DCGM_FI_DEV_NVLINK_BANDWIDTH_L0"),
}
"""Of the exporter's own list: those that say nothing the catalogue has, and why is said in the code."""
LISTED = sorted(
    set(
        re.findall(
            r"^#? *(DCGM_\w+) *, *(?:gauge|counter),",
            (FIXTURES / "dcgm" / "default-counters.csv").read_text(),
            re.MULTILINE,
        )
    )
)
"""The exporter's own list: what is on, and what is commented out."""


def read(text: str) -> tuple[Found, tuple[Problem, ...]]:
    """Return the values of a page by metric and attributes, and its problems."""
    faults = Faults("dcgm")
    found: Found = {}
    for metric, attributes, value in readings(Parser(NAMES).parse(text), faults):
        assert isinstance(value, float)
        found.setdefault(metric, {})[attributes] = value
    return found, faults.problems()


def row(field: str, value: object, labels: str = "") -> str:
    """Write a row of the GPU `U`."""
    return f'DCGM_FI_{field}{{gpu="0",UUID="{U}"{labels}}} {value}\n'


@pytest.mark.parametrize("field", LISTED)
def test_every_counter_of_the_exporters_list_is_read_or_left_out_knowingly(field: str) -> None:
    """On by default or commented out: a counter gives a metric, or is known to give none."""
    assert (field in NAMES) is (field not in NOT_READ)


def test_names_belong_to_one_field() -> None:
    """No name is read as two things."""
    names = [name for field in FIELDS for name in field.names]
    names += [name for states in STATES for name in states.names]

    assert len(names) == len(set(names))


def test_states_are_words_of_the_catalogue() -> None:
    """Each state that DCGM numbers is one that the catalogue lists."""
    for states in STATES:
        assert {word for _, word in states.states} <= set(states.metric.attributes[1].values)


def test_profiling_fields_are_shares_and_rates() -> None:
    """Ratios stay ratios, and PCIe is a rate per direction although older releases call it a counter."""
    found, problems = read(
        row("PROF_SM_ACTIVE", 0.5)
        + row("PROF_SM_OCCUPANCY", 0.25)
        + row("PROF_PIPE_TENSOR_ACTIVE", 0.312345)
        + row("PROF_PIPE_FP16_ACTIVE", 0.125)
        + row("PROF_DRAM_ACTIVE", 0.551234)
        + "# TYPE DCGM_FI_PROF_PCIE_TX_BYTES counter\n"
        + row("PROF_PCIE_TX_BYTES", 812345678)
        + row("PROF_NVLINK_RX_BYTES", 9e9)
    )

    assert problems == ()
    assert found[gpu_work.SM_ACTIVE] == {(U,): 0.5}
    assert found[gpu_work.SM_OCCUPANCY] == {(U,): 0.25}
    assert found[gpu_work.PIPE_ACTIVE] == {(U, "tensor"): 0.312345, (U, "fp16"): 0.125}
    assert found[gpu_work.MEMORY_BANDWIDTH] == {(U,): 0.551234}
    assert found[gpu_work.PCIE_THROUGHPUT] == {(U, "transmit"): 812345678.0}
    assert found[gpu_work.NVLINK_THROUGHPUT] == {(U, "receive"): 9e9}


def test_a_share_above_one_is_refused() -> None:
    """A profiling field gone wrong is absent and counted."""
    found, problems = read(row("PROF_SM_ACTIVE", 17.5))

    assert gpu_work.SM_ACTIVE not in found
    assert [problem.reason for problem in problems] == ["out_of_range"]


def test_nvlink_bandwidth_is_in_dcgms_own_megabytes() -> None:
    """NVML counts KiB and DCGM divides by 1000; profiling's bytes win where both are there."""
    found, _ = read(
        row("DEV_NVLINK_TX_BANDWIDTH_TOTAL", 1000)
        + row("DEV_NVLINK_RX_BANDWIDTH_TOTAL", 1000)
        + row("PROF_NVLINK_RX_BYTES", 7)
    )

    assert found[gpu_work.NVLINK_THROUGHPUT] == {
        (U, "transmit"): 1000 * 1024 * 1000.0,
        (U, "receive"): 7.0,
    }


def test_utilization_comes_from_profiling_where_there_is_no_other() -> None:
    """On a GPU that MIG divides, GPU_UTIL is absent; where both are there, GPU_UTIL is read."""
    alone, _ = read(row("PROF_GR_ENGINE_ACTIVE", 0.42))
    both, _ = read(row("PROF_GR_ENGINE_ACTIVE", 0.0) + row("DEV_GPU_UTIL", 99))

    assert alone[gpu.UTILIZATION] == {(U, "general"): 0.42}
    assert both[gpu.UTILIZATION] == {(U, "general"): 0.99}


def test_violations_are_nanoseconds_whatever_the_page_says() -> None:
    """Pages of before 2025-12 say "us" over NVML's nanoseconds."""
    found, problems = read(
        "# HELP DCGM_FI_DEV_POWER_VIOLATION Throttling duration due to power constraints (in us).\n"
        + row("DEV_POWER_VIOLATION", 2_500_000_000)
        + row("DEV_THERMAL_VIOLATION", 0)
        + row("DEV_LOW_UTIL_VIOLATION", 1_000_000_000)
    )

    assert problems == ()
    assert found[gpu_health.THROTTLE_TIME] == {
        (U, "sw_power_cap"): 2.5,
        (U, "sw_thermal"): 0.0,
        (U, "low_utilization"): 1.0,
    }


def test_ecc_totals_have_no_location() -> None:
    """Errors of all memories together carry no location; SBE are corrected, DBE are not."""
    found, _ = read(
        row("DEV_ECC_SBE_VOL_TOTAL", 12)
        + row("DEV_ECC_DBE_VOL_TOTAL", 1)
        + row("DEV_ECC_DBE_AGG_TOTAL", 3)
    )

    assert found[gpu_health.ECC_ERRORS] == {
        (U, "gpu", "corrected", ""): 12.0,
        (U, "gpu", "uncorrected", ""): 1.0,
    }
    assert found[gpu_health.ECC_LIFETIME_ERRORS] == {(U, "uncorrected", ""): 3.0}


def test_ecc_totals_give_way_to_their_parts() -> None:
    """Where each memory is told, their total would count everything twice in a sum."""
    found, _ = read(
        row("DEV_ECC_SBE_VOL_TOTAL", 12)
        + row("DEV_ECC_SBE_VOL_DEV", 10)
        + row("DEV_ECC_SBE_VOL_SRM", 2)
        + row("DEV_ECC_DBE_VOL_TOTAL", 1)
    )

    assert found[gpu_health.ECC_ERRORS] == {
        (U, "gpu", "corrected", "dram"): 10.0,
        (U, "gpu", "corrected", "sram"): 2.0,
        (U, "gpu", "uncorrected", ""): 1.0,
    }


def test_memory_repairs_and_link_errors() -> None:
    """Retired pages, remapped rows, retries and NVLink errors, under old and new names."""
    found, problems = read(
        row("DEV_RETIRED_SBE", 4)
        + row("DEV_RETIRED_PENDING", 1)
        + row("DEV_UNCORRECTABLE_REMAPPED_ROWS", 2)
        + row("DEV_ROW_REMAP_CORRECTABLE_TOTAL", 5)
        + row("DEV_ROW_REMAP_FAILURE", 0)
        + row("DEV_BANKS_REMAP_ROWS_AVAIL_MAX", 640)
        + row("DEV_PCIE_REPLAY_COUNTER", 7)
        + row("DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", 8)
        + row("DEV_NVLINK_RECOVERY_ERROR_TOTAL", 9)
        + row("DEV_THRESHOLD_SRM", 1)
    )

    assert problems == ()
    assert found[gpu_health.RETIRED_PAGES] == {(U, "single_bit_ecc"): 4.0}
    assert found[gpu_health.RETIRED_PAGES_PENDING] == {(U,): 1.0}
    assert found[gpu_health.REMAPPED_ROWS] == {(U, "uncorrected"): 2.0, (U, "corrected"): 5.0}
    assert found[gpu_health.ROW_REMAP_FAILURE] == {(U,): 0.0}
    assert found[gpu_health.ROW_REMAP_BANKS] == {(U, "max"): 640.0}
    assert found[gpu_work.PCIE_REPLAYS] == {(U,): 7.0}
    assert found[gpu_work.NVLINK_ERRORS] == {(U, "crc"): 8.0, (U, "recovery"): 9.0}
    assert found[gpu_health.SRAM_THRESHOLD] == {(U,): 1.0}


@pytest.mark.parametrize("value", [2, 0.5, -1])
def test_a_flag_is_0_or_1(value: float) -> None:
    """What is neither is refused and counted."""
    found, problems = read(row("DEV_ROW_REMAP_FAILURE", value))

    assert gpu_health.ROW_REMAP_FAILURE not in found
    assert [problem.reason for problem in problems] == ["out_of_range"]


def test_a_state_is_one_series_per_state() -> None:
    """A state's number is 1 for that state and 0 for the others; one that is not known is refused."""
    found, problems = read(row("DEV_COMPUTE_MODE", 3) + row("DEV_GET_GPU_RECOVERY_ACTION", 77))

    assert {key[1] for key, value in found[gpu_health.COMPUTE].items() if value} == {
        "exclusive_process"
    }
    assert len(found[gpu_health.COMPUTE]) == 4
    assert gpu_health.RECOVERY not in found
    assert [problem.reason for problem in problems] == ["out_of_range"]


def test_dcgms_own_margin_is_preferred() -> None:
    """The margin that the driver tells may differ from limit less temperature."""
    found, _ = read(
        row("DEV_SLOWDOWN_TEMP", 90) + row("DEV_GPU_TEMP", 60) + row("DEV_GPU_TEMP_LIMIT", 25)
    )

    assert found[gpu.TEMPERATURE_MARGIN] == {(U,): 25.0}


@pytest.mark.parametrize(
    "labels",
    [
        ',pod="{0}",namespace="n",container="c"',
        ',pod="dcgm-exporter-x",exported_pod="{0}",exported_namespace="n",exported_container="c"',
        ',pod_name="{0}",pod_namespace="n",container_name="c"',
    ],
)
def test_pods_under_any_name_neither_add_up_nor_become_labels(labels: str) -> None:
    """A GPU that pods share is told once per pod: it is one value, and the pods are no part of it."""
    text = "".join(row("DEV_FB_USED", 15866, labels.format(pod)) for pod in ("a", "b"))

    found, problems = read(text)

    assert found[gpu.MEMORY_USAGE] == {(U,): 15866 * 2.0**20}
    assert problems == ()


def test_rows_of_links_and_switches_are_not_the_gpus() -> None:
    """A link's row has the GPU's UUID under another name; it is left alone and is no problem."""
    text = f'DCGM_FI_DEV_NVLINK_COUNT_RX_ERRORS{{nvlink="3",gpu="0",gpu_uuid="{U}"}} 5\n'

    found, problems = read(text + row("DEV_GPU_TEMP", 50))

    assert gpu_work.NVLINK_ERRORS not in found
    assert problems == ()


def test_the_old_namespace_spells_uuid_small() -> None:
    """With --use-old-namespace the label is ``uuid``."""
    found, problems = read(f'DCGM_FI_DEV_GPU_TEMP{{gpu="0",uuid="{U}"}} 50\n')

    assert found[gpu.TEMPERATURE] == {(U, "gpu"): 50.0}
    assert problems == ()
