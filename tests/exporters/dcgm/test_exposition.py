import gzip
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from agent.catalogue import attributes, gpu, gpu_health, gpu_mig, gpu_work
from agent.snapshot import Batch, Reading, Snapshot
from exporters.dcgm import DcgmExposition
from exporters.dcgm.families import FAMILIES
from tests.exporters import snapshots

CSV = Path(__file__).parents[2] / "fixtures" / "dcgm" / "default-counters.csv"
U = "GPU-1"
Rows = dict[str, list[tuple[dict[str, str], float]]]


def info(uuid: str = U, index: str = "0") -> Reading:
    """Return what is known of a GPU."""
    known = {
        attributes.HW_ID: uuid,
        attributes.GPU_INDEX: index,
        attributes.HW_MODEL: "NVIDIA H100 80GB HBM3",
        attributes.GPU_PCI: "00000000:1B:00.0",
        attributes.HW_DRIVER: "570.133.20",
    }
    return Reading(gpu.INFO, tuple(known.get(each, "") for each in gpu.INFO.attributes), 1)


def snapshot_of(*readings: Reading, sequence: int = 1) -> Snapshot:
    """Return a snapshot of one collector."""
    return Snapshot(sequence, 1_000.0, {"nvml": Batch(1_000.0, readings)})


def parsed(text: bytes) -> Rows:
    """Return the samples of a page by name, as Prometheus' own parser reads them.

    It adds the ``_total`` that it misses in counters.
    """
    rows: Rows = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            rows.setdefault(sample.name.removesuffix("_total"), []).append(
                (dict(sample.labels), float(sample.value))
            )
    return rows


def written(*readings: Reading) -> Rows:
    """Return what is written of these readings of the GPU `U`."""
    return parsed(DcgmExposition("node-a").text(snapshot_of(info(), *readings)))


def values(rows: Iterable[tuple[dict[str, str], float]]) -> list[float]:
    """Return the values of rows."""
    return [value for _, value in rows]


def test_rows_have_dcgm_exporters_labels() -> None:
    """Index, UUID, PCI address, device, model, host and driver, in dcgm-exporter's order and spelling."""
    page = DcgmExposition("node-a").text(snapshot_of(info(), Reading(gpu.POWER, (U, "gpu"), 71.23)))

    assert page.decode().splitlines()[-1] == (
        'DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-1",pci_bus_id="00000000:1B:00.0",'
        'device="nvidia0",modelName="NVIDIA H100 80GB HBM3",Hostname="node-a",'
        'DCGM_FI_DRIVER_VERSION="570.133.20"} 71.23'
    )


def test_the_hosts_label_can_be_spelled_as_since_2026() -> None:
    """Rules of newer releases select by ``hostname``."""
    exposition = DcgmExposition("node-a", hostname_label="hostname")

    page = exposition.text(snapshot_of(info(), Reading(gpu.POWER, (U, "gpu"), 71.0)))

    ((labels, _),) = parsed(page)["DCGM_FI_DEV_POWER_USAGE"]
    assert labels["hostname"] == "node-a"
    assert "Hostname" not in labels


def test_values_are_in_dcgms_units() -> None:
    """MHz, MiB, percent, millijoules and nanoseconds, as whole as the driver gave them."""
    rows = written(
        Reading(gpu.CLOCK_FREQUENCY, (U, "sm"), 1_980_000_000),
        Reading(gpu.MEMORY_USAGE, (U,), 74460 * 2**20),
        Reading(gpu.UTILIZATION, (U, "general"), 0.57),
        Reading(gpu.ENERGY, (U, "gpu"), 912873645.123),
        Reading(gpu_health.THROTTLE_TIME, (U, "sw_power_cap"), 2.5),
        Reading(gpu_work.PIPE_ACTIVE, (U, "tensor"), 0.312345),
        Reading(gpu_work.PCIE_THROUGHPUT, (U, "transmit"), 812345678.0),
    )

    assert values(rows["DCGM_FI_DEV_SM_CLOCK"]) == [1980]
    assert values(rows["DCGM_FI_DEV_FB_USED"]) == [74460]
    assert values(rows["DCGM_FI_DEV_GPU_UTIL"]) == [57]
    assert values(rows["DCGM_FI_PROF_GR_ENGINE_ACTIVE"]) == [0.57]
    assert values(rows["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"]) == [912873645123]
    assert values(rows["DCGM_FI_DEV_POWER_VIOLATION"]) == [2_500_000_000]
    assert values(rows["DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"]) == [0.312345]
    assert values(rows["DCGM_FI_PROF_PCIE_TX_BYTES"]) == [812345678]


