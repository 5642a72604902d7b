"""What NVML's event sets announce beside XIDs, on drivers and GPUs that do.

Each comes with an XID of its own (a retired row with 63, a verdict with 154), which is judged and may page;
the announcement adds that it was the driver's library that said so, and never pages by itself.
"""

from typing import Any, Final

from agent.collectors.nvml import codes

_TYPES: Final = {
    "nvmlEventTypeSingleBitEccErrorStorm": "ecc_storm",
    "nvmlEventTypeDramRetirementEvent": "dram_retired",
    "nvmlEventTypeDramRetirementFailure": "dram_retirement_failed",
    "nvmlEventTypeNonFatalPoisonError": "poison",
    "nvmlEventTypeFatalPoisonError": "poison_fatal",
    "nvmlEventTypeGpuUnavailableError": "unavailable",
    "nvmlEventTypeGpuRecoveryAction": "recovery_action",
}
"""The binding's constants, and the words of the catalogue's `hw.gpu.driver.event`."""


def register(nvml: Any, handle: Any, event_set: Any) -> frozenset[str]:
    """Have a GPU's XIDs reported to ``event_set``, and all else that it can announce.

    Returns the words of what it can announce. Raises `NVMLError` where not even XIDs can be had.
    """
    xid = nvml.nvmlEventTypeXidCriticalError
    known = _supported(nvml, handle)
    if known:
        try:
            nvml.nvmlDeviceRegisterEvents(handle, xid | sum(known), event_set)
        except nvml.NVMLError as error:
            if error.value not in (*codes.LACKING, codes.INVALID_ARGUMENT):
                raise
        else:
            return frozenset(known.values())
    nvml.nvmlDeviceRegisterEvents(handle, xid, event_set)
    return frozenset()


def word(nvml: Any, event_type: int) -> str:
    """Return what an event announces; empty for an XID, and for a type that nobody asked for."""
    return _known(nvml).get(event_type, "")


def _supported(nvml: Any, handle: Any) -> dict[int, str]:
    try:
        mask = int(nvml.nvmlDeviceGetSupportedEventTypes(handle))
    except nvml.NVMLError:
        return {}  # XIDs are asked for all the same, and tell what is wrong if anything is
    return {number: name for number, name in _known(nvml).items() if mask & number}


def _known(nvml: Any) -> dict[int, str]:
    """Return the types that this version of the binding knows."""
    return {
        int(getattr(nvml, constant)): name
        for constant, name in _TYPES.items()
        if hasattr(nvml, constant)
    }
