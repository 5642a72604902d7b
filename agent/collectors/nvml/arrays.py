"""What NVML writes into arrays of the caller's: processes and samples, in one call and read raw.

The binding asks first how much there is and then for it, and makes an object of each element and of each of
its fields. Here the array is kept and as large as what it last had to hold, so that one call does, and the
bytes tell whether anything changed. Layouts are those of NVIDIA's public header, on machines with 64 bits.
"""

import ctypes
from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, NamedTuple

INSUFFICIENT_SIZE: Final = 7
"""NVML_ERROR_INSUFFICIENT_SIZE: the count then says how much there is."""
_PROCESS: Final = Struct("=I4xQII")
"""nvmlProcessInfo_t: pid, bytes of device memory, GPU instance, compute instance."""
_SAMPLE: Final = Struct("=QQ")
"""nvmlSample_t: timestamp in microseconds, the eight bytes of an nvmlValue_t."""
_NOT_AVAILABLE: Final = 0xFFFFFFFFFFFFFFFF
"""NVML_VALUE_NOT_AVAILABLE_ulonglong."""
_ROOM: Final = 5
"""Elements more than there are: processes come between two calls."""
_SAMPLES: Final = 256
"""Drivers keep the last hundred or so."""
_TRIES: Final = 4


class _Array:
    """A kept array of structures, and the call that fills it."""

    def __init__(self, nvml: Any, name: str, structure: Struct, length: int) -> None:
        self._nvml = nvml
        self._call = getattr(nvml.nvmlLib, name, None)
        self._structure = structure
        self._count = ctypes.c_uint(0)
        self._make(length)

    def _make(self, length: int) -> None:
        self._length = length
        self._buffer = ctypes.create_string_buffer(length * self._structure.size)

    def ask(self, *arguments: Any) -> int:
        """Fill the array and return how many elements there are. Raises `NVMLError`."""
        if self._call is None:
            raise self._nvml.NVMLError(self._nvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        code = INSUFFICIENT_SIZE
        for _ in range(_TRIES):
            self._count.value = self._length
            code = self._call(*arguments, ctypes.byref(self._count), self._buffer)
            if code != INSUFFICIENT_SIZE:
                break
            self._make(max(self._count.value, self._length) + _ROOM)
        if code:
            raise self._nvml.NVMLError(code)
        return min(self._count.value, self._length)

    def grow(self, count: int) -> None:
        """Make room for more where ``count`` left none: there may have been more than was told."""
        if count >= self._length:
            self._make(2 * self._length)

    def raw(self, count: int) -> bytes:
        """Return the bytes of the first ``count`` elements."""
        return ctypes.string_at(self._buffer, count * self._structure.size)


class ProcessEntry(NamedTuple):
    """A process as the library lists it, under the names of the binding."""

    pid: int
    usedGpuMemory: int | None  # noqa: N815 - the binding's name
    gpuInstanceId: int  # noqa: N815 - as above
    computeInstanceId: int  # noqa: N815 - as above


class ProcessList:
    """Lists processes by the function ``name``; the same object for as long as nothing changes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._array: _Array | None = None
        self._raw = b""
        self._listed: tuple[ProcessEntry, ...] = ()

    def __call__(self, nvml: Any, handle: Any) -> tuple[ProcessEntry, ...]:
        """Ask the device ``handle`` by the binding's module. Raises `NVMLError`."""
        if self._array is None:
            self._array = _Array(nvml, self._name, _PROCESS, _ROOM)
        raw = self._array.raw(self._array.ask(handle))
        if raw != self._raw:
            self._raw, self._listed = raw, tuple(_processes(raw))
        return self._listed


def _processes(raw: bytes) -> Iterator[ProcessEntry]:
    for pid, memory, *instances in _PROCESS.iter_unpack(raw):
        yield ProcessEntry(pid, None if memory == _NOT_AVAILABLE else memory, *instances)


class SampleBuffer:
    """Reads one of the driver's sample buffers; ``kind`` is an nvmlSamplingType_t."""

    def __init__(self, nvml: Any, kind: int) -> None:
        self._kind = ctypes.c_uint(kind)
        self._array = _Array(nvml, "nvmlDeviceGetSamples", _SAMPLE, _SAMPLES)
        self._type = ctypes.c_uint(0)

    def ask(self, handle: Any, since: int) -> tuple[int, list[tuple[int, int]]]:
        """Return the type of the values, and timestamps and bytes of those newer than ``since``.

        Raises `NVMLError`.
        """
        newer = ctypes.c_ulonglong(since)
        count = self._array.ask(handle, self._kind, newer, ctypes.byref(self._type))
        raw = self._array.raw(count)
        self._array.grow(count)
        return self._type.value, list(_SAMPLE.iter_unpack(raw))
