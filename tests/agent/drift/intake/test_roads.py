"""BentoML's lines, Triton's traces and OTLP's records become rows, or are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from agent.drift.intake import bentoml, otlp_logs, triton_trace
from agent.drift.intake.endpoint import Intake
from agent.drift.intake.refusal import RefusedError
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models

PAYLOADS = Path(__file__).parents[3] / "fixtures/payloads"
BENTOML = (PAYLOADS / "bentoml_monitor_data.jsonl").read_bytes()
TRITON = (PAYLOADS / "triton_trace_2.51.0.json").read_bytes()
MESSAGE = "my name is Ann"
DETAILS = "gen_ai.client.inference.operation.details"
OPERATION = {
    "gen_ai.request.model": "gpt",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 7,
    "gen_ai.request.temperature": 0.5,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.input.messages": MESSAGE,
}
TOLD = {
    "prompt_tokens": [12],
    "completion_tokens": [7],
    "temperature": [0.5],
    "finish_reason": ["stop"],
}


def as_json(attributes: dict[str, Any], name: str = DETAILS) -> bytes:
    """Return a record as OTLP's JSON has it."""

    def value(each: Any) -> dict[str, Any]:
        if isinstance(each, str):
            return {"stringValue": each}
        if isinstance(each, int):
            return {"intValue": str(each)}
        if isinstance(each, float):
            return {"doubleValue": each}
        if isinstance(each, dict):
            pairs = [{"key": key, "value": value(inner)} for key, inner in each.items()]
            return {"kvlistValue": {"values": pairs}}
        return {"arrayValue": {"values": list(map(value, each))}}

    pairs = [{"key": key, "value": value(each)} for key, each in attributes.items()]
    record = {"eventName": name, "attributes": pairs}
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()


def as_protobuf(attributes: dict[str, Any], name: str = DETAILS) -> bytes:
    """Return a record as OTLP's protobuf has it."""

    def value(each: Any) -> AnyValue:
        if isinstance(each, str):
            return AnyValue(string_value=each)
        if isinstance(each, int):
            return AnyValue(int_value=each)
        if isinstance(each, float):
            return AnyValue(double_value=each)
        return AnyValue(array_value=ArrayValue(values=list(map(value, each))))

    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.attributes.extend(KeyValue(key="event.name", value=value(name)) for _ in "1")
    record.attributes.extend(
        KeyValue(key=key, value=value(each)) for key, each in attributes.items()
    )
    return bytes(request.SerializeToString())


def test_lines_of_bentoml_are_rows() -> None:
    """What the service logged is there, what BentoML says about the line is not."""
    rows = bentoml.read(BENTOML, {"model": "Iris", "prediction": "pred"}, 1.0)

    assert set(rows.columns) == {"sepal_len", "sepal_width", "prediction"}
    assert rows.columns["sepal_len"][:2] == [5.1, 5.2]
    assert rows.columns["prediction"][0] == "setosa"
    assert (rows.model, rows.size) == ("Iris", len(BENTOML.splitlines()))


def test_the_prediction_of_a_line_may_be_a_path() -> None:
    """It is named as features are."""
    rows = bentoml.read(b'{"out": {"y": "a", "p": 1}}', {"model": "m", "prediction": "out.y"}, 1.0)

    assert rows.columns == {"out.p": [1], "prediction": ["a"]}


def test_a_trace_of_triton_is_rows() -> None:
    """Tensors become features and the prediction, timestamps the latency; a cut file is read as well."""
    for data in (TRITON, TRITON.rstrip().removesuffix(b"]"), TRITON.rstrip()[:-1] + b","):
        (rows,) = triton_trace.read(data, 1.0)

        assert (rows.model, rows.model_version) == ("resnet", "1")
        assert rows.columns == {
            "x.0": [1.5],
            "x.1": [2.0],
            "prediction.0": [3.0],
            "prediction.1": [4.0],
            "latency": [pytest.approx(0.025996, abs=1e-6)],
        }


