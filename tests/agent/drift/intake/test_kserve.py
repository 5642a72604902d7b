import gzip
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.intake.inference_body import request_columns, response_columns
from agent.drift.intake.kserve import Joining, read
from agent.drift.intake.pairing import Pairing, Side
from agent.drift.intake.refusal import RefusedError
from agent.drift.rows import Rows

PAYLOADS = Path(__file__).parents[3] / "fixtures/payloads"
IRIS = [[6.8, 6.0], [2.8, 3.4], [4.8, 4.5], [1.4, 1.6]]


def event(kind: str = "request", identity: str = "1", **more: str) -> dict[str, str]:
    """Return the headers of a binary event."""
    return {
        "Ce-Specversion": "1.0",
        "Ce-Type": f"org.kubeflow.serving.inference.{kind}",
        "Ce-Id": identity,
        "Ce-Inferenceservicename": "iris",
        **more,
    }


def sent(file: str) -> list[tuple[dict[str, str], bytes]]:
    """Return the requests of a capture."""
    return [
        (each["headers"], each["body"].encode())
        for each in json.loads((PAYLOADS / file).read_text())
    ]


def joined(requests: list[tuple[dict[str, str], bytes]]) -> list[Rows]:
    """Return the rows that come of requests."""
    joining, found = Joining(), []
    for headers, body in requests:
        for logged in read(headers, "application/json", body).logged:
            found += joining.add(logged, now=50.0) or []
    return found


@pytest.mark.parametrize(
    ("file", "model", "features", "took"),
    [
        ("kserve_logger_http_2020_specversion02.json", "iris", "input", 0.004068),
        ("kserve_logger_http_v2_current_synthetic.json", "sklearn-iris", "input-0", 0.008),
    ],
)
@pytest.mark.parametrize("answer_first", [False, True])
def test_captured_events_become_rows(
    file: str, model: str, features: str, took: float, answer_first: bool
) -> None:
    """Loggers of 2020 and of today give the same rows, whichever event comes first."""
    requests = sent(file)

    (rows,) = joined(requests[::-1] if answer_first else requests)

    assert (rows.model, rows.model_version, rows.whole, rows.size) == (model, "", True, 2)
    latency = rows.columns["latency"]
    assert latency == [pytest.approx(took, abs=2e-6)] * 2
    identity = next(value for name, value in requests[0][0].items() if name.lower() == "ce-id")
    assert rows.columns["row_id"] == [f"{identity}#{row}" for row in (0, 1)]
    assert {
        name: list(values)
        for name, values in rows.columns.items()
        if name not in {"latency", "row_id"}
    } == {
        **{f"{features}.{place}": values for place, values in enumerate(IRIS)},
        "prediction": [1, 1],
    }


def test_structured_and_batched_events_are_the_same() -> None:
    """The content type tells the mode; data may be JSON or base64."""
    one = {
        "specversion": "1.0",
        "type": "org.kubeflow.serving.inference.request",
        "id": "a",
        "inferenceservicename": "iris",
        "namespace": "ml",
        "data": {"instances": [{"age": 3}]},
    }
    two = {**one, "id": "b", "data_base64": "eyJpbnN0YW5jZXMiOiBbeyJhZ2UiOiA0fV19"}
    del two["data"]

    (single,) = read({}, "application/cloudevents+json", json.dumps(one).encode()).logged
    batch = read({}, "application/cloudevents-batch+json", json.dumps([one, two]).encode()).logged

    assert single.model == "ml/iris"
    assert [each.side.columns for each in batch] == [{"age": [3]}, {"age": [4]}]


