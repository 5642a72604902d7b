"""OTLP logs: what instrumented clients and gateways tell of each inference, without the messages.

Read are OpenTelemetry's event `gen_ai.client.inference.operation.details` (semantic conventions 1.41), other
records that tell a model and its usage by the same attributes, and BentoML's monitoring records. Messages
that such an event may carry are not even looked at.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from agent.drift.intake import bentoml
from agent.drift.intake.flatten import columns
from agent.drift.intake.json_body import parse
from agent.drift.intake.names import bounded
from agent.drift.intake.refusal import RefusedError
from agent.drift.rows import Rows

PROTOBUF: Final = "application/x-protobuf"
_GEN_AI: Final = "gen_ai."
"""What the names of such events begin with. A gateway's record may have none, and the same attributes."""
_FEATURES: Final = {
    "gen_ai.usage.input_tokens": "prompt_tokens",
    "gen_ai.usage.output_tokens": "completion_tokens",
    "gen_ai.request.max_tokens": "max_tokens",
    "gen_ai.request.temperature": "temperature",
    "gen_ai.request.top_p": "top_p",
    "gen_ai.request.stream": "stream",
    "gen_ai.response.finish_reasons": "finish_reason",
    "error.type": "error_type",
}
_MODELS: Final = ("gen_ai.response.model", "gen_ai.request.model")
_EVENT_NAME: Final = ("event.name", "event_name")


class Logs(NamedTuple):
    """What an export held: rows, and how many records were none of ours."""

    rows: list[Rows]
    unknown: int


def read(content_type: str, data: bytes, now: float) -> Logs:
    """Return what an export request holds, in either encoding of OTLP. Raises `RefusedError`."""
    records = _of_protobuf(data) if content_type == PROTOBUF else _of_json(data)
    found: dict[tuple[str, str], list[Mapping[str, object]]] = {}
    unknown = 0
    for name, attributes, body in records:
        key, row = _row(name, attributes, body)
        if key is None:
            unknown += 1
        else:
            found.setdefault(key, []).append(row)
    rows = [Rows(*key, columns(list(each)), now) for key, each in found.items()]
    return Logs(rows, unknown)


_Record = tuple[str, Mapping[str, object], object]


def _row(
    name: str, attributes: Mapping[str, object], body: object
) -> tuple[tuple[str, str] | None, Mapping[str, object]]:
    """Return the model and version that a record is about, and what it tells; no model, no row."""
    meta = attributes.get("bento_meta")
    told = body if isinstance(body, Mapping) else attributes
    if isinstance(meta, Mapping) or "bento_meta" in told:
        meta = meta if isinstance(meta, Mapping) else told.get("bento_meta")
        meta = meta if isinstance(meta, Mapping) else {}
        model = str(meta.get("monitor_name") or meta.get("bento_name") or "")
        key = (bounded(model), bounded(str(meta.get("bento_version", "")))) if model else None
        return key, bentoml.values(told)
    if name and not name.startswith(_GEN_AI):
        return None, {}
    both = {**attributes, **(body if isinstance(body, Mapping) else {})}
    model = next((str(both[key]) for key in _MODELS if both.get(key)), "")
    row = {feature: _single(both[key]) for key, feature in _FEATURES.items() if key in both}
    return ((bounded(model), "") if model and row else None), row


def _single(value: object) -> object:
    """Return the first of a list: an answer's choices nearly always end alike."""
    return (value[0] if value else None) if isinstance(value, list) else value


def _of_json(data: bytes) -> Iterator[_Record]:
    content = parse(data)
    if not isinstance(content, Mapping):
        raise RefusedError(400, "malformed", "an OTLP export is a JSON object")
    for resource in _objects(content.get("resourceLogs")):
        for scope in _objects(resource.get("scopeLogs")):
            for record in _objects(scope.get("logRecords")):
                attributes = _attributes(record.get("attributes"))
                name = str(record.get("eventName") or _named(attributes))
                yield name, attributes, _any_value(record.get("body"), 0)


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, Mapping))


def _attributes(pairs: object, depth: int = 0) -> dict[str, object]:
    return {str(pair.get("key")): _any_value(pair.get("value"), depth) for pair in _objects(pairs)}


def _any_value(value: object, depth: int) -> object:
    """Return what OTLP's AnyValue holds; integers are text in its JSON."""
    if not isinstance(value, Mapping) or depth > _DEEPEST:
        return None
    for key in ("stringValue", "boolValue"):
        if key in value:
            return value[key]
    for key, kind in _NUMBERS:
        if key in value:
            try:
                return kind(value[key])
            except (TypeError, ValueError, OverflowError):
                return None
    if isinstance(value.get("arrayValue"), Mapping):
        found = value["arrayValue"].get("values")
        return [_any_value(each, depth + 1) for each in _objects(found)]
    if isinstance(value.get("kvlistValue"), Mapping):
        return _attributes(value["kvlistValue"].get("values"), depth + 1)
    return None


_DEEPEST: Final = 8
_NUMBERS: Final = (("intValue", int), ("doubleValue", float))
"""Both may be text: integers are, and so are NaN and infinity, for which JSON has no word."""


def _named(attributes: Mapping[str, object]) -> object:
    return next((attributes[key] for key in _EVENT_NAME if key in attributes), "")


def _of_protobuf(data: bytes) -> Iterator[_Record]:
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - only where OTLP comes in
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2  # noqa: PLC0415 - as above

    request = logs_service_pb2.ExportLogsServiceRequest()
    try:
        request.ParseFromString(data)
    except DecodeError as error:
        raise RefusedError(400, "malformed", "the body is no OTLP export in protobuf") from error
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                attributes = {pair.key: _value(pair.value) for pair in record.attributes}
                yield record.event_name or str(_named(attributes)), attributes, _value(record.body)


def _value(value: Any) -> object:
    """Return what a protobuf AnyValue holds; protobuf itself bounds the depth."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind)
