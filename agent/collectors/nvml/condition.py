"""What moves slowly, as tables: asked call by call every few seconds, or instead of a field of the batch."""

from ctypes import byref
from typing import Any, Final

from agent.collectors.nvml import codes, decoding
from agent.collectors.nvml.decoding import SECONDS, WATTS, count, flag, word
from agent.collectors.nvml.probes import Probe, Read, call, simple

MAX_LINKS: Final = 36
"""NVML_NVLINK_MAX_LINKS."""
_FIELD_LINK_COUNT: Final = 91
_CORRECTED: Final = 0
_UNCORRECTED: Final = 1
_VOLATILE: Final = 0
_LIFETIME: Final = 1


def ecc_probe(kind: str, lifetime: bool, location: str) -> Probe:
    """Return the question for the ECC errors of one memory of the device."""
    error = _CORRECTED if kind == "corrected" else _UNCORRECTED
    counter = _LIFETIME if lifetime else _VOLATILE
    where = ECC_LOCATIONS[location]
    return Probe(
        ((ecc_field(lifetime), (kind, location)),),
        (lambda nvml, device: nvml.nvmlDeviceGetMemoryErrorCounter(device, error, counter, where),),
        count,
        chooses=True,
    )


def ecc_field(lifetime: bool) -> str:
    """Return the name of the field that holds the ECC errors."""
    return "ecc_lifetime_errors" if lifetime else "ecc_errors"


def violation_probe(reason: str, policy: int) -> Probe:
    """Return the older question for how long the clocks were held down."""
    return Probe(
        (("throttle_time", reason),),
        (lambda nvml, device: nvml.nvmlDeviceGetViolationStatus(device, policy).violationTime,),
        SECONDS,
        chooses=True,
    )


def retired_probe(cause: str, number: int) -> Probe:
    """Return the older question for how many pages are retired."""
    return Probe(
        (("retired_pages", cause),),
        (lambda nvml, device: len(nvml.nvmlDeviceGetRetiredPages(device, number)),),
        count,
        chooses=True,
    )


def _sram_status(nvml: Any, device: Any) -> int:
    status = nvml.c_nvmlEccSramErrorStatus_v1_t()
    nvml.nvmlDeviceGetSramEccErrorStatus(device, byref(status))
    return int(status.bThresholdExceeded)


def _fabric_info(structure: str, function: str) -> Read:
    def read(nvml: Any, device: Any) -> Any:
        info = getattr(nvml, structure)()
        getattr(nvml, function)(device, byref(info))
        return info

    return read


def _fans(nvml: Any, device: Any) -> list[int]:
    fans = range(nvml.nvmlDeviceGetNumFans(device))
    return [nvml.nvmlDeviceGetFanSpeed_v2(device, fan) for fan in fans]


ECC_LOCATIONS: Final = {
    "l1_cache": 0,
    "l2_cache": 1,
    "dram": 2,
    "register_file": 3,
    "texture_memory": 4,
    "shared_memory": 5,
    "cbu": 6,
    "sram": 7,
}
"""nvmlMemoryLocation_t."""

ROW_REMAP: Final = Probe(
    (
        ("remapped_rows", "corrected"),
        ("remapped_rows", "uncorrected"),
        "row_remap_pending",
        "row_remap_failure",
    ),
    (call("nvmlDeviceGetRemappedRows"),),
    lambda rows: (*count(rows[0]), *count(rows[1]), *flag(rows[2]), *flag(rows[3])),
)
ECC_MODE: Final = Probe(
    ("ecc_enabled", "ecc_enabled_pending"), (call("nvmlDeviceGetEccMode"),), decoding.each(flag)
)
PAGES_PENDING: Final = simple(
    "retired_pages_pending", flag, "nvmlDeviceGetRetiredPagesPendingStatus"
)
POWER_LIMIT: Final = simple("power_limit", WATTS, "nvmlDeviceGetEnforcedPowerLimit")
ENERGY: Final = simple("energy", decoding.JOULES, "nvmlDeviceGetTotalEnergyConsumption")
REPLAYS: Final = simple("pcie_replays", count, "nvmlDeviceGetPcieReplayCounter")
"""What fields of the batch are asked by instead, where a driver or a device lacks them."""

SLOW: Final = (
    Probe(("bar1_total", "bar1_used"), (call("nvmlDeviceGetBAR1MemoryInfo"),), decoding.bar1),
    Probe(
        ("fan_speeds",),
        (_fans, lambda nvml, device: [nvml.nvmlDeviceGetFanSpeed(device)]),
        decoding.fan_speeds,
    ),
    *(
        ecc_probe(kind, lifetime, location)
        for location in ("sram", "shared_memory")
        for kind in ("corrected", "uncorrected")
        for lifetime in (False, True)
    ),
    Probe(("sram_threshold_exceeded",), (_sram_status,), flag),
    simple("row_remap_banks", decoding.banks, "nvmlDeviceGetRowRemapperHistogram"),
    simple("persistence_mode", flag, "nvmlDeviceGetPersistenceMode"),
    simple(
        "compute_mode",
        word("default", "exclusive_thread", "prohibited", "exclusive_process"),
        "nvmlDeviceGetComputeMode",
    ),
    Probe(
        ("mig_enabled", "mig_enabled_pending"),
        (call("nvmlDeviceGetMigMode"),),
        decoding.each(flag),
    ),
    Probe(
        ("fabric_state", "fabric_failed", "fabric_health", "fabric_faults"),
        (
            _fabric_info("c_nvmlGpuFabricInfo_v3_t", "nvmlDeviceGetGpuFabricInfoV"),
            _fabric_info("c_nvmlGpuFabricInfo_v2_t", "nvmlDeviceGetGpuFabricInfoV"),
            _fabric_info("c_nvmlGpuFabricInfo_t", "nvmlDeviceGetGpuFabricInfo"),
        ),
        decoding.fabric,
    ),
)
"""Asked every few seconds, one call each, for `Condition`."""


def _count_links(nvml: Any, device: Any) -> int:
    """Count the links by the field for it: nothing else says how many there are."""
    (answer,) = nvml.nvmlDeviceGetFieldValues(device, [_FIELD_LINK_COUNT])
    if answer.nvmlReturn != codes.SUCCESS:
        raise nvml.NVMLError(answer.nvmlReturn)
    return int(answer.value.uiVal)


def _probe_links(nvml: Any, device: Any) -> int:
    """Count the links by asking for the state of one after the other."""
    for link in range(MAX_LINKS):
        try:
            nvml.nvmlDeviceGetNvLinkState(device, link)
        except nvml.NVMLError as error:
            if link and error.value in {codes.INVALID_ARGUMENT, *codes.LACKING}:
                return link
            raise
    return MAX_LINKS


LINK_COUNT: Final = Probe(
    ("links",), (_count_links, _probe_links), decoding.within(0, MAX_LINKS), chooses=True
)
"""How many NVLinks there are, active or not."""