@pytest.mark.parametrize(
    ("body", "columns"),
    [
        ({"instances": [1, 2]}, {"input": [1, 2]}),
        ({"instances": [{"a": 1}, {"b": "x"}]}, {"a": [1, None], "b": [None, "x"]}),
        ({"instances": [[0.0] * 60]}, {"input": [[0.0] * 60]}),
        ({"inputs": {"a": [1, 2], "b": [3]}}, {"a": [1, 2], "b": [3, None]}),
        (
            {"inputs": [{"name": "a", "shape": [2], "datatype": "BYTES", "data": ["x", "y"]}]},
            {"a": ["x", "y"]},
        ),
        (
            {"inputs": [{"name": "a", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}]},
            {"a.0": [1, 3], "a.1": [2, 4]},
        ),
        (
            {"inputs": [{"name": "e", "shape": [1, 60], "datatype": "FP32", "data": [0] * 60}]},
            {"e": [[0] * 60]},
        ),
        (
            {"messages": [{"role": "user", "content": "abc"}], "max_tokens": 5},
            {"messages": [1], "prompt_characters": [3], "max_tokens": [5]},
        ),
        (
            {"messages": [{"content": [{"type": "text", "text": "abcd"}, {"type": "image_url"}]}]},
            {"messages": [1], "prompt_characters": [4]},
        ),
        ({"prompt": ["ab", "c"]}, {"prompt_characters": [3]}),
    ],
)
def test_requests_become_features(body: dict[str, Any], columns: dict[str, list[object]]) -> None:
    """Every shape of body has features, named as the payload names them; texts only their length."""
    assert request_columns(json.dumps(body).encode()) == columns


@pytest.mark.parametrize(
    ("body", "columns", "version"),
    [
        (b'{"predictions": [0.5]}', {"prediction": [0.5]}, ""),
        (b'{"predictions": [[0.1, 0.9]]}', {"prediction.0": [0.1], "prediction.1": [0.9]}, ""),
        (b'{"predictions": [{"cls": "a"}]}', {"prediction.cls": ["a"]}, ""),
        (
            b'{"model_version": "7", "outputs": [{"name": "y", "shape": [2, 1], "data": [1, 2]}]}',
            {"prediction": [1, 2]},
            "7",
        ),
        (
            (
                b'{"outputs": [{"name": "y", "shape": [1], "data": [1]},'
                b' {"name": "p", "shape": [1], "data": [2]}]}'
            ),
            {"prediction.y": [1], "prediction.p": [2]},
            "",
        ),
        (
            (
                b'{"choices": [{"finish_reason": "stop"}],'
                b' "usage": {"prompt_tokens": 9, "completion_tokens": 4}}'
            ),
            {"prompt_tokens": [9], "completion_tokens": [4], "finish_reason": ["stop"]},
            "",
        ),
        (
            (
                b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'
                b'data: {"choices": [{"finish_reason": "length"}]}\n\n'
                b'data: {"choices": [], "usage": {"completion_tokens": 4}}\n\ndata: [DONE]\n'
            ),
            {"completion_tokens": [4], "finish_reason": ["length"]},
            "",
        ),
        (b'{"predictions": 0.5}', {"prediction": [0.5]}, ""),
        (
            b'{"predictions": {"class": "a", "p": 1}}',
            {"prediction.class": ["a"], "prediction.p": [1]},
            "",
        ),
        (b'{"predictions": null, "outputs": [3]}', {"prediction": [3]}, ""),
        (
            b'{"outputs": {"p": [1, 2], "q": [[0.1, 0.9], [0.2, 0.8]]}}',
            {"prediction.p": [1, 2], "prediction.q": [[0.1, 0.9], [0.2, 0.8]]},
            "",
        ),
    ],
)
def test_answers_become_columns(
    body: bytes, columns: dict[str, list[object]], version: str
) -> None:
    """A prediction, or what a generated text is like; the text itself is nowhere."""
    assert response_columns(body) == (columns, version)


