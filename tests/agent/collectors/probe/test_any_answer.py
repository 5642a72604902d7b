"""Whatever a server answers in JSON, it is an answer or one named failure."""

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue.attributes import PROBE_FAILURE
from agent.collectors.probe import inference, openai
from agent.collectors.probe.outcome import ProbeError

KEYS = st.sampled_from(
    [
        *("choices", "text", "delta", "content", "finish_reason", "usage", "error", "data"),
        *("prompt_tokens", "completion_tokens", "outputs", "name", "datatype", "shape"),
    ]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["x", "", "FP32", "BOOL"])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


def _named(error: ProbeError) -> bool:
    return error.reason in PROBE_FAILURE.values and bool(error.detail)


@given(st.lists(st.one_of(ANYTHING.map(lambda each: json.dumps(each).encode()), st.binary())))
def test_any_stream_is_an_answer_or_a_named_failure(events: list[bytes]) -> None:
    """No sequence of events makes another error, or a first token before the first event."""
    stream = openai._Completion("here")

    try:
        for moment, data in enumerate(events):
            stream.take(data, float(moment))
        stream.check()
    except ProbeError as error:
        if not _named(error):
            raise
    assert stream.first is None or 0 <= stream.first < len(events)
    assert stream.tokens is None or stream.tokens >= 0


@given(ANYTHING)
def test_any_metadata_make_an_input_or_a_named_failure(wanted: object) -> None:
    """A request that is made of metadata has as many elements as its shape says, and not too many."""
    try:
        tensor = inference._tensor(wanted, "here")
    except ProbeError as error:
        if error.reason != "no_input":
            raise
        return
    assert 0 < len(tensor["data"]) <= inference._MAX_ELEMENTS + 1
    assert all(size > 0 for size in tensor["shape"])


@given(st.one_of(ANYTHING.map(lambda each: json.dumps(each).encode()), st.binary()))
def test_any_inference_is_an_answer_or_a_named_failure(answer: bytes) -> None:
    """No body makes another error."""
    with suppress(ProbeError):
        inference._check(answer, "here")
