"""CloudEvents over HTTP: binary, structured and batched, in the spellings of 0.2 and 1.0.

Loggers of 2020 still run: they write ``ce-inferenceservice`` with quotes within the value. Brokers add
attributes of their own, which do not matter here.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

from agent.drift.intake.json_body import parse
from agent.drift.intake.names import bounded
from agent.drift.intake.refusal import RefusedError

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
_VERSIONS: Final = frozenset({"0.2", "0.3", "1.0"})
_JSON: Final = ("application/json", "text/json")
MAX_ID: Final = 256
"""Characters of an event's id."""


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event. ``data`` is its body in bytes; ``time`` is Unix seconds, `None` where it has none."""

    id: str
    type: str
    data: bytes
    content_type: str
    time: float | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""


def read_events(
    headers: Mapping[str, str], content_type: str, body: bytes
) -> Iterator[CloudEvent | RefusedError]:
    """Yield the events of a request, by whichever mode it is in, and in the place of some why they are none.

    Raises `RefusedError` where the request as a whole is none.
    """
    if content_type == BATCH:
        found = parse(body)
        if not isinstance(found, list):
            raise RefusedError(400, "malformed", "a batch of CloudEvents is a list")
        for each in found:
            try:
                yield _structured(each)
            except RefusedError as error:
                yield error
    elif content_type == STRUCTURED:
        yield _structured(parse(body))
    else:
        yield _binary(headers, content_type, body)


def _binary(headers: Mapping[str, str], content_type: str, body: bytes) -> CloudEvent:
    attributes = {
        name.lower().removeprefix("ce-"): _unquoted(value)
        for name, value in headers.items()
        if name.lower().startswith("ce-")
    }
    if not attributes:
        raise RefusedError(
            400,
            "malformed",
            f"no CloudEvent: neither Ce- headers nor the content type {STRUCTURED}",
        )
    return _event(attributes, body, content_type)


def _structured(content: object) -> CloudEvent:
    if not isinstance(content, Mapping):
        raise RefusedError(400, "malformed", "a structured CloudEvent is a JSON object")
    attributes = {
        str(name).lower(): _unquoted(str(value))
        for name, value in content.items()
        if isinstance(value, str | int) and name not in {"data", "data_base64"}
    }
    kind = attributes.get("datacontenttype", attributes.get("contenttype", "application/json"))
    return _event(attributes, _data(content), kind.partition(";")[0].strip().lower())


def _data(content: Mapping[str, Any]) -> bytes:
    """Return the body as bytes; JSON within the event is written as JSON again."""
    data = content.get("data")
    encoding = content.get("datacontentencoding")  # of 0.3
    if "data_base64" in content or (isinstance(encoding, str) and encoding.lower() == "base64"):
        try:
            return base64.b64decode(content.get("data_base64", data), validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise RefusedError(400, "malformed", "the event's data is no base64") from error
    try:
        return data.encode() if isinstance(data, str) else json.dumps(data).encode()
    except RecursionError as error:
        raise RefusedError(400, "malformed", "the JSON is nested too deep") from error


def _event(attributes: Mapping[str, str], data: bytes, content_type: str) -> CloudEvent:
    version = attributes.get("specversion", attributes.get("cloudeventsversion", ""))
    if version not in _VERSIONS:
        known = ", ".join(sorted(_VERSIONS))
        raise RefusedError(400, "malformed", f"the specversion must be one of {known}")
    for name in ("id", "type"):
        if not attributes.get(name):
            raise RefusedError(400, "malformed", f"the CloudEvent has no {name}")
    return CloudEvent(
        id=bounded(attributes["id"], MAX_ID),
        type=attributes["type"],
        data=data,
        content_type=content_type,
        time=unix_seconds(attributes.get("time", "")),
        extensions=attributes,
    )


def is_json(content_type: str) -> bool:
    """Tell whether a body claims to be JSON, or claims nothing."""
    return not content_type or content_type in _JSON or content_type.endswith("+json")


def unix_seconds(text: str) -> float | None:
    """Return the time that RFC 3339 text tells, to the microsecond; `None` where it tells none."""
    try:
        whole, point, rest = text.partition(".")
        digits = rest.rstrip("Zz").partition("+")[0].partition("-")[0]
        zone = rest[len(digits) :] if point else ""
        # Go writes up to nine digits, Python reads six.
        told = datetime.fromisoformat(
            f"{whole}{point}{digits[:6].ljust(6, '0') if point else ''}{zone}"
        )
    except ValueError:
        return None
    return told.timestamp() if told.tzinfo else None


def _unquoted(value: str) -> str:
    """Return a value without the quotes of 2020 and the percent signs of the 1.0 binding."""
    # Bytes of a header that are no UTF-8 come as halves of characters, which no label may have.
    plain = value.strip().encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if len(plain) > 1 and plain[0] == plain[-1] == '"':
        plain = plain[1:-1]
    return unquote(plain) if "%" in plain else plain
