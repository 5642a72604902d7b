"""Records to JSON and back."""

import json
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.nvml.driver import (
    Condition,
    FieldProblem,
    GpuDriver,
    GpuProcess,
    Identity,
    Link,
    Mig,
    MigDevice,
    Processes,
    RecentSamples,
    Sample,
    XidEvent,
)
from agent.recording.codec import WrongShapeError, decode, encode
from agent.recording.line import OF_A_GPU, OF_THE_NODE

FULL = Sample(
    memory_total=85_899_345_920,
    utilization=0.5,
    throttle_reasons=frozenset({"sw_thermal", "hw_slowdown"}),
    throttle_time={"sw_thermal": 1.5},
    condition=Condition(
        bar1_total=1,
        ecc_errors={("corrected", "sram"): 2},
        persistence_mode=True,
        fan_speeds={"0": 0.3},
        links=(Link(0, "active", errors={"crc": 1}),),
    ),
    problems=(FieldProblem("power", "timeout", "Timeout"),),
)
RECORDS = [
    FULL,
    Sample(),
    Identity("GPU-1"),
    Identity("GPU-1", throttle_reasons=frozenset(), reports_xids=False),
    Processes(),
    Processes((GpuProcess(1, "a", None, 0.5, "ab" * 32, 3, 0),), (), complete=True),
    Mig(),
    Mig(True, (MigDevice("MIG-1", 1, 0, "1g.10gb", 5, pipe_active={"tensor": 0.5}),)),
    RecentSamples(((0.1, 0.5), (0.0, 1.0)), (), ((0.2, 300.0),)),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_there_and_back(record: Any) -> None:
    """A record that went through JSON is the record that it was, with nothing unknown."""
    unknown: set[str] = set()
    text = json.dumps(encode(record), allow_nan=False)

    assert decode(type(record), json.loads(text), unknown) == record
    assert unknown == set()


def test_what_is_at_its_default_is_not_written() -> None:
    """An empty record is an empty object: a recording is mostly values."""
    assert encode(Sample()) == {}


def test_every_question_of_the_driver_is_recorded() -> None:
    """A method that the protocol gains must be recorded, and with the type that it returns."""
    methods = {
        name: get_type_hints(getattr(GpuDriver, name))["return"]
        for name in vars(GpuDriver)
        if not name.startswith("_") and name != "close"
    }

    assert methods == {**OF_A_GPU, **OF_THE_NODE}


@pytest.mark.parametrize(
    ("hint", "data", "place"),
    [
        (Sample, [], "answer"),
        (Sample, {"power": "much"}, "answer.power"),
        (Sample, {"power": True}, "answer.power"),
        (Sample, {"memory_total": 1.5}, "answer.memory_total"),
        (Sample, {"throttle_reasons": [1]}, "answer.throttle_reasons[0]"),
        (Sample, {"throttle_time": [["a"]]}, "answer.throttle_time"),
        (Sample, {"throttle_time": 3}, "answer.throttle_time"),
        (Sample, {"condition": {"ecc_errors": [[["a"], 1]]}}, "answer.condition.ecc_errors"),
        (Identity, {}, "answer lacks uuid"),
        (RecentSamples, {"power": [[0.1]]}, "answer.power[0]"),
        (tuple[XidEvent, ...], [{"gpu_index": 0}], "answer[0] lacks code"),
        (int, True, "answer"),
    ],
)
def test_data_of_another_shape(hint: Any, data: object, place: str) -> None:
    """What is not what the type says is refused, by its place."""
    with pytest.raises(WrongShapeError) as refused:
        decode(hint, data, set())

    assert str(refused.value).startswith(place)


def test_fields_of_a_later_version() -> None:
    """Fields that are not known here are told of, and the others are read."""
    unknown: set[str] = set()

    sample = decode(Sample, {"power": 300, "hologram": 1}, unknown)

    assert sample == Sample(power=300.0)
    assert unknown == {"Sample.hologram"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*Sample._fields, *Condition._fields, "x"]), inner, max_size=3
        )
    ),
)


@given(JSON)
def test_any_data(data: object) -> None:
    """Whatever a file holds is a record or is refused; nothing else is raised."""
    try:
        found = decode(Sample, data, set())
    except WrongShapeError:
        return

    assert decode(Sample, encode(found), set()) == found
