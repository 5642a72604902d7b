"""What NVML's return codes mean to us. Numbers and meanings: nvmlReturn_t in NVIDIA's public header."""

import ctypes
from typing import Any, Final

from agent.collectors.nvml.driver import DeviceError, DriverGone, GpuLost

SUCCESS: Final = 0
INVALID_ARGUMENT: Final = 2
NO_PERMISSION: Final = 4
NOT_FOUND: Final = 6
DRIVER_NOT_LOADED: Final = 9
TIMEOUT: Final = 10
LIBRARY_NOT_FOUND: Final = 12
LIBRARY_MISMATCH: Final = 18
IN_USE: Final = 19
GPU_NOT_FOUND: Final = 28

LACKING: Final = frozenset({3, 13, 25, 26})
"""The device, the library or its version of a struct does not have it: remembered, and no problem."""
LOST: Final = frozenset({15, 16})
"""Off the bus, or unusable until it is reset."""
GONE: Final = frozenset({1, DRIVER_NOT_LOADED, LIBRARY_MISMATCH})
"""Nothing answers until the library is opened again."""

UNFORESEEN: Final = (
    ctypes.ArgumentError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What the binding and the reading of its answers raise beside `NVMLError`: a constant or a function that it
does not have, a struct of another shape, a number that is none."""

_REASONS: Final = {
    INVALID_ARGUMENT: "invalid_argument",
    NO_PERMISSION: "no_permission",
    NOT_FOUND: "not_found",
    7: "insufficient_size",
    8: "insufficient_power",
    TIMEOUT: "timeout",
    11: "irq_issue",
    14: "corrupted_inforom",
    17: "operating_system",
    IN_USE: "in_use",
    20: "out_of_host_memory",
    21: "no_data",
    23: "insufficient_resources",
    27: "not_ready",
    29: "invalid_state",
    999: "unknown_error",
}


def failure(code: int, said: str) -> DeviceError | DriverGone:
    """Return the exception that a failed call amounts to; ``said`` is the library's own text."""
    if code in LOST:
        return GpuLost(said)
    if code in GONE:
        return DriverGone(said)
    return DeviceError(_REASONS.get(code, "unrecognized_error"), f"{said} (NVML {code})")


def fault(error: Any) -> DeviceError:
    """Return what a failed call says of one value; raise it where it says that all is lost."""
    failed = failure(error.value, str(error))
    if isinstance(failed, GpuLost) or not isinstance(failed, DeviceError):
        raise failed from error
    return failed