@pytest.mark.parametrize(
    ("headers", "kind", "body", "said"),
    [
        ({}, "application/json", b"{}", "neither Ce- headers"),
        (event(**{"Ce-Specversion": "9"}), "application/json", b"{}", "specversion"),
        (event(identity=""), "application/json", b"{}", "has no id"),
        (event("explanation"), "application/json", b"{}", "neither an inference's request"),
        (event(), "application/grpc", b"\0\0", "must be JSON"),
        (event(**{"Ce-Inferenceservicename": ""}), "", b"{}", "no inferenceservicename"),
        (event(), "", b"{}", "neither instances"),
        (
            event(),
            "",
            b'{"inputs": [{"name": "a", "shape": [2], "data": [1]}]}',
            "size of its shape",
        ),
        (event(), "", b'{"inputs": [{"name": "a", "shape": [-1], "data": [1]}]}', "list of sizes"),
        (
            event(),
            "",
            b'{"inputs": [{"name": "a", "shape": [1e99], "data": [1]}]}',
            "list of sizes",
        ),
        (event(), "", b'{"inputs": [{"name": "a", "shape": [99999999], "data": [1]}]}', "size of"),
        (event(), "", b'{"inputs": [{"name": "a", "shape": [1]}]}', "not beside it"),
        (event("response"), "", b"[]", "neither predictions"),
        (event(), "", b"[" * 10_000, "nested too deep"),
        ({}, "application/cloudevents+json", b"[]", "a JSON object"),
        ({}, "application/cloudevents-batch+json", b"{}", "is a list"),
        (
            {},
            "application/cloudevents+json",
            b'{"specversion": "1.0", "type": "x", "id": "1", "data_base64": "%"}',
            "no base64",
        ),
    ],
)
def test_what_is_no_inference_is_refused_in_words(
    headers: dict[str, str], kind: str, body: bytes, said: str
) -> None:
    """Nothing raises but a refusal, and it says what is wrong."""
    with pytest.raises(RefusedError, match=said):
        read(headers, kind, body)


@given(st.binary(max_size=200), st.sampled_from(["request", "response"]))
def test_any_body_is_read_or_refused(body: bytes, kind: str) -> None:
    """No bytes make it fail otherwise."""
    refusal = None
    try:
        read(event(kind), "application/json", body)
    except RefusedError as error:
        refusal = error

    assert refusal is None or 400 <= refusal.status < 500


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["name", "shape", "data", "inputs", "outputs", "choices", "usage", "a"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(
        ["instances", "inputs", "messages", "prompt", "predictions", "outputs", "choices"]
    ),
    JSON,
)
def test_any_json_is_read_or_refused(key: str, value: object) -> None:
    """Bodies that are almost right are refused or read, and columns are equally long."""
    body = json.dumps({key: value}).encode()
    for columns_of in (request_columns, lambda data: response_columns(data)[0]):
        try:
            columns = columns_of(body)
        except RefusedError:
            continue
        assert len(set(map(len, columns.values()))) <= 1


def test_large_bodies_that_wait_take_bounded_memory() -> None:
    """One long text, or a picture, is one value and many bytes: what waits is bounded by both."""
    pairing = Pairing(most_values=10_000)
    text = json.dumps({"instances": ["x" * 20_000]}).encode()
    picture = json.dumps({"instances": [[[0] * 100] * 100]}).encode()
    told = 0

    for number, body in enumerate([text, picture] * 5):
        ((logged,), _) = read(event(identity=str(number)), "", body)
        told += len(
            pairing.add(logged.model, logged.event, logged.side, answer=False, now=0.0) or ()
        )

    assert told >= 8
    assert pairing._values <= 10_000


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({"Ce-Endpoint": "v" * 5_000}, {"predictions": [1]}),
        ({}, {"model_version": "v" * 5_000, "predictions": [1]}),
        ({"Ce-Requestid": "r" * 5_000}, {"model_version": "v" * 5_000, "predictions": [1]}),
    ],
)
def test_labels_and_ids_are_short(headers: dict[str, str], answer: dict[str, Any]) -> None:
    """What becomes a label is cut, whatever a payload says, and still tells which it was."""
    ((logged,), _) = read(event("response", **headers), "", json.dumps(answer).encode())

    ((other,), _) = read(
        event("response", **{name: f"{value}x" for name, value in headers.items()}),
        "",
        json.dumps(
            {**answer, **({"model_version": "v" * 5_001} if len(answer) > 1 else {})}
        ).encode(),
    )

    assert logged.side.version.startswith("v" * 119)
    assert len(logged.side.version) == 128
    assert logged.side.version != other.side.version
    assert len(logged.event) <= 256
    assert (logged.event == other.event) == ("Ce-Requestid" not in headers)


def test_two_tensors_of_one_name_are_refused() -> None:
    """Which of them is the feature, nobody can tell."""
    tensor = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}

    with pytest.raises(RefusedError, match="the same name"):
        request_columns(json.dumps({"inputs": [tensor, tensor]}).encode())