@pytest.mark.parametrize(
    ("encode", "kind"), [(as_json, "application/json"), (as_protobuf, otlp_logs.PROTOBUF)]
)
def test_an_inference_of_otlp_is_a_row(
    encode: Callable[[dict[str, Any]], bytes], kind: str
) -> None:
    """Token counts, parameters and reasons are read in both encodings; messages are not."""
    logs = otlp_logs.read(kind, encode(OPERATION), 1.0)

    (rows,) = logs.rows
    assert (rows.model, rows.columns, logs.unknown) == ("gpt", TOLD, 0)
    assert MESSAGE not in str(logs)


@pytest.mark.parametrize("name", ["", "gen_ai.client.operation", DETAILS])
def test_gateways_tell_of_inferences_as_well(name: str) -> None:
    """What counts are the attributes: an access log with a model and its usage is an inference."""
    (rows,) = otlp_logs.read("application/json", as_json(OPERATION, name), 1.0).rows

    assert rows.columns == TOLD


@pytest.mark.parametrize(
    "value",
    [
        {"intValue": 1e999},
        {"intValue": "x"},
        {"intValue": ["1"]},
        {"intValue": "9" * 5_000},
        {"doubleValue": {}},
        {"bytesValue": "AA=="},
        {"arrayValue": 3},
        5,
        None,
    ],
)
def test_attributes_without_a_value_are_missing(value: object) -> None:
    """A number that is none is nothing, and loses no record."""
    attributes = [
        {"key": "gen_ai.request.model", "value": {"stringValue": "m"}},
        {"key": "gen_ai.usage.input_tokens", "value": value},
    ]
    records = [{"eventName": DETAILS, "attributes": attributes}]
    data = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()

    (rows,) = otlp_logs.read("application/json", data, 1.0).rows

    assert rows.columns == {"prompt_tokens": [None]}


def trace(*tensors: dict[str, str], **more: object) -> bytes:
    """Return a trace of one request with these input tensors."""
    entries: list[dict[str, object]] = [{"id": 1, "model_name": "m", "model_version": 1}]
    entries += ({"id": 1, "activity": "TENSOR_QUEUE_INPUT", "tensor": each} for each in tensors)
    return json.dumps([*entries, {"id": 1, **more}]).encode()


NUMBERS = {"name": "x", "data": "1,2", "shape": "2", "dtype": "FP32"}


def test_texts_of_triton_keep_their_commas() -> None:
    """Triton writes texts in quotes; of half-precision tensors it writes no data."""
    texts = {"name": "t", "data": '"a,b","c"', "shape": "2", "dtype": "BYTES"}
    half = {"name": "h", "data": "", "shape": "2,3", "dtype": "FP16"}

    (rows,) = triton_trace.read(trace(texts, half, NUMBERS), 1.0)

    assert rows.columns == {"t": ["a,b", "c"], "x": [1.0, 2.0]}


def test_moments_that_make_no_sense_are_no_latency() -> None:
    """Times of any type and size are left out."""
    moments = [{"name": "REQUEST_START", "ns": 0}, {"name": "REQUEST_END", "ns": 10**400}]

    for told in (5, moments):
        (rows,) = triton_trace.read(trace(NUMBERS, timestamps=told), 1.0)
        assert set(rows.columns) == {"x"}


def test_records_of_something_else_are_counted() -> None:
    """Logs of other kinds, and of no model, tell nothing."""
    other = otlp_logs.read("application/json", as_json(OPERATION, name="app.log"), 1.0)
    nobody = otlp_logs.read("application/json", as_json({"gen_ai.usage.input_tokens": 1}), 1.0)

    assert (other.rows, other.unknown) == ([], 1)
    assert (nobody.rows, nobody.unknown) == ([], 1)