def test_what_we_do_not_have_is_absent() -> None:
    """A field without a reading has no row, and no header either."""
    page = DcgmExposition("n").text(snapshot_of(info(), Reading(gpu.POWER, (U, "gpu"), 71.0)))

    assert re.findall(rb"# TYPE (\w+)", page) == [b"DCGM_FI_DEV_POWER_USAGE"]


def test_a_node_without_gpus_has_an_empty_page() -> None:
    """Nothing to tell is an empty success, as from an exporter without GPUs."""
    assert DcgmExposition("n").text(snapshots.empty()) == b""


def test_types_are_those_of_the_exporters_list() -> None:
    """A family is a counter exactly where the exporter's own list calls it one."""
    listed = dict(
        re.findall(r"^#? *(DCGM_FI_\w+) *, *(gauge|counter),", CSV.read_text(), re.MULTILINE)
    )
    listed |= {"DCGM_FI_PROF_PCIE_TX_BYTES": "gauge", "DCGM_FI_PROF_PCIE_RX_BYTES": "gauge"}
    ours = {family.name: family.kind for family in FAMILIES}

    common = listed.keys() & ours.keys()
    assert {name: ours[name] for name in common} == {name: listed[name] for name in common}
    assert listed.keys() - ours.keys() == {
        "DCGM_FI_DEV_VGPU_LICENSE_STATUS",
        "DCGM_FI_DEV_NVLINK_BANDWIDTH_L0",
    }


def test_ecc_totals_are_the_sum_of_their_parts() -> None:
    """DCGM tells errors of all memories together; what SRAM may include is not added to it."""
    rows = written(
        Reading(gpu_health.ECC_ERRORS, (U, "gpu", "corrected", "dram"), 10),
        Reading(gpu_health.ECC_ERRORS, (U, "gpu", "corrected", "sram"), 2),
        Reading(gpu_health.ECC_ERRORS, (U, "gpu", "corrected", "l2_cache"), 1),
        Reading(gpu_health.ECC_LIFETIME_ERRORS, (U, "uncorrected", "l1_cache"), 3),
        Reading(gpu_health.ECC_LIFETIME_ERRORS, (U, "uncorrected", "dram"), 4),
    )

    assert values(rows["DCGM_FI_DEV_ECC_SBE_VOL_TOTAL"]) == [12]
    assert values(rows["DCGM_FI_DEV_ECC_SBE_VOL_L2"]) == [1]
    assert values(rows["DCGM_FI_DEV_ECC_DBE_AGG_TOTAL"]) == [7]
    assert "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL" not in rows


def test_nvlink_bandwidth_needs_both_directions() -> None:
    """DCGM's total is of both directions together: one alone would be taken for it."""
    sent = Reading(gpu_work.NVLINK_THROUGHPUT, (U, "transmit"), 1_024_000_000.0)
    received = Reading(gpu_work.NVLINK_THROUGHPUT, (U, "receive"), 2_048_000_000.0)

    assert "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL" not in written(sent)
    assert values(written(sent, received)["DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL"]) == [3000]


def test_a_state_is_dcgms_number() -> None:
    """The state that is 1 gives the number; all zeros give none."""
    modes = attributes.COMPUTE_MODE.values
    rows = written(
        *(
            Reading(gpu_health.COMPUTE, (U, mode), int(mode == "exclusive_process"))
            for mode in modes
        )
    )
    none = written(*(Reading(gpu_health.COMPUTE, (U, mode), 0) for mode in modes))

    assert values(rows["DCGM_FI_DEV_COMPUTE_MODE"]) == [3]
    assert "DCGM_FI_DEV_COMPUTE_MODE" not in none