def test_a_request_tells_no_answer() -> None:
    """A feature that is called as the answer, or as what is measured, has a name of its own."""
    asked = {"prediction": 1, "latency": 2, "row_id": 3, "score": 4}
    joining, found = Joining(), []
    for kind, body in (("request", {"instances": [asked]}), ("response", {"predictions": [5]})):
        for logged in read(event(kind), "", json.dumps(body).encode()).logged:
            found += joining.add(logged, now=50.0) or []

    (rows,) = found
    assert dict(rows.columns) == {
        "input.prediction": [1],
        "input.latency": [2],
        "input.row_id": [3],
        "score": [4],
        "prediction": [5],
        "row_id": rows.columns["row_id"],
    }
    assert rows.columns["row_id"] != [3]


def test_a_replay_is_known() -> None:
    """The same event twice is told once, also after its answer came."""
    joining = Joining()
    (request,) = read(event(), "", b'{"instances": [{"a": 1}]}').logged
    (answer,) = read(event("response"), "", b'{"predictions": [1]}').logged

    assert joining.add(request, 0.0) == []
    assert joining.add(request, 0.0) is None
    assert len(joining.add(answer, 0.0) or ()) == 1
    assert joining.add(answer, 0.0) is None
    assert joining.add(request, 0.0) is None


def test_one_side_alone_is_told_in_the_end() -> None:
    """A logger may log requests only: what the answer would have told is unknown, not missing."""
    joining = Joining(Pairing(patience=60))
    (request,) = read(event(), "", b'{"instances": [{"a": 1}]}').logged
    joining.add(request, 0.0)

    assert joining.overdue(59.0) == []
    (rows,) = joining.overdue(60.0)
    assert (rows.columns, rows.whole) == ({"a": [1], "row_id": ["1"]}, False)


def test_sides_of_different_size_are_told_apart() -> None:
    """Nobody knows which answer is to which row; no row lacks what the other side did not have."""
    joining = Joining()
    found = []
    for kind, body in (
        ("request", b'{"instances": [[1], [2]]}'),
        ("response", b'{"predictions": [1, 2, 3]}'),
    ):
        for logged in read(event(kind), "", body).logged:
            found += joining.add(logged, now=50.0) or []

    asked, answered = found
    assert (asked.columns["input.0"], asked.size, asked.whole) == ([1, 2], 2, False)
    assert (answered.columns["prediction"], answered.size, answered.whole) == ([1, 2, 3], 3, False)


def test_an_answer_without_predictions_lacks_them() -> None:
    """Both sides came, so what is not there is missing."""
    joining = Joining()
    found = []
    for kind, body in (
        ("request", b'{"instances": [[1], [2]]}'),
        ("response", b'{"predictions": []}'),
    ):
        for logged in read(event(kind), "", body).logged:
            found += joining.add(logged, now=50.0) or []

    (rows,) = found
    assert (rows.size, rows.whole) == (2, True)


def test_a_clock_set_back_keeps_nobody_waiting() -> None:
    """What came in the future is told."""
    joining = Joining()
    (request,) = read(event(), "", b'{"instances": [{"a": 1}]}').logged
    joining.add(request, 1_000.0)

    assert len(joining.overdue(500.0)) == 1


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.integers(0, 9)), max_size=60))
def test_waiting_takes_bounded_memory_and_loses_nothing(
    events: list[tuple[int, bool, int]],
) -> None:
    """However events come, each side is told exactly once, and few wait."""
    pairing = Pairing(patience=1e9, most_waiting=4, most_values=20)
    told, added = [], 0
    for identity, answer, size in events:
        side = Side({"a": [0.0] * size})
        done = pairing.add("m", str(identity), side, answer=answer, now=0.0)
        added += done is not None
        told += done or []
        assert len(pairing._waiting) <= 4
        assert pairing._values <= 20
    told += pairing.overdue(2e9)

    assert sum(bool(pair.request) + bool(pair.response) for pair in told) == added
    assert pairing._values == 0