def test_bentoml_records_of_otlp_are_rows() -> None:
    """BentoML's monitoring sends the same line as a log record."""
    line = {
        "sepal_len": 5.1,
        "request_id": "1",
        "bento_meta": {"bento_name": "Iris", "bento_version": "2", "monitor_name": "iris"},
    }

    (rows,) = otlp_logs.read("application/json", as_json(line, name=""), 1.0).rows

    assert (rows.model, rows.model_version, rows.columns) == ("iris", "2", {"sepal_len": [5.1]})


@pytest.mark.parametrize(
    ("read", "data", "said"),
    [
        (lambda data: bentoml.read(data, {}, 0), BENTOML, "must name the model"),
        (lambda data: bentoml.read(data, {"model": "m"}, 0), b"[1]", "row 1 is no object"),
        (
            lambda data: bentoml.read(data, {"model": "m", "prediction": "y"}, 0),
            BENTOML,
            "no row has the column 'y'",
        ),
        (lambda data: triton_trace.read(data, 0), b"{}", "list of objects"),
        (lambda data: triton_trace.read(data, 0), b"[]", "level=TENSORS"),
        (
            lambda data: triton_trace.read(data, 0),
            TRITON.replace(b'"1,2"', b'"1,3"'),
            "size of its shape",
        ),
        (lambda data: triton_trace.read(data, 0), TRITON.replace(b"1.5,2", b"1.5,x"), "is wrong"),
        (
            lambda data: triton_trace.read(data, 0),
            trace({**NUMBERS, "shape": "-1,2"}),
            "list of sizes",
        ),
        (lambda data: otlp_logs.read("application/json", data, 0), b"[]", "JSON object"),
        (lambda data: otlp_logs.read(otlp_logs.PROTOBUF, data, 0), b"\xff\xff", "in protobuf"),
    ],
)
def test_what_is_none_of_it_is_refused_in_words(
    read: Callable[[bytes], object], data: bytes, said: str
) -> None:
    """The sender learns what is wrong."""
    with pytest.raises(RefusedError, match=said):
        read(data)


@given(
    st.sampled_from([BENTOML, TRITON, as_json(OPERATION), as_protobuf(OPERATION)]),
    st.integers(0, 4_000),
    st.binary(max_size=4),
)
def test_damaged_bodies_are_read_or_refused(good: bytes, place: int, damage: bytes) -> None:
    """Bytes that are cut or overwritten make nothing fail otherwise."""
    place %= len(good)
    data = good[:place] + damage + good[place + len(damage) :]
    for read in (
        lambda: bentoml.read(data, {"model": "m"}, 0),
        lambda: triton_trace.read(data, 0),
        lambda: otlp_logs.read("application/json", data, 0),
        lambda: otlp_logs.read(otlp_logs.PROTOBUF, data, 0),
    ):
        refused = None
        try:
            read()
        except RefusedError as error:
            refused = error
        assert refused is None or refused.status in {400, 415}


async def test_each_road_has_its_endpoint() -> None:
    """What is posted to each is counted under its road; OTLP's answer is an empty message."""
    models, tally = Models(clock=lambda: 1.0), IntakeTally()
    app = Application()
    app.add_routes(Intake(models, tally).routes())
    async with TestClient(TestServer(app)) as client:
        answers = [
            await client.post("/v1/bentoml?model=Iris", data=BENTOML),
            await client.post("/v1/triton", data=TRITON),
            await client.post(
                "/v1/logs",
                data=as_protobuf(OPERATION),
                headers={"Content-Type": otlp_logs.PROTOBUF},
            ),
            await client.post(
                "/v1/logs", data=as_json({}), headers={"Content-Type": "application/json"}
            ),
        ]
        bodies = [await answer.read() for answer in answers]

    assert [answer.status for answer in answers] == [200] * 4
    assert bodies[2:] == [b"", b"{}"]
    assert {road: rows for road, rows in tally.rows.items() if rows} == {
        "bentoml": len(BENTOML.splitlines()),
        "triton": 1,
        "otlp": 1,
    }
    assert tally.refused["otlp", "wrong_type"] == 1
