"""The bytes that are read without the binding lie where the binding, and so the header, has them."""

import ctypes
from struct import Struct

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.nvml import fields, prepared, profiling
from agent.collectors.nvml.decoding import within
from agent.collectors.nvml.fields import FieldValue, decoded
from agent.collectors.nvml.nvlink import NvLinks

ANY = FieldValue("any", 0, within(float("-inf"), float("inf")))
MEMBERS = {
    "dVal": st.floats(allow_nan=False),
    "uiVal": st.integers(0, 2**32 - 1),
    "ulVal": st.integers(0, 2**64 - 1),
    "ullVal": st.integers(0, 2**64 - 1),
    "sllVal": st.integers(-(2**63), 2**63 - 1),
    "siVal": st.integers(-(2**31), 2**31 - 1),
    "usVal": st.integers(0, 2**16 - 1),
}


def test_a_field_value() -> None:
    """Type, return code and value of a field are found among the bytes of the binding's struct."""
    cell = pynvml.c_nvmlFieldValue_t()
    cell.valueType, cell.nvmlReturn, cell.value.ullVal = 3, 19, 2**63 + 5

    assert fields._ANSWER.unpack(cell) == (3, 19, 2**63 + 5)


def test_a_metric_of_the_profiler() -> None:
    """Number, return code and value of a metric are found among the bytes of the binding's struct."""
    cell = pynvml.c_nvmlGpmMetric_t()
    cell.metricId, cell.nvmlReturn, cell.value = 12, 3, 55.5

    assert profiling._ANSWER.unpack(cell) == (12, 3, 55.5)


@given(st.data())
def test_each_member_of_the_union(data: st.DataObject) -> None:
    """Whatever member the library fills, with the rest undefined, that number is read."""
    kind = data.draw(st.integers(0, len(MEMBERS) - 1))
    member, numbers = list(MEMBERS.items())[kind]
    said = data.draw(numbers)
    value = pynvml.c_nvmlValue_t()
    ctypes.memset(ctypes.byref(value), 0xA5, ctypes.sizeof(value))
    setattr(value, member, said)

    assert decoded(ANY, kind, int.from_bytes(bytes(value), "little")) == said


@pytest.mark.parametrize(("links", "state"), [(12, [165] * 12), (18, [165] * 18), (0, [])])
def test_questions_for_the_links(links: int, state: list[int]) -> None:
    """Every link is asked for by its scope, and by numbers of their own only while these suffice."""
    asked = NvLinks(links, detail=False).fields()

    assert [one.number for one in asked if one.key[1][1] == "state"] == state
    ecc = [one.number for one in asked if one.key[1][1] == "ecc_data"]
    assert ecc == (list(range(148, 160)) if links == 12 else [])
    crc = [one.number for one in asked if one.key[1][1] == "crc_data"]
    assert crc == ([*range(39, 45), *range(102, 108)] if links == 12 else [])


def test_memory_as_it_is_asked_each_second() -> None:
    """The parts of a GPU's memory, and the version that asks for them, lie as in the binding's struct."""
    told = pynvml.c_nvmlMemory_v2_t(1, 2, 3, 4, 5)
    names = [name for name, *_ in pynvml.c_nvmlMemory_v2_t._fields_]

    assert list(prepared.Memory._fields) == names
    assert prepared.MEMORY.unpack(told) == (1, 2, 3, 4, 5)
    assert pynvml.nvmlMemory_v2 == prepared.MEMORY_V2


@pytest.mark.parametrize(
    ("structure", "ours"),
    [
        (pynvml.c_nvmlUtilization_t(11, 12), prepared.RATES),
        (pynvml.c_nvmlTemperature_v1_t(11, 0, -12), prepared.TEMPERATURE),
        (pynvml.c_nvmlMarginTemperature_v1_t(11, -12), prepared.MARGIN),
    ],
)
def test_what_else_is_asked_each_second(structure: ctypes.Structure, ours: Struct) -> None:
    """The first number and the last one are found where the binding's struct has them."""
    told = ours.unpack(structure)

    assert (told[0], abs(told[-1])) == (11, 12)


def test_the_versions_that_are_asked_for() -> None:
    """They are those of the header, as the binding has them."""
    assert pynvml.nvmlTemperature_v1 == prepared.TEMPERATURE_V1
    assert pynvml.nvmlMarginTemperature_v1 == prepared.MARGIN_V1
    assert pynvml.NVML_CLOCK_SM == 1
    assert pynvml.NVML_TEMPERATURE_GPU == 0