def test_a_model_is_named_by_any_bytes() -> None:
    """A header that is no UTF-8 comes as half characters and makes a label that has none."""
    ((logged,), _) = read(
        event(**{"Ce-Inferenceservicename": "x\udcff"}), "", b'{"instances": [[1]]}'
    )

    assert logged.model == "x\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "content",
    [
        {"specversion": "0.2", "contenttype": "application/json", "data": {"instances": [[1]]}},
        {
            "specversion": "0.3",
            "datacontentencoding": "base64",
            "data": "eyJpbnN0YW5jZXMiOltbMV1dfQ==",
        },
        {"specversion": "1.0", "data_base64": "eyJpbnN0YW5jZXMiOltbMV1dfQ=="},
        {
            "specversion": "1.0",
            "data": '{"instances": [[1]]}',
            "requestid": 7,
            "traceparent": "00-x",
        },
    ],
)
def test_structured_events_of_all_versions_are_read(content: dict[str, Any]) -> None:
    """Each version of the specification spells the data's encoding otherwise."""
    told = {
        "id": "a",
        "type": "org.kubeflow.serving.inference.request",
        "inferenceservicename": "iris",
        **content,
    }

    ((logged,), refused) = read({}, "application/cloudevents+json", json.dumps(told).encode())

    assert (logged.side.columns, refused) == ({"input.0": [1]}, [])


def test_one_bad_event_does_not_lose_its_batch() -> None:
    """What can be read of a batch is, and the rest is told; a batch of which nothing can is refused."""
    good = {
        "specversion": "1.0",
        "id": "a",
        "type": "org.kubeflow.serving.inference.request",
        "inferenceservicename": "iris",
        "data": {"instances": [[1]]},
    }
    bad = [{"id": 1}, {**good, "type": "x"}, {**good, "data": {}}, "text"]
    kind = "application/cloudevents-batch+json"

    logged, refused = read({}, kind, json.dumps([good, *bad, {**good, "id": "b"}]).encode())

    assert [each.event for each in logged] == ["a", "b"]
    assert [error.status for error in refused] == [400] * 4
    with pytest.raises(RefusedError):
        read({}, kind, json.dumps(bad).encode())


def binary(*tensors: tuple[str, str, bytes]) -> bytes:
    """Return a V2 body with binary tensors of two rows."""
    told = [
        {
            "name": name,
            "datatype": datatype,
            "shape": [2, 1],
            "parameters": {"binary_data_size": len(data)},
        }
        for name, datatype, data in tensors
    ]
    return json.dumps({"inputs": told}).encode() + b"".join(data for _, _, data in tensors)


EVERY_TYPE = (
    ("a", "FP32", struct.pack("<2f", 1.5, -2)),
    ("b", "FP64", struct.pack("<2d", 1.5, 3)),
    ("c", "INT64", struct.pack("<2q", -1, 2**40)),
    ("d", "UINT8", b"\x01\xff"),
    ("e", "BOOL", b"\x01\x00"),
    ("f", "FP16", struct.pack("<2e", 0.5, 2)),
    ("g", "BF16", struct.pack("<f", 1.5)[2:] + struct.pack("<f", -2)[2:]),
    ("h", "BYTES", b"\x03\x00\x00\x00abc\x00\x00\x00\x00"),
)


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_binary_tensors_are_read(*, announced: bool, compressed: bool) -> None:
    """Bytes behind the JSON are values, whether the length of the JSON was told or not."""
    body = binary(*EVERY_TYPE)
    head = {"Inference-Header-Content-Length": str(body.rindex(b"]}") + 2)} if announced else {}
    sent = gzip.compress(body) if compressed else body

    ((logged,), _) = read(event(**head), "application/octet-stream", sent)

    assert logged.side.columns == {
        "a": [1.5, -2.0],
        "b": [1.5, 3.0],
        "c": [-1, 2**40],
        "d": [1, 255],
        "e": [True, False],
        "f": [0.5, 2.0],
        "g": [1.5, -2.0],
        "h": ["abc", ""],
    }


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, binary(("a", "FP32", b"1234567")), 400),
        ({}, binary(("a", "COMPLEX", b"12345678")), 415),
        ({}, binary(("a", "BYTES", b"\xff\xff\xff\xff1234")), 400),
        ({}, binary(("a", "FP32", b"12345678"))[:-1], 400),
        ({}, binary(("a", "FP32", b"12345678")) + b"x", 400),
        ({"Inference-Header-Content-Length": "-1"}, b"{}", 400),
        ({"Inference-Header-Content-Length": "9" * 30}, b"{}", 400),
        ({"Inference-Header-Content-Length": "3"}, b"{}", 400),
        ({}, gzip.compress(b"{}", mtime=0)[:-3], 400),
        ({}, b"\x1f\x8b garbage", 400),
        ({}, gzip.compress(b" " * 9_000_000), 413),
        ({}, b'{"inputs": [' + b"[]," * 250_000 + b"]}", 413),
        ({}, b'{"inputs": [{"name": "a", "shape": [9223372036854775807], "data": [1]}]}', 400),
        ({}, b'{"inputs": [{"name": "a", "shape": [-1, 2], "data": [1]}]}', 400),
        ({}, b'{"inputs": {%s, "z": [%s]}}' % (
            b",".join(b'"k%d": []' % n for n in range(2_000)), b",".join([b"1"] * 2_000)), 413),
    ],
)  # fmt: skip
def test_damaged_tensors_are_refused(headers: dict[str, str], body: bytes, status: int) -> None:
    """Whatever does not add up is 4xx in words."""
    with pytest.raises(RefusedError) as refused:
        read(event(**headers), "application/octet-stream", body)

    assert refused.value.status == status
    assert str(refused.value)


