"""Questions of every second with their arguments made once, for one device each.

The binding makes the arguments of a call, and looks up its function, anew each time: for an answer that costs
the driver nothing that is most of the price. Here both are kept, and only the answer is read. The functions
are those of the library that the binding loaded; layouts are those of NVIDIA's public header, on machines
with 64 bits.
"""

import ctypes
from collections.abc import Callable
from struct import Struct
from typing import Any, Final, NamedTuple

MEMORY_V2: Final = 0x02000028
TEMPERATURE_V1: Final = 0x0100000C
MARGIN_V1: Final = 0x01000008
"""Versions of structures: the number, and the size in bytes below it (NVML_STRUCT_VERSION)."""
MEMORY: Final = Struct("=I4x4Q")
RATES: Final = Struct("=2I")
TEMPERATURE: Final = Struct("=2Ii")
"""nvmlTemperature_v1_t: version, sensor, degrees Celsius."""
MARGIN: Final = Struct("=Ii")
"""nvmlMarginTemperature_v1_t: version, degrees Celsius."""


class Memory(NamedTuple):
    """nvmlMemory_v2_t, in bytes."""

    version: int
    total: int
    reserved: int
    free: int
    used: int


class Rates(NamedTuple):
    """nvmlUtilization_t, in percent."""

    gpu: int
    memory: int


class Prepared:
    """Calls the function ``name`` of one device, again and again, with the same arguments.

    ``argument`` is what the function writes to, ``read`` gives the answer in it, ``before`` are numbers
    that the function takes between the device and that.
    """

    __slots__ = ("_argument", "_arguments", "_call", "_name", "_read")

    def __init__(self, name: str, argument: Any, read: Callable[[Any], Any], *before: int) -> None:
        self._name = name
        self._argument = argument
        self._read = read
        self._arguments = (*map(ctypes.c_uint, before), ctypes.byref(argument))
        self._call: Callable[..., int] | None = None

    def __call__(self, nvml: Any, handle: Any) -> Any:
        """Ask the device ``handle`` by the binding's module. Raises `NVMLError`."""
        if self._call is None:
            self._call = getattr(nvml.nvmlLib, self._name, None)
            if self._call is None:
                raise nvml.NVMLError(nvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        code = self._call(handle, *self._arguments)
        if code:
            raise nvml.NVMLError(code)
        return self._read(self._argument)


def a_number(name: str, *before: int) -> Prepared:
    """Return a call that writes an unsigned number of 32 bits."""
    return Prepared(name, ctypes.c_uint(), _value, *before)


def a_mask(name: str) -> Prepared:
    """Return a call that writes an unsigned number of 64 bits."""
    return Prepared(name, ctypes.c_ulonglong(), _value)


def memory() -> Prepared:
    """Return the call for memory, with what the driver reserves told apart."""
    return _structure("nvmlDeviceGetMemoryInfo_v2", MEMORY, Memory._make, MEMORY_V2, 0, 0, 0, 0)


def utilization() -> Prepared:
    """Return the call for the share of time in which the GPU and its memory were busy."""
    return _structure("nvmlDeviceGetUtilizationRates", RATES, Rates._make, 0, 0)


def temperature() -> Prepared:
    """Return the call for the temperature of the GPU itself, NVML_TEMPERATURE_GPU."""
    return _structure("nvmlDeviceGetTemperatureV", TEMPERATURE, _last, TEMPERATURE_V1, 0, 0)


def margin() -> Prepared:
    """Return the call for the degrees that are left until the slowdown."""
    return _structure("nvmlDeviceGetMarginTemperature", MARGIN, _last, MARGIN_V1, 0)


def _structure(
    name: str, structure: Struct, read: Callable[[tuple[int, ...]], Any], *content: int
) -> Prepared:
    buffer = ctypes.create_string_buffer(structure.pack(*content), structure.size)
    unpack = structure.unpack_from
    return Prepared(name, buffer, lambda written: read(unpack(written)))


def _value(number: Any) -> Any:
    return number.value


def _last(fields: tuple[int, ...]) -> int:
    return fields[-1]