def mig(uuid: str, instance: str) -> Reading:
    """Return what is known of a MIG device of the GPU `U`."""
    known = {
        attributes.HW_ID: uuid,
        attributes.HW_PARENT: U,
        attributes.MIG_PROFILE: "1g.10gb",
        attributes.GPU_INSTANCE: instance,
        attributes.COMPUTE_INSTANCE: "0",
    }
    facts = tuple(known[each] for each in gpu_mig.MIG_INFO.attributes)
    return Reading(gpu_mig.MIG_INFO, facts, 1)


def test_mig_instances_stand_in_place_of_their_gpu() -> None:
    """As from dcgm-exporter, an instance's row has the GPU's labels and its own; a sum counts it once."""
    rows = written(
        mig("MIG-a", "7"),
        mig("MIG-b", "8"),
        Reading(gpu.MEMORY_USAGE, (U,), 5 * 2**20),
        Reading(gpu.POWER, (U, "gpu"), 100.0),
        Reading(gpu_mig.MIG_MEMORY_USAGE, ("MIG-a",), 2 * 2**20),
        Reading(gpu_mig.MIG_MEMORY_USAGE, ("MIG-b",), 3 * 2**20),
        Reading(gpu_mig.MIG_UTILIZATION, ("MIG-a",), 0.25),
        Reading(gpu_mig.MIG_PIPE_ACTIVE, ("MIG-a", "tensor"), 0.125),
    )

    used = [
        (labels["UUID"], labels["gpu"], labels.get("GPU_I_ID"), labels.get("GPU_I_PROFILE"), value)
        for labels, value in rows["DCGM_FI_DEV_FB_USED"]
    ]
    assert used == [(U, "0", "7", "1g.10gb", 2), (U, "0", "8", "1g.10gb", 3)]
    assert values(rows["DCGM_FI_PROF_GR_ENGINE_ACTIVE"]) == [0.25]
    assert values(rows["DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"]) == [0.125]
    assert "DCGM_FI_DEV_GPU_UTIL" not in rows
    assert [labels.get("GPU_I_ID") for labels, _ in rows["DCGM_FI_DEV_POWER_USAGE"]] == [None]


def test_a_gpu_of_which_nothing_is_known_has_no_rows() -> None:
    """Without its index no dashboard could select it."""
    page = DcgmExposition("n").text(snapshot_of(Reading(gpu.POWER, (U, "gpu"), 71.0)))

    assert page == b""


def test_labels_are_escaped() -> None:
    """A model's name cannot break out of its label."""
    wild = 'NVIDIA "A"\\\n'
    known = info()._replace(
        attributes=tuple(
            wild if each is attributes.HW_MODEL else value
            for each, value in zip(gpu.INFO.attributes, info().attributes, strict=True)
        )
    )

    rows = parsed(DcgmExposition("n").text(snapshot_of(known, Reading(gpu.POWER, (U, "gpu"), 7))))

    assert rows["DCGM_FI_DEV_POWER_USAGE"][0][0]["modelName"] == wild


def test_a_whole_node_is_read_by_prometheus_own_parser() -> None:
    """Every family of a full node parses, with a row per GPU that is not lost."""
    rows = parsed(DcgmExposition("node-a").text(snapshots.full()))

    assert [labels["gpu"] for labels, _ in rows["DCGM_FI_DEV_GPU_TEMP"]] == [*"0123456"]


def test_one_snapshot_is_written_once() -> None:
    """The same bytes are handed out until there is a new snapshot, plain and gzipped."""
    exposition, snapshot = DcgmExposition("n"), snapshots.full()

    first, packed = exposition.text(snapshot), exposition.text(snapshot, compressed=True)

    assert exposition.text(snapshot) is first
    assert exposition.text(snapshot, compressed=True) is packed
    assert gzip.decompress(packed) == first
    assert exposition.text(replace(snapshot, sequence=2)) is not first


def test_help_is_a_sentence_without_need_of_escapes() -> None:
    """Each family says in one line what it is, and in which unit."""
    assert {
        family.name for family in FAMILIES if not re.fullmatch(r"[^\\\n]+\.", family.help)
    } == set()
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