@pytest.mark.parametrize(
    ("kind", "content", "columns"),
    [
        ("request", {"data": {"names": ["a", "b"], "ndarray": [[1, "x"]]}}, {"a": [1], "b": ["x"]}),
        (
            "request",
            {"data": {"tensor": {"shape": [2, 2], "values": [1, 2, 3, 4]}}},
            {"input.0": [1, 3], "input.1": [2, 4]},
        ),
        ("request", {"jsonData": {"user": {"age": 3}}}, {"user.age": [3]}),
        ("request", {"strData": "hello", "meta": {}}, {"input": ["hello"]}),
        (
            "response",
            {"data": {"names": ["p0", "p1"], "ndarray": [[0.1, 0.9]]}, "meta": {}},
            {"prediction.p0": [0.1], "prediction.p1": [0.9]},
        ),
        (
            "response",
            {"data": {"names": ["t:0"], "tensor": {"shape": [2, 1], "values": [1, 0]}}},
            {"prediction": [1, 0]},
        ),
        ("response", {"strData": "yes"}, {"prediction": ["yes"]}),
    ],
)
def test_seldons_own_protocol_is_read(
    kind: str, content: dict[str, Any], columns: dict[str, list[object]]
) -> None:
    """Arrays with names, tensors, texts and JSON, by the types of event that Seldon's logger has."""
    headers = {
        **event(**{"Ce-Type": f"io.seldon.serving.inference.{kind}"}),
        "Ce-Requestid": "r",
        "Ce-Modelid": "classifier",
    }

    ((logged,), _) = read(headers, "application/json", json.dumps(content).encode())

    assert (logged.event, logged.side.columns) == ("r", columns)


@pytest.mark.parametrize(
    "content",
    [
        {"binData": "AAAA"},
        {"data": {"names": ["a"]}},
        {"data": {"tensor": {"shape": [2, 2], "values": [1]}}},
        {"data": {"tensor": {"shape": [-2], "values": []}}},
        {"data": {"tensor": {"shape": "2", "values": []}}},
    ],
)
def test_seldon_without_features_is_refused(content: dict[str, Any]) -> None:
    """What holds no features that can be told apart is 4xx."""
    with pytest.raises(RefusedError) as refused:
        read(event(), "application/json", json.dumps(content).encode())

    assert 400 <= refused.value.status < 500


@pytest.mark.parametrize(
    ("times", "skewed"),
    [
        (("2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"), 1),
        (("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"), 1),
        (("2026-01-01T00:00:00Z", "2026-01-01T00:00:02Z"), 0),
        (("nonsense", "2026-01-01T00:00:02Z"), 0),
    ],
)
def test_skewed_clocks_are_counted(times: tuple[str, str], skewed: int) -> None:
    """An answer before its request, or a day after, is no latency."""
    joining = Joining()
    found = []
    for kind, body, at in (
        ("request", b'{"instances": [[1], [2]]}', times[0]),
        ("response", b'{"predictions": [1, 2, 3]}', times[1]),
    ):
        for logged in read(event(kind, **{"Ce-Time": at}), "", body).logged:
            found += joining.add(logged, now=50.0) or []

    asked, answered = found
    assert joining.skewed == skewed
    took = None if skewed or times[0] == "nonsense" else [2.0] * 3
    assert answered.columns.get("latency") == took
    assert "latency" not in asked.columns
